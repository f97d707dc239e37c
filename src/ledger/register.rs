//! Table `feeds`: the configured feeds are recognised, whatever they are called now.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::{Ledger, LedgerError};
use crate::clock::stamp;
use crate::feed::FeedName;

/// A configured feed, as the platform knows it: the ledger recognises it by origin, SIREN and kind, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedIdentity {
    /// The name it has in the configuration.
    pub feed: FeedName,
    /// Scheme, host and port of the platform.
    pub origin: String,
    /// The SIREN the platform files it under.
    pub siren: String,
}

/// What registering the configured feeds came to.
#[derive(Debug, Default)]
pub struct Registration {
    /// Feeds that now have another name: old, new.
    pub renamed: Vec<(String, FeedName)>,
    /// Feeds whose name belongs, in the ledger, to another origin or SIREN: the feed, and that origin and SIREN.
    pub conflicts: Vec<(FeedName, String, String)>,
}
impl Ledger {
    /// Registers the configured feeds: new ones are due at `now`, renamed ones keep their history, others are retired.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn register(&self, feeds: Vec<FeedIdentity>, now: Timestamp) -> Result<Registration, LedgerError> {
        self.write(move |c| Box::pin(async move { register(c, &feeds, now).await })).await
    }

    /// Feeds that [`Ledger::register`] would rename: old, new.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn renames(&self, feeds: Vec<FeedIdentity>) -> Result<Vec<(String, FeedName)>, LedgerError> {
        let rows = sqlx::query("SELECT origin, siren, kind, feed FROM feeds")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        let known: std::collections::HashMap<(String, String, String), String> =
            rows.into_iter().map(|row| ((row.get(0), row.get(1), row.get(2)), row.get(3))).collect();
        let renamed = feeds.into_iter().filter_map(|identity| {
            let key = (identity.origin, identity.siren, identity.feed.kind().to_owned());
            let old = known.get(&key).filter(|old| *old != identity.feed.as_str())?;
            Some((old.clone(), identity.feed))
        });
        Ok(renamed.collect())
    }
}

async fn register(
    c: &mut SqliteConnection,
    feeds: &[FeedIdentity],
    now: Timestamp,
) -> Result<Registration, sqlx::Error> {
    let mut outcome = Registration::default();
    sqlx::query("UPDATE feeds SET configured = 0").execute(&mut *c).await?;
    // Two steps, so that two accounts may exchange their names.
    let mut moving = Vec::new();
    for identity in feeds {
        let known: Option<String> =
            sqlx::query_scalar("SELECT feed FROM feeds WHERE origin = $1 AND siren = $2 AND kind = $3")
                .bind(&identity.origin)
                .bind(&identity.siren)
                .bind(identity.feed.kind())
                .fetch_optional(&mut *c)
                .await?;
        if let Some(old) = known.filter(|old| old != identity.feed.as_str()) {
            rename(c, &old, &format!("{old}~"), identity.feed.account_name()).await?;
            moving.push((old, identity));
        }
    }
    for identity in feeds {
        let owner = sqlx::query("SELECT origin, siren FROM feeds WHERE feed = $1")
            .bind(identity.feed.as_str())
            .fetch_optional(&mut *c)
            .await?;
        let moved = moving.iter().find(|(_, to)| to.feed == identity.feed).map(|(old, _)| old.clone());
        let taken = owner
            .map(|row| (row.get::<String, _>(0), row.get::<String, _>(1)))
            .filter(|(origin, siren)| *origin != identity.origin || *siren != identity.siren);
        match (taken, moved) {
            (Some((origin, siren)), moved) => {
                if let Some(old) = moved {
                    rename(c, &format!("{old}~"), &old, &account_of(&old)).await?;
                }
                outcome.conflicts.push((identity.feed.clone(), origin, siren));
                continue;
            }
            (None, Some(old)) => {
                rename(c, &format!("{old}~"), identity.feed.as_str(), identity.feed.account_name()).await?;
                outcome.renamed.push((old, identity.feed.clone()));
            }
            (None, None) => {}
        }
        sqlx::query(
            "INSERT INTO feeds (feed, account, origin, siren, kind, next_poll_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (feed) DO UPDATE SET configured = 1",
        )
        .bind(identity.feed.as_str())
        .bind(identity.feed.account_name())
        .bind(&identity.origin)
        .bind(&identity.siren)
        .bind(identity.feed.kind())
        .bind(stamp(now))
        .execute(&mut *c)
        .await?;
    }
    Ok(outcome)
}

fn account_of(feed: &str) -> String {
    feed.rsplit_once('/').map_or_else(|| feed.to_owned(), |(account, _)| account.to_owned())
}

/// Renames a feed with all its rows; its documents' references cascade.
async fn rename(c: &mut SqliteConnection, old: &str, new: &str, account: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE feeds SET feed = $1, account = $2 WHERE feed = $3")
        .bind(new)
        .bind(account)
        .bind(old)
        .execute(c)
        .await?;
    Ok(())
}
