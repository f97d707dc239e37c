//! Table `documents`: versions of what changes. A version's row exists while its bytes arrive, and goes if they do not
//! stay: nothing is lost by that, for the platform is asked again.

use jiff::Timestamp;
use sqlx::Row as _;

use super::documents::{claimed, claimed_by};
use super::{Claimed, Ledger, LedgerError};
use crate::clock::stamp;
use crate::feed::FeedName;

/// The latest version held of a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// SHA-256 of what matters of it, as that was told when it was kept.
    pub digest: String,
    /// Where its copy lies, relative to the state directory.
    pub archive_path: String,
}

/// A version about to be kept.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Its feed.
    pub feed: FeedName,
    /// Whose version it is.
    pub subject: String,
    /// `<subject>@<start of its fetch>`.
    pub remote_id: String,
    /// SHA-256 of what matters of it; `None` where that is all of it.
    pub digest: Option<String>,
    /// Where its copy will lie, less the extension.
    pub stem: String,
}

/// What [`Ledger::drop_unkept_versions`] asks of a feed: along `documents_state` (`+subject`: not along all versions).
pub(super) const UNKEPT: &str =
    "SELECT id FROM documents WHERE feed = $1 AND state = 'fetching' AND +subject IS NOT NULL";
/// And of all: `CROSS JOIN` has SQLite look into each feed, not at each document.
pub(super) const ALL_UNKEPT: &str = "SELECT documents.id FROM feeds CROSS JOIN documents ON documents.feed = feeds.feed
     WHERE state = 'fetching' AND +subject IS NOT NULL AND $1 IS NULL";
/// What [`Ledger::latest_version`] asks: along `documents_versions`.
pub(super) const LATEST: &str = "SELECT sha256, coalesce(digest, sha256), archive_path FROM documents
     WHERE feed = $1 AND subject = $2 AND +state IN ('stored', 'delivered') ORDER BY id DESC LIMIT 1";

impl Ledger {
    /// The latest version held of `subject`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn latest_version(&self, feed: &FeedName, subject: &str) -> Result<Option<Version>, LedgerError> {
        let row = sqlx::query(LATEST)
            .bind(feed.as_str())
            .bind(subject)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(row.map(|row| Version { sha256: row.get(0), digest: row.get(1), archive_path: row.get(2) }))
    }

    /// Makes the row of a version, claimed by `run`, before its bytes are written.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn claim_version(
        &self,
        version: NewVersion,
        run: &str,
        now: Timestamp,
    ) -> Result<Option<Claimed>, LedgerError> {
        let run = run.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let row = sqlx::query(claimed_by!(
                    "INSERT INTO documents (feed, remote_id, state, listed_at, requested_at, stem, subject, digest,
                         claimed_by)
                     VALUES ($1, $2, 'fetching', $3, $3, $4, $5, $6, $7)
                     ON CONFLICT (feed, remote_id) DO NOTHING RETURNING",
                    ""
                ))
                .bind(version.feed.as_str())
                .bind(version.remote_id)
                .bind(stamp(now))
                .bind(version.stem)
                .bind(version.subject)
                .bind(version.digest)
                .bind(run)
                .fetch_optional(c)
                .await?;
                Ok(row.as_ref().and_then(claimed))
            })
        })
        .await
    }

    /// Forgets the versions of `feed` (of all feeds where `None`) whose bytes did not stay. Only whoever holds the feed
    /// may say so.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn drop_unkept_versions(&self, feed: Option<&FeedName>) -> Result<(), LedgerError> {
        let rows: Vec<i64> = sqlx::query_scalar(if feed.is_some() { UNKEPT } else { ALL_UNKEPT })
            .bind(feed.map(FeedName::as_str))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        for id in rows {
            self.drop_version(id).await?;
        }
        Ok(())
    }

    /// Whether the document of row `id` is a version of something that changes.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn is_version(&self, id: i64) -> Result<bool, LedgerError> {
        let is = sqlx::query_scalar("SELECT subject IS NOT NULL FROM documents WHERE id = $1").bind(id);
        Ok(is.fetch_optional(&self.readers).await.map_err(|error| self.error(error))?.unwrap_or(false))
    }

    /// Forgets one version whose bytes did not stay.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn drop_version(&self, id: i64) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("DELETE FROM documents WHERE id = $1 AND subject IS NOT NULL AND state = 'fetching'")
                    .bind(id)
                    .execute(c)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}
