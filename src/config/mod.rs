//! What is wanted: read from the files and the environment, checked as a whole, valid by construction.

mod finding;
mod noun;
mod pattern;
mod secret;
mod settings;

use std::path::PathBuf;

pub use finding::{Finding, Place, Weight};
pub use pattern::{NotAPattern, Patterns};
pub use secret::{SecretError, SecretRef};
pub use settings::*;

/// What became of a configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What is wanted, unless some finding is an error.
    pub settings: Option<Settings>,
    /// Everything there is to say, heaviest first.
    pub findings: Vec<Finding>,
    /// The files that were read, or should have been, in the order in which they count.
    pub files: Vec<PathBuf>,
}
