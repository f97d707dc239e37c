//! A ledger put back from a copy: what has happened since is found out again, on the platforms' terms.

use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::keeping::{deliver, to_each};
use super::{Ledger, LedgerError};
use crate::clock::{BootTime, stamp};
use crate::config::Release;
use crate::feed::{DocumentState, FeedName, RemoteDocument};

/// Subjects of API Entreprise are asked about once an hour at most.
const SUBJECTS: SignedDuration = SignedDuration::from_hours(1);

/// A copy in the archive that the ledger does not know.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The feed it came from.
    pub feed: FeedName,
    /// The document.
    pub document: RemoteDocument,
    /// Where it lies, relative to the state directory.
    pub archive_path: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Media type.
    pub media_type: &'static str,
    /// Its own name, where it says one.
    pub name: Option<String>,
    /// What it says, as JSON.
    pub summary: Option<String>,
    /// Whose version it is, where it is one of something that changes.
    pub subject: Option<String>,
    /// When files of its account are removed from the platform.
    pub release: Option<Release>,
    /// Targets that want it.
    pub targets: Vec<String>,
}

/// What the ledger knows of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// Its document is held.
    Held,
    /// Its document is not held, or not known.
    New,
    /// Not even its feed is known.
    NoFeed,
}

impl Ledger {
    /// Counts every feed as listed now, by both clocks, and due an `interval` later at the earliest: nobody knows when it was
    /// really listed last (F1).
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn postpone_all(
        &self,
        interval: SignedDuration,
        now: Timestamp,
        boot: BootTime,
    ) -> Result<(), LedgerError> {
        let after = |pause| now.checked_add(pause).unwrap_or(Timestamp::MAX);
        let (next, subjects) = (after(interval), after(interval.max(SUBJECTS)));
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE feeds SET last_listed_at = $1, last_listed_boot_id = $2, last_listed_boot_ms = $3,
                         next_poll_at = $4, resume_at = NULL, claimed_by = NULL, claimed_until = NULL",
                )
                .bind(stamp(now))
                .bind(&boot.id)
                .bind(i64::try_from(boot.elapsed.as_millis()).unwrap_or(i64::MAX))
                .bind(stamp(next))
                .execute(&mut *c)
                .await?;
                // Subjects of watches were asked about by the lost ledger as well.
                sqlx::query("UPDATE subjects SET next_at = max(next_at, $1) WHERE next_at IS NOT NULL")
                    .bind(stamp(subjects))
                    .execute(&mut *c)
                    .await?;
                // What was being fetched then has come, or is asked for anew: whether the platform still has it is in doubt.
                sqlx::query(
                    "UPDATE documents SET state = 'listed', claimed_by = NULL, interruptions = interruptions + 1
                     WHERE state = 'fetching'",
                )
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// The feed that a platform knows by these, whatever it is called now.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn feed_of(&self, origin: &str, siren: &str, kind: &str) -> Result<Option<FeedName>, LedgerError> {
        let name: Option<String> =
            sqlx::query_scalar("SELECT feed FROM feeds WHERE origin = $1 AND siren = $2 AND kind = $3")
                .bind(origin)
                .bind(siren)
                .bind(kind)
                .fetch_optional(&self.readers)
                .await
                .map_err(|error| self.error(error))?;
        Ok(name.and_then(|name| name.parse().ok()))
    }

    /// What is known of the document that a copy is of.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn acquaintance(&self, feed: &FeedName, remote_id: &str) -> Result<Acquaintance, LedgerError> {
        let row = sqlx::query(
            "SELECT documents.archive_path IS NOT NULL OR documents.purged_at IS NOT NULL FROM feeds LEFT JOIN documents
                 ON documents.feed = feeds.feed AND documents.remote_id = $2 WHERE feeds.feed = $1",
        )
        .bind(feed.as_str())
        .bind(remote_id)
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(match row {
            None => Acquaintance::NoFeed,
            Some(row) if row.get(0) => Acquaintance::Held,
            Some(_) => Acquaintance::New,
        })
    }

    /// Records copies whose documents are not held as stored, with their deliveries.
    ///
    /// # Errors
    /// When the ledger fails: none of them is recorded.
    pub async fn adopt_copies(&self, copies: Vec<Copy>, now: Timestamp) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                for copy in &copies {
                    adopt(c, copy, &stamp(now)).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

async fn adopt(c: &mut SqliteConnection, copy: &Copy, now: &str) -> Result<(), sqlx::Error> {
    let file = copy.document.file.as_ref();
    let state = if copy.targets.is_empty() { DocumentState::Delivered } else { DocumentState::Stored };
    let row = sqlx::query(
        "INSERT INTO documents (feed, remote_id, state, listed_at, stored_at, size, sha256, media_type, archive_path, name,
             summary, circuit, label, remote_path, remote_etag, remote_size, remote_modified, release, subject)
         VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
         ON CONFLICT (feed, remote_id) DO UPDATE SET state = excluded.state, stored_at = excluded.stored_at,
             size = excluded.size, sha256 = excluded.sha256, media_type = excluded.media_type,
             archive_path = excluded.archive_path, name = excluded.name, summary = excluded.summary, error = NULL,
             claimed_by = NULL, next_try_at = NULL WHERE documents.archive_path IS NULL RETURNING id",
    )
    .bind(copy.feed.as_str())
    .bind(&copy.document.id)
    .bind(state.as_str())
    .bind(now)
    .bind(copy.size)
    .bind(&copy.sha256)
    .bind(copy.media_type)
    .bind(&copy.archive_path)
    .bind(&copy.name)
    .bind(&copy.summary)
    .bind(&copy.document.circuit)
    .bind(&copy.document.label)
    .bind(file.map(|file| &file.path))
    .bind(file.and_then(|file| file.etag.as_ref()))
    .bind(file.and_then(super::files::size))
    .bind(file.and_then(|file| file.modified).map(stamp))
    .bind(file.and(copy.release).map(super::files::word))
    .bind(&copy.subject)
    .fetch_optional(&mut *c)
    .await?;
    match row {
        Some(row) => deliver(c, &to_each(&[row.get(0)], &copy.targets), now).await,
        None => Ok(()),
    }
}
