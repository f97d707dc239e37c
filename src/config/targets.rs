//! The targets documents are handed to.

use super::accounts::duplicate_names;
use super::finding::{Fault, Finding, Place, Weight};
use super::fragment::Entry;
use super::pattern::Patterns;
use super::settings::{Settings, Target};
use crate::feed::{FeedName, Kind};

/// The targets of all files; without any, one inbox for all feeds in the state directory.
pub(super) fn judge(entries: Vec<Entry>, settings: &Settings, findings: &mut Vec<Finding>) -> Vec<Target> {
    duplicate_names("target", &entries, findings);
    let mut targets: Vec<Target> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.faults.is_empty()) {
        match entry.values.clone().try_into::<Target>() {
            Ok(target) => {
                apart(&target, entry, settings, findings);
                useful(&target.feeds, entry, settings, findings);
                targets.push(target);
            }
            Err(error) => {
                let fault = Fault::new(error.message().to_owned(), "correct this target");
                findings.push(fault.at(Weight::Error, entry.place.clone()));
            }
        }
    }
    if entries.is_empty() { vec![default_inbox(settings)] } else { targets }
}

fn default_inbox(settings: &Settings) -> Target {
    Target {
        name: "inbox".to_owned(),
        feeds: Patterns::all(),
        inbox: settings.state.directory.join("inbox"),
        file_mode: 0o640,
    }
}

/// An inbox must not lie among the daemon's own files: the business software deletes there.
fn apart(target: &Target, entry: &Entry, settings: &Settings, findings: &mut Vec<Finding>) {
    let own = &settings.state.directory;
    if target.inbox == *own || target.inbox.starts_with(own.join("archive")) {
        let what = format!("\"{}\" holds the daemon's own files", target.inbox.display());
        let fault = Fault::new(what, "choose a folder for the business software alone");
        findings.push(fault.at(Weight::Error, entry.place_of("inbox")));
    }
}

/// Notes patterns that mean no feed there is.
fn useful(patterns: &Patterns, entry: &Entry, settings: &Settings, findings: &mut Vec<Finding>) {
    let Some(fast) = settings.fast.as_ref().filter(|fast| fast.unusable.is_empty()) else { return };
    let place: Place = entry.place_of("feeds");
    for pattern in patterns.as_slice() {
        let Ok(one) = Patterns::parse(vec![pattern.clone()]) else { continue };
        let known = |name: &str| Kind::ALL.iter().any(|&kind| one.matches(&FeedName::fast(name, kind)));
        if !fast.accounts.iter().any(|account| known(&account.name)) {
            let fault = Fault::new(
                format!("\"{pattern}\" matches no feed of any account"),
                "compare it with the accounts' names",
            );
            findings.push(fault.at(Weight::Note, place.clone()));
        }
    }
}
