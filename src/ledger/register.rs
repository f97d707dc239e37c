//! Table `feeds`: the configured feeds are recognised, whatever they are called now.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::stream::TryStreamExt as _;
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row as _};

use super::{Ledger, LedgerError, riders};
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
    /// The feed whose listings show its documents as well, if one does.
    pub led_by: Option<FeedName>,
    /// Whether its documents are files of the platform.
    pub files: bool,
}

/// What registering the configured feeds came to.
#[derive(Debug, Default)]
pub struct Registration {
    /// Feeds that now have another name: old, new.
    pub renamed: Vec<(String, FeedName)>,
    /// Accounts that stay out, with all their feeds: one of the names of each that are taken.
    pub conflicts: Vec<Conflict>,
}

/// A feed whose name belongs, in the ledger, to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The feed.
    pub feed: FeedName,
    /// The other's platform.
    pub origin: String,
    /// The other's SIREN.
    pub siren: String,
}

/// Feeds written by one statement.
const CHUNK: usize = 500;
impl Ledger {
    /// Registers the configured feeds: new ones are due at `now`, renamed ones keep their history, others are retired.
    /// Only what differs is written.
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
        let read = async { Book::read(&mut *self.readers.acquire().await?).await };
        let book = read.await.map_err(|error| self.error(error))?;
        let renamed = feeds.into_iter().filter_map(|identity| {
            let old = book.name(&identity).filter(|old| *old != identity.feed.as_str())?.to_owned();
            Some((old, identity.feed))
        });
        Ok(renamed.collect())
    }
}

/// A feed as the ledger has it.
struct Known {
    account: String,
    origin: String,
    siren: String,
    configured: bool,
}

/// All feeds the ledger has, by name and by what the platform calls them.
#[derive(Default)]
struct Book {
    feeds: HashMap<String, Known>,
    names: HashMap<(String, String, String), String>,
}

impl Book {
    async fn read(c: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let mut rows = sqlx::query("SELECT feed, account, origin, siren, kind, configured FROM feeds").fetch(c);
        let mut book = Self::default();
        while let Some(row) = rows.try_next().await? {
            let (feed, origin, siren): (String, String, String) = (row.get(0), row.get(2), row.get(3));
            book.names.insert((origin.clone(), siren.clone(), row.get(4)), feed.clone());
            let known = Known { account: row.get(1), origin, siren, configured: row.get(5) };
            book.feeds.insert(feed, known);
        }
        Ok(book)
    }

    /// The name that the ledger has for this feed.
    fn name(&self, identity: &FeedIdentity) -> Option<&str> {
        let key = (identity.origin.clone(), identity.siren.clone(), identity.feed.kind().to_owned());
        self.names.get(&key).map(String::as_str)
    }

    /// Accounts that want a name which belongs to another feed, unless that one moves to a new name itself. An account
    /// with a conflict stays out with all its feeds, and then keeps the names it had from others: hence the rounds.
    fn conflicts(&self, feeds: &[FeedIdentity]) -> BTreeMap<String, Conflict> {
        let mut conflicts = BTreeMap::new();
        loop {
            let before = conflicts.len();
            let takes_part = |identity: &&FeedIdentity| !conflicts.contains_key(identity.feed.account_name());
            let moving: HashSet<&str> = feeds
                .iter()
                .filter(takes_part)
                .filter_map(|identity| self.name(identity).filter(|old| *old != identity.feed.as_str()))
                .collect();
            let found: Vec<Conflict> = feeds
                .iter()
                .filter(takes_part)
                .filter(|identity| !moving.contains(identity.feed.as_str()))
                .filter_map(|identity| {
                    let owner = self.feeds.get(identity.feed.as_str())?;
                    let other = owner.origin != identity.origin || owner.siren != identity.siren;
                    let Known { origin, siren, .. } = owner;
                    let feed = identity.feed.clone();
                    other.then(|| Conflict { feed, origin: origin.clone(), siren: siren.clone() })
                })
                .collect();
            for conflict in found {
                conflicts.entry(conflict.feed.account_name().to_owned()).or_insert(conflict);
            }
            if conflicts.len() == before {
                return conflicts;
            }
        }
    }
}

async fn register(
    c: &mut SqliteConnection,
    feeds: &[FeedIdentity],
    now: Timestamp,
) -> Result<Registration, sqlx::Error> {
    let book = Book::read(c).await?;
    let conflicts = book.conflicts(feeds);
    let taken: Vec<&FeedIdentity> =
        feeds.iter().filter(|identity| !conflicts.contains_key(identity.feed.account_name())).collect();
    let renamed: Vec<(String, FeedName)> = taken
        .iter()
        .filter_map(|identity| Some((book.name(identity)?.to_owned(), identity.feed.clone())))
        .filter(|(old, new)| old != new.as_str())
        .collect();
    // Those whose old name is wanted step aside first, so that accounts may exchange their names.
    let wanted: HashSet<&str> = renamed.iter().map(|(_, new)| new.as_str()).collect();
    for (old, _) in renamed.iter().filter(|(old, _)| wanted.contains(old.as_str())) {
        rename(c, old, &aside(old), &book.feeds[old].account).await?;
    }
    for (old, new) in &renamed {
        let now_called = if wanted.contains(old.as_str()) { aside(old) } else { old.clone() };
        rename(c, &now_called, new.as_str(), new.account_name()).await?;
    }
    let present: HashSet<&str> = taken.iter().filter_map(|identity| book.name(identity)).collect();
    let turned = |configured: bool| -> Vec<&str> {
        let turned = |name: &str, known: &Known| known.configured != configured && present.contains(name) == configured;
        book.feeds.iter().filter(|(name, known)| turned(name, known)).map(|(name, _)| name.as_str()).collect()
    };
    let called: HashMap<&str, &str> = renamed.iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    let back: Vec<&str> = turned(true).into_iter().map(|name| called.get(name).copied().unwrap_or(name)).collect();
    configure(c, &back, true).await?;
    configure(c, &turned(false), false).await?;
    let new: Vec<&FeedIdentity> = taken.iter().copied().filter(|identity| book.name(identity).is_none()).collect();
    insert(c, &new, now).await?;
    riders::appoint(c, &taken).await?;
    Ok(Registration { renamed, conflicts: conflicts.into_values().collect() })
}

/// What a feed is called for a moment; no name of a configuration holds this sign.
fn aside(feed: &str) -> String {
    format!("{feed}~")
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

async fn configure(c: &mut SqliteConnection, feeds: &[&str], configured: bool) -> Result<(), sqlx::Error> {
    for chunk in feeds.chunks(CHUNK) {
        let mut update = QueryBuilder::new("UPDATE feeds SET configured = ");
        update.push_bind(configured).push(" WHERE feed IN (");
        let mut list = update.separated(", ");
        for feed in chunk {
            list.push_bind(*feed);
        }
        list.push_unseparated(")");
        update.build().execute(&mut *c).await?;
    }
    Ok(())
}

async fn insert(c: &mut SqliteConnection, feeds: &[&FeedIdentity], now: Timestamp) -> Result<(), sqlx::Error> {
    for chunk in feeds.chunks(CHUNK) {
        let mut insert =
            QueryBuilder::new("INSERT INTO feeds (feed, account, origin, siren, kind, next_poll_at, files) ");
        insert.push_values(chunk, |mut row, identity| {
            let FeedIdentity { feed, origin, siren, .. } = identity;
            row.push_bind(feed.as_str()).push_bind(feed.account_name()).push_bind(origin).push_bind(siren);
            row.push_bind(feed.kind()).push_bind(stamp(now)).push_bind(identity.files);
        });
        insert.build().execute(&mut *c).await?;
    }
    Ok(())
}
