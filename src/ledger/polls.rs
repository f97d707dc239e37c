//! Table `polls`: a feed is claimed for a pass, and how that ended, with what it says of the feed's health.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::feeds::longest_wait;
use super::{Due, Ledger, LedgerError, riders, time};
use crate::clock::{BootTime, stamp};
use crate::feed::FeedName;

/// What a claim of a listing writes, before the request leaves (F1).
#[derive(Clone, Debug)]
pub struct ClaimTerms {
    /// The run that claims.
    pub run: String,
    /// Start of the listing by the wall clock.
    pub now: Timestamp,
    /// The same by the boot clock.
    pub boot: BootTime,
    /// When the next listing is due.
    pub next: Timestamp,
}

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
    /// What the listing showed beside documents.
    pub note: Option<String>,
    /// When documents left over are to be taken up, without a listing.
    pub resume_at: Option<Timestamp>,
    /// The platform asked not to be called before.
    pub not_before: Option<Timestamp>,
    /// When the feed is due next, where the pass itself has found that out.
    pub next: Option<Timestamp>,
}

/// What a poll's end changed in the feed's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthChange {
    /// As before, nothing to say.
    None,
    /// The first failure after a success.
    Failing,
    /// It goes on failing, and a day has passed since that was last said.
    StillFailing,
    /// It succeeded after failures.
    Recovered,
}

/// Polls that found nothing are kept this long.
const EMPTY_KEPT_DAYS: i64 = 7;
/// All others this long.
const KEPT_DAYS: i64 = 90;

impl Ledger {
    /// Claims the listing of `due`, in one statement: the start and the next due time are durable when this answers.
    /// Answers the poll's id, or `None` where someone else was faster.
    ///
    /// # Errors
    /// When the ledger fails: then no request may leave.
    pub async fn claim_listing(&self, due: &Due, terms: ClaimTerms) -> Result<Option<i64>, LedgerError> {
        let due = due.clone();
        self.write(move |c| {
            Box::pin(async move {
                let claimed = sqlx::query(
                    "UPDATE feeds SET claimed_by = $1, last_listed_at = $2, last_listed_boot_id = $3,
                         last_listed_boot_ms = $4, next_poll_at = $5, resume_at = NULL
                     WHERE feed = $6 AND next_poll_at = $7 AND claimed_by IS NULL",
                )
                .bind(&terms.run)
                .bind(stamp(terms.now))
                .bind(&terms.boot.id)
                .bind(i64::try_from(terms.boot.elapsed.as_millis()).unwrap_or(i64::MAX))
                .bind(stamp(terms.next))
                .bind(due.feed.as_str())
                .bind(stamp(due.planned))
                .execute(&mut *c)
                .await?;
                riders::bring_along(c, due.feed.as_str()).await?;
                begin_poll(c, claimed.rows_affected(), &due.feed, &terms.run, terms.now).await
            })
        })
        .await
    }

    /// Records, before it leaves, a further request of a listing that is under way. Answers false where the feed is no longer
    /// held by `terms.run`.
    ///
    /// # Errors
    /// When the ledger fails: then no request may leave.
    pub async fn claim_further(&self, feed: &FeedName, terms: ClaimTerms) -> Result<bool, LedgerError> {
        let feed = feed.clone();
        self.write(move |c| {
            Box::pin(async move {
                let claimed = sqlx::query(
                    "UPDATE feeds SET last_listed_at = $1, last_listed_boot_id = $2, last_listed_boot_ms = $3,
                         next_poll_at = $4 WHERE feed = $5 AND claimed_by = $6",
                )
                .bind(stamp(terms.now))
                .bind(&terms.boot.id)
                .bind(i64::try_from(terms.boot.elapsed.as_millis()).unwrap_or(i64::MAX))
                .bind(stamp(terms.next))
                .bind(feed.as_str())
                .bind(&terms.run)
                .execute(&mut *c)
                .await?;
                riders::bring_along(c, feed.as_str()).await?;
                Ok(claimed.rows_affected() > 0)
            })
        })
        .await
    }

    /// Claims a pass over documents that wait, without a listing. Answers the poll's id, or `None` where someone else
    /// was faster or the platform asked not to be called yet.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn claim_resumption(
        &self,
        feed: &FeedName,
        run: String,
        now: Timestamp,
    ) -> Result<Option<i64>, LedgerError> {
        let feed = feed.clone();
        self.write(move |c| {
            Box::pin(async move {
                let claimed = sqlx::query(
                    "UPDATE feeds SET claimed_by = $1, resume_at = NULL WHERE feed = $2 AND claimed_by IS NULL
                         AND (not_before IS NULL OR not_before <= $3 OR not_before > $4)",
                )
                .bind(&run)
                .bind(feed.as_str())
                .bind(stamp(now))
                .bind(longest_wait(now))
                .execute(&mut *c)
                .await?;
                begin_poll(c, claimed.rows_affected(), &feed, &run, now).await
            })
        })
        .await
    }

    /// Writes the end of a poll and what it says of the feed's health.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn finish_poll(&self, end: PollEnd) -> Result<HealthChange, LedgerError> {
        self.write(move |c| Box::pin(async move { finish(c, &end).await })).await
    }

    /// Lets go of what earlier runs had claimed: whoever holds the state directory's lock knows that they are dead.
    /// Answers the number of polls they left unfinished.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn release_dead_claims(&self, now: Timestamp) -> Result<u64, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE feeds SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by IS NOT NULL")
                    .execute(&mut *c)
                    .await?;
                let polls = sqlx::query(
                    "UPDATE polls SET outcome = 'interrupted', finished_at = $1,
                         error = 'the daemon was stopped before it ended' WHERE outcome IS NULL",
                )
                .bind(stamp(now))
                .execute(c)
                .await?;
                Ok(polls.rows_affected())
            })
        })
        .await
    }

    /// Lets go of a feed that `run` holds, after its pass broke off: its poll was interrupted, its documents are in doubt,
    /// and it is taken up again at `at`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn release_claim(
        &self,
        feed: &FeedName,
        token: String,
        run: String,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        let feed = feed.clone();
        self.write(move |c| {
            Box::pin(async move {
                let held =
                    sqlx::query("UPDATE feeds SET claimed_by = NULL, resume_at = $1 WHERE feed = $2 AND claimed_by = $3")
                        .bind(stamp(at))
                        .bind(feed.as_str())
                        .bind(&token)
                        .execute(&mut *c)
                        .await?;
                sqlx::query(
                    "UPDATE polls SET outcome = 'interrupted', finished_at = $1, error = 'it broke off'
                     WHERE run = $2 AND outcome IS NULL",
                )
                .bind(stamp(at))
                .bind(&token)
                .execute(&mut *c)
                .await?;
                if held.rows_affected() > 0 {
                    // Whoever holds the feed fetches its documents: these are in doubt, and nobody's.
                    sqlx::query(
                        "UPDATE documents SET claimed_by = '' WHERE feed = $1 AND state = 'fetching' AND claimed_by = $2",
                    )
                    .bind(feed.as_str())
                    .bind(&run)
                    .execute(c)
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

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

async fn begin_poll(
    c: &mut SqliteConnection,
    claimed: u64,
    feed: &FeedName,
    run: &str,
    now: Timestamp,
) -> Result<Option<i64>, sqlx::Error> {
    if claimed == 0 {
        return Ok(None);
    }
    sqlx::query_scalar("INSERT INTO polls (feed, run, started_at) VALUES ($1, $2, $3) RETURNING id")
        .bind(feed.as_str())
        .bind(run)
        .bind(stamp(now))
        .fetch_one(c)
        .await
        .map(Some)
}

async fn finish(c: &mut SqliteConnection, end: &PollEnd) -> Result<HealthChange, sqlx::Error> {
    let now = stamp(end.finished_at);
    sqlx::query(
        "UPDATE polls SET finished_at = $1, outcome = $2, listed = $3, fetched = $4, failed = $5, error = $6
         WHERE id = $7",
    )
    .bind(&now)
    .bind(end.outcome.as_str())
    .bind(end.listed)
    .bind(end.fetched)
    .bind(end.failed)
    .bind(&end.error)
    .bind(end.poll)
    .execute(&mut *c)
    .await?;
    sqlx::query(
        "UPDATE feeds SET claimed_by = NULL, claimed_until = NULL, last_outcome = $1, last_error = $2,
             resume_at = coalesce($3, resume_at), not_before = coalesce($4, not_before),
             next_poll_at = CASE WHEN $4 > coalesce($6, next_poll_at) THEN $4 ELSE coalesce($6, next_poll_at) END
         WHERE feed = $5",
    )
    .bind(end.outcome.as_str())
    .bind(&end.error)
    .bind(end.resume_at.map(stamp))
    .bind(end.not_before.map(stamp))
    .bind(end.feed.as_str())
    .bind(end.next.map(stamp))
    .execute(&mut *c)
    .await?;
    let change = if end.outcome == Outcome::Interrupted { HealthChange::None } else { health(c, end, &now).await? };
    riders::bring_along(c, end.feed.as_str()).await?;
    Ok(change)
}

/// Success and failure as `status` and the log tell them. A pass without a listing proves nothing about listings.
async fn health(c: &mut SqliteConnection, end: &PollEnd, now: &str) -> Result<HealthChange, sqlx::Error> {
    let before = sqlx::query("SELECT consecutive_failures, failing_logged_at FROM feeds WHERE feed = $1")
        .bind(end.feed.as_str())
        .fetch_one(&mut *c)
        .await?;
    let failures: i64 = before.get(0);
    if end.outcome != Outcome::Failed {
        if end.listed.is_none() {
            return Ok(HealthChange::None);
        }
        sqlx::query(
            "UPDATE feeds SET last_success_at = $1, failing_since = NULL, failing_logged_at = NULL,
                 consecutive_failures = 0, still_listed = $2, refused_entries = $3, note = $5 WHERE feed = $4",
        )
        .bind(now)
        .bind(end.still_listed)
        .bind(end.refused_entries)
        .bind(end.feed.as_str())
        .bind(&end.note)
        .execute(c)
        .await?;
        return Ok(if failures > 0 { HealthChange::Recovered } else { HealthChange::None });
    }
    let said: Option<Timestamp> = time(before.get::<Option<&str>, _>(1));
    let change = match said {
        None => HealthChange::Failing,
        Some(said) if end.finished_at.duration_since(said).as_hours() >= 24 => HealthChange::StillFailing,
        Some(_) => HealthChange::None,
    };
    sqlx::query(
        "UPDATE feeds SET consecutive_failures = consecutive_failures + 1, failing_since = coalesce(failing_since, $1),
             failing_logged_at = CASE WHEN $2 THEN $1 ELSE failing_logged_at END WHERE feed = $3",
    )
    .bind(now)
    .bind(change != HealthChange::None)
    .bind(end.feed.as_str())
    .execute(c)
    .await?;
    Ok(change)
}
