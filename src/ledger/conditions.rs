//! Table `conditions`: what the daemon alone knows to be amiss with itself.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;

/// Something that is amiss with the daemon itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionRow {
    /// What kind of trouble, by its stable word.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// Since when.
    pub since: Option<Timestamp>,
}

impl Ledger {
    /// What is amiss with the daemon itself, as far as it has said so.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn conditions(&self) -> Result<Vec<ConditionRow>, LedgerError> {
        let rows = sqlx::query("SELECT kind, message, since FROM conditions ORDER BY kind")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        let condition =
            |row: &SqliteRow| ConditionRow { kind: row.get(0), message: row.get(1), since: time(row.get(2)) };
        Ok(rows.iter().map(condition).collect())
    }

    /// Records that `condition` is there; `None`: the trouble `kind` no longer is.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_condition(&self, kind: &str, condition: Option<ConditionRow>) -> Result<(), LedgerError> {
        let kind = kind.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let query = match condition {
                    Some(row) => sqlx::query(
                        "INSERT INTO conditions (kind, message, since) VALUES ($1, $2, $3)
                         ON CONFLICT (kind) DO UPDATE SET message = excluded.message",
                    )
                    .bind(row.kind)
                    .bind(row.message)
                    .bind(stamp(row.since.unwrap_or_default())),
                    None => sqlx::query("DELETE FROM conditions WHERE kind = $1").bind(kind),
                };
                query.execute(c).await.map(drop)
            })
        })
        .await
    }
}
