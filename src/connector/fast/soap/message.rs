//! What an envelope says, less the text of its document.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::listing::Entries;
use super::request::ENVELOPE;
use crate::connector::Listing;
use crate::connector::xml::{Step, walk};

/// The element that holds a document.
pub(super) const CONTENT: &str = "content";
/// The namespace of XOP (§2.1).
const XOP: &str = "http://www.w3.org/2004/08/xop/include";

/// What an envelope says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A fault (SOAP 1.1, §4.4): its texts, less its codes; those of its detail last.
    Fault(Vec<String>),
    /// An answer that should hold a document.
    Answer(Vec<Return>),
    /// An answer that should be a list.
    List(Listing),
}

/// An element `return`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Return {
    /// Its `documentId`, unless that is empty.
    pub(super) document_id: Option<String>,
    /// How many `content` it has.
    pub(super) contents: usize,
    /// Where that content is, if it is not in the envelope: `cid:…`.
    pub(super) include: Option<String>,
}

/// Reads an envelope less the text of its document, written in `charset` where it does not say itself; a list goes to `entries`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(
    bytes: &[u8],
    charset: Option<&'static Encoding>,
    entries: Option<Entries>,
) -> Result<Message, String> {
    let mut reader = Reader { entries, ..Reader::default() };
    walk(&in_utf8(bytes, charset), |step| reader.step(step))?;
    if !reader.body {
        return Err("it is no SOAP envelope with a body".to_owned());
    }
    Ok(match reader.entries {
        _ if reader.is_fault => Message::Fault(reader.texts),
        Some(entries) => Message::List(entries.finish()),
        None => Message::Answer(reader.returns),
    })
}

/// An envelope that does not say how it is written: in `charset`, else in UTF-8, else as Western Windows writes.
fn in_utf8<'b>(bytes: &'b [u8], charset: Option<&'static Encoding>) -> Cow<'b, [u8]> {
    let charset = charset.filter(|charset| *charset != UTF_8 && charset.is_ascii_compatible());
    let charset = match charset {
        _ if says_its_encoding(bytes) => return bytes.into(),
        Some(charset) => charset,
        None if std::str::from_utf8(bytes).is_ok() => return bytes.into(),
        None => WINDOWS_1252,
    };
    charset.decode_without_bom_handling(bytes).0.into_owned().into_bytes().into()
}

fn says_its_encoding(bytes: &[u8]) -> bool {
    let declaration = bytes.strip_prefix(b"<?xml").and_then(|rest| rest.split(|&byte| byte == b'>').next());
    let named = declaration.is_some_and(|text| text.windows(8).any(|window| window == b"encoding"));
    named || Encoding::for_bom(bytes).is_some()
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
    entries: Option<Entries>,
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
                    _ if self.body => self.opened(namespace, name, href)?,
                    _ => {}
                }
                self.text.clear();
            }
            Step::Text(text) => self.text.push_str(text),
            Step::Close => {
                if self.depth > 2 && self.body {
                    self.closed()?;
                }
                self.depth -= 1;
                self.text.clear();
            }
        }
        Ok(())
    }

    fn opened(&mut self, namespace: &str, name: &str, href: Option<String>) -> Result<(), String> {
        if self.path.is_empty() && name == "Fault" && namespace == ENVELOPE {
            self.is_fault = true;
        }
        self.path.push(name.to_owned());
        match (&*self.path, self.returns.last_mut()) {
            ([_, it], _) if it == "return" && self.entries.is_none() => self.returns.push(Return::default()),
            ([_, it, content], Some(last)) if it == "return" && content == CONTENT => last.contents += 1,
            ([_, it, content, include], Some(last)) if it == "return" && content == CONTENT => {
                if include != "Include" || namespace != XOP || last.include.is_some() {
                    return Err(format!("its {CONTENT} holds an element {include}"));
                }
                last.include = Some(href.ok_or("its Include does not say of what")?);
            }
            _ => {}
        }
        Ok(())
    }

    fn closed(&mut self) -> Result<(), String> {
        let text = self.text.trim();
        match (&*self.path, self.returns.last_mut(), &mut self.entries) {
            // Codes are for programs: `soap:Client` speaks of no client.
            ([_, code], ..) if self.is_fault && ["faultcode", "faultactor"].contains(&code.as_str()) => {}
            _ if self.is_fault && !text.is_empty() => self.texts.push(text.to_owned()),
            ([_, it], _, Some(entries)) if it == "return" => entries.judge(text)?,
            ([_, it, name], Some(last), _) if it == "return" && name == "documentId" && !text.is_empty() => {
                last.document_id = Some(text.to_owned());
            }
            // The document's own text is not here: this stands behind an element in it.
            ([_, it, name], ..) if it == "return" && name == CONTENT && !text.is_empty() => {
                return Err(format!("its {CONTENT} goes on behind an element"));
            }
            _ => {}
        }
        self.path.pop();
        Ok(())
    }
}
