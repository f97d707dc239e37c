//! An envelope as it arrives: the document in it is decoded on the way, never held; the little that stands around it is kept,
//! and read as a whole at the end.
//!
//! A document stands in an element `content`, as base64 or by reference (XOP). Everything up to that element's text is the
//! head, everything behind it the tail: together they must be a well-formed envelope.

use super::base64::Decoder;
use super::request::ENVELOPE;
use crate::connector::xml::{Step, walk};
use crate::content::referenced;

/// Bytes that an envelope may have around a document.
const AROUND: usize = 64 << 10;
/// Bytes that the envelope of a list may have: a million ids have 30 MiB.
pub(super) const LARGEST_LIST: usize = 32 << 20;
/// The element that holds a document.
const CONTENT: &str = "content";
/// The namespace of XOP (§2.1).
const XOP: &str = "http://www.w3.org/2004/08/xop/include";
/// Characters of a tag that are read; more are no tag of an envelope.
const LONGEST_TAG: usize = 8 << 10;

/// What an envelope says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A fault (SOAP 1.1, §4.4): its texts, those of its detail last.
    Fault(Vec<String>),
    /// An answer.
    Answer(Vec<Return>),
}

/// An element `return`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Return {
    /// Its own text.
    pub(super) text: String,
    /// Its `documentId`.
    pub(super) document_id: Option<String>,
    /// Whether it has a `content`.
    pub(super) content: bool,
    /// Where that content is, if it is not in the envelope: `cid:…`.
    pub(super) include: Option<String>,
}

/// Reads one envelope, piece by piece.
#[derive(Debug)]
pub(super) struct Scanner {
    /// What stands around the document.
    around: Vec<u8>,
    /// How much of that may come.
    limit: usize,
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
        Self::new(AROUND)
    }

    /// Reads the answer to a listing.
    pub(super) fn of_list() -> Self {
        Self::new(LARGEST_LIST)
    }

    fn new(limit: usize) -> Self {
        let (around, pending, decoder) = (Vec::new(), Vec::new(), Decoder::default());
        Self { around, limit, place: Place::Around, pending, quote: None, decoder }
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
    pub(super) fn finish(&self) -> Result<Message, String> {
        if self.place != Place::Around {
            return Err("the answer is cut".to_owned());
        }
        self.decoder.finish()?;
        read(&self.around)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), String> {
        if self.around.len() + bytes.len() > self.limit {
            return Err(format!("the answer has more than {} KiB around its document", self.limit >> 10));
        }
        self.around.extend_from_slice(bytes);
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
            if self.place == Place::ContentMarkup && self.pending == b"<![CDATA[" {
                self.pending.clear();
                self.place = Place::ContentCdata;
                return Ok(&bytes[at + 1..]);
            }
            if whole {
                self.ended(out)?;
                return Ok(&bytes[at + 1..]);
            }
            let long = self.pending.starts_with(b"<!--") || self.pending.starts_with(b"<![CDATA[");
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
        if markup.starts_with(b"<![CDATA[") {
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
        } else if self.pending.len() >= LONGEST_TAG && !matches!(byte, b']') {
            self.decoder.feed(&self.pending, out)?;
            self.pending.clear();
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
                self.keep(&markup)?;
                Place::Around
            }
            _ => {
                self.keep(&markup)?;
                if opens_content(&markup) { Place::Content } else { Place::Around }
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

/// Reads an envelope less the text of its document.
fn read(bytes: &[u8]) -> Result<Message, String> {
    let mut reader = Reader::default();
    walk(bytes, |step| reader.step(step))?;
    if !reader.body {
        return Err("it is no SOAP envelope with a body".to_owned());
    }
    Ok(if reader.is_fault { Message::Fault(reader.texts) } else { Message::Answer(reader.returns) })
}

#[derive(Default)]
struct Reader {
    depth: usize,
    /// The names of the open elements below the body.
    path: Vec<String>,
    text: String,
    body: bool,
    is_fault: bool,
    texts: Vec<String>,
    returns: Vec<Return>,
}

impl Reader {
    fn step(&mut self, step: Step<'_>) -> Result<(), String> {
        match step {
            Step::Open { namespace, name, href } => {
                self.depth += 1;
                match self.depth {
                    1 if name != "Envelope" || namespace != ENVELOPE => {
                        return Err("it is XML, and no SOAP envelope".to_owned());
                    }
                    2 if name == "Body" && namespace == ENVELOPE => self.body = true,
                    1 | 2 => {}
                    _ if self.body => self.opened(namespace, name, href),
                    _ => {}
                }
                self.text.clear();
            }
            Step::Text(text) => self.text.push_str(text),
            Step::Close => {
                if self.depth > 2 && self.body {
                    self.closed();
                }
                self.depth -= 1;
                self.text.clear();
            }
        }
        Ok(())
    }

    fn opened(&mut self, namespace: &str, name: &str, href: Option<String>) {
        if self.path.is_empty() && name == "Fault" && namespace == ENVELOPE {
            self.is_fault = true;
        }
        self.path.push(name.to_owned());
        match (&*self.path, self.returns.last_mut()) {
            ([_, it], _) if it == "return" => self.returns.push(Return::default()),
            ([_, it, content], Some(last)) if it == "return" && content == CONTENT => last.content = true,
            ([_, it, content, include], Some(last))
                if it == "return" && content == CONTENT && include == "Include" && namespace == XOP =>
            {
                last.include = href;
            }
            _ => {}
        }
    }

    fn closed(&mut self) {
        let text = self.text.trim();
        match (&*self.path, self.returns.last_mut()) {
            (_, _) if self.is_fault && !text.is_empty() => self.texts.push(text.to_owned()),
            ([_, it], Some(last)) if it == "return" => text.clone_into(&mut last.text),
            ([_, it, name], Some(last)) if it == "return" && name == "documentId" => {
                last.document_id = Some(text.to_owned());
            }
            _ => {}
        }
        self.path.pop();
    }
}

#[cfg(test)]
mod tests;
