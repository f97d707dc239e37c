//! The facts that `status` tells: read from the ledger, whether a daemon runs or not.

mod account;
mod alerts;
mod alike;
mod entreprise;
mod feed;
mod machine;
pub mod purge;
mod targets;
mod terms;
mod trouble;
mod troubles;

use std::collections::{BTreeMap, BTreeSet};

pub use account::{AccountStatus, TOKEN_DAYS, certificate_end, days_left};
pub use alerts::AlertTargetStatus;
pub use alike::{Alike, alike};
pub use entreprise::{BanStatus, QuotaStatus};
use feed::Facts;
pub use feed::{FeedStatus, Health};
use jiff::Timestamp;
pub use machine::{ClockStatus, Machine};
use serde::{Serialize, Serializer};
pub use targets::TargetStatus;
pub use terms::Terms;
use trouble::FADES_AFTER;
pub use trouble::{Matter, Severity, Trouble};

use crate::clock::stamp;
use crate::feed::FeedName;
use crate::ledger::{AccountRow, Backlogs, FeedRow, Incidents, Ledger, LedgerError};
use crate::words::counted;

/// Everything `status` tells.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// When it was told.
    #[serde(serialize_with = "in_milliseconds")]
    pub at: Timestamp,
    /// Whether all is well: the exit code's fact.
    pub healthy: bool,
    /// The one line on top.
    pub summary: String,
    /// The daemon that holds the state directory; null where none runs.
    pub daemon: Option<String>,
    /// What is amiss, worst first, each with what to do.
    pub troubles: Vec<Trouble>,
    /// How the machine does.
    pub machine: Machine,
    /// What API Entreprise allows in a minute.
    pub quotas: Vec<QuotaStatus>,
    /// The ban that is assumed; null where there is none.
    pub ban: Option<BanStatus>,
    /// The accounts, those with problems first.
    pub accounts: Vec<AccountStatus>,
    /// To whom documents of these feeds are handed, in the order of the configuration.
    pub targets: Vec<TargetStatus>,
    /// Whom alerts are told, as far as that was tried.
    pub alerts: Vec<AlertTargetStatus>,
    /// The feeds, worst first.
    pub feeds: Vec<FeedStatus>,
}

impl Overview {
    /// All of it but the feeds, which may be thousands.
    #[must_use]
    pub fn without_feeds(&self) -> Self {
        Self {
            at: self.at,
            healthy: self.healthy,
            summary: self.summary.clone(),
            daemon: self.daemon.clone(),
            troubles: self.troubles.clone(),
            machine: self.machine.clone(),
            quotas: self.quotas.clone(),
            ban: self.ban.clone(),
            accounts: self.accounts.clone(),
            targets: self.targets.clone(),
            alerts: self.alerts.clone(),
            feeds: Vec::new(),
        }
    }
}

/// Gathers the facts on the feeds that `wanted` accepts, and on those targets that want one of them.
///
/// # Errors
/// When the ledger fails.
pub async fn overview(
    ledger: &Ledger,
    terms: &Terms<'_>,
    now: Timestamp,
    wanted: impl Fn(&FeedName) -> bool,
) -> Result<Overview, LedgerError> {
    let backlog = ledger.delivery_backlog().await?;
    let (names, mut feeds) = feeds(ledger, terms, &backlog, now, &wanted).await?;
    feeds.sort_unstable_by(|a, b| a.health.cmp(&b.health).then_with(|| a.feed.cmp(&b.feed)));
    let shown: BTreeSet<&str> = names.iter().map(FeedName::account_name).collect();
    let (everything, tokens) = (ledger.accounts().await?, ledger.tokens().await?);
    let mut accounts: Vec<AccountStatus> = everything
        .into_values()
        .filter(|row| shown.contains(row.account.as_str()) || stands_alone(row, &wanted))
        .map(|row| {
            let token = tokens.get(&row.account);
            account::account(row, token, now)
        })
        .collect();
    accounts.sort_by(|a, b| b.problem.is_some().cmp(&a.problem.is_some()).then_with(|| a.account.cmp(&b.account)));
    let targets = targets::facts(ledger, terms, &names, &backlog.targets, now).await?;
    let daemon = crate::state::daemon(&terms.settings.state.directory).map(|holder| holder.name);
    let shows = |feed: &FeedStatus| feed.feed.starts_with("entreprise/") && feed.health != Health::Retired;
    let (quotas, ban) =
        if feeds.iter().any(shows) { entreprise::facts(ledger, now).await? } else { (Vec::new(), None) };
    let (machine, alerts) = (machine::facts(ledger, terms).await?, alerts::facts(ledger).await?);
    let (healthy, summary, troubles) = (false, String::new(), Vec::new());
    let mut overview = Overview {
        at: now,
        healthy,
        summary,
        daemon,
        troubles,
        machine,
        quotas,
        ban,
        accounts,
        targets,
        alerts,
        feeds,
    };
    let recorded = if terms.known.is_some() { Vec::new() } else { ledger.conditions().await? };
    overview.troubles = troubles::gather(&overview, terms.known.as_deref().unwrap_or(&recorded));
    let fails = |feed: &FeedStatus| matches!(feed.health, Health::Failing | Health::Attention);
    overview.healthy = !overview.feeds.iter().any(fails) && !overview.troubles.iter().any(is_unhealthy);
    overview.summary = summary_of(&overview);
    Ok(overview)
}

/// Whether `status` is to exit with a failure for it: not for what is to be known in time, nor for a mere interruption.
fn is_unhealthy(trouble: &Trouble) -> bool {
    let full = trouble.kind == Matter::DiskLow && trouble.severity == Severity::Error;
    let stops = [
        Matter::DaemonStopped,
        Matter::LedgerFailed,
        Matter::DiskFailed,
        Matter::Ban,
        Matter::AccountUnusable,
        Matter::TargetUnusable,
    ];
    full || stops.contains(&trouble.kind)
}

/// The feeds that `wanted` accepts, by name.
async fn feeds(
    ledger: &Ledger,
    terms: &Terms<'_>,
    backlog: &Backlogs,
    now: Timestamp,
    wanted: &impl Fn(&FeedName) -> bool,
) -> Result<(Vec<FeedName>, Vec<FeedStatus>), LedgerError> {
    let mut counts = BTreeMap::<String, BTreeMap<&'static str, i64>>::new();
    for count in ledger.count_documents().await? {
        counts.entry(count.feed).or_default().insert(count.state.as_str(), count.count);
    }
    let (unreleased, recognised) = (ledger.unreleased().await?, ledger.recognised().await?);
    let (passed_over, elsewhere) = (ledger.passed_over().await?, ledger.other_interface().await?);
    let oldest = ledger.oldest_files().await?;
    let lately = now - FADES_AFTER;
    let by_feed = |all: Vec<Incidents>| all.into_iter().map(|it| (it.of.clone(), it)).collect::<BTreeMap<_, _>>();
    let (gone, rejected) = (by_feed(ledger.gone_since(lately).await?), by_feed(ledger.rejected_since(lately).await?));
    let (mut names, none) = (Vec::new(), BTreeMap::new());
    let made = |row: FeedRow| {
        if !wanted(&row.feed) {
            return None;
        }
        let name = row.feed.as_str();
        let facts = Facts {
            counts: counts.get(name).unwrap_or(&none),
            waiting: backlog.feeds.get(name).copied().unwrap_or_default(),
            // What lies in folders that the account no longer uses is removed by nobody but the platform.
            remaining: unreleased.get(name).filter(|_| row.keeps_files).cloned().unwrap_or_default(),
            recognised: recognised.get(name).copied().unwrap_or_default(),
            passed_over: passed_over.get(name).copied().unwrap_or_default(),
            other_interface: elsewhere.get(name).copied().unwrap_or_default(),
            oldest_file: oldest.get(name).copied(),
            gone: gone.get(name),
            rejected: rejected.get(name),
        };
        let status = feed::feed(&row, facts, terms.of(&row.feed), now);
        names.push(row.feed);
        Some(status)
    };
    let feeds = ledger.feeds_as(made).await?;
    Ok((names, feeds))
}

/// An account without a feed in the ledger is shown where any of its feeds would be; a feed that was never registered, for a
/// fault in its table, by its own name; and what has no name at all always.
fn stands_alone(row: &AccountRow, wanted: &impl Fn(&FeedName) -> bool) -> bool {
    let kinds = crate::feed::Kind::ALL.iter().map(|kind| format!("{}/{kind}", row.account));
    let names: Vec<FeedName> = kinds.chain([row.account.clone()]).filter_map(|name| name.parse().ok()).collect();
    names.is_empty() || names.iter().any(wanted)
}

/// Times as the ledger has them, in milliseconds.
fn in_milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&stamp(*time))
}

/// As [`in_milliseconds`], where there may be none.
fn perhaps_in_milliseconds<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(stamp).serialize(serializer)
}

fn summary_of(overview: &Overview) -> String {
    let live = || overview.feeds.iter().filter(|feed| feed.health != Health::Retired);
    let number = |health: Health| live().filter(|feed| feed.health == health).count();
    let held: i64 = overview.feeds.iter().map(|feed| feed.held).sum();
    let mut parts = vec![match &overview.daemon {
        Some(holder) => format!("running ({holder})"),
        None => "NOT RUNNING".to_owned(),
    }];
    parts.push(format!("{}, {} well", counted(live().count(), "feed"), number(Health::Well)));
    for health in [Health::Failing, Health::Attention, Health::Troubled, Health::New] {
        let count = number(health);
        if count > 0 {
            parts.push(format!("{count} {}", health.as_str()));
        }
    }
    let unusable = overview.accounts.iter().filter(|account| account.problem.is_some()).count();
    if unusable > 0 {
        parts.push(format!("{} cannot work", counted(unusable, "account")));
    }
    if overview.ban.is_some() {
        parts.push("BANNED by API Entreprise".to_owned());
    }
    if overview.machine.is_full() {
        parts.push("DISK FULL: nothing is collected".to_owned());
    }
    parts.push(format!("{} held", counted(usize::try_from(held).unwrap_or_default(), "document")));
    let barred = overview.targets.iter().filter(|target| target.problem.is_some()).count();
    if barred > 0 {
        parts.push(format!("{} cannot be delivered to", counted(barred, "target")));
    }
    parts.join(", ")
}
