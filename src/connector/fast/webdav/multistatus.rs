//! The answer to a PROPFIND (RFC 4918, §13): what lies in a folder, in any server's dialect.

use jiff::Timestamp;

use super::etag::Etag;
use crate::connector::xml::{Step, walk};
use crate::http::http_date;

/// The namespace of WebDAV.
const DAV: &str = "DAV:";
/// Entries of a folder that are taken: none has as many, and they are held in memory.
const MOST: usize = 200_000;
/// Characters of a property that are taken.
const LONGEST: usize = 8_192;
/// Characters of a longer one that are shown.
const SHOWN: usize = 120;

/// One entry, as far as its server tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resource {
    /// Where it lies, as the server wrote it.
    pub(super) href: String,
    /// Whether it is a folder.
    pub(super) collection: bool,
    /// What tells its versions apart.
    pub(super) etag: Option<Etag>,
    /// Its length, in bytes.
    pub(super) length: Option<u64>,
    /// When it was last changed.
    pub(super) modified: Option<Timestamp>,
    /// A status of its own, where it has one instead of properties.
    pub(super) status: Option<u16>,
}

/// Properties found under one status.
#[derive(Default)]
struct Properties {
    status: Option<u16>,
    collection: bool,
    texts: [Option<String>; 3],
}

/// The properties read as text, in the order of [`Properties::texts`].
const TEXTS: [&str; 3] = ["getetag", "getcontentlength", "getlastmodified"];

/// Reads a multistatus.
///
/// # Errors
/// A sentence that says what the bytes are instead, or what is wrong with them.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Resource>, String> {
    let mut reader = Reader::default();
    walk(bytes, |step| reader.step(step))?;
    Ok(reader.resources)
}

#[derive(Default)]
struct Reader {
    /// The names of the open elements; those of other namespaces are empty.
    path: Vec<String>,
    text: String,
    resource: Resource,
    properties: Properties,
    resources: Vec<Resource>,
}

impl Reader {
    fn step(&mut self, step: Step<'_>) -> Result<(), String> {
        match step {
            Step::Open { namespace, name, .. } => {
                let name = if namespace == DAV { name } else { "" };
                if self.path.is_empty() && name != "multistatus" {
                    return Err("it is XML, and no multistatus".to_owned());
                }
                self.path.push(name.to_owned());
                self.text.clear();
                self.opened()
            }
            Step::Text(text) => {
                if self.text.len() <= LONGEST {
                    self.text.push_str(text);
                }
                Ok(())
            }
            Step::Close => {
                self.closed();
                self.path.pop();
                self.text.clear();
                Ok(())
            }
        }
    }

    fn opened(&mut self) -> Result<(), String> {
        match self.names()[..] {
            ["multistatus", "response"] => {
                if self.resources.len() >= MOST {
                    return Err(format!("it has more than {MOST} entries"));
                }
                self.resource = Resource::default();
            }
            ["multistatus", "response", "propstat"] => self.properties = Properties::default(),
            ["multistatus", "response", "propstat", "prop", "resourcetype", "collection"] => {
                self.properties.collection = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn closed(&mut self) {
        let text = self.text.trim().to_owned();
        let too_long = text.len() > LONGEST;
        match self.names()[..] {
            // In no folder: refused, and told by how it begins.
            ["multistatus", "response", "href"] if too_long => {
                self.resource.href = format!("/…/{}…", text.chars().take(SHOWN).collect::<String>());
            }
            ["multistatus", "response", "href"] => self.resource.href = text,
            ["multistatus", "response", "status"] => self.resource.status = status(&text),
            ["multistatus", "response", "propstat", "status"] => self.properties.status = status(&text),
            ["multistatus", "response", "propstat", "prop", name] => {
                if let Some(index) = TEXTS.iter().position(|known| *known == name).filter(|_| !too_long) {
                    self.properties.texts[index] = Some(text);
                }
            }
            ["multistatus", "response", "propstat"] => self.take_properties(),
            ["multistatus", "response"] => self.resources.push(std::mem::take(&mut self.resource)),
            _ => {}
        }
    }

    /// Only what a propstat with a good status says is so; one without a status says it plainly.
    fn take_properties(&mut self) {
        let Properties { status, collection, texts } = std::mem::take(&mut self.properties);
        if status.is_some_and(|status| !(200..300).contains(&status)) {
            return;
        }
        let [etag, length, modified] = texts;
        let resource = &mut self.resource;
        resource.collection |= collection;
        resource.etag = etag.as_deref().and_then(Etag::parse).or(resource.etag.take());
        resource.length = length.and_then(|length| length.parse().ok()).or(resource.length);
        resource.modified = modified.as_deref().and_then(http_date).or(resource.modified);
    }

    fn names(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }
}

/// The number in a status line (`HTTP/1.1 200 OK`).
fn status(line: &str) -> Option<u16> {
    line.split_whitespace().find_map(|word| word.parse().ok().filter(|number| (100..600).contains(number)))
}

#[cfg(test)]
mod tests;
