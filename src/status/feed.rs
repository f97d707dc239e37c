//! How one feed does.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::terms::Habit;
use super::{perhaps_in_milliseconds, purge};
use crate::feed::DocumentState;
use crate::ledger::{Backlog, FeedRow, Incidents, Remaining};

/// Polls in a row without success that make a feed failing.
const FAILING: i64 = 2;

/// How a feed does, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Two polls without success, or overdue by more than an interval.
    Failing,
    /// A document is abandoned or lost, or its delivery was given up.
    Attention,
    /// Its last poll failed, or some document did; tried again by itself.
    Troubled,
    /// Nothing was listed yet.
    New,
    /// All is well.
    Well,
    /// No longer configured.
    Retired,
}

impl Health {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Attention => "attention",
            Self::Troubled => "troubled",
            Self::New => "new",
            Self::Well => "well",
            Self::Retired => "retired",
        }
    }
}

/// A feed, as `status` tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct FeedStatus {
    /// Its name.
    pub feed: String,
    /// How it does.
    pub health: Health,
    /// Start of its last listing.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub last_listed_at: Option<Timestamp>,
    /// Outcome of its last poll.
    pub last_outcome: Option<String>,
    /// End of its last poll that succeeded.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub last_success_at: Option<Timestamp>,
    /// When a document last came.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub last_document_at: Option<Timestamp>,
    /// When it is due.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub next_poll_at: Option<Timestamp>,
    /// Start of the present row of failures.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub failing_since: Option<Timestamp>,
    /// Polls in a row without success.
    pub consecutive_failures: i64,
    /// Documents held (stored or delivered).
    pub held: i64,
    /// Documents listed and not fetched yet.
    pub listed: i64,
    /// Documents whose last try failed, and that are tried again.
    pub failed: i64,
    /// Documents whose download has left and not ended.
    pub in_doubt: i64,
    /// Documents that need an operator.
    pub abandoned: i64,
    /// Documents asked for, interrupted, and no longer there.
    pub lost: i64,
    /// Documents someone else collected.
    pub gone: i64,
    /// Documents left alone: by `first_poll = "skip"`, or because their kind is not collected.
    pub skipped: i64,
    /// Of these, files that turned out to be of a kind that is not collected: they stay on the platform until it purges them.
    pub passed_over: i64,
    /// Documents listed over another kind of interface: they wait until the account uses that again.
    pub other_interface: i64,
    /// Deliveries that wait.
    pub waiting_deliveries: i64,
    /// Of these, those that failed at least once.
    pub failed_deliveries: i64,
    /// Deliveries given up.
    pub abandoned_deliveries: i64,
    /// Documents held that the last listing showed again.
    pub still_listed: i64,
    /// Entries of the last listing that were no ids.
    pub refused_entries: i64,
    /// What the last listing showed beside documents.
    pub note: Option<String>,
    /// The feed whose listings show its documents as well.
    pub listed_with: Option<String>,
    /// Documents recognised as held already under another interface's id.
    pub recognised: i64,
    /// Documents safe here that are still to be removed from the platform.
    pub unreleased: i64,
    /// Of these, those that could not be removed.
    pub failed_releases: i64,
    /// Why one of these could not.
    pub release_error: Option<String>,
    /// When the platform begins to purge what was not collected: said of a feed whose folders were not emptied for ten days.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub purged_from: Option<Timestamp>,
    /// Since when it brought nothing: said where that is longer than `silent_after`.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub silent_since: Option<Timestamp>,
    /// Documents collected by another client in the last seven days.
    pub gone_lately: i64,
    /// When that last happened.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub gone_at: Option<Timestamp>,
    /// Deposits that Hélios refused in the last seven days.
    pub rejected_lately: i64,
    /// When that last happened.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub rejected_at: Option<Timestamp>,
    /// What went wrong in the last poll.
    pub error: Option<String>,
}

/// What the ledger counts of a feed.
pub(super) struct Facts<'a> {
    pub(super) counts: &'a BTreeMap<&'static str, i64>,
    pub(super) waiting: Backlog,
    pub(super) remaining: Remaining,
    pub(super) recognised: i64,
    pub(super) passed_over: i64,
    pub(super) other_interface: i64,
    pub(super) oldest_file: Option<Timestamp>,
    pub(super) gone: Option<&'a Incidents>,
    pub(super) rejected: Option<&'a Incidents>,
}

pub(super) fn feed(row: &FeedRow, facts: Facts<'_>, habit: Habit, now: Timestamp) -> FeedStatus {
    let Facts { counts, waiting, remaining, recognised, passed_over, other_interface, oldest_file, gone, rejected } =
        facts;
    let count = |state: DocumentState| counts.get(state.as_str()).copied().unwrap_or(0);
    let late = row.next_poll_at.is_some_and(|next| now.duration_since(next) > habit.interval);
    // One whose poll lasts is not late: it is due again when that has ended.
    let overdue = late && !row.claimed;
    let (failed, abandoned, lost) =
        (count(DocumentState::Failed), count(DocumentState::Abandoned), count(DocumentState::Lost));
    let health = if !row.configured {
        Health::Retired
    } else if row.consecutive_failures >= FAILING || overdue {
        Health::Failing
    } else if abandoned + lost + waiting.abandoned > 0 {
        Health::Attention
    } else if row.consecutive_failures > 0 || failed > 0 || waiting.failed > 0 || remaining.failed > 0 {
        Health::Troubled
    } else if row.last_success_at.is_none() {
        Health::New
    } else {
        Health::Well
    };
    FeedStatus {
        feed: row.feed.to_string(),
        health,
        last_listed_at: row.last_listed_at,
        last_outcome: row.last_outcome.clone(),
        last_success_at: row.last_success_at,
        last_document_at: row.last_document_at,
        next_poll_at: row.next_poll_at.filter(|_| row.configured),
        failing_since: row.failing_since,
        consecutive_failures: row.consecutive_failures,
        held: count(DocumentState::Stored) + count(DocumentState::Delivered),
        listed: count(DocumentState::Listed),
        failed,
        in_doubt: count(DocumentState::Fetching),
        abandoned,
        lost,
        gone: count(DocumentState::Gone),
        skipped: count(DocumentState::Skipped),
        passed_over,
        other_interface,
        waiting_deliveries: waiting.pending + waiting.failed,
        failed_deliveries: waiting.failed,
        abandoned_deliveries: waiting.abandoned,
        still_listed: row.still_listed,
        refused_entries: row.refused_entries,
        note: row.note.clone(),
        listed_with: row.led_by.clone(),
        recognised,
        unreleased: remaining.count,
        failed_releases: remaining.failed,
        release_error: remaining.error,
        purged_from: purge::begins(row, oldest_file, now),
        silent_since: silent_since(row, habit),
        gone_lately: gone.map_or(0, |it| it.count),
        gone_at: gone.and_then(|it| it.at),
        rejected_lately: rejected.map_or(0, |it| it.count),
        rejected_at: rejected.and_then(|it| it.at),
        error: row.last_error.clone(),
    }
}

/// Since when a feed that is polled well has brought nothing, where that is longer than expected: up to its last poll that
/// succeeded, for one that fails tells of that.
fn silent_since(row: &FeedRow, habit: Habit) -> Option<Timestamp> {
    let limit: SignedDuration = habit.silent_after.filter(|_| row.configured)?;
    let since = row.last_document_at.or(row.first_listed_at)?;
    (row.last_success_at?.duration_since(since) >= limit).then_some(since)
}
