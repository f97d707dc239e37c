//! What is new about what is amiss.

use std::collections::{HashMap, HashSet};

use crate::ledger::{AlertChanges, AlertRow};
use crate::log::event;
use crate::status::{Matter, Severity, Trouble};
use crate::words::plain;

/// What has changed between what was `known` and the `troubles` of now: a trouble is told once until it is over, and again
/// where it has grown worse.
#[must_use]
pub fn changes(known: &[AlertRow], troubles: &[Trouble]) -> AlertChanges {
    let mut changes = AlertChanges::default();
    let open: HashMap<(&str, &str), &AlertRow> = known
        .iter()
        .filter(|row| row.cleared_at.is_none())
        .map(|row| ((row.kind.as_str(), row.subject.as_str()), row))
        .collect();
    let mut present = HashSet::new();
    for trouble in troubles.iter().filter(|trouble| trouble.is_pressing()) {
        let key = (trouble.kind.as_str(), trouble.subject.as_str());
        if !present.insert(key) {
            continue;
        }
        match open.get(&key) {
            None => changes.raised.push(row(trouble)),
            Some(row) if trouble.mark > row.mark || graver(trouble.severity, &row.severity) => {
                changes.raised.push(self::row(trouble));
            }
            Some(row) if trouble.mark < row.mark => {
                changes.lowered.push(self::row(trouble));
            }
            Some(_) => {}
        }
    }
    for (key, row) in open.into_iter().filter(|(key, _)| !present.contains(key)) {
        let key = (key.0.to_owned(), key.1.to_owned());
        if fades(&row.kind) { changes.faded.push(key) } else { changes.cleared.push(key) }
    }
    changes.cleared.sort();
    changes
}

fn graver(now: Severity, then: &str) -> bool {
    now == Severity::Error && then != Severity::Error.as_str()
}

fn fades(kind: &str) -> bool {
    [Matter::DocumentGone, Matter::DocumentRejected].iter().any(|matter| matter.fades() && matter.as_str() == kind)
}

fn row(trouble: &Trouble) -> AlertRow {
    AlertRow {
        kind: trouble.kind.as_str().to_owned(),
        subject: trouble.subject.clone(),
        severity: trouble.severity.as_str().to_owned(),
        // Some of it was written by others.
        message: plain(&trouble.message),
        remedy: plain(&trouble.remedy),
        mark: trouble.mark,
        since: trouble.since,
        raised_at: jiff::Timestamp::UNIX_EPOCH,
        worst: trouble.severity.as_str().to_owned(),
        began: 0,
        change: 0,
        cleared_at: None,
    }
}

/// Writes what is new into the log: in full where nobody else has logged it when it happened.
pub fn log(changes: &AlertChanges, troubles: &[Trouble]) {
    let raised: HashSet<(&str, &str)> =
        changes.raised.iter().map(|row| (row.kind.as_str(), row.subject.as_str())).collect();
    for trouble in troubles.iter().filter(|it| raised.contains(&(it.kind.as_str(), it.subject.as_str()))) {
        let Trouble { kind, subject, severity, message, remedy, days, .. } = trouble;
        let of_account = matches!(kind, Matter::CertificateExpiring | Matter::TokenExpiring | Matter::NextCertificate);
        let account = of_account.then_some(subject.as_str());
        let elsewhere = logged_elsewhere(trouble);
        let event = match kind {
            _ if elsewhere => event::ALERT_RAISED,
            Matter::CertificateExpiring => event::CERTIFICATE_EXPIRING,
            Matter::TokenExpiring => event::TOKEN_EXPIRING,
            Matter::DiskLow => event::DISK_LOW,
            _ => event::ALERT_RAISED,
        };
        let kind = kind.as_str();
        if elsewhere {
            tracing::debug!(event, kind, subject, account, days, remedy, "{message}; {remedy}");
        } else if *severity == Severity::Error {
            tracing::error!(event, kind, subject, account, days, remedy, "{message}; {remedy}");
        } else {
            tracing::warn!(event, kind, subject, account, days, remedy, "{message}; {remedy}");
        }
    }
    for (kind, subject) in &changes.cleared {
        tracing::info!(event = event::ALERT_CLEARED, kind, subject, "{subject}: {kind} is over");
    }
}

/// Whether whoever first knows of it writes it into the log.
fn logged_elsewhere(trouble: &Trouble) -> bool {
    let full = trouble.kind == Matter::DiskLow && trouble.severity == Severity::Error;
    full || matches!(
        trouble.kind,
        Matter::Ban
            | Matter::ConfigRejected
            | Matter::LedgerFailed
            | Matter::DiskFailed
            | Matter::BackupFailed
            | Matter::AdminFailed
            | Matter::AccountUnusable
            | Matter::DocumentLost
            | Matter::DocumentAbandoned
            | Matter::DocumentGone
            | Matter::DocumentRejected
            | Matter::TargetUnusable
            | Matter::DeliveryAbandoned
            | Matter::InboxStale
            | Matter::ClockSkew
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(kind: Matter, subject: &str, severity: Severity, mark: i64) -> Trouble {
        let (message, remedy) = (format!("{kind} {mark}"), "mend it".to_owned());
        Trouble { kind, subject: subject.to_owned(), severity, since: None, message, remedy, mark, days: None }
    }

    fn told(troubles: &[Trouble]) -> Vec<AlertRow> {
        changes(&[], troubles).raised
    }

    #[test]
    fn what_is_amiss_is_told_once_and_again_when_it_is_worse_or_over() {
        let (matter, account) = (Matter::CertificateExpiring, "fast/mairie");
        let at = |mark| [trouble(matter, account, Severity::Warning, mark)];
        let known = told(&at(1));
        assert_eq!(known.len(), 1);
        assert!(changes(&known, &at(1)).is_empty(), "once");
        assert_eq!(changes(&known, &at(2)).raised[0].mark, 2, "worse");
        let graver = [trouble(matter, account, Severity::Error, 1)];
        assert_eq!(changes(&known, &graver).raised[0].severity, "error");
        let over = changes(&known, &[]);
        assert_eq!(over.cleared, [(matter.to_string(), account.to_owned())]);
        let mut cleared = known;
        cleared[0].cleared_at = Some(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(changes(&cleared, &at(1)).raised.len(), 1, "it has begun anew");
    }

    #[test]
    fn fewer_documents_are_no_news_and_one_more_after_that_is() {
        let at = |mark| [trouble(Matter::DocumentAbandoned, "fast/mairie/chorus", Severity::Error, mark)];
        let mut known = told(&at(3));
        let fewer = changes(&known, &at(2));
        assert!(fewer.raised.is_empty() && fewer.cleared.is_empty());
        assert_eq!(fewer.lowered[0].mark, 2);
        known[0].mark = 2;
        assert_eq!(changes(&known, &at(3)).raised.len(), 1);
    }

    #[test]
    fn what_may_pass_is_not_told_and_what_fades_is_not_told_to_be_over() {
        let passing = [trouble(Matter::FeedFailing, "fast/mairie/chorus", Severity::Passing, 1)];
        assert!(changes(&[], &passing).is_empty());
        let known = told(&[trouble(Matter::DocumentRejected, "fast/mairie/acquittements", Severity::Warning, 4)]);
        let over = changes(&known, &[]);
        assert!(over.cleared.is_empty());
        assert_eq!(over.faded.len(), 1);
    }
}
