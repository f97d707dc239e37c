//! All quotas: a call takes from several at once, or waits.

use std::collections::HashMap;

use super::Want;
use super::bucket::{Answer, Bucket, Facts};
use super::server_time::{MINUTE, ServerTime, minute};

/// While another call must be answered first, it is looked again after this at the latest, in milliseconds.
const LOOK_AGAIN: i64 = 1_000;

/// Why a call waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    /// The bucket it waits for.
    pub(super) bucket: String,
    /// For so long at least, in milliseconds, unless an answer changes that.
    pub(super) millis: i64,
    /// Whether a refusal (429) has closed it.
    pub(super) closed: bool,
}

#[derive(Debug)]
pub(super) struct Book {
    pub(super) time: ServerTime,
    /// The part of each quota that is ours, in percent.
    pub(super) share: u8,
    pub(super) buckets: HashMap<String, Bucket>,
    /// What the ledger remembers of buckets not used yet: limit, and until when they are closed.
    pub(super) remembered: HashMap<String, (u32, Option<i64>)>,
    /// Calls of an earlier run that may still be counted: when they left.
    pub(super) ghosts: Vec<i64>,
    /// Nothing leaves before the server's clock shows this: an earlier run may have used this minute.
    pub(super) hold: Option<i64>,
    next: u64,
}

impl Book {
    pub(super) fn new(time: ServerTime, share: u8) -> Self {
        let (buckets, remembered) = (HashMap::new(), HashMap::new());
        Self { time, share, buckets, remembered, ghosts: Vec::new(), hold: None, next: 1 }
    }

    /// An earlier run called not long before `now`: the server's present minute is left to it.
    pub(super) fn leave_this_minute(&mut self, now: i64) {
        self.hold = Some((minute(self.time.latest(now)) + 1) * MINUTE);
    }

    /// Lets a call leave at `now` that takes from all of `wants`, or says what it waits for.
    pub(super) fn reserve(&mut self, wants: &[Want], now: i64) -> Result<u64, Wait> {
        for want in wants {
            self.open(want);
        }
        if let Some(hold) = self.hold.filter(|&hold| self.time.earliest(now) < hold) {
            return Err(self.wait("all", hold, now, false));
        }
        let waits = wants.iter().filter_map(|want| {
            let answer = self.buckets.get(&want.bucket)?.may(now, self.time, self.share);
            self.meaning(&want.bucket, answer, now)
        });
        if let Some(longest) = waits.max_by_key(|wait| wait.millis) {
            return Err(longest);
        }
        let id = self.next;
        self.next += 1;
        for want in wants {
            if let Some(bucket) = self.buckets.get_mut(&want.bucket) {
                bucket.leave(id, now, self.time);
            }
        }
        Ok(id)
    }

    fn open(&mut self, want: &Want) {
        if self.buckets.contains_key(&want.bucket) {
            return;
        }
        let (limit, closed) = self.remembered.get(&want.bucket).copied().unwrap_or((want.limit, None));
        let mut bucket = Bucket::new(if want.told { limit } else { want.limit }, want.told, &self.ghosts);
        bucket.closed_until = closed;
        self.buckets.insert(want.bucket.clone(), bucket);
    }

    fn meaning(&self, bucket: &str, answer: Answer, now: i64) -> Option<Wait> {
        match answer {
            Answer::Go => None,
            Answer::Closed(until) => Some(self.wait(bucket, until, now, true)),
            Answer::Full => {
                let turn = (minute(self.time.earliest(now)) + 1) * MINUTE;
                Some(self.wait(bucket, turn, now, false))
            }
            Answer::Alone => Some(Wait { bucket: bucket.to_owned(), millis: LOOK_AGAIN, closed: false }),
        }
    }

    /// Waits until the server's clock shows `until` for certain.
    fn wait(&self, bucket: &str, until: i64, now: i64, closed: bool) -> Wait {
        let millis = until.saturating_sub(self.time.earliest(now)).max(1);
        Wait { bucket: bucket.to_owned(), millis, closed }
    }

    pub(super) fn answer(&mut self, id: u64, wants: &[Want], facts: &Facts, left: i64, now: i64) {
        if let Some(date) = facts.date {
            self.time.learn(date.saturating_mul(1000), left, now);
        }
        let time = self.time;
        self.each(wants, |bucket| bucket.hear(id, facts, now, time));
    }

    pub(super) fn lose(&mut self, id: u64, wants: &[Want]) {
        self.each(wants, |bucket| bucket.lose(id));
    }

    pub(super) fn take_back(&mut self, id: u64, wants: &[Want]) {
        self.each(wants, |bucket| bucket.take_back(id));
    }

    fn each(&mut self, wants: &[Want], mut act: impl FnMut(&mut Bucket)) {
        for want in wants {
            if let Some(bucket) = self.buckets.get_mut(&want.bucket) {
                act(bucket);
            }
        }
    }
}
