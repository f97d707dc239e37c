//! How all feeds do, in a few numbers: what fits in one sentence.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Ledger, LedgerError, time};

/// Polls in a row without success that make a feed failing.
const FAILING: i64 = 2;

/// A few numbers on all feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// Feeds configured.
    pub feeds: i64,
    /// Of these, those whose last poll succeeded.
    pub well: i64,
    /// Of these, those without two successes in a row.
    pub failing: i64,
    /// Accounts that cannot work.
    pub unusable: i64,
    /// When the next one is due.
    pub next_poll_at: Option<Timestamp>,
    /// The feed that has failed for longest, and why.
    pub worst: Option<(String, String)>,
}

impl Ledger {
    /// How all feeds do.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn pulse(&self) -> Result<Pulse, LedgerError> {
        let row = sqlx::query(
            "SELECT count(*), coalesce(sum(consecutive_failures = 0 AND last_success_at IS NOT NULL), 0),
                 coalesce(sum(consecutive_failures >= $1), 0), min(next_poll_at),
                 (SELECT count(*) FROM accounts WHERE problem IS NOT NULL)
             FROM feeds WHERE configured = 1",
        )
        .bind(FAILING)
        .fetch_one(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        let mut pulse = Pulse {
            feeds: row.get(0),
            well: row.get(1),
            failing: row.get(2),
            next_poll_at: time(row.get(3)),
            unusable: row.get(4),
            worst: None,
        };
        if pulse.failing > 0 {
            let worst = sqlx::query(
                "SELECT feed, coalesce(last_error, '') FROM feeds WHERE configured = 1 AND consecutive_failures >= $1
                 ORDER BY failing_since, feed LIMIT 1",
            );
            let row = worst.bind(FAILING).fetch_optional(&self.readers).await.map_err(|error| self.error(error))?;
            pulse.worst = row.map(|row| (row.get(0), row.get(1)));
        }
        Ok(pulse)
    }
}
