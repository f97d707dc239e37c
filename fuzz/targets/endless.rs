//! Answers over SOAP that bring nothing, for ever: little is held of them.
//!
//! The input: a `Content-Type`, the end of that line, a beginning, `\xff\xff`, and what is said over and over behind it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vaguemestre::fuzzing::soap;
use vaguemestre_fuzz::memory;

/// Bytes that may be held: 64 KiB around a document, 64 KiB of markup, 64 KiB before the first part, in buffers that doubled.
const HELD: usize = 512 << 10;
/// Bytes said to see it.
const SAID: usize = 768 << 10;
/// Bytes in a piece.
const PIECE: usize = 8 << 10;

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else { return };
    let (kind, body) = (String::from_utf8_lossy(&bytes[..end]), &bytes[end + 1..]);
    let Some(at) = body.windows(2).position(|pair| pair == b"\xff\xff") else { return };
    let (beginning, unit) = (&body[..at], &body[at + 2..]);
    if unit.is_empty() {
        return;
    }
    let piece = unit.repeat(PIECE / unit.len() + 1);
    let pieces = std::iter::once(beginning).chain(std::iter::repeat_n(&*piece, SAID / piece.len()));
    let (_, held) = memory(|| soap::answer(&kind, false, pieces, |_| {}));
    assert!(
        held < HELD + 8 * (piece.len() + beginning.len()),
        "{held} bytes are held of an answer that brings nothing"
    );
});
