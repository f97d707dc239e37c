//! What `status` tells of those whom documents are handed to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use super::{Terms, perhaps_in_milliseconds};
use crate::config::{Handover, Target};
use crate::delivery::stale;
use crate::feed::FeedName;
use crate::ledger::{Backlog, Incidents, Ledger, LedgerError, Stale, TargetRow};

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
    /// Since when the first of these does.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub failing_since: Option<Timestamp>,
    /// Why that one failed.
    pub error: Option<String>,
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

/// The facts on those targets of the configuration that want one of `feeds`.
pub(super) async fn facts(
    ledger: &Ledger,
    terms: &Terms<'_>,
    feeds: &[FeedName],
    backlog: &BTreeMap<String, Backlog>,
    now: Timestamp,
) -> Result<Vec<TargetStatus>, LedgerError> {
    let known = ledger.targets().await?;
    let mut stuck = BTreeMap::new();
    for Incidents { of, at, .. } in ledger.stuck_deliveries().await? {
        let error = ledger.delivery_error(&of).await?;
        stuck.insert(of, (at, error));
    }
    let wanted = terms.settings.delivery.targets.iter().filter(|target| feeds.iter().any(|feed| target.wants(feed)));
    let facts = wanted.map(|target| {
        let waiting = backlog.get(&target.name).copied().unwrap_or_default();
        one(target, known.get(&target.name).cloned().unwrap_or_default(), waiting, terms.look.then_some(now))
    });
    let mut facts = join_all(facts).await;
    for target in &mut facts {
        if let Some((since, error)) = stuck.remove(&target.target) {
            (target.failing_since, target.error) = (since, error);
        }
    }
    Ok(facts)
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
        failing_since: None,
        error: None,
        problem: row.problem,
        problem_since: row.problem_since,
        stale_file,
        stale_since,
    }
}
