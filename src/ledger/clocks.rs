//! Table `clocks`: platforms whose time differs from this machine's.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;

/// A platform whose time differs from this machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockRow {
    /// Scheme, host and port.
    pub origin: String,
    /// Seconds by which this machine's clock is behind; negative where it is ahead.
    pub seconds: i64,
    /// Since when that is known.
    pub since: Timestamp,
}

impl Ledger {
    /// The platforms whose time differs from this machine's, by origin.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn clocks(&self) -> Result<Vec<ClockRow>, LedgerError> {
        let rows = sqlx::query("SELECT origin, seconds, since FROM clocks ORDER BY origin")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        let clock = |row: &sqlx::sqlite::SqliteRow| {
            Some(ClockRow { origin: row.get(0), seconds: row.get(1), since: time(row.get(2))? })
        };
        Ok(rows.iter().filter_map(clock).collect())
    }

    /// Records that the time of `origin` differs by `seconds`, or (`None`) no longer does.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_clock(&self, origin: &str, seconds: Option<i64>, now: Timestamp) -> Result<(), LedgerError> {
        let origin = origin.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let query = match seconds {
                    Some(seconds) => sqlx::query(
                        "INSERT INTO clocks (origin, seconds, since) VALUES ($1, $2, $3)
                         ON CONFLICT (origin) DO UPDATE SET seconds = excluded.seconds",
                    )
                    .bind(origin)
                    .bind(seconds)
                    .bind(stamp(now)),
                    None => sqlx::query("DELETE FROM clocks WHERE origin = $1").bind(origin),
                };
                query.execute(c).await.map(drop)
            })
        })
        .await
    }
}
