//! One quota: the calls that may count in the server's present minute, and what its answers say.

use std::time::Duration;

use super::server_time::{MINUTE, ServerTime, minute};

/// A call that met no answer may be counted for as long: the server may take it up late.
const LATE: i64 = 60_000;
/// So many calls that asked, one after the other, and were answered without headers mean that there are none.
const MUTE: u32 = 3;
/// Calls older than this count in no minute that matters.
const FORGOTTEN: i64 = 4 * MINUTE;
/// The end of a minute lies no further from an answer about it: a minute, and one for what was long on its way.
const NEAR: u64 = 2 * MINUTE.unsigned_abs();
/// No refusal names a minute that ends later than this after it: a day.
const LONGEST: i64 = 1_440 * MINUTE;
/// No quota is larger; what says so is not believed.
const BELIEVABLE: u32 = 100_000;

/// What an answer says about quotas. What is absent was not said: it is never zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its status.
    pub status: u16,
    /// `Date`: seconds since 1970.
    pub date: Option<i64>,
    /// `RateLimit-Limit`: calls a minute.
    pub limit: Option<u32>,
    /// `RateLimit-Remaining`: calls left in that minute.
    pub remaining: Option<u32>,
    /// `RateLimit-Reset`: end of that minute, in seconds since 1970 on the server's clock.
    pub reset: Option<i64>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

/// A call, in milliseconds of our clock.
#[derive(Clone, Copy, Debug)]
struct Call {
    id: u64,
    left: i64,
    /// When it was answered; for one that never was, the latest it may be counted.
    ended: Option<i64>,
    /// It left alone, to ask what its minute allows.
    asks: bool,
}

/// What answers said of one of the server's minutes.
#[derive(Clone, Copy, Debug)]
struct Said {
    minute: i64,
    /// The least that was left.
    remaining: u32,
    /// Calls whose answers said nothing: they may have come after.
    silent: u32,
}

#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) limit: u32,
    /// The server's minute in which it said so.
    limit_of: i64,
    pub(super) told: bool,
    calls: Vec<Call>,
    said: Option<Said>,
    /// The server's minute in which an answer was read: until there is one in a minute, calls go alone.
    heard: Option<i64>,
    /// Calls that asked what one of the server's minutes allows, and whose answers did not say it.
    mute: (i64, u32),
    /// Closed until the server's clock shows this.
    pub(super) closed_until: Option<i64>,
}

/// What a bucket says to a call that would leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Go,
    /// Not before the server's clock shows this.
    Closed(i64),
    /// Not before the next of the server's minutes.
    Full,
    /// Not before another call is answered.
    Alone,
}

impl Bucket {
    /// A bucket of `limit` calls a minute, in which calls of an earlier run, begun at `ghosts`, may still be counted.
    pub(super) fn new(limit: u32, told: bool, ghosts: &[i64]) -> Self {
        let ghost = |&left: &i64| Call { id: 0, left, ended: Some(left + LATE), asks: false };
        let calls = ghosts.iter().map(ghost).collect();
        Self {
            limit,
            limit_of: i64::MIN,
            told,
            calls,
            said: None,
            heard: None,
            mute: (i64::MIN, 0),
            closed_until: None,
        }
    }

    /// Whether a call may leave at `now`, `share` being the part of the limit that is ours, in percent.
    pub(super) fn may(&self, now: i64, time: ServerTime, share: u8) -> Answer {
        if let Some(until) = self.closed_until.filter(|&until| time.earliest(now) < until) {
            return Answer::Closed(until);
        }
        let in_flight = self.in_flight();
        if self.asks(now, time) && in_flight > 0 {
            return Answer::Alone;
        }
        let minutes = time.minutes(now, now);
        let ours = ours(self.limit, share);
        if minutes.clone().any(|minute| self.used(minute, now, time) >= ours) {
            return Answer::Full;
        }
        match self.said.filter(|said| minutes.contains(&said.minute)) {
            Some(said) if said.remaining <= in_flight + said.silent => {
                if in_flight > 0 {
                    Answer::Alone
                } else {
                    Answer::Full
                }
            }
            _ => Answer::Go,
        }
    }

    /// Calls that may count in `minute` of the server.
    pub(super) fn used(&self, minute: i64, now: i64, time: ServerTime) -> u32 {
        let counts = |call: &&Call| time.minutes(call.left, call.ended.unwrap_or(now)).contains(&minute);
        u32::try_from(self.calls.iter().filter(counts).count()).unwrap_or(u32::MAX)
    }

    /// Calls left in the server's present minute.
    pub(super) fn left(&self, now: i64, time: ServerTime, share: u8) -> u32 {
        let minute = minute(time.latest(now));
        if self.closed_until.is_some_and(|until| time.earliest(now) < until) {
            return 0;
        }
        let own = ours(self.limit, share).saturating_sub(self.used(minute, now, time));
        let said = self.said.filter(|said| said.minute == minute);
        said.map_or(own, |said| own.min(said.remaining.saturating_sub(self.in_flight() + said.silent)))
    }

    fn in_flight(&self) -> u32 {
        u32::try_from(self.calls.iter().filter(|call| call.ended.is_none()).count()).unwrap_or(u32::MAX)
    }

    /// Whether nothing is known yet of the server's minute at `now`: a call that leaves then asks.
    fn asks(&self, now: i64, time: ServerTime) -> bool {
        self.heard != Some(minute(time.latest(now)))
    }

    /// A call leaves.
    pub(super) fn leave(&mut self, id: u64, now: i64, time: ServerTime) {
        let asks = self.asks(now, time);
        self.calls.retain(|call| now - call.ended.unwrap_or(now) < FORGOTTEN);
        self.calls.push(Call { id, left: now, ended: None, asks });
    }

    /// A call that was let through did not leave after all.
    pub(super) fn take_back(&mut self, id: u64) {
        self.calls.retain(|call| call.id != id || call.ended.is_some());
    }

    /// Nothing was answered.
    pub(super) fn lose(&mut self, id: u64) {
        for call in self.calls.iter_mut().filter(|call| call.id == id && call.ended.is_none()) {
            call.ended = Some(call.left + LATE);
        }
    }

    /// An answer has been read at `now`.
    pub(super) fn hear(&mut self, id: u64, facts: &Facts, now: i64, time: ServerTime) {
        let (mut left, mut asked) = (now, false);
        for call in self.calls.iter_mut().filter(|call| call.id == id && call.ended.is_none()) {
            (left, asked, call.ended) = (call.left, call.asks, Some(now));
        }
        let date = facts.date.map(|date| date.saturating_mul(1000));
        let told = self::reset(facts, date.unwrap_or(time.latest(now))).or(date).map(minute);
        let of = told.unwrap_or_else(|| minute(time.earliest(left)));
        // Where headers came before, an answer without them tells nothing of a limit that may have changed. Those to calls
        // that were on their way when the minute turned come many at a time: they prove nothing, however many.
        let speaks = facts.limit.is_some() || facts.remaining.is_some();
        let asked_in_vain = u32::from(asked && !speaks);
        self.mute = if self.mute.0 == of { (of, self.mute.1 + asked_in_vain) } else { (of, asked_in_vain) };
        if !self.told || speaks || self.mute.1 >= MUTE {
            self.heard = self.heard.max(Some(of));
        }
        if self.told {
            // Answers overtake each other: one of an earlier minute changes nothing.
            let limit = facts.limit.filter(|limit| (1..BELIEVABLE).contains(limit) && of >= self.limit_of);
            if let Some(limit) = limit {
                (self.limit, self.limit_of) = (limit, of);
            }
            self.note(of, facts.remaining);
        }
        if facts.status == 429 && self.told {
            self.close(facts, now, time);
        }
    }

    fn note(&mut self, of: i64, remaining: Option<u32>) {
        let present = self.said.filter(|said| said.minute == of);
        self.said = match (present, remaining) {
            (Some(said), Some(remaining)) => Some(Said { remaining: said.remaining.min(remaining), ..said }),
            (Some(said), None) => Some(Said { silent: said.silent + 1, ..said }),
            // An answer about an earlier minute says nothing of the present one.
            (None, Some(_)) if self.said.is_some_and(|said| said.minute > of) => self.said,
            (None, Some(remaining)) => Some(Said { minute: of, remaining, silent: 0 }),
            (None, None) => self.said,
        };
    }

    /// After a 429: nothing until the later of what the answer says; where it says nothing, until the next minute.
    fn close(&mut self, facts: &Facts, now: i64, time: ServerTime) {
        let answered = facts.date.map_or(time.latest(now), |date| date.saturating_mul(1000) + 999);
        let after = facts.retry_after.filter(|wait| !wait.is_zero());
        let after = after.map(|wait| answered.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)));
        let believable = answered - MINUTE..answered.saturating_add(LONGEST);
        let reset = facts.reset.map(|reset| reset.saturating_mul(1000)).filter(|reset| believable.contains(reset));
        let turn = (minute(answered) + 1) * MINUTE;
        let until = after.max(reset).unwrap_or(turn).max(answered);
        self.closed_until = self.closed_until.max(Some(until));
        self.heard = None;
    }
}

/// The last millisecond of the minute whose end an answer tells. One far from when it was answered is not believed: of two
/// answers the one about the later minute counts, and none would be later ever after.
fn reset(facts: &Facts, answered: i64) -> Option<i64> {
    let reset = facts.reset?.saturating_mul(1000);
    (reset.saturating_sub(answered).unsigned_abs() <= NEAR).then(|| reset - 1)
}

/// The part of `limit` that is ours.
pub(super) fn ours(limit: u32, share: u8) -> u32 {
    u32::try_from(u64::from(limit) * u64::from(share) / 100).unwrap_or(limit).max(1)
}
