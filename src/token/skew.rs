//! Our clock against the platforms': certificates, windows and the lives of tokens are judged by it (T6).

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use crate::log::event;

/// From so much on, an operator is told.
const TOLERATED: SignedDuration = SignedDuration::from_secs(2);
/// `Date` is cut to the second.
const GRAIN: SignedDuration = SignedDuration::from_secs(1);

/// Who was found to have another time; said once, and once more when it has healed.
#[derive(Debug, Default)]
pub(super) struct SkewWatch {
    off: Mutex<HashSet<String>>,
}

impl SkewWatch {
    /// Compares the `date` of an answer of `origin` with our time when it was asked and when it had answered.
    pub(super) fn compare(&self, origin: &str, date: Timestamp, asked: Timestamp, answered: Timestamp) {
        let skew = skew(date, asked, answered);
        let mut off = self.off.lock().unwrap_or_else(PoisonError::into_inner);
        if skew.abs() > TOLERATED {
            if off.insert(origin.to_owned()) {
                let seconds = skew.as_secs();
                let direction = if seconds > 0 { "behind" } else { "ahead of" };
                tracing::warn!(
                    event = event::CLOCK_SKEW,
                    origin,
                    seconds,
                    "this machine's clock is {} s {direction} that of {origin}: have it synchronised by NTP (timedatectl)",
                    seconds.abs()
                );
            }
        } else if off.remove(origin) {
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
