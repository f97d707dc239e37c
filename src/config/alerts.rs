//! Those who are told what is amiss.

use serde::{Deserialize, Serialize};

use super::accounts::duplicate_names;
use super::finding::{Fault, Finding, Weight};
use super::fragment::Entry;
use super::targets::{self, Program, Webhook};

/// What is told of a notice: the names that stand in braces in a command's arguments.
pub const NOTICE: [&str; 3] = ["summary", "count", "json"];

/// The keys of which each has exactly one.
const WAYS: [&str; 2] = ["command", "webhook"];
/// Keys that mean something to some ways only.
const DETAILS: [(&str, &[&str]); 1] = [("secret", &["webhook"])];

/// Someone who is told what is amiss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertTarget {
    /// Unique among them.
    pub name: String,
    /// What weighs less is not told.
    pub severity: AlertSeverity,
    /// How it is told.
    #[serde(flatten)]
    pub way: AlertWay,
}

/// How much something weighs that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    /// All that someone should know.
    Warning,
    /// Only what someone must act on.
    Error,
}

/// How someone is told: exactly one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AlertWay {
    /// By a program, called for each notice, with [`NOTICE`] in braces in its arguments.
    Command(Program),
    /// By a request for each notice.
    Webhook(Webhook),
}

/// Checks an argument: what stands in braces must be known, where it is a name at all.
pub(super) fn argument(text: &str) -> Result<String, String> {
    targets::argument_of(text, &NOTICE)
}

/// Those of all files. `whole`: all files could be read.
pub(super) fn judge(entries: &[Entry], whole: bool, findings: &mut Vec<Finding>) -> Vec<AlertTarget> {
    duplicate_names("table of alerts", &entries.iter().collect::<Vec<_>>(), findings);
    let mut alerts = Vec::new();
    for entry in entries {
        if !targets::one_way(entry, &WAYS, whole, findings) || !entry.faults.is_empty() {
            continue;
        }
        targets::without_effect(entry, &DETAILS, findings);
        match entry.table().try_into::<AlertTarget>() {
            Ok(target) => alerts.push(target),
            Err(error) => {
                let fault = Fault::new(error.message().to_owned(), "correct this table");
                findings.push(fault.at(Weight::Error, entry.place.clone()));
            }
        }
    }
    alerts
}
