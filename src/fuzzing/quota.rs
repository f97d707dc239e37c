//! Quotas, their clock in the caller's hands.

use super::book::Book;
use super::server_time::ServerTime;
use super::{Facts, IP, Want};

/// The quotas of one account.
#[derive(Debug)]
pub struct Quotas {
    book: Book,
    wants: Vec<Want>,
}

impl Quotas {
    /// Those of an account that has `limit` calls a minute, of which `share` percent are ours; the wall clock shows `wall` at
    /// `now`, both in milliseconds.
    #[must_use]
    pub fn new(limit: u32, share: u8, wall: i64, now: i64) -> Self {
        let want = |bucket: &str, limit, told| Want { bucket: bucket.to_owned(), limit, told };
        let wants = vec![want(IP, super::PER_IP, false), want("marches/json", limit, true)];
        Self { book: Book::new(ServerTime::guess(wall, now), share), wants }
    }

    /// Lets a call leave.
    ///
    /// # Errors
    /// How long it waits, in milliseconds.
    pub fn reserve(&mut self, now: i64) -> Result<u64, i64> {
        self.book.reserve(&self.wants, now).map_err(|wait| wait.millis)
    }

    /// A call that left at `left` was answered.
    pub fn answer(&mut self, id: u64, facts: &Facts, left: i64, now: i64) {
        self.book.answer(id, &self.wants, facts, left, now);
    }

    /// A call met no answer.
    pub fn lose(&mut self, id: u64) {
        self.book.lose(id, &self.wants);
    }

    /// A call did not leave after all.
    pub fn take_back(&mut self, id: u64) {
        self.book.take_back(id, &self.wants);
    }

    /// What the account's own quota was last said to be, and what is left of it in this minute.
    #[must_use]
    pub fn own(&self, now: i64) -> Option<(u32, u32)> {
        let bucket = self.book.buckets.get(&self.wants[1].bucket)?;
        Some((bucket.limit, bucket.left(now, self.book.time, self.book.share)))
    }
}
