//! Table `polls`: how each pass of a feed ended.

use jiff::Timestamp;

use super::{Ledger, LedgerError};
use crate::clock::stamp;
use crate::feed::FeedName;

/// How a poll ended: the words of `polls.outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything listed is held.
    Ok,
    /// The listing succeeded; some document did not.
    Partial,
    /// The listing failed, or the poll had to end before all documents were tried.
    Failed,
    /// A stop came in between.
    Interrupted,
}

impl Outcome {
    /// The ledger's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The end of a poll, as it is recorded.
#[derive(Clone, Debug)]
pub struct PollEnd {
    /// Its id.
    pub poll: i64,
    /// Its feed.
    pub feed: FeedName,
    /// When it ended.
    pub finished_at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// Entries of the listing; `None` where there was no listing.
    pub listed: Option<i64>,
    /// Documents stored.
    pub fetched: i64,
    /// Documents that failed.
    pub failed: i64,
    /// What went wrong, for an operator.
    pub error: Option<String>,
    /// Documents held that the listing showed again.
    pub still_listed: i64,
    /// Entries of the listing that were no ids.
    pub refused_entries: i64,
    /// When documents left over are to be taken up, without a listing.
    pub resume_at: Option<Timestamp>,
    /// The platform asked not to be called before.
    pub not_before: Option<Timestamp>,
}

/// Polls that found nothing are kept this long.
const EMPTY_KEPT_DAYS: i64 = 7;
/// All others this long.
const KEPT_DAYS: i64 = 90;

impl Ledger {
    /// Forgets polls older than the ledger keeps them. Answers how many.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn shrink_polls(&self, now: Timestamp) -> Result<u64, LedgerError> {
        let day = |days: i64| stamp(now - jiff::SignedDuration::from_hours(24 * days));
        let (empty, all) = (day(EMPTY_KEPT_DAYS), day(KEPT_DAYS));
        self.write(move |c| {
            Box::pin(async move {
                let gone = sqlx::query(
                    "DELETE FROM polls WHERE finished_at < $1
                         AND (finished_at < $2 OR (outcome = 'ok' AND fetched = 0))",
                )
                .bind(empty)
                .bind(all)
                .execute(c)
                .await?;
                Ok(gone.rows_affected())
            })
        })
        .await
    }
}
