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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rota(every: u64, hours: &str, pace: Pace) -> Rota {
        Rota { every: Duration::from_secs(every), hours: hours.parse().unwrap(), pace }
    }

    fn members(count: usize) -> Vec<Member> {
        (0..count).map(|number| Member { id: format!("n{number}"), object: None }).collect()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn known(rota: &Rota, count: usize, now: Timestamp) -> HashMap<String, KnownSubject> {
        let new = rota.enrol(&members(count), &HashMap::new(), now).new;
        let subject = |next| KnownSubject { configured: true, next_at: Some(next), setbacks: 0 };
        new.into_iter().map(|(id, next)| (id, subject(next))).collect()
    }

    proptest! {
        #[test]
        fn new_subjects_are_spread_evenly_over_the_open_hours_of_one_interval(
            count in 1_usize..300, minute in 0_i64..20_000, days in 1_u64..10,
            hours in prop_oneof![Just("20:00-07:00"), Just("00:00-24:00"), Just("09:30-11:00")]
        ) {
            let now = at("2026-11-22T10:00:00Z").saturating_add(SignedDuration::from_mins(minute)).unwrap();
            let rota = rota(days * 86_400, hours, Pace::Spread);
            let mut times: Vec<Timestamp> = known(&rota, count, now).values().filter_map(|it| it.next_at).collect();
            times.sort_unstable();
            prop_assert_eq!(times.len(), count);
            let end = after(now, rota.every + Duration::from_secs(26 * 3600));
            prop_assert!(times.iter().all(|&time| time >= now && time <= end && rota.hours.is_open(time)));
            // No two are closer than their share of the open time, less the cut to milliseconds.
            let step = rota.every.mul_f64(rota.hours.open_share()) / u32::try_from(count).unwrap();
            let least = SignedDuration::try_from(step).unwrap() - SignedDuration::from_secs(1);
            prop_assert!(times.windows(2).all(|pair| pair[1].duration_since(pair[0]) >= least));
        }

        #[test]
        fn a_subject_is_asked_again_after_one_interval_and_only_in_open_hours(
            minute in 0_i64..20_000, every in 3600_u64..900_000, id in "[0-9]{9}"
        ) {
            let asked = at("2026-11-22T10:00:00Z").saturating_add(SignedDuration::from_mins(minute)).unwrap();
            for pace in [Pace::Spread, Pace::Fast] {
                let rota = rota(every, "20:00-07:00", pace);
                let again = rota.again(&id, asked, asked);
                prop_assert!(rota.hours.is_open(again) && again >= after(asked, rota.every));
                prop_assert!(again <= after(asked, rota.every + Duration::from_secs(25 * 3600)));
            }
        }
    }

    #[test]
    fn what_is_planned_stays_and_only_what_changed_is_planned() {
        let (rota, now) = (rota(86_400, "00:00-24:00", Pace::Spread), at("2026-11-22T10:00:00Z"));
        let mut known = known(&rota, 10, now);
        let none = rota.enrol(&members(10), &known, now);
        assert!(none.new.is_empty() && none.back.is_empty() && none.gone.is_empty());
        let fewer = rota.enrol(&members(8), &known, now);
        assert_eq!((fewer.gone.len(), fewer.new.len()), (2, 0));
        let more = rota.enrol(&members(12), &known, now);
        assert_eq!((more.gone.len(), more.new.len()), (0, 2));
        // The clock was set back by a month: nobody waits for it to catch up.
        let before = now.saturating_sub(SignedDuration::from_hours(30 * 24)).unwrap();
        assert_eq!(rota.enrol(&members(10), &known, before).back.len(), 10);
        // A wait that the platform asked for stays, however long.
        known.values_mut().for_each(|subject| subject.setbacks = 1);
        assert!(rota.enrol(&members(10), &known, before).back.is_empty());
    }

    #[test]
    fn pauses_double_and_the_platform_s_own_wait_counts() {
        let (rota, now) = (rota(7 * 86_400, "00:00-24:00", Pace::Fast), at("2026-11-22T10:00:00Z"));
        let minutes = |setbacks, wait| rota.retry(setbacks, wait, now).duration_since(now).as_mins();
        assert_eq!([1, 2, 3, 30].map(|setbacks| minutes(setbacks, None)), [1, 2, 4, 360]);
        assert_eq!(minutes(1, Some(Duration::from_secs(172_800))), 2880);
        assert_eq!(rota.retry(1, Some(Duration::ZERO), now).duration_since(now).as_secs(), 20);
    }
}
