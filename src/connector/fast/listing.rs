//! The JSON array of ids that a listing is (guide v3.4, §2.6.13): each entry judged alone.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::connector::Listing;
use crate::feed::RemoteDocument;
use crate::words::is_hidden;

/// The guide says 9 digits; room is left, but what is longer is no id.
const LONGEST_ID: usize = 20;
/// Characters of a refused entry that are shown.
pub(super) const SHOWN: usize = 40;
/// Refused entries that are kept for the log.
pub(super) const KEPT: usize = 20;

/// Entries of a listing that are taken: no subscriber has as many, and they are held in memory (about 60 MiB of it).
pub(super) const MOST: usize = 250_000;

/// Reads a listing. Numbers and strings of digits are ids; any other entry is refused, and the rest goes on.
///
/// # Errors
/// A sentence that says what the bytes are, where they are no JSON array, or one of too many entries.
pub fn parse(bytes: &[u8]) -> Result<Listing, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut entries = Entries::default();
    let read = json.deserialize_seq(&mut entries).and_then(|()| json.end());
    if entries.count > MOST {
        return Err(format!("it has more than {MOST} entries"));
    }
    read.map_err(|error| format!("it is no JSON array ({error})"))?;
    let Entries { mut listing, refused, .. } = entries;
    if refused > KEPT {
        listing.refused.push(format!("… and {} more", refused - KEPT));
    }
    Ok(listing)
}

/// Entries as they are read, each judged at once: those that say nothing take no memory.
#[derive(Default)]
struct Entries<'de> {
    count: usize,
    seen: HashSet<&'de str>,
    listing: Listing,
    refused: usize,
}

impl<'de> Entries<'de> {
    fn judge(&mut self, entry: &'de str) {
        match id(entry) {
            Some(id) if self.seen.insert(id) => self.listing.documents.push(RemoteDocument::of_id(id)),
            Some(_) => self.listing.duplicates += 1,
            None => {
                self.refused += 1;
                if self.refused <= KEPT {
                    self.listing.refused.push(entry.chars().filter(|&c| !is_hidden(c)).take(SHOWN).collect());
                }
            }
        }
    }
}

impl<'de> Visitor<'de> for &mut Entries<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of ids")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<&RawValue>()? {
            self.count += 1;
            if self.count > MOST {
                return Err(A::Error::custom("too many"));
            }
            self.judge(entry.get());
        }
        Ok(())
    }
}

fn id(raw: &str) -> Option<&str> {
    let text = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(raw);
    is_id(text).then_some(text)
}

/// Whether `text` is the id of a document.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(listing: &Listing) -> Vec<&str> {
        listing.documents.iter().map(|document| document.id.as_str()).collect()
    }

    #[test]
    fn numbers_and_strings_are_ids_and_each_counts_once() {
        let listing = parse(br#" [320073963, "320073961", 320073963 , "320073963"] "#).unwrap();
        assert_eq!(ids(&listing), ["320073963", "320073961"]);
        assert_eq!(listing.duplicates, 2);
        assert!(listing.refused.is_empty());
    }

    #[test]
    fn what_is_no_id_is_refused_alone() {
        let long = "9".repeat(200);
        let text = format!(
            r#"["../x", -5, {long}, "{long}", null, {{"id": 7}}, [8], 1.5, 1e3, true, "", "12 ", "1\u0032", 42]"#
        );
        let listing = parse(text.as_bytes()).unwrap();
        assert_eq!(ids(&listing), ["42"]);
        assert_eq!(listing.refused.len(), 13);
        assert!(listing.refused.iter().all(|entry| entry.chars().count() <= 40));
    }

    #[test]
    fn what_is_no_array_says_what_it_is() {
        for text in ["{}", "", "<html>", "[1,", "[1] [2]", "null"] {
            assert!(parse(text.as_bytes()).unwrap_err().starts_with("it is no JSON array"), "{text}");
        }
    }

    #[test]
    fn a_listing_of_absurdly_many_entries_is_refused() {
        let listing = |count: usize| format!("[{}1]", "1,".repeat(count - 1));
        assert_eq!(parse(listing(MOST).as_bytes()).unwrap().duplicates, MOST - 1);
        assert_eq!(parse(listing(MOST + 1).as_bytes()).unwrap_err(), "it has more than 250000 entries");
    }

    #[test]
    fn a_listing_of_a_hundred_thousand_ids_is_fine() {
        let many: Vec<String> = (0..100_000).map(|n| (300_000_000 + n).to_string()).collect();
        assert_eq!(ids(&parse(format!("[{}]", many.join(",")).as_bytes()).unwrap()), many);
    }
}
