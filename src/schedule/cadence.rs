//! When a feed is polled next: spread over time, never too soon, never in a forbidden span.

use std::time::Duration;

use jiff::Timestamp;

use super::calendar::{Calendar, Holds};
use super::draw::{Draws, Seed, Source, Use};
use super::last_listing::LastListing;
use super::millis::{self, SECOND};
use super::plan::Plan;
use crate::clock::BootTime;

/// The least that is added to the interval (15 s), so that polls never beat a regular time.
const LEAST_JITTER: i64 = 15 * SECOND;
/// New and overdue feeds begin within this (a minute), or within the jitter if that is shorter.
const FIRST_SPREAD: i64 = 60 * SECOND;
/// Each overdue feed makes that longer by this (a tenth of a second): at most ten begin in a second after a stop.
const SPREAD_PER_OVERDUE: i64 = SECOND / 10;
/// After so many draws that all met forbidden spans, the end of the last one is taken.
const REDRAWS: usize = 8;

/// How often the feeds of a platform are polled, and when not.
#[derive(Clone, Debug)]
pub struct Cadence {
    interval: i64,
    jitter_min: i64,
    jitter_max: i64,
    calendar: Calendar,
}

impl Cadence {
    /// At least `interval` from one listing of a feed to the next, with up to `jitter` added, outside what `calendar`
    /// forbids. On a `loopback` platform the jitter may be nothing at all; elsewhere it is 15 s or more.
    #[must_use]
    pub fn new(interval: Duration, jitter: Duration, calendar: Calendar, loopback: bool) -> Self {
        let jitter_max = millis::of(jitter);
        let jitter_min = if loopback { 0 } else { LEAST_JITTER.min(jitter_max) };
        // Time has to move on, also where the configuration of a simulator says zero.
        Self { interval: millis::of(interval).max(1), jitter_min, jitter_max, calendar }
    }

    /// The time between two listings of a feed, at the least.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval.unsigned_abs())
    }

    /// What forbids listings, downloads and requests.
    #[must_use]
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// When `feed` is polled after the poll that was planned for `planned` and started at `started`, in whole
    /// milliseconds. The same arguments give the same answer.
    ///
    /// A poll that starts before its planned time, because an operator asked for it, counts as planned for its start:
    /// otherwise each such poll would push the next one further into the future.
    #[must_use]
    pub fn next(&self, seed: &Seed, feed: &str, planned: Timestamp, started: Timestamp) -> Timestamp {
        let source = Source::new(seed, Use::Next, feed);
        let mut holds = self.calendar.listing_holds();
        millis::timestamp(self.next_of(&source, &mut holds, millis::floor(planned), millis::ceil(started)))
    }

    /// When `feed` is polled if it is new, or was due while the daemon was stopped, with `overdue` such feeds in all:
    /// over the next minute (or the jitter, if shorter), or over a tenth of a second for each where that is longer.
    #[must_use]
    pub fn first(&self, seed: &Seed, feed: &str, now: Timestamp, overdue: usize) -> Timestamp {
        let now = millis::ceil(now);
        let mut draws = Source::new(seed, Use::First, feed).at(now);
        let time = draws.between(now, millis::later(now, self.first_spread(overdue)));
        millis::timestamp(self.settle(&mut self.calendar.listing_holds(), &mut draws, time))
    }

    /// `time` itself where a listing may start at it; else a time drawn over the jitter after the forbidden span, so
    /// that what was held does not start all at once.
    #[must_use]
    pub fn postponed(&self, seed: &Seed, feed: &str, time: Timestamp) -> Timestamp {
        let time = millis::ceil(time);
        let mut draws = Source::new(seed, Use::Postponed, feed).at(time);
        millis::timestamp(self.settle(&mut self.calendar.listing_holds(), &mut draws, time))
    }

    /// The latest time a next poll can have that was planned at or before `now`, with `feeds` in all. One recorded
    /// beyond it was planned by a clock that has been set back since, or under a longer interval.
    #[must_use]
    pub fn latest_plausible(&self, now: Timestamp, feeds: usize) -> Timestamp {
        let now = millis::ceil(now);
        let usual = millis::later(now, self.interval.saturating_add(self.jitter_max));
        let mut latest = usual.max(millis::later(now, self.first_spread(feeds)));
        let mut holds = self.calendar.listing_holds();
        // As often as a time may be drawn anew, it may come to the end of the jitter after the last span before it.
        for _ in 0..=REDRAWS {
            match holds.last_end(latest).map(|end| millis::later(end, self.jitter_max)) {
                Some(pushed) if pushed > latest => latest = pushed,
                _ => break,
            }
        }
        millis::timestamp(latest)
    }

    /// How long a feed last listed at `last` has to wait until it may be listed again; none if it may now.
    #[must_use]
    pub fn wait_before_listing(&self, last: &LastListing, now: Timestamp, boot: &BootTime) -> Option<Duration> {
        self.interval().checked_sub(last.elapsed(now, boot)).filter(|wait| !wait.is_zero())
    }

    /// The times at which `feed` is polled from its planned next poll at `from` until before `until`, were every poll
    /// successful and on time. A `from` in a forbidden span is postponed first.
    #[must_use]
    pub fn plan(&self, seed: &Seed, feed: &str, from: Timestamp, until: Timestamp) -> Plan<'_> {
        let first = self.postponed(seed, feed, from);
        let source = Source::new(seed, Use::Next, feed);
        Plan::new(self, source, self.calendar.listing_holds(), millis::ceil(first), millis::ceil(until))
    }

    /// [`Cadence::next`] in milliseconds, with what it looks up kept by the caller.
    pub(super) fn next_of(&self, source: &Source, holds: &mut Holds<'_>, planned: i64, started: i64) -> i64 {
        let planned = planned.min(started);
        let mut draws = source.at(planned);
        let jitter = draws.between(self.jitter_min, self.jitter_max);
        let regular = millis::later(planned, self.interval.saturating_add(jitter));
        self.settle(holds, &mut draws, regular.max(millis::later(started, self.interval)))
    }

    /// `time`, drawn anew over the jitter after each forbidden span it falls into.
    fn settle(&self, holds: &mut Holds<'_>, draws: &mut Draws, mut time: i64) -> i64 {
        for _ in 0..REDRAWS {
            match holds.around(time) {
                None => return time,
                Some(hold) => time = draws.between(hold.end, millis::later(hold.end, self.jitter_max)),
            }
        }
        holds.around(time).map_or(time, |hold| hold.end)
    }

    fn first_spread(&self, overdue: usize) -> i64 {
        let overdue = i64::try_from(overdue).unwrap_or(i64::MAX);
        FIRST_SPREAD.min(self.jitter_max).max(overdue.saturating_mul(SPREAD_PER_OVERDUE))
    }
}
