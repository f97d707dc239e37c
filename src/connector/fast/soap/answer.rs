//! An answer of the service as it arrives, plain or in parts (MTOM, XOP): bytes in, the document's bytes out.

use percent_encoding::percent_decode_str;

use super::base64::Decoder;
use super::envelope::Scanner;
use super::message::Message;
use super::multipart::{Multipart, Piece, parameter};
use super::request::ENVELOPE;

/// Bytes of headers, and of parts that nobody refers to: an answer that brings nothing is not read for ever.
const IDLE: usize = 1 << 20;
/// Parts of an answer; two are enough.
const PARTS: usize = 64;
/// How much of a part is looked at to tell whether it is the envelope.
const START: usize = 4 << 10;

/// Reads one answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// An envelope.
    Plain(Box<Scanner>),
    /// An envelope and, in parts of their own, what it refers to.
    Parts(Box<Parts>),
}

/// The parts of an answer.
#[derive(Debug)]
pub(super) struct Parts {
    multipart: Multipart,
    sorter: Sorter,
}

impl Answer {
    /// Reads an answer of this `Content-Type`, with `scanner`.
    ///
    /// # Errors
    /// When its parts cannot be told apart.
    pub(super) fn of(content_type: &str, mut scanner: Scanner) -> Result<Self, String> {
        scanner.written_in(parameter(content_type, "charset").as_deref());
        let kind = content_type.trim().to_lowercase();
        if !kind.starts_with("multipart/") {
            return Ok(Self::Plain(Box::new(scanner)));
        }
        let boundary = parameter(content_type, "boundary").ok_or("its parts have no boundary")?;
        let start = parameter(content_type, "start").map(|start| bare(&start));
        let multipart = Multipart::new(&boundary)?;
        Ok(Self::Parts(Box::new(Parts { multipart, sorter: Sorter::new(start, scanner) })))
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
    pub(super) fn finish(&mut self) -> Result<Message, String> {
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

/// Which part is which.
#[derive(Debug)]
struct Sorter {
    /// The root's name, where the answer tells it.
    start: Option<String>,
    scanner: Scanner,
    /// The part being read.
    part: Part,
    /// The root has begun.
    rooted: bool,
    /// What it says, once it is over.
    message: Option<Message>,
    /// The name of the part that it refers to.
    wanted: Option<String>,
    /// The name of the part whose bytes were handed out as the document.
    given: Option<String>,
    /// Bytes of headers, and of parts that nobody refers to.
    idle: usize,
    /// Parts that have begun.
    count: usize,
}

/// A part that is being read.
#[derive(Debug)]
struct Part {
    role: Role,
    /// Its name.
    id: String,
    /// The charset of its media type.
    charset: Option<String>,
    /// What takes away its transfer encoding.
    decoder: Option<Decoder>,
}

#[derive(Debug)]
enum Role {
    /// It begins so; whether it is the root or the document shows soon.
    Unsure(Vec<u8>),
    /// The envelope.
    Root,
    Document,
    /// Nobody refers to it.
    Other,
}

impl Sorter {
    fn new(start: Option<String>, scanner: Scanner) -> Self {
        let part = Part { role: Role::Other, id: String::new(), charset: None, decoder: None };
        let (rooted, message, wanted, given) = (false, None, None, None);
        Self { start, scanner, part, rooted, message, wanted, given, idle: 0, count: 0 }
    }

    fn take(&mut self, piece: Piece<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        match piece {
            Piece::Begins(headers) => self.begin(&headers),
            Piece::Bytes(bytes) => match &mut self.part.decoder {
                Some(decoder) => {
                    let mut decoded = Vec::new();
                    decoder.feed(bytes, &mut decoded)?;
                    self.pass(&decoded, out)
                }
                None => self.pass(bytes, out),
            },
            Piece::Ends => self.end(out),
        }
    }

    fn begin(&mut self, headers: &[(String, String)]) -> Result<(), String> {
        self.count += 1;
        if self.count > PARTS {
            return Err(format!("it has more than {PARTS} parts"));
        }
        self.idles(headers.iter().map(|(name, value)| name.len() + value.len()).sum())?;
        let header = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let id = header("content-id").map(bare).unwrap_or_default();
        let role = if !self.rooted {
            // Some services name a root that is none of the parts, and some put it last.
            if self.start.as_ref() == Some(&id) { Role::Root } else { Role::Unsure(Vec::new()) }
        } else if self.given.is_none() && self.wanted.as_deref().is_some_and(|wanted| name_of(&id) == wanted) {
            Role::Document
        } else {
            Role::Other
        };
        let coding = header("content-transfer-encoding").unwrap_or("binary").trim().to_lowercase();
        let decoder = match coding.as_str() {
            _ if matches!(role, Role::Other) => None,
            "binary" | "8bit" | "7bit" => None,
            "base64" => Some(Decoder::default()),
            other => return Err(format!("a part of it is encoded as {other}")),
        };
        let charset = header("content-type").and_then(|kind| parameter(kind, "charset"));
        self.part = Part { role, id, charset, decoder };
        match self.part.role {
            Role::Root => self.root(),
            Role::Document => self.given = Some(self.part.id.clone()),
            Role::Unsure(_) | Role::Other => {}
        }
        Ok(())
    }

    /// The present part is the root.
    fn root(&mut self) {
        (self.part.role, self.rooted) = (Role::Root, true);
        self.scanner.written_in(self.part.charset.as_deref());
    }

    /// Passes bytes of the present part to where they belong.
    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        match &mut self.part.role {
            Role::Unsure(start) => {
                start.extend_from_slice(bytes);
                if start.len() >= START { self.settle(out) } else { Ok(()) }
            }
            Role::Root => {
                let before = out.len();
                self.scanner.feed(bytes, out)?;
                if out.len() > before && self.given.is_some() {
                    return Err("it holds a document in its envelope, and one before it".to_owned());
                }
                Ok(())
            }
            Role::Document => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            Role::Other => self.idles(bytes.len()),
        }
    }

    /// Enough of a part has come to tell what it is: an envelope, or, if it is the first that is none, the document.
    fn settle(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let Role::Unsure(start) = &mut self.part.role else { return Ok(()) };
        let start = std::mem::take(start);
        self.part.role = Role::Other;
        if is_envelope(&start) {
            self.root();
        } else if self.given.is_none() {
            (self.given, self.part.role) = (Some(self.part.id.clone()), Role::Document);
        }
        self.pass(&start, out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        if let Some(decoder) = &self.part.decoder {
            decoder.finish()?;
        }
        self.settle(out)?;
        if matches!(self.part.role, Role::Root) {
            let message = self.scanner.finish()?;
            self.wanted = included(&message).map(name_of);
            self.message = Some(message);
        }
        Ok(())
    }

    fn idles(&mut self, bytes: usize) -> Result<(), String> {
        self.idle += bytes;
        if self.idle > IDLE {
            return Err("it has large parts that nothing refers to".to_owned());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Message, String> {
        let message = self.message.take().ok_or("none of its parts is an envelope")?;
        match (&self.wanted, &self.given) {
            (Some(wanted), Some(given)) if *wanted == name_of(given) => Ok(message),
            (Some(wanted), _) => Err(format!("it refers to {wanted}, which is not among its parts")),
            (None, Some(_)) if !matches!(message, Message::Fault(_)) => {
                Err("it has a part that its envelope does not refer to".to_owned())
            }
            (None, _) => Ok(message),
        }
    }
}

/// What an envelope refers to.
fn included(message: &Message) -> Option<&str> {
    match message {
        Message::Answer(returns) => returns.iter().find_map(|it| it.include.as_deref()),
        Message::Fault(_) | Message::List(_) => None,
    }
}

/// The name of the part that `cid:…` means (RFC 2392), or that a part bears: percent-encoded or not, for some write either so.
fn name_of(href: &str) -> String {
    let name = href.strip_prefix("cid:").unwrap_or(href);
    percent_decode_str(name).decode_utf8_lossy().into_owned()
}

/// A name without its brackets.
fn bare(id: &str) -> String {
    id.trim().trim_start_matches('<').trim_end_matches('>').to_owned()
}

/// Whether a part that begins so is an envelope.
fn is_envelope(start: &[u8]) -> bool {
    let has = |wanted: &[u8]| start.windows(wanted.len()).take(START).any(|window| window == wanted);
    has(b"Envelope") && has(ENVELOPE.as_bytes())
}

#[cfg(test)]
mod tests;
