//! Answers over SOAP, plain or in parts: whole or in pieces they say the same.
//!
//! The input: a byte for the length of pieces, a `Content-Type`, the end of that line, the body.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vaguemestre::fuzzing::soap;
use vaguemestre_fuzz::pieces;

fuzz_target!(|bytes: &[u8]| {
    let Some((&length, rest)) = bytes.split_first() else { return };
    let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    let content_type = String::from_utf8_lossy(&rest[..end]);
    let body = rest.get(end + 1..).unwrap_or_default();
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
