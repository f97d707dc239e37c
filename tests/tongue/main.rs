//! Under a French locale `check` and `status` speak French: every sentence of theirs, and every remedy. The sources are read for
//! the literals that get there, and compared with the catalogue in both directions; the real binary is listened to.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "../common/mod.rs"]
mod common;

mod catalogue;
mod commands;
mod literals;
mod texts;
