//! The resources and watches of accounts: those that can work, and those that cannot; and whom a watch asks about.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use toml::Value;

use super::api_shape::{object, siren, siret};
use super::apis::{Group, Member, Resource, Subjects, UnusableFeed, Watch};
use super::finding::{Fault, Finding, Weight, quoted};
use super::fragment::Entry;
use super::noun::span;
use super::unknown::nearest;

/// Above so many subjects, a watch works by night unless it says otherwise: bulk work is for then.
const BY_DAY: usize = 250;
const NIGHT: &str = "20:00-07:00";
const ALWAYS: &str = "00:00-24:00";
/// Subjects at fault that are told one by one.
const TOLD: usize = 10;
/// The largest file of subjects that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// What the tables of a platform are judged by.
pub(super) struct Terms<'a> {
    /// What its accounts are called.
    pub(super) accounts: Vec<&'a str>,
    /// Nothing is asked more often than this; none on this machine.
    pub(super) floor: Option<Duration>,
}

/// The resources of a platform.
pub(super) fn resources(
    entries: &[&Entry],
    terms: &Terms<'_>,
    findings: &mut Vec<Finding>,
) -> (Vec<Resource>, Vec<UnusableFeed>) {
    sort(entries, terms, findings, |entry, _| entry.table())
}

/// The watches of API Entreprise.
pub(super) fn watches(
    entries: &[&Entry],
    terms: &Terms<'_>,
    findings: &mut Vec<Finding>,
) -> (Vec<Watch>, Vec<UnusableFeed>) {
    let mut members = HashMap::new();
    let (mut usable, unusable): (Vec<Watch>, _) = sort(entries, terms, findings, |entry, findings| {
        let mut values = entry.table();
        match read_members(entry, findings) {
            Ok(read) => {
                let hours = if read.len() > BY_DAY { NIGHT } else { ALWAYS };
                values.entry("hours").or_insert_with(|| hours.into());
                members.insert(feed_name(entry), read);
            }
            Err(fault) => {
                // Without its subjects it fails below, for this reason.
                values.insert(NO_SUBJECTS.to_owned(), fault.into());
            }
        }
        let timeout = match values.get("group").and_then(Value::as_str) {
            Some("document") => TIMEOUTS.1,
            _ => TIMEOUTS.0,
        };
        values.entry("timeout").or_insert_with(|| span::show(timeout).into());
        values
    });
    for watch in &mut usable {
        watch.members = members.remove(&format!("{}/{}", watch.account, watch.name)).unwrap_or_default();
    }
    (usable, unusable)
}

/// Time limits of calls for data and for documents (Q4).
const TIMEOUTS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(12));
const NO_SUBJECTS: &str = "no subjects";

fn sort<T: DeserializeOwned>(
    entries: &[&Entry],
    terms: &Terms<'_>,
    findings: &mut Vec<Finding>,
    mut complete: impl FnMut(&Entry, &mut Vec<Finding>) -> toml::Table,
) -> (Vec<T>, Vec<UnusableFeed>) {
    duplicates(entries, findings);
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    for &entry in entries {
        let mut faults = entry.faults.clone();
        if let Some(fault) = entry.text("account").and_then(|account| unknown_account(account, &terms.accounts)) {
            faults.push(format!("account: {}", fault.what));
            findings.push(fault.at(Weight::Problem, entry.place_of("account")));
        }
        if let Some(fault) = too_often(entry, terms.floor) {
            faults.push(format!("every: {}", fault.what));
            findings.push(fault.at(Weight::Problem, entry.place_of("every")));
        }
        if faults.is_empty() {
            let mut values = complete(entry, findings);
            match values.remove(NO_SUBJECTS) {
                Some(Value::String(fault)) => faults.push(fault),
                _ => match values.try_into() {
                    Ok(feed) => usable.push(feed),
                    Err(error) => faults.push(error.message().to_owned()),
                },
            }
        }
        if !faults.is_empty() {
            unusable.push(UnusableFeed { name: feed_name(entry), problem: faults.join("; ") });
        }
    }
    (usable, unusable)
}

fn unknown_account(account: &str, accounts: &[&str]) -> Option<Fault> {
    if accounts.contains(&account) {
        return None;
    }
    let remedy = match nearest(account, accounts) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "name an account of this platform".to_owned(),
    };
    Some(Fault::new(format!("{} is no account of this platform", quoted(account)), remedy))
}

fn too_often(entry: &Entry, floor: Option<Duration>) -> Option<Fault> {
    let (every, floor) = (entry.text("every")?, floor?);
    let what = format!("\"{every}\" is less than the platform demands");
    (span::parse(every).ok()? < floor).then(|| Fault::new(what, format!("write at least \"{}\"", span::show(floor))))
}

fn feed_name(entry: &Entry) -> String {
    match (entry.text("account"), entry.text("name")) {
        (Some(account), Some(name)) => format!("{account}/{name}"),
        _ => format!("{}[{}]", entry.list.rsplit('.').next().unwrap_or_default(), entry.number),
    }
}

/// Finds names used twice in an account.
fn duplicates(entries: &[&Entry], findings: &mut Vec<Finding>) {
    let mut names: HashMap<(&str, &str), &Entry> = HashMap::new();
    for &entry in entries {
        let (Some(account), Some(name)) = (entry.text("account"), entry.text("name")) else { continue };
        let first = *names.entry((account, name)).or_insert(entry);
        if !std::ptr::eq(first, entry) {
            let what = format!("the name \"{name}\" is used already in {}", first.place);
            let fault = Fault::new(what, "give each its own name");
            findings.push(fault.at(Weight::Error, entry.place_of("name")));
        }
    }
}

/// Whom the watch of `entry` asks about; lines at fault are told and left out.
fn read_members(entry: &Entry, findings: &mut Vec<Finding>) -> Result<Vec<Member>, String> {
    let say = |fault: Fault, findings: &mut Vec<Finding>| {
        findings.push(fault.at(Weight::Problem, entry.place_of("subjects")));
    };
    let value = entry.value("subjects").cloned().and_then(|value| value.try_into::<Subjects>().ok());
    let (origin, lines) = match value {
        Some(Subjects::List(lines)) => ("subjects".to_owned(), lines),
        Some(Subjects::File { file }) => match read_file(&file) {
            Ok(text) => (file.display().to_string(), text.lines().map(str::to_owned).collect()),
            Err(why) => {
                let what = format!("{} cannot be read: {why}", file.display());
                say(Fault::new(&what, "correct `file`, or let the service's user read it"), findings);
                return Err(what);
            }
        },
        None => return Err("subjects are missing".to_owned()),
    };
    let path = entry.text("path").unwrap_or_default();
    let (mut members, mut seen, mut faults, mut twice) = (Vec::new(), HashSet::new(), 0_usize, 0_usize);
    for (number, line) in (1..).zip(&lines) {
        match member(line, path) {
            Ok(None) => {}
            Ok(Some(member)) if !seen.insert(member.id.clone()) => twice += 1,
            Ok(Some(member)) => members.push(member),
            Err(why) => {
                faults += 1;
                if faults <= TOLD {
                    let what = format!("{origin}:{number}: {} {why}", quoted(line.trim()));
                    say(Fault::new(what, "correct the line; the others are asked about"), findings);
                }
            }
        }
    }
    if faults > TOLD {
        let what = format!("{origin}: {} more subjects are wrong", faults - TOLD);
        say(Fault::new(what, "correct them; the others are asked about"), findings);
    }
    if twice > 0 {
        let fault = Fault::new(format!("{origin}: {twice} subjects stand there twice"), "each is asked about once");
        findings.push(fault.at(Weight::Note, entry.place_of("subjects")));
    }
    if members.is_empty() {
        let what = format!("{origin}: there is nobody to ask about");
        say(Fault::new(&what, "write one SIREN, SIRET or id a line, as the path wants"), findings);
        return Err(what);
    }
    Ok(members)
}

fn read_file(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| error.to_string())?.len();
    if size > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// A line: a subject, with its own object after a semicolon; nothing, or a comment.
fn member(line: &str, path: &str) -> Result<Option<Member>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (id, own) = line.split_once(';').map_or((line, None), |(id, own)| (id.trim(), Some(own.trim())));
    // People write numbers in groups.
    let digits: String = id.chars().filter(|c| !c.is_whitespace()).collect();
    let id = if path.contains("{siren}") {
        siren(&digits)?
    } else if path.contains("{siret}") {
        siret(&digits)?
    } else {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let right = (1..=100).contains(&id.len()) && id.bytes().all(known);
        right.then(|| id.to_owned()).ok_or("is not an id of letters, digits, `.`, `_` and `-`")?
    };
    let own =
        own.filter(|own| !own.is_empty()).map(object).transpose().map_err(|fault| format!("its object {fault}"))?;
    Ok(Some(Member { id, object: own }))
}

impl Group {
    /// The word used in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Document => "document",
        }
    }
}
