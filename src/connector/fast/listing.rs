//! The JSON array of ids that a listing is (guide v3.4, §2.6.13): each entry judged alone.

use std::collections::HashSet;

use serde_json::value::RawValue;

use crate::connector::Listing;

/// The guide says 9 digits; room is left, but what is longer is no id.
const LONGEST_ID: usize = 20;
/// Characters of a refused entry that are shown.
const SHOWN: usize = 40;
/// Refused entries that are kept for the log.
const KEPT: usize = 20;

/// Reads a listing. Numbers and strings of digits are ids; any other entry is refused, and the rest goes on.
///
/// # Errors
/// A sentence that says what the bytes are, where they are no JSON array.
pub fn parse(bytes: &[u8]) -> Result<Listing, String> {
    let entries: Vec<&RawValue> =
        serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON array ({error})"))?;
    let mut seen = HashSet::with_capacity(entries.len());
    let mut listing = Listing { ids: Vec::with_capacity(entries.len()), ..Listing::default() };
    let mut refused = 0_usize;
    for entry in entries {
        match id(entry.get()) {
            Some(id) if seen.insert(id) => listing.ids.push(id.to_owned()),
            Some(_) => listing.duplicates += 1,
            None => {
                refused += 1;
                if refused <= KEPT {
                    listing.refused.push(entry.get().chars().filter(|c| !c.is_control()).take(SHOWN).collect());
                }
            }
        }
    }
    if refused > KEPT {
        listing.refused.push(format!("… and {} more", refused - KEPT));
    }
    Ok(listing)
}

fn id(raw: &str) -> Option<&str> {
    let text = raw.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(raw);
    let digits = !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_are_ids_and_each_counts_once() {
        let listing = parse(br#" [320073963, "320073961", 320073963 , "320073963"] "#).unwrap();
        assert_eq!(listing.ids, ["320073963", "320073961"]);
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
        assert_eq!(listing.ids, ["42"]);
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
    fn a_listing_of_a_hundred_thousand_ids_is_fine() {
        let ids: Vec<String> = (0..100_000).map(|n| (300_000_000 + n).to_string()).collect();
        assert_eq!(parse(format!("[{}]", ids.join(",")).as_bytes()).unwrap().ids, ids);
    }
}
