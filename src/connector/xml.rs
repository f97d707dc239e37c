//! Small XML documents of platforms, read element by element: every document was checked first ([`xml_text`]), so that none
//! has a document type, an entity of its own, or depth without end.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use crate::content::{referenced, references_resolved, xml_text};

/// A step through a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// An element begins: its namespace (empty where it has none), its local name, and the value of its attribute `href`.
    Open { namespace: &'a str, name: &'a str, href: Option<String> },
    /// Text, in pieces.
    Text(&'a str),
    /// The innermost element ends.
    Close,
}

/// Walks through `bytes`, an XML document in any encoding.
///
/// # Errors
/// A sentence that says what is wrong: with the document, or what `each` says.
pub(super) fn walk(bytes: &[u8], mut each: impl FnMut(Step<'_>) -> Result<(), String>) -> Result<(), String> {
    let text = xml_text(bytes).map_err(|reason| reason.to_string())?;
    let mut reader = NsReader::from_str(&text);
    loop {
        let (resolved, event) = reader.read_resolved_event().map_err(|error| error.to_string())?;
        let namespace = match &resolved {
            ResolveResult::Bound(namespace) => namespace.into_inner(),
            ResolveResult::Unbound => "",
            ResolveResult::Unknown(prefix) => return Err(format!("the prefix `{prefix}` is not declared")),
        };
        match event {
            Event::Start(start) => {
                each(Step::Open { namespace, name: start.local_name().into_inner(), href: href(&start) })?;
            }
            Event::Empty(start) => {
                each(Step::Open { namespace, name: start.local_name().into_inner(), href: href(&start) })?;
                each(Step::Close)?;
            }
            Event::End(_) => each(Step::Close)?,
            Event::Text(text) => each(Step::Text(&text))?,
            Event::CData(text) => each(Step::Text(&text))?,
            Event::GeneralRef(reference) => {
                let mut buffer = [0; 4];
                if let Some(character) = referenced(&reference) {
                    each(Step::Text(character.encode_utf8(&mut buffer)))?;
                }
            }
            Event::Eof => return Ok(()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) | Event::DocType(_) => {}
        }
    }
}

fn href(start: &BytesStart<'_>) -> Option<String> {
    let attribute = start.attributes().flatten().find(|attribute| attribute.key.as_ref() == "href")?;
    Some(references_resolved(&attribute.value))
}
