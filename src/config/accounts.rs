//! The accounts of the platforms: those that can be used, and those that cannot.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::api_shape::passes_luhn;
use super::apis::EntrepriseAccount;
use super::finding::{Fault, Finding, Place, Weight, quoted};
use super::fragment::Entry;
use super::settings::{Connector, FastAccount, Settings, UnusableAccount};
use crate::feed::{Kind, is_name};

/// Sorts the accounts of FAST-Parapheur of all files into usable and unusable ones; `usual` is the interface of those that
/// name none.
pub(super) fn judge(
    entries: &[&Entry],
    usual: Connector,
    findings: &mut Vec<Finding>,
) -> (Vec<Arc<FastAccount>>, Vec<UnusableAccount>) {
    duplicate_names("account", entries, findings);
    duplicate_feeds(entries, usual, findings);
    for entry in entries {
        if let Some(siren) = entry.text("siren").filter(|siren| !passes_luhn(siren)) {
            let fault = Fault::new(
                format!("the check digit of SIREN {siren} is wrong"),
                "compare it with the organisation's papers; it is used as it is",
            );
            findings.push(fault.at(Weight::Note, entry.place_of("siren")));
        }
        if let Some((key, fault)) = without_effect(entry, usual) {
            findings.push(fault.at(Weight::Note, entry.place_of(key)));
        }
    }
    sort(entries, |entry| {
        let (key, fault) = without_signed_documents(entry, usual)?;
        let text = format!("{key}: {}", fault.what);
        findings.push(fault.at(Weight::Problem, entry.place_of(key)));
        Some(text)
    })
}

/// The interface that an account collects by.
fn connector_of(entry: &Entry, usual: Connector) -> Connector {
    match entry.text("connector") {
        Some("soap") => Connector::Soap,
        Some("webdav") => Connector::Webdav,
        Some("rest") => Connector::Rest,
        _ => usual,
    }
}

/// A key that means nothing to the interface of its account.
fn without_effect(entry: &Entry, usual: Connector) -> Option<(&'static str, Fault)> {
    let connector = connector_of(entry, usual);
    if !entry.items("circuits").is_empty() && connector == Connector::Rest {
        return Some((
            "circuits",
            Fault::new("REST knows no circuits: all of them are collected", "remove `circuits`"),
        ));
    }
    if entry.text("release") == Some("delivered") && connector != Connector::Webdav {
        let what = "only over WebDAV are documents removed from the platform";
        return Some(("release", Fault::new(what, "remove `release`, or write connector = \"webdav\"")));
    }
    None
}

/// What is wrong with an account that wants signed documents by an interface that does not give them as it stands.
fn without_signed_documents(entry: &Entry, usual: Connector) -> Option<(&'static str, Fault)> {
    if !entry.items("feeds").iter().any(|kind| kind.as_str() == Some(Kind::Signes.as_str())) {
        return None;
    }
    match connector_of(entry, usual) {
        Connector::Webdav => None,
        Connector::Rest => {
            let remedy = "write connector = \"soap\" or \"webdav\", or remove \"signes\"";
            Some(("feeds", Fault::new("\"signes\" is not to be had over REST", remedy)))
        }
        Connector::Soap if entry.items("circuits").is_empty() => {
            let remedy = "name the circuits whose signed documents are wanted, such as circuits = [\"Marches\"]";
            Some((
                "circuits",
                Fault::new("over SOAP \"signes\" is listed circuit by circuit, and none is named", remedy),
            ))
        }
        Connector::Soap => None,
    }
}

/// The same for the accounts of a platform that gives tokens to clients known to it by `key`.
pub(super) fn judge_clients<A: DeserializeOwned>(
    entries: &[&Entry],
    key: &'static str,
    findings: &mut Vec<Finding>,
) -> (Vec<A>, Vec<UnusableAccount>) {
    duplicate_names("account", entries, findings);
    let mut owners: HashMap<&str, &Entry> = HashMap::new();
    for &entry in entries {
        let Some(client) = entry.text(key) else { continue };
        let owner = *owners.entry(client).or_insert(entry);
        if !std::ptr::eq(owner, entry) {
            let what = format!("{} is used already by {}", quoted(client), owner.place);
            let remedy = "remove one of the accounts: one token serves all who use it";
            findings.push(Fault::new(what, remedy).at(Weight::Error, entry.place_of(key)));
        }
    }
    sort(entries, |_| None)
}

/// The same for the accounts of API Entreprise: several may use one token, for other purposes.
pub(super) fn judge_entreprise(
    entries: &[&Entry],
    findings: &mut Vec<Finding>,
) -> (Vec<EntrepriseAccount>, Vec<UnusableAccount>) {
    duplicate_names("account", entries, findings);
    sort(entries, |_| None)
}

/// Usable accounts and others; `fault` says what is wrong with one whose keys are all right by themselves.
fn sort<A: DeserializeOwned>(
    entries: &[&Entry],
    mut fault: impl FnMut(&Entry) -> Option<String>,
) -> (Vec<A>, Vec<UnusableAccount>) {
    let (mut usable, mut unusable) = (Vec::new(), Vec::new());
    for entry in entries {
        match account(entry).and_then(|account| fault(entry).map_or(Ok(account), Err)) {
            Ok(account) => usable.push(account),
            Err(problem) => unusable.push(UnusableAccount { name: display_name(entry), problem }),
        }
    }
    (usable, unusable)
}

/// Says so if nothing will be done, `main` being the main file and `entries` the accounts of all platforms.
pub(super) fn none(main: &Path, entries: &[&Entry], settings: &Settings) -> Option<Finding> {
    let place = |entry: &Entry| Place { key: entry.list.clone(), ..entry.place.clone() };
    let fast = settings.fast.as_ref().map(|fast| fast.accounts.as_slice()).unwrap_or_default();
    let clients = settings.douane.as_ref().map_or(0, |douane| douane.accounts.len())
        + settings.piste.as_ref().map_or(0, |piste| piste.accounts.len())
        + settings.entreprise.as_ref().map_or(0, |entreprise| entreprise.accounts.len());
    match entries.first().copied() {
        None => {
            let place = Place { file: Some(main.to_owned()), line: None, key: "fast.accounts".to_owned() };
            let remedy = "add [[fast.accounts]] with name, siren and certificate, here or in a file of conf.d";
            Some(Fault::new("there is no account: nothing to collect", remedy).at(Weight::Error, place))
        }
        Some(_) if clients > 0 => None,
        Some(first) if fast.is_empty() => {
            let fault = Fault::new("no account is well-formed", "correct at least one of them, see its problems");
            Some(fault.at(Weight::Error, place(first)))
        }
        Some(first) if fast.iter().all(|account| !account.enabled) => {
            let fault = Fault::new("no account is enabled: nothing will be collected", "remove `enabled = false`");
            Some(fault.at(Weight::Note, place(first)))
        }
        Some(_) => None,
    }
}

fn account<A: DeserializeOwned>(entry: &Entry) -> Result<A, String> {
    if entry.faults.is_empty() {
        entry.table().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    } else {
        Err(entry.faults.join("; "))
    }
}

fn display_name(entry: &Entry) -> String {
    match entry.text("name") {
        Some(name) => name.to_owned(),
        None => format!("accounts[{}]", entry.number),
    }
}

/// Finds names used twice, also by tables that have other faults.
pub(super) fn duplicate_names(thing: &str, entries: &[&Entry], findings: &mut Vec<Finding>) {
    let mut names: HashMap<&str, &Entry> = HashMap::new();
    for &entry in entries {
        let Some(name) = entry.text("name").filter(|name| is_name(name)) else { continue };
        let first = *names.entry(name).or_insert(entry);
        if !std::ptr::eq(first, entry) {
            let what = format!("the name \"{name}\" is used already in {}", first.place);
            findings.push(
                Fault::new(what, format!("give each {thing} its own name")).at(Weight::Error, entry.place_of("name")),
            );
        }
    }
}

/// What acknowledgements and signed files share over WebDAV.
const FOLDERS: &str = "the folders of its circuits";

/// Finds feeds that two accounts would list: the platform would see them twice as often as it allows.
fn duplicate_feeds(entries: &[&Entry], usual: Connector, findings: &mut Vec<Finding>) {
    let mut owners: HashMap<(&str, &str), &Entry> = HashMap::new();
    for &entry in entries {
        let Some(siren) = entry.text("siren") else { continue };
        let mut taken: Vec<(&str, &Entry)> = Vec::new();
        for kind in entry.items("feeds").iter().filter_map(toml::Value::as_str) {
            // Over WebDAV both lie in the same folders, and whoever lists these lists both.
            let shared = [Kind::Acquittements.as_str(), Kind::Signes.as_str()].contains(&kind)
                && connector_of(entry, usual) == Connector::Webdav;
            for key in [Some(kind), shared.then_some(FOLDERS)].into_iter().flatten() {
                let owner = *owners.entry((siren, key)).or_insert(entry);
                if !std::ptr::eq(owner, entry) {
                    taken.push((key, owner));
                    break;
                }
            }
        }
        if let Some((_, owner)) = taken.first() {
            let kinds: Vec<&str> = taken.iter().map(|(kind, _)| *kind).collect();
            let what = format!("SIREN {siren} with {} is collected already by {}", kinds.join(", "), owner.place);
            let remedy = if taken.iter().any(|(kind, _)| *kind == FOLDERS) {
                "write both \"acquittements\" and \"signes\" in the feeds of one account"
            } else {
                "remove one of the accounts, or share the feeds between them"
            };
            findings.push(Fault::new(what, remedy).at(Weight::Error, entry.place_of("siren")));
        }
    }
}
