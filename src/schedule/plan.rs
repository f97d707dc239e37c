//! What the schedule will be, were every poll successful.

use std::iter::FusedIterator;

use jiff::Timestamp;

use super::cadence::Cadence;
use super::calendar::Holds;
use super::draw::Source;
use super::millis;

/// The coming polls of a feed, in order: see [`Cadence::plan`].
#[derive(Debug)]
pub struct Plan<'a> {
    cadence: &'a Cadence,
    source: Source,
    holds: Holds<'a>,
    next: i64,
    until: i64,
}

impl<'a> Plan<'a> {
    pub(super) fn new(cadence: &'a Cadence, source: Source, holds: Holds<'a>, next: i64, until: i64) -> Self {
        Self { cadence, source, holds, next, until }
    }
}

impl Iterator for Plan<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        let time = self.next;
        if time >= self.until {
            return None;
        }
        self.next = self.cadence.next_of(&self.source, &mut self.holds, time, time);
        Some(millis::timestamp(time))
    }
}

impl FusedIterator for Plan<'_> {}
