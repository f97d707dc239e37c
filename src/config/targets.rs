//! The targets documents are handed to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::accounts::duplicate_names;
use super::finding::{Fault, Finding, Weight, quoted};
use super::fragment::Entry;
use super::noun::{file_mode, span};
use super::pattern::Patterns;
use super::secret::SecretRef;
use super::settings::{Settings, Target};
use crate::feed::FeedName;

/// What is told of a document: the names that stand in braces in a command's arguments.
pub const FACTS: [&str; 9] = ["path", "feed", "remote_id", "name", "sha256", "size", "media_type", "circuit", "label"];

/// The keys of which a target has exactly one.
const WAYS: [&str; 3] = ["inbox", "command", "webhook"];
/// Keys that mean something to some ways only.
const DETAILS: [(&str, &[&str]); 4] = [
    ("file_mode", &["inbox"]),
    ("inbox_stale", &["inbox"]),
    ("timeout", &["command", "webhook"]),
    ("secret", &["webhook"]),
];

/// How documents are handed to a target: exactly one way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Handover {
    /// As copies in a folder tree.
    Inbox(Inbox),
    /// By a program, called once for each.
    Command(Program),
    /// By a request that tells of each.
    Webhook(Webhook),
}

/// A folder tree in which the business software picks documents up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inbox {
    /// Its root.
    pub inbox: PathBuf,
    /// Permissions of the files there.
    #[serde(with = "file_mode")]
    pub file_mode: u32,
    /// A file older than this means that nobody empties it; zero: no matter.
    #[serde(with = "span")]
    pub inbox_stale: Duration,
}

/// A program that is called for each document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// The program, by its whole path, and its arguments, with [`FACTS`] in braces in them.
    pub command: Vec<String>,
    /// How long one call may last.
    #[serde(with = "span")]
    pub timeout: Duration,
}

impl Program {
    /// The program itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(self.command.first().map_or("", String::as_str))
    }
}

/// An address that is told of each document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// The address.
    pub webhook: String,
    /// How long one request may last.
    #[serde(with = "span")]
    pub timeout: Duration,
    /// What the requests are signed with.
    pub secret: Option<SecretRef>,
}

/// Checks an argument: what stands in braces must be known, where it is a name at all.
pub(super) fn argument(text: &str) -> Result<String, String> {
    argument_of(text, &FACTS)
}

/// The same, where what may stand in braces is `known`.
pub(super) fn argument_of(text: &str, known: &[&str]) -> Result<String, String> {
    if text.contains('\0') {
        return Err("holds a character that no argument can".to_owned());
    }
    match placeholders(text).find(|name| !known.contains(name)) {
        Some(unknown) => Err(format!("holds {{{unknown}}}, which stands for nothing")),
        None => Ok(text.to_owned()),
    }
}

/// Checks a command whose arguments are right by themselves.
pub(super) fn command(list: toml::Value) -> Result<toml::Value, String> {
    let program = list.as_array().and_then(|list| list.first()?.as_str()).unwrap_or_default().to_owned();
    if !program.starts_with('/') {
        return Err(format!("{} is not a whole path", quoted(&program)));
    }
    match placeholders(&program).next() {
        Some(_) => Err(format!("{} does not say which program", quoted(&program))),
        None => Ok(list),
    }
}

/// The names in braces in `text`. Braces around anything else (JSON, say) are left alone.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    text.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

/// The targets of all files; without any, one inbox for all feeds in the state directory. `whole`: all files could be read.
pub(super) fn judge(entries: Vec<Entry>, whole: bool, settings: &Settings, findings: &mut Vec<Finding>) -> Vec<Target> {
    duplicate_names("target", &entries.iter().collect::<Vec<_>>(), findings);
    let feeds = feeds(settings);
    let mut targets: Vec<Target> = Vec::new();
    for entry in &entries {
        if !one_way(entry, &WAYS, whole, findings) || !entry.faults.is_empty() {
            continue;
        }
        without_effect(entry, &DETAILS, findings);
        match entry.table().try_into::<Target>() {
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
        handover: Handover::Inbox(Inbox {
            inbox: settings.state.directory.join("inbox"),
            file_mode: 0o640,
            inbox_stale: Duration::from_secs(86_400),
        }),
    }
}

/// Whether `entry` names exactly one of the ways that there are; says so where it does not.
pub(super) fn one_way(entry: &Entry, known: &[&'static str], whole: bool, findings: &mut Vec<Finding>) -> bool {
    let ways: Vec<&str> = known.iter().copied().filter(|way| entry.sets(way)).collect();
    let all = known.split_last().map(|(last, others)| format!("{} and {last}", others.join(", ")));
    let remedy = format!("write exactly one of {}", all.unwrap_or_default());
    match ways[..] {
        [_] => true,
        [] => {
            // What could not be read may well have been there.
            if whole {
                let fault = Fault::new("nothing says by which way", remedy);
                findings.push(fault.at(Weight::Error, entry.place.clone()));
            }
            false
        }
        [.., last] => {
            let fault = Fault::new(format!("{} exclude one another", ways.join(" and ")), remedy);
            findings.push(fault.at(Weight::Error, entry.place_of(last)));
            false
        }
    }
}

/// Notes keys that mean nothing to the way that `entry` names; `details` says what each belongs to.
pub(super) fn without_effect(entry: &Entry, details: &[(&str, &[&str])], findings: &mut Vec<Finding>) {
    for (key, ways) in details {
        if entry.sets(key) && !ways.iter().any(|way| entry.sets(way)) {
            let fault =
                Fault::new(format!("this belongs to {}: it has no effect here", ways.join(" and ")), "remove it");
            findings.push(fault.at(Weight::Note, entry.place_of(key)));
        }
    }
}

/// An inbox must not lie among the daemon's own files: the business software deletes there.
fn apart(target: &Target, entry: &Entry, settings: &Settings, findings: &mut Vec<Finding>) {
    let Handover::Inbox(Inbox { inbox, .. }) = &target.handover else { return };
    let own = &settings.state.directory;
    if inbox == own || inbox.starts_with(own.join("archive")) {
        let what = format!("{} holds the daemon's own files", quoted(&inbox.to_string_lossy()));
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
    let names = fast.accounts.iter().flat_map(|account| account.feed_names());
    Some(names.map(|feed| (feed.as_str().to_owned(), feed)).collect())
}
