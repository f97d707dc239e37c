//! What a target is told of a document.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::archive::layout::hex;
use crate::config::FACTS;
use crate::ledger::Pending;

/// Hexadecimal digits of a delivery's key.
const KEY: usize = 32;

/// Facts by their names: what stands in the arguments and in the environment of a program.
#[derive(Debug)]
pub(crate) struct Facts<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Facts<'a> {
    /// These facts.
    pub(crate) fn new(facts: Vec<(&'static str, Cow<'a, str>)>) -> Self {
        Self(facts)
    }

    /// Of `pending`, whose copy is at `path`, by the names in [`FACTS`]; what is not known is empty.
    pub(super) fn of(pending: &'a Pending, path: &'a Path) -> Self {
        let fact = |name: &'static str| {
            let value = match name {
                "path" => path.to_string_lossy(),
                "feed" => pending.feed.as_str().into(),
                "remote_id" => pending.remote_id.as_str().into(),
                "name" => pending.name.as_deref().unwrap_or_default().into(),
                "sha256" => pending.sha256.as_str().into(),
                "size" => pending.size.to_string().into(),
                "media_type" => pending.media_type.as_str().into(),
                "circuit" => pending.circuit.as_deref().unwrap_or_default().into(),
                _ => pending.label.as_deref().unwrap_or_default().into(),
            };
            (name, value)
        };
        Self(FACTS.map(fact).into())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_ref())
    }

    /// `text` with each fact in place of its name in braces. What a fact holds is never read as a name itself.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let known = after.split_once('}').and_then(|(name, behind)| Some((self.get(name)?, behind)));
            rest = match known {
                Some((fact, behind)) => {
                    filled.push_str(&without_nul(fact));
                    behind
                }
                None => {
                    filled.push('{');
                    after
                }
            };
        }
        filled + rest
    }

    /// The facts as variables of an environment: `VAGUEMESTRE_PATH`, `VAGUEMESTRE_FEED`, …
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.0.iter().map(|(name, value)| (format!("VAGUEMESTRE_{}", name.to_ascii_uppercase()), without_nul(value)))
    }
}

/// No argument and no variable can hold that sign.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

/// What tells a delivery of this document, as it is now, to `target` from all others: the same at every try.
pub(super) fn key(target: &str, pending: &Pending) -> String {
    let whole = [target, pending.feed.as_str(), &pending.remote_id, &pending.sha256].join("\0");
    hex(&Sha256::digest(whole.as_bytes()))[..KEY].to_owned()
}

/// Sees to it that the copy at `path` is what was stored. This blocks.
///
/// # Errors
/// What is wrong with it.
pub(super) fn verify(path: &Path, sha256: &str) -> Result<(), String> {
    let found = hash(path).map_err(|error| format!("the archived copy {} cannot be read: {error}", path.display()))?;
    if found == sha256 { Ok(()) } else { Err(format!("{} no longer holds the bytes that were stored", path.display())) }
}

fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0_u8; 64 << 10]);
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&chunk[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(name: &str) -> Pending {
        Pending {
            id: 1,
            created_at: String::new(),
            feed: "fast/mairie/chorus".parse().unwrap(),
            remote_id: "7".to_owned(),
            archive_path: String::new(),
            sha256: "ab".to_owned(),
            name: Some(name.to_owned()),
            attempts: 0,
            circuit: None,
            label: None,
            failing_since: None,
            size: 12,
            media_type: "application/xml".to_owned(),
            stored_at: String::new(),
            summary: None,
        }
    }

    #[test]
    fn facts_stand_in_place_of_their_names_and_are_not_read_again() {
        let pending = pending("{path}\0; rm -rf /");
        let facts = Facts::of(&pending, Path::new("/a b/c.xml"));
        for (text, filled) in [
            ("{path}", "/a b/c.xml"),
            ("--id={remote_id},{size}", "--id=7,12"),
            ("{name}", "{path}; rm -rf /"),
            ("{circuit}", ""),
            ("{\"feed\": \"{feed}\"}", "{\"feed\": \"fast/mairie/chorus\"}"),
            ("{", "{"),
            ("{{path}", "{/a b/c.xml"),
        ] {
            assert_eq!(facts.fill(text), filled, "{text}");
        }
        assert!(facts.variables().any(|pair| pair == ("VAGUEMESTRE_MEDIA_TYPE".into(), "application/xml".into())));
    }

    #[test]
    fn a_key_is_of_one_document_and_one_target() {
        let (one, mut other) = (pending("a"), pending("b"));
        assert_eq!(key("t", &one), key("t", &other));
        assert_ne!(key("t", &one), key("u", &one));
        other.remote_id = "8".to_owned();
        assert_ne!(key("t", &one), key("t", &other));
    }
}
