//! What went wrong lately, feed by feed and target by target: counted along indexes that hold little else.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;

/// What [`Ledger::rejected_since`] asks.
pub(super) const REJECTED: &str = r#"SELECT feed, count(*), max(stored_at) FROM documents INDEXED BY documents_rejected
     WHERE summary LIKE '%"accepted":false%' AND stored_at >= $1 GROUP BY feed"#;
/// What [`Ledger::gone_since`] asks.
pub(super) const GONE: &str = "SELECT feed, count(*), max(requested_at) FROM documents INDEXED BY documents_gone
     WHERE state = 'gone' AND requested_at >= $1 GROUP BY feed";
/// What [`Ledger::stuck_deliveries`] asks.
pub(super) const STUCK: &str =
    "SELECT target, count(*), min(failing_since) FROM deliveries INDEXED BY deliveries_failed
     WHERE state = 'failed' GROUP BY target";

/// Documents of a feed, or deliveries to a target, to which something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incidents {
    /// The feed, or the target.
    pub of: String,
    /// How many.
    pub count: i64,
    /// When that last happened; of deliveries that fail, since when the first of them does.
    pub at: Option<Timestamp>,
}

impl Ledger {
    /// Acknowledgements stored since `since` by which Hélios refused a deposit.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn rejected_since(&self, since: Timestamp) -> Result<Vec<Incidents>, LedgerError> {
        self.incidents(sqlx::query(REJECTED).bind(stamp(since))).await
    }

    /// Documents asked for since `since` that somebody else had collected.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn gone_since(&self, since: Timestamp) -> Result<Vec<Incidents>, LedgerError> {
        self.incidents(sqlx::query(GONE).bind(stamp(since))).await
    }

    /// Deliveries that fail, by target.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn stuck_deliveries(&self) -> Result<Vec<Incidents>, LedgerError> {
        self.incidents(sqlx::query(STUCK)).await
    }

    async fn incidents<'q>(
        &self,
        query: sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<Vec<Incidents>, LedgerError> {
        let rows = query.fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        let incidents = |row: &SqliteRow| Incidents { of: row.get(0), count: row.get(1), at: time(row.get(2)) };
        Ok(rows.iter().map(incidents).collect())
    }

    /// Why a delivery to `target` failed that fails for longest.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn delivery_error(&self, target: &str) -> Result<Option<String>, LedgerError> {
        let error = sqlx::query_scalar::<_, Option<String>>(
            "SELECT error FROM deliveries INDEXED BY deliveries_failed WHERE target = $1 AND state = 'failed'
             ORDER BY failing_since LIMIT 1",
        )
        .bind(target)
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(error.flatten())
    }
}
