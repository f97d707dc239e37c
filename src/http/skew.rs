//! Our clock against the platforms': certificates, windows and the lives of tokens are judged by it (T6).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::clock::Clock;
use crate::log::event;

/// From so much on, an operator is told.
const TOLERATED: SignedDuration = SignedDuration::from_secs(2);
/// Below this the two agree again: what a slow answer hides of a difference must not make it come and go.
const AGREED: SignedDuration = SignedDuration::from_secs(1);
/// `Date` is cut to the second.
const GRAIN: SignedDuration = SignedDuration::from_secs(1);

/// Compares our clock with that of each platform that answers. A difference is said once, and once more when it has healed.
#[derive(Debug)]
pub struct SkewWatch {
    clock: Arc<dyn Clock>,
    /// By origin: the seconds by which our clock is behind; `None` where the two agree.
    known: Mutex<BTreeMap<String, Option<i64>>>,
}

impl SkewWatch {
    /// Compares by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// The present, for [`SkewWatch::compare`].
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What is known of each platform that has answered: the seconds by which our clock is behind (negative: ahead), or that
    /// the two agree.
    #[must_use]
    pub fn known(&self) -> BTreeMap<String, Option<i64>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compares the `date` of an answer of `origin` that has just come with our time, and with that at which it was `asked`.
    pub(super) fn compare(&self, origin: &str, date: Timestamp, asked: Timestamp) {
        let skew = skew(date, asked, self.clock.now());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if skew.abs() > TOLERATED {
            let seconds = skew.as_secs();
            if known.insert(origin.to_owned(), Some(seconds)).flatten().is_none() {
                let direction = if seconds > 0 { "behind" } else { "ahead of" };
                tracing::warn!(
                    event = event::CLOCK_SKEW,
                    origin,
                    seconds,
                    "this machine's clock is {} s {direction} that of {origin}: have it synchronised by NTP (timedatectl)",
                    seconds.abs()
                );
            }
        } else if skew.abs() < AGREED
            && known.get(origin) != Some(&None)
            && known.insert(origin.to_owned(), None).is_some()
        {
            tracing::info!(origin, "this machine's clock agrees with that of {origin} again");
        }
    }
}

/// How far the server's time lies outside of the span in which it answered.
fn skew(date: Timestamp, asked: Timestamp, answered: Timestamp) -> SignedDuration {
    if date > answered {
        date.duration_since(answered)
    } else if date + GRAIN < asked {
        (date + GRAIN).duration_since(asked)
    } else {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_an_answer_takes_and_the_grain_of_its_date_are_no_skew() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (asked, answered) = (at("2026-11-22T10:00:00.900Z"), at("2026-11-22T10:00:20Z"));
        for date in ["2026-11-22T10:00:00Z", "2026-11-22T10:00:20Z"] {
            assert_eq!(skew(at(date), asked, answered), SignedDuration::ZERO);
        }
        assert_eq!(skew(at("2026-11-22T10:00:25Z"), asked, answered).as_secs(), 5);
        assert_eq!(skew(at("2026-11-22T09:59:55Z"), asked, answered).as_millis(), -4900);
    }
}
