//! Whole milliseconds since 1970, and stretches of them.

use std::time::Duration;

use jiff::Timestamp;

/// One second.
pub(super) const SECOND: i64 = 1_000;
/// One hour; Paris is whole hours from UTC, so its full hours are the multiples of this.
pub(super) const HOUR: i64 = 3_600 * SECOND;
/// One day of 24 hours.
pub(super) const DAY: i64 = 24 * HOUR;

const NANOS_PER_MILLI: i128 = 1_000_000;

/// The millisecond that holds `time`.
pub(super) fn floor(time: Timestamp) -> i64 {
    saturate(time.as_nanosecond().div_euclid(NANOS_PER_MILLI))
}

/// The first millisecond at or after `time`.
pub(super) fn ceil(time: Timestamp) -> i64 {
    saturate(-(-time.as_nanosecond()).div_euclid(NANOS_PER_MILLI))
}

/// `length` in milliseconds, begun ones counted whole: a rule may grow by rounding, never shrink.
pub(super) fn of(length: Duration) -> i64 {
    i64::try_from(length.as_nanos().div_ceil(NANOS_PER_MILLI as u128)).unwrap_or(i64::MAX)
}

/// The time `millis` stands for; the last or first there is where it lies outside the calendar.
pub(super) fn timestamp(millis: i64) -> Timestamp {
    let limit = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millis).unwrap_or(limit)
}

/// `millis` and `by` later, never beyond the last time there is.
pub(super) fn later(millis: i64, by: i64) -> i64 {
    millis.saturating_add(by).min(floor(Timestamp::MAX))
}

fn saturate(millis: i128) -> i64 {
    i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX })
}

/// A half-open stretch of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stretch {
    /// The first millisecond inside.
    pub(super) start: i64,
    /// The first millisecond after.
    pub(super) end: i64,
}

impl Stretch {
    /// Whether `time` lies inside.
    pub(super) fn contains(self, time: i64) -> bool {
        self.start <= time && time < self.end
    }

    /// What both have in common, if anything.
    pub(super) fn intersection(self, other: Self) -> Option<Self> {
        let common = Self { start: self.start.max(other.start), end: self.end.min(other.end) };
        (common.start < common.end).then_some(common)
    }

    /// The stretch made longer on both sides.
    pub(super) fn widened(self, before: i64, after: i64) -> Self {
        Self { start: self.start.saturating_sub(before), end: self.end.saturating_add(after) }
    }
}

/// The same time as `stretches`, in order, with those that overlap or touch made one.
pub(super) fn merge(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_unstable();
    stretches.dedup_by(|later, earlier| {
        let touching = later.start <= earlier.end;
        if touching {
            earlier.end = earlier.end.max(later.end);
        }
        touching
    });
    stretches
}
