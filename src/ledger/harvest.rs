//! How many documents came, by the hour.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;

/// Copies that the archive holds: a stretch of their index, and nothing but it.
pub(super) const KEPT: &str = "SELECT substr(stored_at, 1, 13), count(*) FROM documents
     WHERE archive_path IS NOT NULL AND purged_at IS NULL AND stored_at >= $1 GROUP BY 1";
/// Those that were purged, or are being: no index knows them by their time.
pub(super) const PURGED: &str = "SELECT substr(stored_at, 1, 13), count(*) FROM documents
     WHERE purged_at IS NOT NULL AND stored_at >= $1 GROUP BY 1";

impl Ledger {
    /// How many documents were stored in each hour from `from` on, by the hour's beginning, as UTC has it. Those purged since
    /// only if they are wanted as well: all of the table is read for them.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn documents_by_hour(
        &self,
        from: Timestamp,
        purged_as_well: bool,
    ) -> Result<Vec<(Timestamp, u64)>, LedgerError> {
        let queries: &[&'static str] = if purged_as_well { &[KEPT, PURGED] } else { &[KEPT] };
        let mut hours = Vec::new();
        for query in queries {
            let rows = sqlx::query(*query).bind(stamp(from)).fetch_all(&self.readers).await;
            let rows = rows.map_err(|error| self.error(error))?;
            hours.extend(rows.iter().filter_map(|row| {
                let hour = time(Some(&format!("{}:00:00Z", row.get::<&str, _>(0))))?;
                Some((hour, u64::try_from(row.get::<i64, _>(1)).ok()?))
            }));
        }
        Ok(hours)
    }
}
