//! The hours in which a watch may ask, in Paris civil time.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::millis::{self, DAY, Stretch};
use super::paris::regimes;
use super::{Window, WindowError};

/// A daily span of Paris time in which something may be done: `20:00-07:00`; `00:00-24:00` is always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hours(Window);

impl Hours {
    /// Always.
    #[must_use]
    pub fn always() -> Self {
        Self(Window::whole_day())
    }

    /// Whether it may be done at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.is_always() || self.around(now).is_some()
    }

    /// `now` itself where it may be done, else when it next may.
    #[must_use]
    pub fn opens_at(&self, now: Timestamp) -> Timestamp {
        if self.is_open(now) {
            return now;
        }
        let at = millis::ceil(now);
        // One day has an opening, unless a change of clocks has skipped it: then the next has.
        let within = Stretch { start: at, end: millis::later(at, 3 * DAY) };
        let next = self.occurrences(within).map(|open| open.start).filter(|&start| start >= at).min();
        next.map_or(now, millis::timestamp)
    }

    /// When it may no longer be done, from `now` on; `None` where it always may, or where it may not now.
    #[must_use]
    pub fn closes_at(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_always() {
            return None;
        }
        self.around(now).map(|open| millis::timestamp(open.end))
    }

    /// The part of a usual day in which it may be done.
    #[must_use]
    pub fn open_share(&self) -> f64 {
        f64::from(self.0.minutes()) / 1440.0
    }

    fn is_always(&self) -> bool {
        self.0.minutes() == 1440
    }

    /// The open stretch that holds `now`, joined over a change of clocks.
    fn around(&self, now: Timestamp) -> Option<Stretch> {
        let at = millis::floor(now);
        let within = Stretch { start: millis::later(at, -2 * DAY), end: millis::later(at, 2 * DAY) };
        millis::merge(self.occurrences(within).collect()).into_iter().find(|open| open.contains(at))
    }

    fn occurrences(&self, within: Stretch) -> impl Iterator<Item = Stretch> {
        let window = self.0;
        regimes(within).into_iter().flat_map(move |regime| window.occurrences(regime).collect::<Vec<_>>())
    }
}

impl FromStr for Hours {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Window::parse(text).map(Self)
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::schedule::paris;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_night_is_open_over_midnight_and_closes_in_the_morning() {
        let night: Hours = "20:00-07:00".parse().unwrap();
        // 19:30 in Paris in winter.
        let evening = at("2026-11-22T18:30:00Z");
        assert!(!night.is_open(evening) && night.closes_at(evening).is_none());
        assert_eq!(night.opens_at(evening), at("2026-11-22T19:00:00Z"));
        assert_eq!(night.closes_at(at("2026-11-22T23:30:00Z")), Some(at("2026-11-23T06:00:00Z")));
        assert_eq!(night.opens_at(at("2026-11-22T23:30:00Z")), at("2026-11-22T23:30:00Z"));
    }

    #[test]
    fn the_nights_of_the_changes_of_clocks_are_an_hour_longer_and_shorter() {
        let night: Hours = "20:00-07:00".parse().unwrap();
        let length = |text: &str| {
            let opens = night.opens_at(at(text));
            night.closes_at(opens).unwrap().duration_since(opens).as_hours()
        };
        assert_eq!((length("2026-10-24T12:00:00Z"), length("2027-03-27T12:00:00Z")), (12, 10));
    }

    #[test]
    fn the_whole_day_never_closes() {
        let always = Hours::always();
        assert!(always.is_open(at("2026-11-22T03:00:00Z")) && always.closes_at(at("2026-11-22T03:00:00Z")).is_none());
        assert!((always.open_share() - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn it_is_open_exactly_in_its_minutes_and_opens_and_closes_at_their_edges(
            minute in 0_i64..2 * 366 * 1440, start in 0_u16..1440, length in 1_u16..1440
        ) {
            let end = (start + length) % 1440;
            let text = format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60);
            let hours: Hours = text.parse().unwrap();
            let now = at("2026-01-01T00:00:00Z").saturating_add(SignedDuration::from_mins(minute)).unwrap();
            let civil = now.to_zoned(paris().clone());
            let of_day = u16::try_from(civil.hour()).unwrap() * 60 + u16::try_from(civil.minute()).unwrap();
            let open = if start < end { (start..end).contains(&of_day) } else { of_day >= start || of_day < end };
            prop_assert_eq!(hours.is_open(now), open);
            let opens = hours.opens_at(now);
            prop_assert!(hours.is_open(opens) && opens >= now);
            if let Some(closes) = hours.closes_at(opens) {
                prop_assert!(!hours.is_open(closes) && closes > opens);
                prop_assert!(hours.is_open(closes.saturating_sub(SignedDuration::from_secs(1)).unwrap()));
            }
        }
    }
}
