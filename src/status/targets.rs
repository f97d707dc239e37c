//! What `status` tells of those whom documents are handed to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use super::perhaps_in_milliseconds;
use crate::config::{Handover, Target};
use crate::delivery::stale;
use crate::feed::FeedName;
use crate::ledger::{Backlog, Ledger, LedgerError, Stale, TargetRow};

/// A target, as `status` tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct TargetStatus {
    /// Its name.
    pub target: String,
    /// `inbox`, `command` or `webhook`.
    pub way: &'static str,
    /// Deliveries that wait.
    pub waiting: i64,
    /// Of these, those that failed at least once.
    pub failed: i64,
    /// Deliveries given up.
    pub abandoned: i64,
    /// Why nothing can be delivered to it.
    pub problem: Option<String>,
    /// Since when.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub problem_since: Option<Timestamp>,
    /// Of an inbox that nobody empties, its oldest file, below the inbox.
    pub stale_file: Option<PathBuf>,
    /// Since when that lies there.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub stale_since: Option<Timestamp>,
}

/// To whom documents are handed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recipients<'a> {
    /// The targets of the configuration.
    pub targets: &'a [Target],
    /// Whether inboxes are looked into; else what housekeeping last saw there is told.
    pub look: bool,
}

/// The facts on those of `targets` that want one of `feeds`; inboxes are looked into.
pub(super) async fn facts(
    ledger: &Ledger,
    recipients: Recipients<'_>,
    feeds: &[FeedName],
    backlog: &BTreeMap<String, Backlog>,
    now: Timestamp,
) -> Result<Vec<TargetStatus>, LedgerError> {
    let known = ledger.targets().await?;
    let wanted = recipients.targets.iter().filter(|target| feeds.iter().any(|feed| target.wants(feed)));
    let facts = wanted.map(|target| {
        let waiting = backlog.get(&target.name).copied().unwrap_or_default();
        one(target, known.get(&target.name).cloned().unwrap_or_default(), waiting, recipients.look.then_some(now))
    });
    Ok(join_all(facts).await)
}

async fn one(target: &Target, row: TargetRow, waiting: Backlog, look: Option<Timestamp>) -> TargetStatus {
    let (way, stale) = match (&target.handover, look) {
        (Handover::Inbox(inbox), Some(now)) => ("inbox", stale::oldest(inbox, now).await),
        (Handover::Inbox(_), None) => ("inbox", row.stale),
        (Handover::Command(_), _) => ("command", None),
        (Handover::Webhook(_), _) => ("webhook", None),
    };
    let (stale_file, stale_since) = stale.map(|Stale { file, since }| (file, since)).unzip();
    TargetStatus {
        target: target.name.clone(),
        way,
        waiting: waiting.pending + waiting.failed,
        failed: waiting.failed,
        abandoned: waiting.abandoned,
        problem: row.problem,
        problem_since: row.problem_since,
        stale_file,
        stale_since,
    }
}
