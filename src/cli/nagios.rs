//! `vaguemestre status --nagios`: one line and an exit code for Nagios and its descendants (Icinga, Centreon, Zabbix agents).
//!
//! The plugin API's codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; behind the bar, performance data `label=value;warn;crit`.

use std::fmt::Write as _;

use clap::Args;

use crate::status::{Health, Matter, Overview, Severity};
use crate::words::counted;

/// The ledger could not be read, or the configuration is invalid.
pub(super) const UNKNOWN: u8 = 3;

/// From when on something is worth a warning, or an alarm.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Thresholds {
    /// A warning when a certificate, or a token delivered by hand, ends within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 30, requires = "nagios")]
    warn_days: i64,
    /// An alarm when one ends within so many days
    #[arg(long, value_name = "DAYS", default_value_t = 7, requires = "nagios")]
    alarm_days: i64,
    /// A warning when so many deliveries wait
    #[arg(long, value_name = "COUNT", default_value_t = 1000, requires = "nagios")]
    warn_waiting: i64,
}

/// Troubles of which no number above tells.
const FURTHER: [Matter; 13] = [
    Matter::DiskLow,
    Matter::ClockSkew,
    Matter::FilesPurged,
    Matter::FeedSilent,
    Matter::DeliveryStuck,
    Matter::ConfigRejected,
    Matter::LedgerFailed,
    Matter::DiskFailed,
    Matter::BackupFailed,
    Matter::InboxStale,
    Matter::NextCertificate,
    Matter::AlertFailing,
    Matter::AdminFailed,
];
/// Of these, so many are told at most.
const SHOWN: usize = 3;

/// The line and the exit code.
pub(super) fn report(overview: &Overview, thresholds: Thresholds) -> (String, u8) {
    let live = || overview.feeds.iter().filter(|feed| feed.health != Health::Retired);
    let number = |health: Health| live().filter(|feed| feed.health == health).count();
    let sum = |count: fn(&crate::status::FeedStatus) -> i64| live().map(count).sum::<i64>();
    let (failing, attention, troubled) = (number(Health::Failing), number(Health::Attention), number(Health::Troubled));
    let unusable = overview.accounts.iter().filter(|account| account.problem.is_some()).count();
    let days = |account: &crate::status::AccountStatus| {
        account.lasting_days(overview.at).into_iter().chain(account.token_days)
    };
    let soonest = overview.accounts.iter().flat_map(days).min();
    let waiting = sum(|feed| feed.waiting_deliveries);
    let mut alarms = Vec::new();
    if overview.daemon.is_none() {
        alarms.push("the daemon is not running".to_owned());
    }
    if overview.ban.is_some() {
        alarms.push("banned by API Entreprise".to_owned());
    }
    let mut tell = |count: usize, what: &str, words: &str| {
        if count > 0 {
            alarms.push(format!("{} {words}", counted(count, what)));
        }
    };
    tell(unusable, "account", "cannot work");
    let barred = overview.targets.iter().filter(|target| target.problem.is_some()).count();
    tell(barred, "target", "cannot be delivered to");
    tell(failing, "feed", "failing");
    tell(attention, "feed", "with documents that need a person");
    let further = |severity: Severity, matters: &[Matter]| {
        let found = overview.troubles.iter().filter(|it| it.severity == severity && matters.contains(&it.kind));
        found.map(|it| it.message.clone()).take(SHOWN).collect::<Vec<_>>()
    };
    alarms.extend(further(Severity::Error, &FURTHER));
    let mut warnings = further(Severity::Warning, &FURTHER);
    if troubled > 0 {
        warnings.push(format!("{} troubled", counted(troubled, "feed")));
    }
    if waiting >= thresholds.warn_waiting {
        warnings.push(format!("{waiting} deliveries wait"));
    }
    match soonest {
        Some(days) if days < thresholds.alarm_days => alarms.push(format!("credentials end in {days} days")),
        Some(days) if days < thresholds.warn_days => warnings.push(format!("credentials end in {days} days")),
        _ => {}
    }
    let (word, code) = match (alarms.is_empty(), warnings.is_empty()) {
        (false, _) => ("CRITICAL", 2),
        (true, false) => ("WARNING", 1),
        (true, true) => ("OK", 0),
    };
    let mut said = alarms;
    said.extend(warnings);
    if said.is_empty() {
        said.push(format!("{} well", counted(number(Health::Well), "feed")));
    }
    // The bar begins the performance data.
    let mut line = format!("VAGUEMESTRE {word} - {} |", said.join(", ").replace('|', "/"));
    let feeds = live().count();
    for (label, value, levels) in [
        ("feeds", count(feeds), String::new()),
        ("failing", count(failing), ";;0".to_owned()),
        ("attention", count(attention), ";;0".to_owned()),
        ("troubled", count(troubled), ";0;".to_owned()),
        ("unusable_accounts", count(unusable), ";;0".to_owned()),
        ("held", sum(|feed| feed.held), String::new()),
        ("waiting_deliveries", waiting, format!(";{};", thresholds.warn_waiting)),
    ] {
        // Writing to a string cannot fail.
        let _ = write!(line, " {label}={value}{levels}");
    }
    if let Some(days) = soonest {
        let _ = write!(line, " credential_days={days};{}:;{}:", thresholds.warn_days, thresholds.alarm_days);
    }
    (line.replace('\n', " "), code)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
