//! Answers of API Entreprise.

use std::time::Duration;

use super::answer::{self, Meaning};
use super::rights;
use crate::config::Group;

/// What an answer means.
#[must_use]
pub fn meaning(status: u16, body: &[u8], retry_after: Option<Duration>, document: bool) -> Meaning {
    let group = if document { Group::Document } else { Group::Json };
    answer::judge(status, None, body.to_vec(), retry_after, group, "/v3/x/{siren}")
}

/// The rights that an answer of `/privileges` names.
///
/// # Errors
/// What it says instead.
pub fn privileges(status: u16, body: &[u8]) -> Result<Vec<String>, String> {
    rights::read(status, body)
}
