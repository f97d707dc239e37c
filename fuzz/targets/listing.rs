//! The JSON listing: read whenever it is an array, each entry once, whatever it holds.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use vaguemestre::connector::fast::listing::parse;

fuzz_target!(|bytes: &[u8]| {
    let expected = serde_json::from_slice::<Vec<&RawValue>>(bytes);
    match (parse(bytes), expected) {
        (Ok(listing), Ok(entries)) => {
            let mut seen = HashSet::new();
            for document in &listing.documents {
                let id = document.id.as_str();
                assert!((1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit()), "{id:?}");
                assert!(seen.insert(id), "{id} twice");
            }
            assert!(listing.documents.len() + listing.duplicates <= entries.len());
            let refused = entries.len() - listing.documents.len() - listing.duplicates;
            assert_eq!(listing.refused.len(), refused.min(21));
            assert!(
                listing.refused.iter().all(|entry| entry.chars().count() <= 40 && vaguemestre_fuzz::is_line(entry))
            );
        }
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("ours: {ours:?}; serde_json: {:?}", theirs.map(|entries| entries.len())),
    }
});
