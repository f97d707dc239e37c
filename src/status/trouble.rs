//! What is amiss, each with what to do: the one list that `status`, the page, the metrics and the alerts tell.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::perhaps_in_milliseconds;

/// How much a trouble weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Someone must act.
    Error,
    /// Someone should know.
    Warning,
    /// It may pass by itself; shown, and no alert.
    Passing,
}

impl Severity {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Passing => "passing",
        }
    }
}

/// What kind of trouble it is: one stable word each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Matter {
    /// The daemon does not run.
    DaemonStopped,
    /// A changed configuration was not taken up.
    ConfigRejected,
    /// The ledger cannot be written.
    LedgerFailed,
    /// The archive's disk failed, and is not trusted.
    DiskFailed,
    /// The ledger could not be copied.
    BackupFailed,
    /// The address of `[admin]` is not to be had.
    AdminFailed,
    /// API Entreprise has banned this machine, it seems.
    Ban,
    /// There is little room on the disk, or too little to collect anything.
    DiskLow,
    /// An account cannot work.
    AccountUnusable,
    /// A certificate ends soon, or has ended.
    CertificateExpiring,
    /// A token delivered by hand ends soon, or has ended.
    TokenExpiring,
    /// The certificate that is to follow cannot be used.
    NextCertificate,
    /// A feed fails.
    FeedFailing,
    /// A feed brought nothing for longer than it should.
    FeedSilent,
    /// Files are about to be removed by their platform.
    FilesPurged,
    /// Documents were asked for, interrupted, and are no longer there.
    DocumentLost,
    /// Documents are no longer tried.
    DocumentAbandoned,
    /// Documents were collected by somebody else.
    DocumentGone,
    /// Documents failed, and are tried again.
    DocumentFailed,
    /// Hélios refused deposits.
    DocumentRejected,
    /// Files that are safe could not be removed from their platform.
    ReleaseFailed,
    /// Nothing can be handed to a target.
    TargetUnusable,
    /// Deliveries to a target fail.
    DeliveryStuck,
    /// Deliveries to a target were given up.
    DeliveryAbandoned,
    /// Nobody empties an inbox.
    InboxStale,
    /// This machine's clock differs from a platform's.
    ClockSkew,
    /// An alert could not be told.
    AlertFailing,
}

impl Matter {
    /// The word shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DaemonStopped => "daemon_stopped",
            Self::ConfigRejected => "config_rejected",
            Self::LedgerFailed => "ledger_failed",
            Self::DiskFailed => "disk_failed",
            Self::BackupFailed => "backup_failed",
            Self::AdminFailed => "admin_failed",
            Self::Ban => "ban",
            Self::DiskLow => "disk_low",
            Self::AccountUnusable => "account_unusable",
            Self::CertificateExpiring => "certificate_expiring",
            Self::TokenExpiring => "token_expiring",
            Self::NextCertificate => "next_certificate",
            Self::FeedFailing => "feed_failing",
            Self::FeedSilent => "feed_silent",
            Self::FilesPurged => "files_purged",
            Self::DocumentLost => "document_lost",
            Self::DocumentAbandoned => "document_abandoned",
            Self::DocumentGone => "document_gone",
            Self::DocumentFailed => "document_failed",
            Self::DocumentRejected => "document_rejected",
            Self::ReleaseFailed => "release_failed",
            Self::TargetUnusable => "target_unusable",
            Self::DeliveryStuck => "delivery_stuck",
            Self::DeliveryAbandoned => "delivery_abandoned",
            Self::InboxStale => "inbox_stale",
            Self::ClockSkew => "clock_skew",
            Self::AlertFailing => "alert_failing",
        }
    }

    /// Those that the daemon alone knows of itself.
    pub const OF_THE_DAEMON: [Self; 5] =
        [Self::ConfigRejected, Self::LedgerFailed, Self::DiskFailed, Self::BackupFailed, Self::AdminFailed];

    /// Whether it happened, and fades after some days, rather than lasting until somebody mends it: its end is not told.
    #[must_use]
    pub const fn fades(self) -> bool {
        matches!(self, Self::DocumentGone | Self::DocumentRejected)
    }
}

impl fmt::Display for Matter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something that is amiss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// What kind of trouble.
    pub kind: Matter,
    /// With what: a feed, an account, a target, a platform's origin, `disk`, `daemon`.
    pub subject: String,
    /// How much it weighs.
    pub severity: Severity,
    /// Since when, as far as that is known.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub since: Option<Timestamp>,
    /// What happened, in one sentence.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
    /// How far it has come: documents concerned, thresholds passed. It is told again when that grows.
    #[serde(skip)]
    pub mark: i64,
    /// Of a credential, whole days until its end; negative once that is past.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days: Option<i64>,
}

impl Trouble {
    /// Whether it is told to whom alerts are told.
    #[must_use]
    pub fn is_pressing(&self) -> bool {
        self.severity != Severity::Passing && self.kind != Matter::AlertFailing && self.kind != Matter::DaemonStopped
    }
}

/// Days before the end of a credential at which it is told anew.
const STEPS: [i64; 5] = [60, 30, 15, 7, 1];
/// From so many days left on it is an error.
const URGENT: i64 = 7;

/// How many of the steps before the end of a credential have been passed with so many whole `days` left; none: it is not
/// worth a word. The end itself is the last step.
pub(super) fn steps_passed(days: i64) -> Option<(i64, Severity)> {
    let passed = STEPS.iter().filter(|step| days < **step).count() + usize::from(days < 0);
    let severity = if days < URGENT { Severity::Error } else { Severity::Warning };
    (passed > 0).then(|| (i64::try_from(passed).unwrap_or(i64::MAX), severity))
}

/// A feed, or deliveries, that have failed for so long fail in earnest.
pub(super) const FAILING_FEED: SignedDuration = SignedDuration::from_hours(2);
pub(super) const STUCK_DELIVERY: SignedDuration = SignedDuration::from_hours(1);
/// What fades is told of for so long.
pub(super) const FADES_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_told_at_sixty_thirty_fifteen_seven_days_one_day_and_its_end() {
        let passed = |days| steps_passed(days).map(|(passed, _)| passed);
        assert_eq!(
            [61, 60, 59, 30, 29, 14, 6, 1, 0, -1, -90].map(passed),
            [None, None, Some(1), Some(1), Some(2), Some(3), Some(4), Some(4), Some(5), Some(6), Some(6)]
        );
        assert_eq!(steps_passed(7).map(|it| it.1), Some(Severity::Warning));
        assert_eq!(steps_passed(6).map(|it| it.1), Some(Severity::Error));
    }

    #[test]
    fn the_word_of_a_matter_is_the_one_in_json() {
        for matter in [Matter::DaemonStopped, Matter::FilesPurged, Matter::NextCertificate, Matter::DocumentRejected] {
            assert_eq!(serde_json::to_value(matter).unwrap(), matter.as_str());
        }
    }
}
