//! How one account does.

use jiff::Timestamp;
use serde::Serialize;

use super::perhaps_in_milliseconds;
use crate::ledger::{AccountRow, TokenRow};

/// From so many days left on, a token delivered by hand is mentioned.
pub const TOKEN_DAYS: i64 = 90;
/// From so many days left on, a certificate is mentioned.
const EXPIRING_DAYS: i64 = 60;

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
    /// The first moment of the certificate that follows on it (`next_certificate`).
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub next_certificate_not_before: Option<Timestamp>,
    /// Its last moment.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub next_certificate_not_after: Option<Timestamp>,
    /// Why it cannot be used.
    pub next_certificate_problem: Option<String>,
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

pub(super) fn account(row: AccountRow, token: Option<&TokenRow>, now: Timestamp) -> AccountStatus {
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
        next_certificate_not_before: row.next_certificate.map(|span| span.not_before),
        next_certificate_not_after: row.next_certificate.map(|span| span.not_after),
        next_certificate_problem: row.next_certificate_problem,
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

impl AccountStatus {
    /// Whole days for which its certificates last: that of the one that follows where it takes over without a gap.
    #[must_use]
    pub fn lasting_days(&self, now: Timestamp) -> Option<i64> {
        let end = self.certificate_not_after?;
        let next = self.next_certificate_not_after.filter(|_| self.next_certificate_not_before <= Some(end));
        Some(days_left(next.map_or(end, |next| next.max(end)), now))
    }

    /// Whether there is anything to say about it.
    #[must_use]
    pub fn needs_words(&self) -> bool {
        self.works_by_token
            || self.problem.is_some()
            || self.token_days.is_some_and(|days| days < TOKEN_DAYS)
            || self.certificate_days.is_some_and(|days| days < EXPIRING_DAYS)
    }
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
