//! Tables `documents` and `deliveries`: what is held is handed over again.

use jiff::Timestamp;
use sqlx::Row as _;

use super::keeping::{deliver, to_each};
use super::{Ledger, LedgerError};
use crate::clock::stamp;
use crate::feed::FeedName;

/// What [`Ledger::held`] asks: along `documents_listed` (`+state`: not along all states, which would have to be sorted).
pub(super) const HELD: &str = "SELECT id, remote_id, CASE WHEN purged_at IS NULL THEN archive_path END FROM documents
     WHERE feed = $1 AND id > $2 AND +state IN ('stored', 'delivered') AND same_as IS NULL AND stored_at >= $3
     ORDER BY id LIMIT $4";

/// A document that is held.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its row.
    pub id: i64,
    /// The platform's name for it.
    pub remote_id: String,
    /// Where its copy lies, relative to the state directory, unless that was purged.
    pub archive_path: Option<String>,
}

impl Ledger {
    /// Documents of `feed` that are held and were stored at `since` or later, of rows after `after`, at most `limit`. Those
    /// recognised as held under another id already are not among them.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn held(
        &self,
        feed: &FeedName,
        since: Option<Timestamp>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Held>, LedgerError> {
        let rows = sqlx::query(HELD)
            .bind(feed.as_str())
            .bind(after)
            .bind(since.map(stamp).unwrap_or_default())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| Held { id: row.get(0), remote_id: row.get(1), archive_path: row.get(2) }).collect())
    }

    /// Documents of `feed` whose deliveries to `target` were given up.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn given_up(&self, feed: &FeedName, target: &str) -> Result<Vec<Held>, LedgerError> {
        let rows = sqlx::query(
            "SELECT documents.id, documents.remote_id, CASE WHEN purged_at IS NULL THEN archive_path END
             FROM deliveries INDEXED BY deliveries_abandoned CROSS JOIN documents
                 ON documents.feed = deliveries.feed AND documents.remote_id = deliveries.remote_id
             WHERE deliveries.state = 'abandoned' AND target = $1 AND deliveries.feed = $2 ORDER BY deliveries.id",
        )
        .bind(target)
        .bind(feed.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| Held { id: row.get(0), remote_id: row.get(1), archive_path: row.get(2) }).collect())
    }

    /// Orders anew the deliveries of the documents of rows `ids` to `targets`, whatever became of earlier ones. Answers how
    /// many documents that are: one whose copy has gone meanwhile is left alone.
    ///
    /// # Errors
    /// When the ledger fails: nothing is ordered.
    pub async fn replay(&self, ids: Vec<i64>, targets: Vec<String>, now: Timestamp) -> Result<u64, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let mut orders = Vec::new();
                for &id in &ids {
                    let held = sqlx::query(
                        "UPDATE documents SET state = 'stored'
                         WHERE id = $1 AND state IN ('stored', 'delivered') AND archive_path IS NOT NULL AND purged_at IS NULL",
                    )
                    .bind(id)
                    .execute(&mut *c)
                    .await?;
                    if held.rows_affected() > 0 {
                        orders.push(id);
                    }
                }
                deliver(c, &to_each(&orders, &targets), &stamp(now)).await?;
                Ok(orders.len() as u64)
            })
        })
        .await
    }
}
