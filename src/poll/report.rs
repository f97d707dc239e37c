//! What a pass came to: for whoever asked for it, and for the log.

use std::time::Duration;

use jiff::Timestamp;

use super::Feed;
use crate::ledger::{HealthChange, Outcome};
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

/// One line for the poll where it did something, one where the feed's health changed (SPEC: said once a day).
pub(super) fn tell(feed: &Feed, summary: &Summary, took: Duration, change: HealthChange) {
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
