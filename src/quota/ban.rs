//! The ban: whoever goes on calling after refusals is not answered at all for twelve hours (Q3).

use jiff::{SignedDuration, Timestamp};

use crate::ledger::BanRow;

/// One `/ping` in so long, and nothing else.
const PROBE: SignedDuration = SignedDuration::from_hours(1);
/// How long a ban is said to last.
const LASTS: SignedDuration = SignedDuration::from_hours(12);
/// Silence so soon after a refusal is a ban, whatever else is silent.
const AFTER_REFUSAL: SignedDuration = SignedDuration::from_mins(10);

/// The ban on this machine, as far as it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ban(pub BanRow);

impl Ban {
    /// Assumes a ban from `now` on.
    pub fn suspect(&mut self, reason: String, now: Timestamp) {
        (self.0.suspected_at, self.0.probed_at, self.0.reason) = (Some(now), Some(now), reason);
    }

    /// There is none, or no longer.
    pub fn lift(&mut self) {
        (self.0.suspected_at, self.0.probed_at, self.0.reason) = (None, None, String::new());
    }

    /// A call was refused for being one too many.
    pub fn refused(&mut self, now: Timestamp) {
        self.0.refused_at = Some(now);
    }

    /// Whether a ban is assumed.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.suspected_at.is_some()
    }

    /// Whether silence at `now` follows a refusal closely.
    #[must_use]
    pub fn follows_refusal(&self, now: Timestamp) -> bool {
        self.0.refused_at.is_some_and(|at| at > now || now.duration_since(at) < AFTER_REFUSAL)
    }

    /// When the next `/ping` may leave. One recorded in the future was by a clock set back since: it counts as now, from
    /// now on.
    pub fn next_probe(&mut self, now: Timestamp) -> Timestamp {
        let last = self.0.probed_at.or(self.0.suspected_at).unwrap_or(now).min(now);
        self.0.probed_at = Some(last);
        last.saturating_add(PROBE).unwrap_or(Timestamp::MAX)
    }

    /// A `/ping` leaves.
    pub fn probe(&mut self, now: Timestamp) {
        self.0.probed_at = Some(now);
    }

    /// When it should be over.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.0.suspected_at.map(|at| at.saturating_add(LASTS).unwrap_or(Timestamp::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_mins(1_000_000 + minute)).unwrap()
    }

    #[test]
    fn a_ban_is_probed_once_an_hour_until_it_is_lifted() {
        let mut ban = Ban::default();
        ban.suspect("silence".to_owned(), at(0));
        assert_eq!((ban.next_probe(at(1)), ban.until()), (at(60), Some(at(720))));
        ban.probe(at(60));
        assert_eq!(ban.next_probe(at(60)), at(120));
        // The clock was set back by a day: an hour from now, and not a day.
        assert_eq!(ban.next_probe(at(-1380)), at(-1320));
        ban.lift();
        assert!(!ban.is_on());
    }

    #[test]
    fn silence_within_ten_minutes_of_a_refusal_follows_it() {
        let mut ban = Ban::default();
        assert!(!ban.follows_refusal(at(0)));
        ban.refused(at(0));
        assert!(ban.follows_refusal(at(9)) && !ban.follows_refusal(at(10)));
    }
}
