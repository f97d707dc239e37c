//! `/metrics`: a few series per platform and per target, and one for each of the feeds that fail, up to a hundred. Never one for
//! each of thirty thousand feeds. Each metric is explained in `docs/metrics.md`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::life::Life;
use super::process::{self, float};
use super::sheet::Sheet;
use super::tally::{Labels, Tally};
use crate::status::{AccountStatus, FeedStatus, Health, Machine, Overview, Trouble};

/// Feeds, credentials and quotas that have a series of their own, at most.
const MOST: usize = 100;
/// Days before its end from which on a credential has a series of its own.
const EXPIRING_DAYS: i64 = 60;

/// What the metrics of one moment are made of.
pub(super) struct Facts<'a> {
    pub(super) overview: Option<&'a Overview>,
    pub(super) life: &'a Life,
    pub(super) tally: &'a Tally,
    pub(super) ledger_bytes: Option<u64>,
    pub(super) now: Timestamp,
}

/// All metrics, as OpenMetrics text.
pub(super) fn text(facts: &Facts<'_>) -> String {
    sheet(facts).text()
}

fn sheet(facts: &Facts<'_>) -> Sheet {
    let mut sheet = Sheet::default();
    daemon(&mut sheet, facts);
    counts(&mut sheet, facts.tally);
    if let Some(overview) = facts.overview {
        sheet.gauge(
            "vaguemestre_overview_timestamp_seconds",
            "When what is amiss, feeds, accounts, documents, deliveries and quotas were looked at",
            seconds(overview.at),
        );
        troubles(&mut sheet, overview);
        machine(&mut sheet, &overview.machine);
        feeds(&mut sheet, overview, facts.now);
        accounts(&mut sheet, overview);
        deliveries(&mut sheet, overview);
        entreprise(&mut sheet, overview);
    }
    process::write(&mut sheet);
    sheet
}

/// The daemon and its machine.
fn daemon(sheet: &mut Sheet, facts: &Facts<'_>) {
    let life = facts.life;
    let version = [("version", env!("CARGO_PKG_VERSION").to_owned())];
    sheet.gauges("vaguemestre_build_info", "Always 1; its label says which version runs", [(version, 1.0)]);
    sheet.gauge("process_start_time_seconds", "When the daemon was started", seconds(life.started));
    sheet.gauge(
        "vaguemestre_ready",
        "1 while the daemon collects, else 0: what /readyz says",
        flag(life.collects().is_ok()),
    );
    let age = life.since_turn().as_secs_f64();
    sheet.gauge("vaguemestre_dispatcher_tick_age_seconds", "Since the dispatcher turned and the ledger answered", age);
    sheet.gauge(
        "vaguemestre_configuration_rejected",
        "1 where the last change of the configuration was not taken up, else 0",
        flag(facts.tally.configuration_is_rejected()),
    );
    let failed = flag(facts.tally.backup_fails());
    sheet.gauge(
        "vaguemestre_backup_failed",
        "1 where the ledger could not be copied when that was last tried, else 0",
        failed,
    );
    let size = facts.ledger_bytes.map(bytes);
    sheet.gauge("vaguemestre_ledger_size_bytes", "Size of the ledger and of its write-ahead log", size);
}

/// What was counted since the start.
fn counts(sheet: &mut Sheet, tally: &Tally) {
    sheet.counted(
        "vaguemestre_events",
        "Events of the log, by name and level, whether or not they were shown",
        tally.events.clone(),
    );
    sheet.counted("vaguemestre_polls", "Polls that ended", tally.polls.clone());
    sheet.counted("vaguemestre_poll_duration_seconds", "How long polls took", tally.durations.clone());
    sheet.counted(
        "vaguemestre_documents_stored",
        "Documents that became durable in the archive",
        tally.documents.clone(),
    );
    sheet.counted("vaguemestre_documents_stored_bytes", "Bytes of these documents", tally.bytes.clone());
    sheet.counted("vaguemestre_deliveries", "Deliveries tried", tally.deliveries.clone());
    sheet.counted("vaguemestre_token_requests", "Requests for tokens", tally.tokens.clone());
}

/// What is amiss, as `status` and the page list it.
fn troubles(sheet: &mut Sheet, overview: &Overview) {
    let labels = |it: &Trouble| [("kind", it.kind.as_str().to_owned()), ("severity", it.severity.as_str().to_owned())];
    let rows = overview.troubles.iter().map(|trouble| (labels(trouble), 1.0));
    sheet.gauges(
        "vaguemestre_problems",
        "What is amiss, by kind and severity; a kind of which there is none has no series",
        rows,
    );
}

fn machine(sheet: &mut Sheet, machine: &Machine) {
    let free = machine.disk_free.map(bytes);
    sheet.gauge("vaguemestre_disk_free_bytes", "Free space on the disk of the state directory", free);
    let reserve = bytes(machine.disk_reserve);
    sheet.gauge("vaguemestre_disk_reserve_bytes", "Free space below which nothing is collected", reserve);
    sheet.gauges(
        "vaguemestre_clock_skew_seconds",
        "How far this machine's clock is behind that of a platform, where they differ; negative where it is ahead",
        machine.clocks.iter().map(|clock| ([("origin", clock.origin.clone())], number(clock.seconds))),
    );
}

fn feeds(sheet: &mut Sheet, overview: &Overview, now: Timestamp) {
    let feeds = || overview.feeds.iter();
    let by_health =
        feeds().map(|feed| ([("platform", platform(&feed.feed)), ("health", feed.health.as_str().to_owned())], 1.0));
    sheet.gauges("vaguemestre_feeds", "Feeds, by how they do", by_health);
    let states = |feed: &FeedStatus| {
        let platform = platform(&feed.feed);
        [
            ("held", feed.held),
            ("listed", feed.listed),
            ("fetching", feed.in_doubt),
            ("failed", feed.failed),
            ("abandoned", feed.abandoned),
            ("lost", feed.lost),
            ("gone", feed.gone),
            ("skipped", feed.skipped),
        ]
        .map(|(state, count)| ([("platform", platform.clone()), ("state", state.to_owned())], number(count)))
    };
    sheet.gauges("vaguemestre_documents", "Documents the ledger knows", feeds().flat_map(states));
    let live = || feeds().filter(|feed| feed.health != Health::Retired);
    let times = |of: fn(&FeedStatus) -> Option<Timestamp>, keep: fn(Timestamp, Timestamp) -> Timestamp| {
        extremes(live().filter_map(|feed| Some((platform(&feed.feed), of(feed)?))), keep)
    };
    sheet.gauges(
        "vaguemestre_next_poll_timestamp_seconds",
        "When the next feed of a platform is due",
        times(|feed| feed.next_poll_at, Timestamp::min),
    );
    sheet.gauges(
        "vaguemestre_last_success_timestamp_seconds",
        "When a poll of a platform last succeeded",
        times(|feed| feed.last_success_at, Timestamp::max),
    );
    sheet.gauges(
        "vaguemestre_last_document_timestamp_seconds",
        "When a document last came from a platform",
        times(|feed| feed.last_document_at, Timestamp::max),
    );
    // Worst first, and of these the ones that have failed for longest.
    let since = |feed: &FeedStatus| feed.failing_since.or(feed.next_poll_at).unwrap_or(overview.at);
    let mut failing: Vec<_> = feeds().filter(|feed| feed.health == Health::Failing).collect();
    failing.sort_by_key(|feed| since(feed));
    let beyond = failing.len().saturating_sub(MOST);
    let rows = failing.iter().take(MOST);
    sheet.gauges(
        "vaguemestre_feed_failing_seconds",
        "Since a feed fails; of the hundred feeds that have failed for longest",
        rows.map(|feed| ([("feed", feed.feed.clone())], (seconds(now) - seconds(since(feed))).max(0.0))),
    );
    sheet.gauge("vaguemestre_feeds_failing_beyond", "Feeds that fail and have no series of their own", float(beyond));
}

fn accounts(sheet: &mut Sheet, overview: &Overview) {
    let accounts = || overview.accounts.iter();
    let unusable =
        accounts().map(|account| ([("platform", platform(&account.account))], flag(account.problem.is_some())));
    sheet.gauges("vaguemestre_accounts_unusable", "Accounts that cannot work", unusable);
    let soonest = accounts().flat_map(|account| {
        ends(account).map(|(credential, end, _)| ((platform(&account.account), credential), end)).collect::<Vec<_>>()
    });
    let soonest = soonest.fold(BTreeMap::new(), |mut soonest: BTreeMap<_, Timestamp>, (key, end)| {
        soonest.entry(key).and_modify(|known| *known = end.min(*known)).or_insert(end);
        soonest
    });
    sheet.gauges(
        "vaguemestre_credential_expiry_timestamp_seconds",
        "When the first certificate, or token delivered by hand, of a platform's accounts ends",
        soonest.into_iter().map(|((platform, credential), end)| {
            ([("platform", platform), ("credential", credential.to_owned())], seconds(end))
        }),
    );
    let mut soon: Vec<_> = accounts()
        .flat_map(|account| ends(account).map(move |(credential, end, days)| (end, days, credential, &account.account)))
        .filter(|(_, days, ..)| *days < EXPIRING_DAYS)
        .collect();
    soon.sort();
    sheet.gauges(
        "vaguemestre_account_credential_expiry_timestamp_seconds",
        "The same of each account for which that is less than 60 days away; of the hundred that end first",
        soon.into_iter().take(MOST).map(|(end, _, credential, account)| {
            ([("account", account.clone()), ("credential", credential.to_owned())], seconds(end))
        }),
    );
}

/// The credentials of `account` that end at a time that is known: which they are, when, and days left.
fn ends(account: &AccountStatus) -> impl Iterator<Item = (&'static str, Timestamp, i64)> + use<> {
    let certificate = account.certificate_not_after.zip(account.certificate_days);
    let token = account.token_expires_at.zip(account.token_days);
    let certificate = certificate.map(|(end, days)| ("certificate", end, days));
    certificate.into_iter().chain(token.map(|(end, days)| ("token", end, days)))
}

fn deliveries(sheet: &mut Sheet, overview: &Overview) {
    let rows = overview.targets.iter().flat_map(|target| {
        [("waiting", target.waiting), ("failed", target.failed), ("abandoned", target.abandoned)]
            .map(|(state, count)| ([("target", target.target.clone()), ("state", state.to_owned())], number(count)))
    });
    sheet.gauges(
        "vaguemestre_deliveries_open",
        "Deliveries that wait (of which some have failed at least once), and those given up",
        rows,
    );
    let unusable = overview.targets.iter().map(|it| ([("target", it.target.clone())], flag(it.problem.is_some())));
    sheet.gauges("vaguemestre_target_unusable", "1 where nothing can be handed to a target, else 0", unusable);
}

fn entreprise(sheet: &mut Sheet, overview: &Overview) {
    let quotas = || overview.quotas.iter().take(MOST);
    let bucket = |name: &str| [("bucket", name.to_owned())];
    sheet.gauges(
        "vaguemestre_quota_calls_per_minute",
        "Calls a minute that API Entreprise allows",
        quotas().map(|quota| (bucket(&quota.bucket), f64::from(quota.per_minute))),
    );
    sheet.gauges(
        "vaguemestre_quota_left_calls",
        "Calls left of our share of a quota in the minute of the last call",
        quotas().map(|quota| (bucket(&quota.bucket), f64::from(quota.left))),
    );
    sheet.gauge(
        "vaguemestre_ban_suspected",
        "1 while API Entreprise seems to have banned this machine",
        flag(overview.ban.is_some()),
    );
}

/// Of each platform the time that `keep` keeps of any two.
fn extremes(
    times: impl Iterator<Item = (String, Timestamp)>,
    keep: fn(Timestamp, Timestamp) -> Timestamp,
) -> Vec<(Labels<1>, f64)> {
    let mut kept = BTreeMap::<String, Timestamp>::new();
    for (platform, time) in times {
        kept.entry(platform).and_modify(|known| *known = keep(*known, time)).or_insert(time);
    }
    kept.into_iter().map(|(platform, time)| ([("platform", platform)], seconds(time))).collect()
}

fn platform(name: &str) -> String {
    name.split('/').next().unwrap_or_default().to_owned()
}

fn seconds(time: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
    let milliseconds = time.as_millisecond() as f64;
    milliseconds / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "no such count is that large")]
fn number(count: i64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a few bytes of a petabyte do not matter")]
fn bytes(count: u64) -> f64 {
    count as f64
}

fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// First cells of tables that name a metric, with its type.
    fn documented() -> BTreeSet<String> {
        let text = include_str!("../../docs/metrics.md");
        let name = |line: &str| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned());
        let names = text.lines().filter_map(name);
        names.filter(|name| name.starts_with("vaguemestre_") || name.starts_with("process_")).collect()
    }

    #[test]
    fn the_documentation_names_every_metric_there_may_be_and_no_other() {
        let now = "2026-11-26T10:00:00Z".parse().unwrap();
        let overview = Overview {
            at: now,
            healthy: true,
            summary: String::new(),
            daemon: None,
            troubles: Vec::new(),
            machine: Machine::default(),
            quotas: Vec::new(),
            ban: None,
            accounts: Vec::new(),
            targets: Vec::new(),
            alerts: Vec::new(),
            feeds: Vec::new(),
        };
        let (life, tally) = (Life::new(now), Tally::default());
        let facts = Facts { overview: Some(&overview), life: &life, tally: &tally, ledger_bytes: None, now };
        let sheet = sheet(&facts);
        // What is counted gets its ending where it is written.
        let documented: BTreeSet<String> =
            documented().iter().map(|name| name.strip_suffix("_total").unwrap_or(name).to_owned()).collect();
        assert_eq!(sheet.names().iter().cloned().collect::<BTreeSet<_>>(), documented);
    }
}
