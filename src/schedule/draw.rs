//! Random to the platforms, yet the same each time it is asked: numbers drawn from the installation's seed.

use std::fmt;

use sha2::{Digest, Sha256};

/// The random seed of an installation, drawn once and kept in the ledger: 32 bytes from the system's generator.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    /// Not the bytes: who knows them knows the schedule.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// What a number is drawn for, so that no two uses share one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    /// The first time of a new or overdue feed.
    First,
    /// The poll after a planned one.
    Next,
    /// A time found to be forbidden.
    Postponed,
}

/// The source of all draws of one feed for one use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    key: [u8; 32],
}

impl Source {
    /// The source of `feed` in the installation that has `seed`.
    pub(super) fn new(seed: &Seed, usage: Use, feed: &str) -> Self {
        let key = Sha256::new().chain_update(seed.0).chain_update([usage as u8]).chain_update(feed).finalize();
        Self { key: key.into() }
    }

    /// The draws that belong to the millisecond `time`: those of its whole second, which survives any rounding.
    pub(super) fn at(&self, time: i64) -> Draws {
        Draws { key: self.key, second: time.div_euclid(super::millis::SECOND), block: [0; 32], drawn: 0 }
    }
}

/// A sequence of numbers: SHA-256 in counter mode, four numbers a block.
#[derive(Debug)]
pub(super) struct Draws {
    key: [u8; 32],
    second: i64,
    block: [u8; 32],
    drawn: usize,
}

impl Draws {
    /// The next number, uniformly from `first` to `last`, both included; `first` if `last` is not above it.
    pub(super) fn between(&mut self, first: i64, last: i64) -> i64 {
        let choices = u128::from(last.saturating_sub(first).max(0).unsigned_abs()) + 1;
        // Of 2^64 equally likely numbers each choice gets its share, to within one: no bias anyone could measure.
        let choice = (u128::from(self.number()) * choices) >> 64;
        first.saturating_add(i64::try_from(choice).unwrap_or(0))
    }

    fn number(&mut self) -> u64 {
        let place = self.drawn % 4 * 8;
        if place == 0 {
            // 48 bytes: one round of SHA-256.
            let counter = (self.drawn / 4) as u64;
            let block = Sha256::new()
                .chain_update(self.key)
                .chain_update(self.second.to_le_bytes())
                .chain_update(counter.to_le_bytes())
                .finalize();
            self.block = block.into();
        }
        self.drawn += 1;
        let mut number = [0; 8];
        number.copy_from_slice(&self.block[place..place + 8]);
        u64::from_le_bytes(number)
    }
}
