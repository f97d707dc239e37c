//! The French documentation says what the English one says. What one of them lacks is named, with its place.
//!
//! Translations are held to their originals block by block: as many of each kind in each section, with the same code in
//! each. Code blocks are the same but for their comments and the reasons an operator gives; those without a language
//! (drawings, what the program prints) have as many lines. Nothing checks the French itself but its spaces.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by a panic, and says what it skips"
)]

mod configuration;
mod manual;
mod markdown;
mod pages;
mod typography;

use std::path::Path;

/// A file of the project.
fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Fails with all that is amiss, a line each.
fn nothing(amiss: &[String]) {
    assert!(amiss.is_empty(), "\n{}\n", amiss.join("\n"));
}
