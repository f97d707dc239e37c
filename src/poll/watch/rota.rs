//! When a watch asks about each of its subjects: spread over its interval within its hours, or all at once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::config::{Member, Pace};
use crate::ledger::{Enrolment, KnownSubject};
use crate::schedule::Hours;

/// After a call that brought no answer to record: the first pause, doubling.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// The longest of them.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 3600);
/// The same call is not repeated sooner (Q4): the server may still be at work on it.
pub(super) const COOLING: Duration = Duration::from_secs(20);
/// A time further away than the interval and this was set by another interval, or by a clock that was set back.
const SLACK: SignedDuration = SignedDuration::from_hours(36);

/// A watch's times.
#[derive(Clone, Debug)]
pub struct Rota {
    /// Between two calls about a subject.
    pub every: Duration,
    /// When calls may leave.
    pub hours: Hours,
    /// Whether they are spread over the interval.
    pub pace: Pace,
}

impl Rota {
    /// What brings the subjects that the ledger has (`known`) in line with `members`, at `now`.
    #[must_use]
    pub fn enrol(&self, members: &[Member], known: &HashMap<String, KnownSubject>, now: Timestamp) -> Enrolment {
        let wanted: HashSet<&str> = members.iter().map(|member| member.id.as_str()).collect();
        let gone = known.iter().filter(|(id, subject)| subject.configured && !wanted.contains(id.as_str()));
        let gone = gone.map(|(id, _)| id.clone()).collect();
        let unplanned = |id: &str| known.get(id).is_none_or(|subject| !self.is_planned(subject, now));
        let ids: Vec<&str> = members.iter().map(|member| member.id.as_str()).filter(|id| unplanned(id)).collect();
        let times = self.first_times(ids.len(), now);
        let (back, new) = ids
            .into_iter()
            .zip(times)
            .map(|(id, at)| (id.to_owned(), at))
            .partition(|(id, _)| known.contains_key(id.as_str()));
        Enrolment { new, back, gone }
    }

    /// Whether the ledger's plan for a subject can stay.
    fn is_planned(&self, subject: &KnownSubject, now: Timestamp) -> bool {
        let latest = after(now, self.every).saturating_add(SLACK).unwrap_or(Timestamp::MAX);
        // After a setback the platform itself may have asked for a long wait.
        let plausible = |at: Timestamp| subject.setbacks > 0 || at <= latest;
        subject.configured && subject.next_at.is_some_and(plausible)
    }

    /// First times of `count` subjects: evenly over the open part of one interval; with pace `fast`, at once.
    fn first_times(&self, count: usize, now: Timestamp) -> Vec<Timestamp> {
        let mut time = self.hours.opens_at(now);
        if self.pace == Pace::Fast || count == 0 {
            return vec![time; count];
        }
        let step = self.every.mul_f64(self.hours.open_share()) / u32::try_from(count).unwrap_or(u32::MAX);
        // Each in the middle of its share, so that a single one is not asked about at the moment of a start.
        let mut stride = step / 2;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            time = self.advance(time, stride);
            stride = step;
            times.push(time);
        }
        times
    }

    /// `open` later than `time`, counting only the hours in which calls may leave.
    fn advance(&self, mut time: Timestamp, mut open: Duration) -> Timestamp {
        loop {
            time = self.hours.opens_at(time);
            let Some(close) = self.hours.closes_at(time) else { return after(time, open) };
            let left = Duration::try_from(close.duration_since(time)).unwrap_or_default();
            if open < left {
                return after(time, open);
            }
            open -= left;
            time = close;
        }
    }

    /// When the subject asked about at `asked`, in a round that began at `round`, is due again.
    #[must_use]
    pub fn again(&self, id: &str, asked: Timestamp, round: Timestamp) -> Timestamp {
        match self.pace {
            Pace::Fast => self.hours.opens_at(after(round, self.every)),
            Pace::Spread => {
                let due = after(asked, self.every);
                let opens = self.hours.opens_at(due);
                // What would all come at the opening is spread over the hours that follow.
                match self.hours.closes_at(opens) {
                    Some(closes) if opens > due => {
                        let open = Duration::try_from(closes.duration_since(opens)).unwrap_or_default();
                        after(opens, open.mul_f64(part(id)))
                    }
                    _ => opens,
                }
            }
        }
    }

    /// When a subject is tried again after its `setbacks`-th call in a row without an answer to record; not before `wait`
    /// where the platform asked for one.
    #[must_use]
    pub fn retry(&self, setbacks: u32, wait: Option<Duration>, now: Timestamp) -> Timestamp {
        let doubled = 2_u32.checked_pow(setbacks.saturating_sub(1)).unwrap_or(u32::MAX);
        let pause = FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE).min(self.every.max(COOLING));
        self.hours.opens_at(after(now, wait.unwrap_or(pause).max(COOLING)))
    }
}

fn after(time: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| time.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
}

/// A number in [0, 1) that is `id`'s own.
fn part(id: &str) -> f64 {
    // FNV-1a: neighbouring numbers lie far apart, which is all that is asked of it.
    let hash = id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / (f64::from(u32::MAX) + 1.0)
}
