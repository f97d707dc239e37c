//! The zone of Paris, from the database compiled into this binary: neither the machine's zone nor its files matter.

use std::sync::LazyLock;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone, TimeZoneDatabase};

use super::millis::{self, SECOND, Stretch};

static PARIS: LazyLock<TimeZone> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the database is compiled in, and a test reads this zone from it")]
    TimeZoneDatabase::bundled().get("Europe/Paris").expect("Europe/Paris is in the database compiled in")
});

/// The zone in which French platforms announce their hours.
#[must_use]
pub fn paris() -> &'static TimeZone {
    &PARIS
}

/// A time of Paris to the minute, as people write it.
#[must_use]
pub fn to_the_minute(time: Timestamp) -> String {
    time.to_zoned(paris().clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// A stretch of time during which Paris keeps one distance from UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Regime {
    /// From one change of clocks to the next, as far as was asked for.
    pub(super) stretch: Stretch,
    /// Civil time less UTC, in milliseconds.
    pub(super) offset: i64,
}

/// The regimes that make up `within`, in order: one, or two where a change of clocks lies inside.
pub(super) fn regimes(within: Stretch) -> Vec<Regime> {
    let start = millis::timestamp(within.start);
    let mut regimes = Vec::with_capacity(2);
    let mut current = Regime { stretch: within, offset: offset_in_millis(PARIS.to_offset(start)) };
    for change in PARIS.following(start) {
        let at = millis::floor(change.timestamp());
        if at >= within.end {
            break;
        }
        current.stretch.end = at;
        regimes.push(current);
        current = Regime { stretch: Stretch { start: at, end: within.end }, offset: offset_in_millis(change.offset()) };
    }
    regimes.push(current);
    regimes
}

fn offset_in_millis(offset: Offset) -> i64 {
    i64::from(offset.seconds()) * SECOND
}
