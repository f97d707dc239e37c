//! The quotas: whatever a server's answers say, our share of a minute is not exceeded by more calls than it says there are,
//! and a call that waits waits for a while.
#![no_main]

use std::collections::BTreeMap;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vaguemestre::fuzzing::quota::Quotas;
use vaguemestre::quota::Facts;
use vaguemestre_fuzz::Choices;

const WALL: i64 = 1_795_000_000_000;
/// No call waits longer for its answer, in milliseconds.
const PATIENCE: i64 = 30_000;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let limit = 1 + u32::try_from(choices.below(300)).unwrap_or(1);
    let share = 1 + choices.byte() % 100;
    let mut now = 5_000_000;
    let mut quotas = Quotas::new(limit, share, WALL, now);
    // Calls in flight: when they left.
    let mut calls = BTreeMap::new();
    while !choices.ended() {
        match choices.byte() % 8 {
            0..=2 => match quotas.reserve(now) {
                Ok(id) => drop(calls.insert(id, now)),
                Err(wait) => {
                    assert!(wait >= 1);
                    now += wait.min(i64::from(choices.byte()) * 500);
                }
            },
            3 => now += i64::from(choices.byte()) * 300,
            4 => {
                if let Some((id, _)) = calls.pop_first() {
                    quotas.lose(id);
                }
            }
            5 => {
                if let Some((id, _)) = calls.pop_last() {
                    quotas.take_back(id);
                }
            }
            _ => {
                let facts = facts(&mut choices, now);
                let oldest = choices.byte() & 1 == 0;
                let call = if oldest { calls.pop_first() } else { calls.pop_last() };
                match call {
                    Some((id, left)) if now - left <= PATIENCE => quotas.answer(id, &facts, left, now),
                    Some((id, _)) => quotas.lose(id),
                    None => {}
                }
            }
        }
        if let Some((limit, left)) = quotas.own(now) {
            assert!(left <= limit && limit < 100_000);
        }
    }
    // However an answer was, an hour and a minute later there is a call, unless one asked for more patience.
    calls.into_keys().for_each(|id| quotas.lose(id));
    let mut later = now + 3_660_000;
    for _ in 0..3 {
        match quotas.reserve(later) {
            Ok(_) => return,
            Err(wait) => later = later.saturating_add(wait),
        }
    }
    assert!(quotas.reserve(later).is_ok(), "no call ever leaves");
});

fn facts(choices: &mut Choices<'_>, now: i64) -> Facts {
    let server = (WALL + now - 5_000_000) / 1000;
    let near = |choices: &mut Choices<'_>| match choices.byte() % 4 {
        0 => None,
        1 => Some(choices.number()),
        _ => Some(server + i64::from(choices.byte()) - 64),
    };
    // A date is one that a header can hold.
    let date = near(choices).filter(|date| jiff::Timestamp::from_second(*date).is_ok());
    let reset = near(choices);
    let count = |choices: &mut Choices<'_>| match choices.byte() {
        0..=63 => None,
        64 => Some(u32::MAX),
        number => Some(u32::from(number) - 65),
    };
    Facts {
        status: choices.of(&[200, 200, 404, 429, 502]),
        date,
        limit: count(choices),
        remaining: count(choices),
        reset,
        retry_after: count(choices).map(|seconds| Duration::from_secs(seconds.into())),
    }
}
