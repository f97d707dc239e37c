//! What is wanted: read from the files and the environment, checked as a whole, valid by construction.
//!
//! The way of a value: a `source` is read into a `fragment`, where `keys` says what each leaf may be; the
//! `layers` of all fragments decide which leaf counts; `assemble` makes [`Settings`] of them and of the tables of
//! accounts and targets, and has the `rules` between keys judged. Nothing stops at a fault: each becomes a
//! [`Finding`], a leaf at fault counts as absent, and only in the end do errors withhold the settings.

mod accounts;
mod address;
mod alerts;
mod api_shape;
mod apis;
mod assemble;
mod feeds;
mod finding;
mod fragment;
mod keys;
mod layers;
mod noun;
mod pattern;
mod reference;
mod rules;
mod secret;
mod settings;
mod shape;
mod source;
mod targets;
mod unknown;

use std::path::{Path, PathBuf};

pub use address::Platform as Address;
pub use alerts::{AlertSeverity, AlertTarget, AlertWay, NOTICE};
pub use apis::*;
pub use assemble::{PISTE_SANDBOX_TOKEN_URL, PISTE_TOKEN_URL};
pub use finding::{Finding, Place, Weight};
pub use pattern::{NotAPattern, Patterns};
pub use reference::{Unless, all_keys, unless_set};
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

/// Reads the configuration whose main file is `path`, with the `conf.d` beside it and the variables of `environment`
/// (only those that start with `VAGUEMESTRE__` count). Secrets and certificates are not opened.
pub fn load(path: &Path, environment: impl Iterator<Item = (String, String)>) -> Loaded {
    let mut findings = Vec::new();
    // Fails only where the current folder is gone; then paths stay as they are.
    let main = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let files = source::files(&main, &mut findings);
    let mut fragments: Vec<_> = files.iter().map(|file| source::file(file, &mut findings)).collect();
    let variables = source::environment(environment, &fragment::folder_of(&main), &mut findings);
    let settings = assemble::assemble(&main, &mut fragments, &variables, &mut findings);
    findings.sort_by_key(|finding| finding.weight);
    let settings = settings.filter(|_| findings.iter().all(|finding| finding.weight != Weight::Error));
    Loaded { settings, findings, files }
}

/// The effective configuration as TOML that reads back to the same settings, from wherever it is read.
#[must_use]
pub fn render(settings: &Settings) -> String {
    toml::to_string(settings).unwrap_or_else(|error| format!("# cannot be written: {error}\n"))
}
