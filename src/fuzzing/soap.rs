//! Answers of FAST over SOAP, in pieces.

use super::answer::Answer;
use super::base64::Decoder;
use super::envelope::Scanner;
use super::listing::Entries;
use super::multipart::{Multipart, Piece};
use crate::feed::Kind;

/// Reads an answer of this `Content-Type`, to a listing or to a download; each piece's part of the document goes to
/// `document`.
///
/// # Errors
/// What is wrong with it.
pub fn answer<'a>(
    content_type: &str,
    list: bool,
    pieces: impl Iterator<Item = &'a [u8]>,
    mut document: impl FnMut(&[u8]),
) -> Result<String, String> {
    let scanner = if list { Scanner::of_list(Entries::of(Kind::Chorus, None)) } else { Scanner::of_document() };
    let (mut answer, mut out) = (Answer::of(content_type, scanner)?, Vec::new());
    for piece in pieces {
        answer.feed(piece, &mut out)?;
        document(&out);
        out.clear();
    }
    answer.finish().map(|message| format!("{message:?}"))
}

/// A part's headers and bytes.
pub type Part = (Vec<(String, String)>, Vec<u8>);

/// Takes the parts of a body apart.
///
/// # Errors
/// What is wrong with it.
pub fn parts<'a>(boundary: &str, pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Part>, String> {
    let (mut multipart, mut parts) = (Multipart::new(boundary)?, Vec::<Part>::new());
    for piece in pieces {
        multipart.feed(piece, |piece| {
            match piece {
                Piece::Begins(headers) => parts.push((headers, Vec::new())),
                Piece::Bytes(bytes) => {
                    if let Some((_, part)) = parts.last_mut() {
                        part.extend_from_slice(bytes);
                    }
                }
                Piece::Ends => {}
            }
            Ok(())
        })?;
    }
    multipart.finish().map(|()| parts)
}

/// Decodes base64.
///
/// # Errors
/// What is wrong with it.
pub fn base64<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<u8>, String> {
    let (mut decoder, mut out) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.feed(piece, &mut out)?;
    }
    decoder.finish().map(|()| out)
}
