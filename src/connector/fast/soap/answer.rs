//! An answer of the service as it arrives, plain or in parts (MTOM, XOP): bytes in, the document's bytes out.

use percent_encoding::percent_decode_str;

use super::base64::Decoder;
use super::envelope::{Message, Scanner};
use super::multipart::{Multipart, Piece, parameter};

/// Bytes of parts that nobody refers to: an answer that brings nothing is not read for ever.
const IDLE: usize = 1 << 20;

/// Reads one answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// An envelope.
    Plain(Scanner),
    /// An envelope and, in parts of their own, what it refers to.
    Parts(Box<Parts>),
}

/// The parts of an answer.
#[derive(Debug)]
pub(super) struct Parts {
    multipart: Multipart,
    sorter: Sorter,
}

/// Which part is which.
#[derive(Debug)]
struct Sorter {
    /// The root's name, where the answer tells it; else the first part is the root.
    start: Option<String>,
    scanner: Scanner,
    /// The part being read.
    present: Present,
    /// The root has come.
    rooted: bool,
    /// The name of the part whose bytes were handed out as the document.
    given: Option<String>,
    /// Bytes of parts that nobody refers to.
    idle: usize,
}

#[derive(Debug)]
enum Present {
    Root,
    /// The document's bytes, as they are or as base64.
    Document(Option<Decoder>),
    /// A part that nobody refers to.
    Other,
}

impl Answer {
    /// Reads an answer of this `Content-Type`, with `scanner`.
    ///
    /// # Errors
    /// When its parts cannot be told apart.
    pub(super) fn of(content_type: &str, scanner: Scanner) -> Result<Self, String> {
        let kind = content_type.trim().to_lowercase();
        if !kind.starts_with("multipart/") {
            return Ok(Self::Plain(scanner));
        }
        let boundary = parameter(content_type, "boundary").ok_or("its parts have no boundary")?;
        let start = parameter(content_type, "start");
        let sorter = Sorter { start, scanner, present: Present::Other, rooted: false, given: None, idle: 0 };
        Ok(Self::Parts(Box::new(Parts { multipart: Multipart::new(&boundary)?, sorter })))
    }

    /// Takes the next bytes; what they hold of the document is added to `out`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Plain(scanner) => scanner.feed(bytes, out),
            Self::Parts(parts) => {
                let Parts { multipart, sorter } = &mut **parts;
                multipart.feed(bytes, |piece| sorter.take(piece, out))
            }
        }
    }

    /// The answer is over: what its envelope says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn finish(&self) -> Result<Message, String> {
        match self {
            Self::Plain(scanner) => {
                let message = scanner.finish()?;
                match included(&message) {
                    Some(href) => Err(format!("it refers to {href}, and has no parts")),
                    None => Ok(message),
                }
            }
            Self::Parts(parts) => {
                parts.multipart.finish()?;
                parts.sorter.finish()
            }
        }
    }
}

impl Sorter {
    fn take(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        match piece {
            Piece::Begins(headers) => self.begin(&headers),
            Piece::Bytes(bytes) => match &mut self.present {
                Present::Root => self.scanner.feed(bytes, out),
                Present::Document(None) => {
                    out.extend_from_slice(bytes);
                    Ok(())
                }
                Present::Document(Some(decoder)) => decoder.feed(bytes, out),
                Present::Other => {
                    self.idle += bytes.len();
                    if self.idle > IDLE {
                        return Err("it has large parts that nothing refers to".to_owned());
                    }
                    Ok(())
                }
            },
            Piece::Ends => match &self.present {
                Present::Document(Some(decoder)) => decoder.finish(),
                _ => Ok(()),
            },
        }
    }

    fn begin(&mut self, headers: &[(String, String)]) -> Result<(), String> {
        let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let id = header("content-id").map(bare).unwrap_or_default();
        let is_root = match &self.start {
            Some(start) => bare(start) == id,
            None => !self.rooted,
        };
        if is_root {
            (self.present, self.rooted) = (Present::Root, true);
            return Ok(());
        }
        // Only one part can be the document: what the envelope refers to, or, where it comes later, the first.
        let wanted = self.wanted();
        if self.given.is_some() || wanted.is_some_and(|wanted| wanted != id) {
            self.present = Present::Other;
            return Ok(());
        }
        self.given = Some(id);
        self.present = match header("content-transfer-encoding").unwrap_or("binary").to_lowercase().as_str() {
            "binary" | "8bit" | "7bit" => Present::Document(None),
            "base64" => Present::Document(Some(Decoder::default())),
            other => return Err(format!("a part of it is encoded as {other}")),
        };
        Ok(())
    }

    /// The name of the part that the envelope refers to, once it has come.
    fn wanted(&self) -> Option<String> {
        if !self.rooted {
            return None;
        }
        included(&self.scanner.finish().ok()?).map(|href| name_of(&href))
    }

    fn finish(&self) -> Result<Message, String> {
        let message = self.scanner.finish()?;
        match (included(&message), &self.given) {
            (None, None) => Ok(message),
            (Some(href), Some(given)) if name_of(&href) == *given => Ok(message),
            (Some(href), _) => Err(format!("it refers to {href}, which is not among its parts")),
            (None, Some(_)) if matches!(message, Message::Fault(_)) => Ok(message),
            (None, Some(_)) => Err("it has a part that its envelope does not refer to".to_owned()),
        }
    }
}

/// What an envelope refers to.
fn included(message: &Message) -> Option<String> {
    match message {
        Message::Answer(returns) => returns.iter().find_map(|it| it.include.clone()),
        Message::Fault(_) => None,
    }
}

/// The name of the part that `cid:…` means (RFC 2392), percent-encoded or not.
fn name_of(href: &str) -> String {
    let name = href.strip_prefix("cid:").unwrap_or(href);
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// A name without its brackets.
fn bare(id: &str) -> String {
    id.trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}

#[cfg(test)]
mod tests;
