//! Table `documents`: copies that nobody waits for any more are given up, and then removed.
//!
//! The order, which survives any crash: the row says `purged_at`, and is committed; the file goes, and its folder is synced; the
//! row forgets the path. So no row that counts as kept ever names a file that is not there, and no file is left behind that no
//! row names: one whose removal was cut short is found by its row at the next round.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Ledger, LedgerError};
use crate::clock::stamp;

/// Whether the copy of a document may go: it is held and delivered, or given up, everywhere; it is no file that is still to be
/// removed from its platform; and it is not the latest version of something that changes.
macro_rules! may_go {
    () => {
        "documents.state IN ('stored', 'delivered') AND documents.archive_path IS NOT NULL AND documents.purged_at IS NULL
         AND (documents.release IS NULL OR documents.released_at IS NOT NULL)
         AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.feed = documents.feed
             AND deliveries.remote_id = documents.remote_id AND deliveries.state IN ('pending', 'failed'))
         AND (documents.subject IS NULL OR EXISTS (SELECT 1 FROM documents AS newer WHERE newer.feed = documents.feed
             AND newer.subject = documents.subject AND newer.id > documents.id AND +newer.state IN ('stored', 'delivered')
             AND newer.archive_path IS NOT NULL AND newer.purged_at IS NULL))"
    };
}

/// What [`Ledger::old_copies`] asks: along `documents_kept`, from where the last look ended.
pub(super) const OLD: &str = concat!(
    "SELECT id, stored_at, ",
    may_go!(),
    " FROM documents WHERE archive_path IS NOT NULL AND purged_at IS NULL AND stored_at < $1 AND (stored_at, id) > ($2, $3)
     ORDER BY stored_at, id LIMIT $4"
);
/// What gives one up, where it still may go.
const GIVE_UP: &str = concat!("UPDATE documents SET purged_at = $2 WHERE id = $1 AND ", may_go!());
/// What [`Ledger::copies_to_remove`] asks: along `documents_purging`.
pub(super) const PURGING: &str = "SELECT id, archive_path FROM documents
     WHERE archive_path IS NOT NULL AND purged_at IS NOT NULL AND id > $1 ORDER BY id LIMIT $2";
/// What [`Ledger::release_quarantine`] asks: along `documents_quarantine`.
pub(super) const WANTED: &str = "SELECT EXISTS (SELECT 1 FROM documents WHERE quarantine_path = $1
     AND +state IN ('listed', 'fetching', 'failed', 'abandoned', 'lost'))";

/// A place in the order of storing: when, row.
pub type Place = (String, i64);

/// Some old copies.
#[derive(Clone, Debug, Default)]
pub struct OldCopies {
    /// The rows of those that may go.
    pub removable: Vec<i64>,
    /// How many were looked at.
    pub seen: usize,
    /// Where the next look begins.
    pub last: Option<Place>,
}

/// A copy to be removed.
#[derive(Clone, Debug)]
pub struct Removal {
    /// Its row.
    pub id: i64,
    /// Where it lies, relative to the state directory.
    pub archive_path: String,
}

impl Ledger {
    /// Copies stored before `before`, behind `after`, at most `limit`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn old_copies(&self, before: Timestamp, after: Place, limit: u32) -> Result<OldCopies, LedgerError> {
        let rows = sqlx::query(OLD)
            .bind(stamp(before))
            .bind(after.0)
            .bind(after.1)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(OldCopies {
            removable: rows.iter().filter(|row| row.get(2)).map(|row| row.get(0)).collect(),
            seen: rows.len(),
            last: rows.last().map(|row| (row.get(1), row.get(0))),
        })
    }

    /// Gives up the copies of rows `ids`, those that still may go. Answers how many.
    ///
    /// # Errors
    /// When the ledger fails: none is given up.
    pub async fn give_up_copies(&self, ids: Vec<i64>, now: Timestamp) -> Result<u64, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let mut count = 0;
                for id in ids {
                    count += sqlx::query(GIVE_UP).bind(id).bind(stamp(now)).execute(&mut *c).await?.rows_affected();
                }
                Ok(count)
            })
        })
        .await
    }

    /// Copies that were given up, of rows after `after`, at most `limit`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn copies_to_remove(&self, after: i64, limit: u32) -> Result<Vec<Removal>, LedgerError> {
        let rows = sqlx::query(PURGING).bind(after).bind(limit).fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| Removal { id: row.get(0), archive_path: row.get(1) }).collect())
    }

    /// Forgets where the copies of rows `ids` lay: they are removed.
    ///
    /// # Errors
    /// When the ledger fails: their removal is found done at the next round.
    pub async fn forget_copies(&self, removed: Vec<Removal>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                for Removal { id, archive_path } in removed {
                    // One that was downloaded again meanwhile lies elsewhere.
                    sqlx::query(
                        "UPDATE documents SET archive_path = NULL
                         WHERE id = $1 AND archive_path = $2 AND purged_at IS NOT NULL",
                    )
                    .bind(id)
                    .bind(archive_path)
                    .execute(&mut *c)
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Which of the files `paths` of the quarantine, relative to the state directory, nobody may ask for any more: their rows
    /// forget them.
    ///
    /// # Errors
    /// When the ledger fails: none may go.
    pub async fn release_quarantine(&self, paths: Vec<String>) -> Result<Vec<String>, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let mut free = Vec::new();
                for path in paths {
                    if sqlx::query_scalar::<_, bool>(WANTED).bind(&path).fetch_one(&mut *c).await? {
                        continue;
                    }
                    sqlx::query("UPDATE documents SET quarantine_path = NULL WHERE quarantine_path = $1")
                        .bind(&path)
                        .execute(&mut *c)
                        .await?;
                    free.push(path);
                }
                Ok(free)
            })
        })
        .await
    }
}
