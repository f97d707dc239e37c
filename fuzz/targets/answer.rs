//! Answers over SOAP, plain or in parts: whole or in pieces they say the same, and what is wrong with them is found before
//! much is held.
//!
//! The input: a byte for the length of pieces, a `Content-Type`, the end of that line, the body. A body with `\xff\xff` in it
//! is a beginning and what is said over and over behind it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vaguemestre::fuzzing::soap;
use vaguemestre_fuzz::{memory, pieces};

/// Bytes that an answer without a document may have us hold: twice 64 KiB around it, copied once or twice on the way.
const HELD: usize = 640 << 10;
/// Bytes said to see it.
const SAID: usize = 2 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((&length, rest)) = bytes.split_first() else { return };
    let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let content_type = String::from_utf8_lossy(&rest[..end]);
    let body = rest.get(end + 1..).unwrap_or_default();
    if let Some(at) = body.windows(2).position(|pair| pair == b"\xff\xff") {
        return endure(&content_type, &body[..at], &body[at + 2..]);
    }
    for list in [false, true] {
        let whole = read(&content_type, list, std::iter::once(body));
        let cut = read(&content_type, list, pieces(body, length));
        match (&whole, &cut) {
            (Ok(whole), Ok(cut)) => assert!(whole == cut, "whole: {whole:?}; in pieces: {cut:?}"),
            (Err(_), Err(_)) => {}
            _ => panic!("whole: {whole:?}; in pieces: {cut:?}"),
        }
    }
    let boundary = content_type.split_once("boundary=").map_or("b", |(_, boundary)| boundary);
    let (whole, cut) = (soap::parts(boundary, std::iter::once(body)), soap::parts(boundary, pieces(body, length)));
    assert!(whole.is_ok() == cut.is_ok() && (whole.is_err() || whole == cut), "whole: {whole:?}; in pieces: {cut:?}");
});

fn read<'a>(kind: &str, list: bool, pieces: impl Iterator<Item = &'a [u8]>) -> Result<(String, Vec<u8>), String> {
    let mut document = Vec::new();
    let said = soap::answer(kind, list, pieces, |bytes| document.extend_from_slice(bytes))?;
    Ok((said, document))
}

fn endure(kind: &str, beginning: &[u8], unit: &[u8]) {
    if unit.is_empty() {
        return;
    }
    let piece = unit.repeat((16 << 10) / unit.len() + 1);
    let pieces = std::iter::once(beginning).chain(std::iter::repeat_n(&*piece, SAID / piece.len()));
    let (_, held) = memory(|| soap::answer(kind, false, pieces, |_| {}));
    assert!(
        held < HELD + 8 * (piece.len() + beginning.len()),
        "{held} bytes are held of an answer that brings nothing"
    );
}
