//! The facts that `status` tells: read from the ledger, whether a daemon runs or not.

mod entreprise;
pub mod purge;
mod targets;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

pub use entreprise::{BanStatus, QuotaStatus};
use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};
pub use targets::{Recipients, TargetStatus};

use crate::clock::stamp;
use crate::feed::{DocumentState, FeedName};
use crate::ledger::{AccountRow, FeedRow, Ledger, LedgerError, TokenRow};
use crate::words::counted;

/// Polls in a row without success that make a feed failing.
const FAILING: i64 = 2;
/// From so many days left on, a token delivered by hand is mentioned.
const TOKEN_DAYS: i64 = 90;
/// From so many days left on, a certificate is mentioned.
const EXPIRING_DAYS: i64 = 60;

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
    /// What went wrong in the last poll.
    pub error: Option<String>,
}

/// An account, as `status` tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct AccountStatus {
    /// Its name.
    pub account: String,
    /// Its certificate's subject.
    pub certificate_subject: Option<String>,
    /// Its certificate's end.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub certificate_not_after: Option<Timestamp>,
    /// Whole days until then.
    pub certificate_days: Option<i64>,
    /// Whether it works by tokens.
    pub works_by_token: bool,
    /// End of the token it holds; never the token.
    pub token_expires_at: Option<Timestamp>,
    /// Whole seconds until then.
    pub token_seconds: Option<i64>,
    /// Whole days until the end of a token that was delivered by hand (a JWT of API Entreprise).
    pub token_days: Option<i64>,
    /// Its credentials were refused: they are not tried again before this, unless they change.
    pub refused_until: Option<Timestamp>,
    /// Why it cannot work.
    pub problem: Option<String>,
    /// Since when.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub problem_since: Option<Timestamp>,
}

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
    /// What API Entreprise allows in a minute.
    pub quotas: Vec<QuotaStatus>,
    /// The ban that is assumed; null where there is none.
    pub ban: Option<BanStatus>,
    /// The accounts, those with problems first.
    pub accounts: Vec<AccountStatus>,
    /// To whom documents of these feeds are handed, in the order of the configuration.
    pub targets: Vec<TargetStatus>,
    /// The feeds, worst first.
    pub feeds: Vec<FeedStatus>,
}

/// Gathers the facts on the feeds that `wanted` accepts, and on those of `targets` that want one of them.
///
/// # Errors
/// When the ledger fails.
pub async fn overview(
    ledger: &Ledger,
    directory: &Path,
    interval: impl Fn(&FeedName) -> Duration,
    targets: Recipients<'_>,
    now: Timestamp,
    wanted: impl Fn(&FeedName) -> bool,
) -> Result<Overview, LedgerError> {
    let mut counts = BTreeMap::<String, BTreeMap<&'static str, i64>>::new();
    for count in ledger.count_documents().await? {
        counts.entry(count.feed).or_default().insert(count.state.as_str(), count.count);
    }
    let backlog = ledger.delivery_backlog().await?;
    let (unreleased, recognised) = (ledger.unreleased().await?, ledger.recognised().await?);
    let (passed_over, elsewhere) = (ledger.passed_over().await?, ledger.other_interface().await?);
    let oldest = ledger.oldest_files().await?;
    let (mut feeds, mut names) = (Vec::<FeedStatus>::new(), Vec::new());
    let mut shown = std::collections::BTreeSet::new();
    for row in ledger.feeds().await?.into_iter().filter(|row| wanted(&row.feed)) {
        let none = BTreeMap::new();
        let counts = counts.get(row.feed.as_str()).unwrap_or(&none);
        let facts = Facts {
            counts,
            waiting: backlog.feeds.get(row.feed.as_str()).copied().unwrap_or_default(),
            // What lies in folders that the account no longer uses is removed by nobody but the platform.
            remaining: unreleased.get(row.feed.as_str()).filter(|_| row.keeps_files).cloned().unwrap_or_default(),
            recognised: recognised.get(row.feed.as_str()).copied().unwrap_or_default(),
            passed_over: passed_over.get(row.feed.as_str()).copied().unwrap_or_default(),
            other_interface: elsewhere.get(row.feed.as_str()).copied().unwrap_or_default(),
            oldest_file: oldest.get(row.feed.as_str()).copied(),
        };
        shown.insert(row.feed.account_name().to_owned());
        names.push(row.feed.clone());
        feeds.push(feed(&row, facts, interval(&row.feed), now));
    }
    feeds.sort_by(|a, b| a.health.cmp(&b.health).then_with(|| a.feed.cmp(&b.feed)));
    let (everything, tokens) = (ledger.accounts().await?, ledger.tokens().await?);
    let mut accounts: Vec<AccountStatus> = everything
        .into_values()
        .filter(|row| shown.contains(&row.account) || stands_alone(row, &wanted))
        .map(|row| {
            let token = tokens.get(&row.account);
            account(row, token, now)
        })
        .collect();
    accounts.sort_by(|a, b| b.problem.is_some().cmp(&a.problem.is_some()).then_with(|| a.account.cmp(&b.account)));
    let targets = targets::facts(ledger, targets, &names, &backlog.targets, now).await?;
    let daemon = crate::state::daemon(directory).map(|holder| holder.name);
    let shows = |feed: &FeedStatus| feed.feed.starts_with("entreprise/") && feed.health != Health::Retired;
    let (quotas, ban) =
        if feeds.iter().any(shows) { entreprise::facts(ledger, now).await? } else { (Vec::new(), None) };
    let healthy = daemon.is_some()
        && ban.is_none()
        && accounts.iter().all(|account| account.problem.is_none())
        && targets.iter().all(|target| target.problem.is_none())
        && !feeds.iter().any(|feed| matches!(feed.health, Health::Failing | Health::Attention));
    let mut summary = summary(daemon.as_deref(), ban.is_some(), &accounts, &feeds);
    let unusable = targets.iter().filter(|target| target.problem.is_some()).count();
    if unusable > 0 {
        summary += &format!(", {} cannot be delivered to", counted(unusable, "target"));
    }
    Ok(Overview { at: now, healthy, summary, daemon, quotas, ban, accounts, targets, feeds })
}

/// An account without a feed in the ledger is shown where any of its feeds would be; a feed that was never registered, for a
/// fault in its table, by its own name; and what has no name at all always.
fn stands_alone(row: &AccountRow, wanted: &impl Fn(&FeedName) -> bool) -> bool {
    let kinds = crate::feed::Kind::ALL.iter().map(|kind| format!("{}/{kind}", row.account));
    let names: Vec<FeedName> = kinds.chain([row.account.clone()]).filter_map(|name| name.parse().ok()).collect();
    names.is_empty() || names.iter().any(wanted)
}

/// What the ledger counts of a feed.
struct Facts<'a> {
    counts: &'a BTreeMap<&'static str, i64>,
    waiting: crate::ledger::Backlog,
    remaining: crate::ledger::Remaining,
    recognised: i64,
    passed_over: i64,
    other_interface: i64,
    oldest_file: Option<Timestamp>,
}

fn feed(row: &FeedRow, facts: Facts<'_>, interval: Duration, now: Timestamp) -> FeedStatus {
    let Facts { counts, waiting, remaining, recognised, passed_over, other_interface, oldest_file } = facts;
    let count = |state: DocumentState| counts.get(state.as_str()).copied().unwrap_or(0);
    let interval = SignedDuration::try_from(interval).unwrap_or(SignedDuration::MAX);
    let overdue = row.next_poll_at.is_some_and(|next| now.duration_since(next) > interval);
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
        error: row.last_error.clone(),
    }
}

fn account(row: AccountRow, token: Option<&TokenRow>, now: Timestamp) -> AccountStatus {
    let expires_at = token.and_then(|row| Some(row.token.as_ref()?.expires_at())).filter(|end| *end > now);
    let refused = token.and_then(|row| row.trouble.as_ref()).filter(|trouble| trouble.refused.is_some());
    let refused_until = refused.and_then(|trouble| trouble.at.0.checked_add(trouble.pause).ok());

    let delivered = row.token_expires_at.filter(|_| row.account.starts_with("entreprise/"));
    let not_after = row.certificate.as_ref().map(|certificate| certificate.not_after);
    AccountStatus {
        works_by_token: row.account.starts_with("douane/") || row.account.starts_with("piste/"),
        token_expires_at: expires_at.or(delivered),
        token_days: delivered.map(|end| days_left(end, now)),
        token_seconds: expires_at.map(|end| end.duration_since(now).as_secs()),
        refused_until: refused_until.filter(|until| *until > now),
        account: row.account,
        certificate_subject: row.certificate.map(|certificate| certificate.subject),
        certificate_not_after: not_after,
        certificate_days: not_after.map(|end| days_left(end, now)),
        problem: row.problem,
        problem_since: row.problem_since,
    }
}

/// Whole days from `now` until `end`; negative once that is past.
#[must_use]
pub fn days_left(end: Timestamp, now: Timestamp) -> i64 {
    (end.as_second() - now.as_second()).div_euclid(86_400)
}

/// What to say of a certificate with so many days left.
#[must_use]
pub fn certificate_end(days: i64) -> String {
    match days {
        ..0 => "has expired; install the next one".to_owned(),
        0 => "ends within a day; install the next one".to_owned(),
        1 => "ends in 1 day; order the next one".to_owned(),
        _ => format!("ends in {days} days; order the next one"),
    }
}

/// Times as the ledger has them, in milliseconds.
fn in_milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&stamp(*time))
}

/// As [`in_milliseconds`], where there may be none.
fn perhaps_in_milliseconds<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(stamp).serialize(serializer)
}

impl AccountStatus {
    /// Whether there is anything to say about it.
    #[must_use]
    pub fn needs_words(&self) -> bool {
        self.works_by_token
            || self.problem.is_some()
            || self.token_days.is_some_and(|days| days < TOKEN_DAYS)
            || self.certificate_days.is_some_and(|days| days < EXPIRING_DAYS)
    }
}

fn summary(daemon: Option<&str>, banned: bool, accounts: &[AccountStatus], feeds: &[FeedStatus]) -> String {
    let live = || feeds.iter().filter(|feed| feed.health != Health::Retired);
    let number = |health: Health| live().filter(|feed| feed.health == health).count();
    let held: i64 = feeds.iter().map(|feed| feed.held).sum();
    let mut parts = vec![match daemon {
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
    let unusable = accounts.iter().filter(|account| account.problem.is_some()).count();
    if unusable > 0 {
        parts.push(format!("{} cannot work", counted(unusable, "account")));
    }
    if banned {
        parts.push("BANNED by API Entreprise".to_owned());
    }
    parts.push(format!("{} held", counted(usize::try_from(held).unwrap_or_default(), "document")));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_has_ended_does_not_end_in_minus_three_days() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let said = |end: &str| certificate_end(days_left(end.parse().unwrap(), now));
        assert_eq!(said("2026-11-22T09:59:59Z"), "has expired; install the next one");
        assert_eq!(said("2026-11-22T10:00:01Z"), "ends within a day; install the next one");
        assert_eq!(said("2026-11-23T10:00:01Z"), "ends in 1 day; order the next one");
        assert_eq!(said("2026-11-25T09:00:00Z"), "ends in 2 days; order the next one");
    }
}
