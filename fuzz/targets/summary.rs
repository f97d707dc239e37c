//! What a return says: read whatever it is, with little memory, the same however it comes.
//!
//! The input: a byte for the length of reads, the body.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use vaguemestre::content::summary::summarise;
use vaguemestre_fuzz::{Halting, memory};

fuzz_target!(|bytes: &[u8]| {
    let Some((&length, body)) = bytes.split_first() else { return };
    let (summary, held) = memory(|| summarise(Cursor::new(body)).expect("no disk is read"));
    assert!(held < (4 << 20) + 64 * body.len(), "{held} bytes held");
    assert_eq!(summary, summarise(Halting::new(body, length)).expect("no disk is read"));
    if let Some(summary) = summary {
        serde_json::from_str::<serde_json::Value>(&summary.json.to_string()).expect("it was written as JSON");
    }
});
