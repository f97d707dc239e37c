//! The targets documents are handed to.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::accounts::duplicate_names;
use super::finding::{Fault, Finding, Weight, quoted};
use super::fragment::Entry;
use super::pattern::Patterns;
use super::settings::{FastAccount, Settings, Target};
use crate::feed::FeedName;

/// The targets of all files; without any, one inbox for all feeds in the state directory.
pub(super) fn judge(entries: Vec<Entry>, settings: &Settings, findings: &mut Vec<Finding>) -> Vec<Target> {
    duplicate_names("target", &entries.iter().collect::<Vec<_>>(), findings);
    let feeds = feeds(settings);
    let mut targets: Vec<Target> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.faults.is_empty()) {
        match entry.values.clone().try_into::<Target>() {
            Ok(target) => {
                apart(&target, entry, settings, findings);
                if let Some(feeds) = &feeds {
                    useful(&target.feeds, entry, feeds, findings);
                }
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
        let what = format!("{} holds the daemon's own files", quoted(&target.inbox.to_string_lossy()));
        let fault = Fault::new(what, "choose a folder for the business software alone");
        findings.push(fault.at(Weight::Error, entry.place_of("inbox")));
    }
}

/// Notes patterns that mean none of `feeds`.
fn useful(patterns: &Patterns, entry: &Entry, feeds: &BTreeMap<String, FeedName>, findings: &mut Vec<Finding>) {
    for pattern in patterns.as_slice() {
        let Ok(one) = Patterns::parse(vec![pattern.clone()]) else { continue };
        // Only names with the same beginning can match: there may be thousands of targets and of accounts.
        let literal = pattern.split(['*', '?', '[', '{', '\\']).next().unwrap_or_default();
        let alike = feeds.range::<str, _>((Bound::Included(literal), Bound::Unbounded));
        if !alike.take_while(|(name, _)| name.starts_with(literal)).any(|(_, feed)| one.matches(feed)) {
            let what = format!("{} matches no feed of any account", quoted(pattern));
            let fault = Fault::new(what, "compare it with the names of the accounts");
            findings.push(fault.at(Weight::Note, entry.place_of("feeds")));
        }
    }
}

/// All feeds, unless some account cannot work: what it was to hold is not known.
fn feeds(settings: &Settings) -> Option<BTreeMap<String, FeedName>> {
    let fast = settings.fast.as_ref().filter(|fast| fast.unusable.is_empty() && !fast.accounts.is_empty())?;
    let names = fast.accounts.iter().flat_map(FastAccount::feed_names);
    Some(names.map(|feed| (feed.as_str().to_owned(), feed)).collect())
}
