//! What a pass came to: for whoever asked for it, and for the log.

use std::time::Duration;

use jiff::Timestamp;

use super::tally::Verdict;
use super::{Claim, DISK_PAUSE, Feed, Poller, Source};
use crate::ledger::{HealthChange, LedgerError, Outcome, PollEnd};
use crate::log::event;

/// What a pass came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Not now: the feed may be listed then at the earliest.
    Postponed(Timestamp),
    /// Someone else polls it.
    Busy,
    /// Our own disk forbids it: why.
    Obstructed(&'static str),
    /// It ended.
    Ended(Summary),
}

/// The end of a pass, for people and scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How.
    pub outcome: Outcome,
    /// Entries of the listing; `None` where there was none.
    pub listed: Option<usize>,
    /// Documents stored.
    pub fetched: u64,
    /// Documents that failed.
    pub failed: u64,
    /// What went wrong.
    pub error: Option<String>,
}

/// What a listing showed beside documents to be fetched.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Ids; `None` where there was no listing.
    pub(super) listed: Option<usize>,
    /// Of these, documents held already.
    pub(super) held: u64,
    /// Entries that are no documents.
    pub(super) refused: usize,
    /// What it showed beside.
    pub(super) note: Option<String>,
    /// When the feed is due next, where the pass has found that out.
    pub(super) next: Option<Timestamp>,
}

/// Documents left behind by a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remainder {
    /// None, or they wait for the next listing.
    None,
    /// Some, for want of disk: tried again soon.
    Disk,
}

fn count<T: TryInto<i64>>(number: T) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

impl Poller {
    /// Ends a pass: records what it came to, and says so.
    pub(super) async fn end(
        &self,
        feed: &Feed,
        claim: &Claim,
        verdict: Verdict,
        seen: Seen,
    ) -> Result<Report, LedgerError> {
        let Verdict { mut summary, remainder, not_before, .. } = verdict;
        summary.listed = seen.listed;
        let now = self.clock.now();
        let end = PollEnd {
            poll: claim.poll,
            feed: feed.name.clone(),
            finished_at: now,
            outcome: summary.outcome,
            listed: summary.listed.map(count),
            fetched: count(summary.fetched),
            failed: count(summary.failed),
            error: summary.error.clone(),
            still_listed: count(seen.held),
            refused_entries: count(seen.refused),
            note: seen.note,
            resume_at: (remainder == Remainder::Disk).then(|| now + DISK_PAUSE),
            not_before,
            next: seen.next,
        };
        let change = self.ledger.finish_poll(end).await?;
        // These platforms ration accounts, not feeds: one that is asked to wait waits with all it collects.
        if let (Some(until), Source::Resource(..)) = (not_before, &feed.source) {
            self.ledger.hold_account(feed.name.account_name(), until).await?;
        }
        tell(feed, &summary, claim.began.elapsed(), change);
        Ok(Report::Ended(summary))
    }
}

/// One line for the poll where it did something, one where the feed's health changed: said once a day.
fn tell(feed: &Feed, summary: &Summary, took: Duration, change: HealthChange) {
    let name = feed.name.as_str();
    let (listed, fetched, failed) = (summary.listed.unwrap_or(0), summary.fetched, summary.failed);
    let error = summary.error.as_deref().unwrap_or("");
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    if fetched > 0 || failed > 0 {
        tracing::info!(
            event = event::POLL_FINISHED,
            feed = name,
            outcome = summary.outcome.as_str(),
            listed,
            fetched,
            failed,
            duration_ms,
            "polled {name}: {fetched} fetched, {failed} failed"
        );
    } else {
        let what = if error.is_empty() { "nothing new" } else { error };
        tracing::debug!(
            event = event::POLL_FINISHED,
            feed = name,
            outcome = summary.outcome.as_str(),
            listed,
            fetched,
            failed,
            duration_ms,
            error,
            "polled {name}: {what}"
        );
    }
    match change {
        HealthChange::None => {}
        HealthChange::Failing => {
            tracing::warn!(event = event::FEED_FAILING, feed = name, error, "{name} fails: {error}");
        }
        HealthChange::StillFailing => {
            tracing::warn!(event = event::FEED_FAILING, feed = name, error, "{name} still fails: {error}");
        }
        HealthChange::Recovered => {
            tracing::info!(event = event::FEED_RECOVERED, feed = name, "{name} works again");
        }
    }
}
