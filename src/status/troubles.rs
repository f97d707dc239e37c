//! From what is known to what is amiss: each kind of trouble, with the remedy an operator can follow word for word.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::trouble::{FAILING_FEED, Matter, STUCK_DELIVERY, Severity, Trouble, steps_passed};
use super::{AccountStatus, FeedStatus, Health, Machine, Overview, TargetStatus, certificate_end};
use crate::delivery::stale;
use crate::ledger::ConditionRow;
use crate::schedule::to_the_minute;
use crate::words::counted;

/// All that is amiss in `overview`, and (`conditions`) with the daemon itself, worst first.
pub(super) fn gather(overview: &Overview, conditions: &[ConditionRow]) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    if overview.daemon.is_none() {
        troubles.push(stopped());
    }
    troubles.extend(overview.ban.iter().map(|ban| {
        let until =
            ban.until.map(|until| format!(", until {} at the latest", to_the_minute(until))).unwrap_or_default();
        trouble(Matter::Ban, &ban.origin, Severity::Error, Some(ban.since))
            .says(format!("{} seems to have banned this machine{until} ({})", ban.origin, ban.reason))
            .remedy("wait: it is asked once an hour; if you know better: `vaguemestre lift entreprise/ACCOUNT`")
    }));
    of_the_daemon(conditions, &mut troubles);
    machine(&overview.machine, &mut troubles);
    overview.accounts.iter().for_each(|it| account(it, overview.at, &mut troubles));
    overview.targets.iter().for_each(|it| target(it, overview, &mut troubles));
    for it in &overview.alerts {
        let Some(error) = &it.error else { continue };
        troubles.push(
            trouble(Matter::AlertFailing, &it.name, Severity::Error, it.failing_since)
                .says(format!("alerts cannot be told to {}: {error}", it.name))
                .remedy("mend what it says, then `vaguemestre alert` sends a test to it"),
        );
    }
    let barred = overview.accounts.iter().filter(|account| account.problem.is_some());
    let barred: HashSet<&str> = barred.map(|account| account.account.as_str()).collect();
    for it in overview.feeds.iter().filter(|feed| feed.health != Health::Retired) {
        feed(it, overview, &barred, &mut troubles);
    }
    troubles.sort_by(|a, b| (a.severity, a.kind, &a.subject).cmp(&(b.severity, b.kind, &b.subject)));
    troubles
}

/// A trouble in the making.
struct Draft(Trouble);

fn trouble(kind: Matter, subject: &str, severity: Severity, since: Option<Timestamp>) -> Draft {
    let (message, remedy) = (String::new(), String::new());
    Draft(Trouble { kind, subject: subject.to_owned(), severity, since, message, remedy, mark: 1, days: None })
}

impl Draft {
    fn says(mut self, message: String) -> Self {
        self.0.message = message;
        self
    }

    fn mark(mut self, mark: i64) -> Self {
        self.0.mark = mark;
        self
    }

    fn days(mut self, days: i64) -> Self {
        self.0.days = Some(days);
        self
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Trouble {
        self.0.remedy = remedy.into();
        self.0
    }
}

fn stopped() -> Trouble {
    trouble(Matter::DaemonStopped, "daemon", Severity::Error, None)
        .says("the daemon does not run: nothing is collected".to_owned())
        .remedy("`systemctl start vaguemestre`; if it does not stay up, `journalctl -u vaguemestre -n 50` says why")
}

/// What the daemon knows to be amiss with itself.
fn of_the_daemon(conditions: &[ConditionRow], troubles: &mut Vec<Trouble>) {
    for ConditionRow { kind, message, since } in conditions {
        let Some(matter) = Matter::OF_THE_DAEMON.into_iter().find(|matter| matter.as_str() == kind) else { continue };
        let (subject, remedy) = match matter {
            Matter::ConfigRejected => (
                "configuration",
                "`vaguemestre check` says what is wrong: correct it, then `systemctl reload vaguemestre`",
            ),
            Matter::LedgerFailed => (
                "ledger",
                "look at the disk of the state directory (`df -h`, `df -i`, `dmesg`): collecting goes on by itself once the \
                 ledger can be written",
            ),
            Matter::DiskFailed => (
                "disk",
                "look at that disk (`dmesg`) and at its mount: collecting goes on by itself once it takes a file again",
            ),
            Matter::BackupFailed => (
                "backup",
                "see to the folder of [state] backup, its disk, its owner, its room: it is tried again in an hour",
            ),
            _ => (
                "admin",
                "end what else has that address (`ss -lntp`), or correct [admin] listen; then `systemctl reload vaguemestre`",
            ),
        };
        let draft = trouble(matter, subject, Severity::Error, *since).says(message.clone());
        troubles.push(draft.remedy(remedy));
    }
}

fn machine(machine: &Machine, troubles: &mut Vec<Trouble>) {
    let (free, reserve) = (machine.disk_free.map(|free| free >> 20), machine.disk_reserve >> 20);
    match free {
        None => troubles.push(
            trouble(Matter::DiskLow, "disk", Severity::Error, None)
                .says("the disk of the state directory cannot be asked for its free space".to_owned())
                .mark(2)
                .remedy("check that file system (`df`, `dmesg`): nothing is collected until it answers"),
        ),
        Some(free) if machine.is_full() => troubles.push(
            trouble(Matter::DiskLow, "disk", Severity::Error, None)
                .says(if free == 0 {
                    "nothing is collected: the disk of the state directory has no room left, or hardly any inodes"
                        .to_owned()
                } else {
                    format!(
                        "nothing is collected: the disk of the state directory has {free} MiB left, and {reserve} MiB \
                         ([state] reserve) stay free"
                    )
                })
                .mark(2)
                .remedy("make room on that disk, or lower [state] reserve and `systemctl reload vaguemestre`"),
        ),
        Some(free) if machine.is_low() => troubles.push(
            trouble(Matter::DiskLow, "disk", Severity::Warning, None)
                .says(format!(
                    "the disk of the state directory has {free} MiB left; below {reserve} MiB ([state] reserve) \
                     nothing is collected"
                ))
                .remedy("make room on that disk, or shorten [archive] keep and `systemctl reload vaguemestre`"),
        ),
        Some(_) => {}
    }
    troubles.extend(machine.clocks.iter().map(|clock| {
        let (seconds, direction) = (clock.seconds.abs(), if clock.seconds > 0 { "behind" } else { "ahead of" });
        trouble(Matter::ClockSkew, &clock.origin, Severity::Warning, clock.since)
            .says(format!("this machine's clock is {seconds} s {direction} that of {}", clock.origin))
            .remedy("have the clock synchronised: `timedatectl set-ntp true`; `timedatectl` shows whether it is")
    }));
}

fn account(account: &AccountStatus, now: Timestamp, troubles: &mut Vec<Trouble>) {
    let name = &account.account;
    if let Some(problem) = &account.problem {
        troubles.push(
            trouble(Matter::AccountUnusable, name, Severity::Error, account.problem_since)
                .says(format!("account {name} cannot work: {problem}"))
                .remedy(
                    "do what it says, then `systemctl reload vaguemestre`; `vaguemestre check --online` shows whether \
                     it works",
                ),
        );
    }
    if let Some(days) = account.lasting_days(now)
        && let Some((mark, severity)) = steps_passed(days)
    {
        troubles.push(
            trouble(Matter::CertificateExpiring, name, severity, None)
                .says(format!("the certificate of {name} {}", certificate_end(days)))
                .mark(mark)
                .days(days)
                .remedy(
                    "order a successor and have the platform register it, name its file in `next_certificate` of the \
                     account, then `systemctl reload vaguemestre`: it is taken up by itself",
                ),
        );
    }
    if let Some(problem) = &account.next_certificate_problem {
        troubles.push(
            trouble(Matter::NextCertificate, name, Severity::Warning, None)
                .says(format!("the next certificate of {name} cannot be used: {problem}"))
                .remedy("correct it; the account goes on with its present certificate until that ends"),
        );
    }
    if let Some(days) = account.token_days
        && let Some((mark, severity)) = steps_passed(days)
    {
        let when = if days < 0 { "has expired".to_owned() } else { format!("ends in {}", counted_days(days)) };
        troubles.push(
            trouble(Matter::TokenExpiring, name, severity, None)
                .says(format!("the token of {name} {when}"))
                .mark(mark)
                .days(days)
                .remedy("have API Entreprise renew it, write it into its place, then `systemctl reload vaguemestre`"),
        );
    }
}

fn counted_days(days: i64) -> String {
    counted(usize::try_from(days).unwrap_or_default(), "day")
}

fn target(target: &TargetStatus, overview: &Overview, troubles: &mut Vec<Trouble>) {
    let (name, now) = (&target.target, overview.at);
    // Where it is but one.
    let mut feeds = overview.feeds.iter().filter(|feed| feed.abandoned_deliveries > 0).map(|feed| feed.feed.as_str());
    let given_up = feeds.next().filter(|_| feeds.next().is_none());
    if let Some(problem) = &target.problem {
        troubles.push(
            trouble(Matter::TargetUnusable, name, Severity::Error, target.problem_since)
                .says(format!("nothing can be delivered to {name}, {} waiting: {problem}", target.waiting))
                .remedy("do what it says: deliveries go on by themselves within a minute"),
        );
    }
    if target.failed > 0 && target.problem.is_none() {
        let error = target.error.as_deref().unwrap_or("see the log");
        let severity = grave(target.failing_since, STUCK_DELIVERY, now);
        troubles.push(
            trouble(Matter::DeliveryStuck, name, severity, target.failing_since)
                .says(format!("{} to {name} fail: {error}", counted_many(target.failed, "delivery", "deliveries")))
                .remedy("mend that target: each delivery is tried again by itself, at the latest after an hour"),
        );
    }
    if target.abandoned > 0 {
        troubles.push(
            trouble(Matter::DeliveryAbandoned, name, Severity::Error, None)
                .says(format!(
                    "{} to {name} given up after a week of failures",
                    counted_many(target.abandoned, "delivery", "deliveries")
                ))
                .mark(target.abandoned)
                .remedy(format!(
                    "mend that target, then `vaguemestre replay {} --abandoned --target {name}`",
                    given_up.unwrap_or("FEED")
                )),
        );
    }
    if let (Some(file), Some(since)) = (&target.stale_file, target.stale_since) {
        let age = stale::age(since, now);
        troubles.push(
            trouble(Matter::InboxStale, name, Severity::Warning, Some(since))
                .says(format!("nobody empties the inbox of {name}: {} lies there for {age}", file.display()))
                .remedy("see whether the business software runs, and looks into that folder"),
        );
    }
}

fn counted_many(count: i64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What has lasted for `long` is an error; before, it may pass.
fn grave(since: Option<Timestamp>, long: SignedDuration, now: Timestamp) -> Severity {
    if since.is_some_and(|since| now.duration_since(since) >= long) { Severity::Error } else { Severity::Passing }
}

fn feed(feed: &FeedStatus, overview: &Overview, barred: &HashSet<&str>, troubles: &mut Vec<Trouble>) {
    let name = feed.feed.as_str();
    failing(feed, overview, barred, troubles);
    if let Some(from) = feed.purged_from {
        troubles.push(
            trouble(Matter::FilesPurged, name, Severity::Error, None)
                .says(format!(
                    "{name} has files that were not collected for ten days: their platform removes them after 15 days, \
                     the first of them from {} on",
                    to_the_minute(from)
                ))
                .remedy("do today what the feed's or the account's trouble says; else fetch them by hand from FAST"),
        );
    }
    if let Some(since) = feed.silent_since {
        troubles.push(
            trouble(Matter::FeedSilent, name, Severity::Warning, Some(since))
                .says(format!("{name} has brought nothing since {}", to_the_minute(since)))
                .remedy(
                    "see whether the platform shows documents that are missing here (another client may collect them); \
                     if all is well, lengthen `silent_after`",
                ),
        );
    }
    if feed.failed > 0 {
        troubles.push(
            trouble(Matter::DocumentFailed, name, Severity::Passing, None)
                .says(format!("{} of {name} failed so far", counted_many(feed.failed, "document", "documents")))
                .remedy(format!(
                    "none needed yet: they are tried again; `vaguemestre documents {name} --state failed`"
                )),
        );
    }
    if let Some(error) = &feed.release_error {
        troubles.push(
            trouble(Matter::ReleaseFailed, name, Severity::Passing, None)
                .says(format!(
                    "{} held of {name} could not be removed from the platform: {error}",
                    feed.failed_releases
                ))
                .remedy("they are safe here, and removed at a later poll; if it stays so, do what it says"),
        );
    }
    documents(feed, troubles);
}

/// A feed that fails; what bars its account is told once, of the account.
fn failing(feed: &FeedStatus, overview: &Overview, barred: &HashSet<&str>, troubles: &mut Vec<Trouble>) {
    let name = feed.feed.as_str();
    // Without a daemon, or with a full disk, all are overdue, sooner or later.
    let overdue = feed.health == Health::Failing && overview.daemon.is_some() && !overview.machine.is_full();
    if feed.consecutive_failures == 0 && !overdue {
        return;
    }
    let owner = name.rsplit_once('/').map_or(name, |(account, _)| account);
    if barred.contains(owner) {
        return;
    }
    let (message, since) = if feed.consecutive_failures > 0 {
        (format!("{name} fails: {}", feed.error.as_deref().unwrap_or("see the log")), feed.failing_since)
    } else {
        (format!("{name} is overdue: its poll was planned long ago and has not begun"), feed.next_poll_at)
    };
    // While its account was barred nothing was asked: that it still fails then is known only once it was.
    let asked = feed.consecutive_failures == 0 || feed.last_listed_at > feed.failing_since;
    let severity = if asked { grave(since, FAILING_FEED, overview.at) } else { Severity::Passing };
    troubles.push(
        trouble(Matter::FeedFailing, name, severity, since).says(message).remedy(
            "where it says what to do, do that; else it is tried again by itself. `vaguemestre check --online` tries the way \
             there, and lists and downloads nothing",
        ),
    );
}

fn documents(feed: &FeedStatus, troubles: &mut Vec<Trouble>) {
    let name = feed.feed.as_str();
    let mut tell = |count: i64, kind: Matter, severity: Severity, since, message: String, remedy: String| {
        if count > 0 {
            troubles.push(trouble(kind, name, severity, since).says(message).mark(count).remedy(remedy));
        }
    };
    let many = |count: i64| counted_many(count, "document", "documents");
    tell(
        feed.lost,
        Matter::DocumentLost,
        Severity::Error,
        None,
        format!("{} of {name} lost: asked for, interrupted, and no longer there", many(feed.lost)),
        format!(
            "`vaguemestre documents {name} --state lost` lists them: ask the platform's support to offer them again, then \
             `vaguemestre retry {name} ID`; or `vaguemestre dismiss {name} ID --reason TEXT`"
        ),
    );
    tell(
        feed.abandoned,
        Matter::DocumentAbandoned,
        Severity::Error,
        None,
        format!("{} of {name} abandoned: no more tries", many(feed.abandoned)),
        format!(
            "`vaguemestre documents {name} --state abandoned` says why: mend that, then `vaguemestre retry {name} ID`; or \
             `vaguemestre dismiss {name} ID --reason TEXT`"
        ),
    );
    tell(
        feed.gone_lately,
        Matter::DocumentGone,
        Severity::Warning,
        feed.gone_at,
        format!("{} of {name} collected by another client in the last seven days", many(feed.gone_lately)),
        format!(
            "find out who else collects this SIREN, and stop one of the two; `vaguemestre documents {name} --state gone` \
             lists what is missing here"
        ),
    );
    tell(
        feed.rejected_lately,
        Matter::DocumentRejected,
        Severity::Warning,
        feed.rejected_at,
        format!(
            "Hélios refused {} of {name} in the last seven days",
            counted_many(feed.rejected_lately, "deposit", "deposits")
        ),
        format!(
            "`vaguemestre documents {name} --rejected` names each with its errors: correct the flow in the business software \
             and deposit it again"
        ),
    );
}
