//! The catalogue against the sources, and by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::literals;

/// Literals that look like sentences and are none: commands and what is typed, words of protocols, platforms and formats, names
/// of columns, and what goes to the log or to monitoring.
const NO_SENTENCES: [&str; 40] = [
    "<!doctype html",
    "BEGIN IMMEDIATE",
    "Bearer {}",
    "CONNECT {} HTTP/1.1",
    "EC PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY",
    "Europe/Paris is in the database compiled in",
    "Host: {}",
    "Options of every command",
    "PRIVATE KEY",
    "RSA PRIVATE KEY",
    "VAGUEMESTRE UNKNOWN - the configuration is invalid",
    "VAGUEMESTRE UNKNOWN - {}",
    "`file` {}",
    "`id` {} {}",
    "`path` {} {}",
    "account, identity, access_token, asked_at, asked_boot_id, asked_boot_ms, life_ms, failures",
    "account: {}",
    "ahead of",
    "alerts \"{}\"",
    "chmod 0750 '{}'",
    "chmod o-rwx '{}'",
    "circuit, label, remote_path, remote_etag, remote_size, remote_modified, release",
    "document not found",
    "every: {}",
    "existe pas",
    "existe plus",
    "failed to convert value",
    "failed_at, failed_boot_id, failed_boot_ms, pause_ms, error, remedy, refused",
    "invalid docid",
    "no required ssl certificate",
    "non reconnu",
    "not found",
    "permission de",
    "plot-title plot-words",
    "ssl certificate",
    "subscriber not found",
    "tunnel error",
    "{} and {}",
    "{} or {}",
];

#[derive(Deserialize)]
pub(crate) struct Catalogue {
    pub(crate) sentences: BTreeMap<String, Forms>,
    pub(crate) composed: BTreeMap<String, Forms>,
    pub(crate) system: BTreeMap<String, Forms>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Forms {
    One(String),
    ByNumber([String; 2]),
}

impl Forms {
    fn all(&self) -> &[String] {
        match self {
            Self::One(only) => std::slice::from_ref(only),
            Self::ByNumber(both) => both,
        }
    }
}

pub(crate) fn read() -> Catalogue {
    toml::from_str(include_str!("../../locale/fr.toml")).unwrap()
}

/// Everything of the catalogue: English, and one French form of it.
fn pairs(catalogue: &Catalogue) -> impl Iterator<Item = (&str, &str)> {
    let all = catalogue.sentences.iter().chain(&catalogue.composed).chain(&catalogue.system);
    all.flat_map(|(english, forms)| forms.all().iter().map(move |french| (english.as_str(), french.as_str())))
}

#[test]
fn every_sentence_of_the_sources_has_its_french() {
    let catalogue = read();
    let missing: BTreeSet<String> = literals::all()
        .into_iter()
        .filter(|it| it.heard && !catalogue.sentences.contains_key(&it.text) && !NO_SENTENCES.contains(&&*it.text))
        .map(|it| format!("{}: {:?}", it.file.display(), it.text))
        .collect();
    assert!(missing.is_empty(), "not in locale/fr.toml:\n{}", missing.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn no_french_is_left_over_from_sentences_that_are_gone() {
    let literals: BTreeSet<String> = literals::all().into_iter().map(|it| it.text).collect();
    let catalogue = read();
    let stale: Vec<&String> = catalogue.sentences.keys().filter(|text| !literals.contains(*text)).collect();
    assert!(stale.is_empty(), "no source says:\n{stale:#?}");
    let idle: Vec<&&str> = NO_SENTENCES.iter().filter(|text| !literals.contains(**text)).collect();
    assert!(idle.is_empty(), "no source says: {idle:#?}");
}

#[test]
fn what_varies_and_what_is_typed_is_the_same_in_both_languages() {
    let catalogue = read();
    for (english, french) in pairs(&catalogue) {
        assert_eq!(english.matches("{}").count(), french.matches("{}").count(), "{english:?}: {french:?}");
        for mark in ['`', '"'] {
            let quoted =
                |text: &str| -> BTreeSet<String> { text.split(mark).skip(1).step_by(2).map(str::to_owned).collect() };
            assert_eq!(quoted(english), quoted(french), "{english:?}: {french:?}");
        }
    }
}

#[test]
fn french_is_set_as_french_is() {
    for (_, french) in pairs(&read()) {
        // Commands are typed as they are.
        let prose = french.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let prose: String = prose.split("chgrp ").next().unwrap().split("chmod o-rwx '").next().unwrap().to_owned();
        for mark in [" :", " ;", " ?", " !", "« ", " »", "  ", "..."] {
            assert!(!prose.contains(mark), "{french:?}: {mark:?} wants a no-break space, or is none");
        }
        let letters: Vec<char> = prose.chars().collect();
        let straight = letters.windows(3).any(|it| it[0].is_alphabetic() && it[1] == '\'' && it[2].is_alphabetic());
        assert!(!straight, "{french:?}: the apostrophe is ’");
        assert_eq!(prose.matches('«').count(), prose.matches("«\u{a0}").count(), "{french:?}");
        assert_eq!(french.trim(), french);
    }
}
