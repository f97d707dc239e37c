//! The ledger and the archive against a plain model: whatever is done in whatever order, with crashes between, states move as
//! the contract says, a document held is never one to be fetched, and what was stored stays.
//!
//! The input: choices. The world lives in memory (`/dev/shm`); a crash is a copy of its files, opened again.
#![no_main]

#[path = "ledger/model.rs"]
mod model;
#[path = "ledger/world.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use vaguemestre_fuzz::Choices;

use world::World;

/// Acts of one run: more say nothing new.
const ACTS: usize = 48;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let mut world = World::new(&mut choices);
    for _ in 0..ACTS {
        if choices.ended() {
            break;
        }
        world.act(&mut choices);
        world.agree();
    }
    world.crash();
    world.agree();
    world.nothing_is_missing();
});
