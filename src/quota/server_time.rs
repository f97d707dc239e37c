//! What is known of the server's clock: it lies between two bounds, which each answer's `Date` draws closer.

/// `Date` is cut to the second.
const GRAIN: i64 = 1_000;
/// Before any answer, the machine's clock is taken for right within this (T6 warns beyond it).
const TRUST: i64 = 2_000;
/// A minute of the server.
pub(super) const MINUTE: i64 = 60_000;

/// The server's time less ours lies between two bounds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerTime {
    lo: i64,
    hi: i64,
    /// Whether an answer has told it.
    pub(super) told: bool,
}

impl ServerTime {
    /// Before any answer: the wall clock shows `wall` at `now`.
    pub(super) fn guess(wall: i64, now: i64) -> Self {
        Self { lo: wall - now - TRUST, hi: wall - now + TRUST, told: false }
    }

    /// As it was remembered: the server's time less the wall clock, which shows `wall` at `now`.
    pub(super) fn remembered(skew: (i64, i64), wall: i64, now: i64) -> Self {
        Self { lo: wall - now + skew.0 - GRAIN, hi: wall - now + skew.1 + GRAIN, told: false }
    }

    /// What is to be remembered: the same, against the wall clock.
    pub(super) fn skew(self, wall: i64, now: i64) -> (i64, i64) {
        (self.lo - (wall - now), self.hi - (wall - now))
    }

    /// An answer to what left at `left` and was answered at `answered` says `date`, in milliseconds.
    pub(super) fn learn(&mut self, date: i64, left: i64, answered: i64) {
        let (lo, hi) = (date - answered, date + GRAIN - left);
        let (narrow_lo, narrow_hi) = (lo.max(self.lo), hi.min(self.hi));
        // Bounds that exclude each other mean that a clock was set, or that the guess was wrong: the answer is right.
        (self.lo, self.hi) = if self.told && narrow_lo <= narrow_hi { (narrow_lo, narrow_hi) } else { (lo, hi) };
        self.told = true;
    }

    /// The earliest the server's clock can show at `now`.
    pub(super) fn earliest(self, now: i64) -> i64 {
        now + self.lo
    }

    /// The latest.
    pub(super) fn latest(self, now: i64) -> i64 {
        now + self.hi
    }

    /// The server's minutes in which something may have been counted that lasted from `from` to `to`.
    pub(super) fn minutes(self, from: i64, to: i64) -> std::ops::RangeInclusive<i64> {
        minute(self.earliest(from))..=minute(self.latest(to))
    }
}

/// The minute since 1970 that holds `server` milliseconds.
pub(super) fn minute(server: i64) -> i64 {
    server.div_euclid(MINUTE)
}
