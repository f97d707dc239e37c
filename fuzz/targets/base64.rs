//! The decoder of base64, in pieces, against that of the crate.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use vaguemestre::fuzzing::soap;
use vaguemestre_fuzz::pieces;

fuzz_target!(|bytes: &[u8]| {
    let Some((&length, text)) = bytes.split_first() else { return };
    let ours = soap::base64(pieces(text, length));
    let solid: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match (&ours, STANDARD.decode(&solid)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(*ours, theirs),
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("ours: {ours:?}; the crate's: {theirs:?}"),
    }
    let encoded = STANDARD.encode(text);
    assert_eq!(soap::base64(pieces(encoded.as_bytes(), length)).as_deref(), Ok(text));
});
