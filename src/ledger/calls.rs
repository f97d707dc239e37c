//! Table `calls`: every call of API Entreprise, with what it was for (Q5).

use jiff::{SignedDuration, Timestamp};
use sqlx::Row as _;

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;
use crate::feed::FeedName;

/// Calls are kept for so long: whoever asks why data of a company were fetched asks within the year, or soon after.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

/// A call about to leave.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// `entreprise/marches`.
    pub account: String,
    /// The watch.
    pub feed: FeedName,
    /// The path, without parameters.
    pub path: String,
    /// The framework.
    pub context: String,
    /// SIRET of whom the answer is for.
    pub recipient: String,
    /// Why it is asked.
    pub object: String,
}

impl Ledger {
    /// Records a call before it leaves; answers its number.
    ///
    /// # Errors
    /// When the ledger fails: then the call may not leave.
    pub async fn begin_call(&self, call: NewCall, now: Timestamp) -> Result<i64, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query_scalar(
                    "INSERT INTO calls (at, account, feed, path, context, recipient, object)
                     VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id",
                )
                .bind(stamp(now))
                .bind(call.account)
                .bind(call.feed.as_str())
                .bind(call.path)
                .bind(call.context)
                .bind(call.recipient)
                .bind(call.object)
                .fetch_one(c)
                .await
            })
        })
        .await
    }

    /// Records how a call ended; without a status it was not answered.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn finish_call(
        &self,
        id: i64,
        status: Option<u16>,
        request_id: Option<String>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE calls SET status = $1, request_id = $2, finished_at = $3 WHERE id = $4")
                    .bind(status)
                    .bind(request_id)
                    .bind(stamp(now))
                    .bind(id)
                    .execute(c)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Calls since `since`: how many, and when those left that were not answered. A time after `now` was written by a
    /// clock that has been set back since: it counts as now.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn recent_calls(&self, since: Timestamp, now: Timestamp) -> Result<(usize, Vec<Timestamp>), LedgerError> {
        let rows = sqlx::query("SELECT at, status FROM calls WHERE at >= $1")
            .bind(stamp(since))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        let unanswered = rows.iter().filter(|row| row.get::<Option<i64>, _>(1).is_none());
        let left = unanswered.filter_map(|row| time(Some(row.get::<&str, _>(0))).map(|at| at.min(now))).collect();
        Ok((rows.len(), left))
    }

    /// Forgets calls older than the ledger keeps them. Answers how many.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn shrink_calls(&self, now: Timestamp) -> Result<u64, LedgerError> {
        let oldest = stamp(now.saturating_sub(KEPT).unwrap_or(Timestamp::MIN));
        self.write(move |c| {
            Box::pin(async move {
                let gone = sqlx::query("DELETE FROM calls WHERE at < $1").bind(oldest).execute(c).await?;
                Ok(gone.rows_affected())
            })
        })
        .await
    }
}
