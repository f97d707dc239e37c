//! An envelope as it arrives: the document in it is decoded on the way, never held; the little that stands around it is kept,
//! and read as a whole at the end.
//!
//! A document stands in an element `content`, as base64 or by reference (XOP). Everything up to that element's text is the
//! head, everything behind it the tail: together they must be a well-formed envelope.

use encoding_rs::Encoding;

use super::base64::Decoder;
use super::listing::Entries;
use super::message::{self, CONTENT, Message};
use crate::content::referenced;

/// Bytes that an envelope may have around a document.
const AROUND: usize = 64 << 10;
/// Bytes that the envelope of a list may have: a million ids have 30 MiB.
pub(super) const LARGEST_LIST: usize = 32 << 20;
/// What opens a section whose markup means nothing.
const CDATA: &[u8] = b"<![CDATA[";
/// Characters of a tag that are read; more are no tag of an envelope.
const LONGEST_TAG: usize = 8 << 10;

/// Reads one envelope, piece by piece.
#[derive(Debug)]
pub(super) struct Scanner {
    /// What stands around the document.
    around: Vec<u8>,
    /// How much of that may come.
    limit: usize,
    /// Bytes of markup in the document's text that are not kept.
    passed: usize,
    /// How it is written, where what it comes with tells.
    charset: Option<&'static Encoding>,
    /// What takes the entries of a list.
    entries: Option<Entries>,
    /// The document's text has begun.
    opened: bool,
    place: Place,
    /// The markup that has begun and not ended.
    pending: Vec<u8>,
    /// The quote that is open in it.
    quote: Option<u8>,
    decoder: Decoder,
}

/// Where a scanner stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Outside of a document's text.
    Around,
    /// In markup outside of it.
    Markup,
    /// In a document's text.
    Content,
    /// In markup or a reference within it.
    ContentMarkup,
    ContentReference,
    /// In a CDATA section of it.
    ContentCdata,
}

impl Scanner {
    /// Reads the answer to a download.
    pub(super) fn of_document() -> Self {
        Self::new(AROUND, None)
    }

    /// Reads the answer to a listing, whose entries go to `entries`.
    pub(super) fn of_list(entries: Entries) -> Self {
        Self::new(LARGEST_LIST, Some(entries))
    }

    fn new(limit: usize, entries: Option<Entries>) -> Self {
        let (around, pending, decoder, place) = (Vec::new(), Vec::new(), Decoder::default(), Place::Around);
        let (passed, charset, opened, quote) = (0, None, false, None);
        Self { around, limit, passed, charset, entries, opened, place, pending, quote, decoder }
    }

    /// Where the envelope does not say how it is written, it is so: the name of a charset, as what it comes with has it.
    pub(super) fn written_in(&mut self, label: Option<&str>) {
        self.charset = label.and_then(|label| Encoding::for_label(label.as_bytes())).or(self.charset);
    }

    /// Takes the next bytes; what they hold of a document is added to `out`.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        while !bytes.is_empty() {
            bytes = match self.place {
                Place::Around => self.around(bytes)?,
                Place::Content => self.content(bytes, out)?,
                Place::Markup | Place::ContentMarkup | Place::ContentReference | Place::ContentCdata => {
                    self.markup(bytes, out)?
                }
            };
        }
        Ok(())
    }

    /// The envelope is over: what it says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn finish(&mut self) -> Result<Message, String> {
        if self.place != Place::Around {
            return Err("the answer is cut".to_owned());
        }
        self.decoder.finish()?;
        message::read(&std::mem::take(&mut self.around), self.charset, self.entries.take())
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.around.extend_from_slice(bytes);
        self.limited()
    }

    /// Passes markup in the document's text that says nothing.
    fn pass(&mut self, markup: &[u8]) -> Result<(), String> {
        self.passed += markup.len();
        self.limited()
    }

    fn limited(&self) -> Result<(), String> {
        if self.around.len() + self.passed > self.limit {
            return Err(format!("the answer has more than {} KiB around its document", self.limit >> 10));
        }
        Ok(())
    }

    fn around<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], String> {
        let end = bytes.iter().position(|&byte| byte == b'<').unwrap_or(bytes.len());
        self.keep(&bytes[..end])?;
        if end < bytes.len() {
            self.place = Place::Markup;
        }
        Ok(&bytes[end..])
    }

    fn content<'b>(&mut self, bytes: &'b [u8], out: &mut Vec<u8>) -> Result<&'b [u8], String> {
        let end = bytes.iter().position(|byte| matches!(byte, b'<' | b'&')).unwrap_or(bytes.len());
        self.decoder.feed(&bytes[..end], out)?;
        match bytes.get(end) {
            Some(b'<') => self.place = Place::ContentMarkup,
            Some(_) => self.place = Place::ContentReference,
            None => {}
        }
        Ok(&bytes[end..])
    }

    /// Takes markup byte by byte until it ends.
    fn markup<'b>(&mut self, bytes: &'b [u8], out: &mut Vec<u8>) -> Result<&'b [u8], String> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.place == Place::ContentCdata {
                self.cdata(byte, out)?;
                if self.place != Place::ContentCdata {
                    return Ok(&bytes[at + 1..]);
                }
                continue;
            }
            self.pending.push(byte);
            let whole = match self.place {
                Place::ContentReference => byte == b';',
                _ => self.is_whole(byte),
            };
            if self.place == Place::ContentMarkup && self.pending == CDATA {
                self.pending.clear();
                self.pass(CDATA)?;
                self.place = Place::ContentCdata;
                return Ok(&bytes[at + 1..]);
            }
            if whole {
                self.ended(out)?;
                return Ok(&bytes[at + 1..]);
            }
            let long = self.pending.starts_with(b"<!--") || self.pending.starts_with(CDATA);
            let longest = if long { self.limit } else { LONGEST_TAG };
            if self.pending.len() > longest {
                return Err("the answer has markup without end".to_owned());
            }
        }
        Ok(&[])
    }

    /// Whether the pending markup ends with `byte`, its last.
    fn is_whole(&mut self, byte: u8) -> bool {
        let markup = self.pending.as_slice();
        if markup.starts_with(b"<!--") {
            return markup.len() >= 7 && markup.ends_with(b"-->");
        }
        if markup.starts_with(CDATA) {
            return markup.ends_with(b"]]>");
        }
        if markup.starts_with(b"<?") {
            return markup.ends_with(b"?>");
        }
        // A `>` within quotes ends no tag.
        match self.quote {
            Some(open) if byte == open => self.quote = None,
            None if matches!(byte, b'"' | b'\'') => self.quote = Some(byte),
            _ => {}
        }
        byte == b'>' && self.quote.is_none()
    }

    /// One byte of a CDATA section of the document's text; the two that may be the beginning of its end wait.
    fn cdata(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), String> {
        self.pending.push(byte);
        if self.pending.ends_with(b"]]>") {
            let length = self.pending.len() - 3;
            self.decoder.feed(&self.pending[..length], out)?;
            self.pending.clear();
            self.place = Place::Content;
        } else if self.pending.len() >= LONGEST_TAG {
            let length = self.pending.len() - 2;
            self.decoder.feed(&self.pending[..length], out)?;
            self.pending.drain(..length);
        }
        Ok(())
    }

    /// Markup has ended.
    fn ended(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let markup = std::mem::take(&mut self.pending);
        self.quote = None;
        self.place = match self.place {
            Place::ContentReference => {
                let name = std::str::from_utf8(&markup[1..markup.len() - 1]).unwrap_or_default();
                let character = referenced(name).ok_or("the answer has a reference that is not known")?;
                self.decoder.feed(character.to_string().as_bytes(), out)?;
                Place::Content
            }
            Place::ContentMarkup if is_comment(&markup) => {
                self.keep(&markup)?;
                Place::Content
            }
            // The element's end, or an element in it (XOP): the text is over, whatever else stands there is read at the end.
            Place::ContentMarkup => {
                if !markup.starts_with(b"</") && self.decoder.has_begun() {
                    return Err(format!("its {CONTENT} holds text and elements"));
                }
                self.keep(&markup)?;
                Place::Around
            }
            Place::Markup if opens_content(&markup) => {
                if std::mem::replace(&mut self.opened, true) {
                    return Err("it holds several documents where one was asked for".to_owned());
                }
                self.keep(&markup)?;
                Place::Content
            }
            _ => {
                self.keep(&markup)?;
                Place::Around
            }
        };
        Ok(())
    }
}

fn is_comment(markup: &[u8]) -> bool {
    markup.starts_with(b"<!--") || markup.starts_with(b"<?")
}

/// Whether a tag opens the element that holds a document.
fn opens_content(markup: &[u8]) -> bool {
    let Some(tag) = markup.strip_prefix(b"<").filter(|_| !markup.ends_with(b"/>")) else { return false };
    let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'>').unwrap_or(tag.len());
    let name = &tag[..end];
    name.rsplit(|&byte| byte == b':').next() == Some(CONTENT.as_bytes())
}

#[cfg(test)]
mod tests;
