//! The request for a folder's listing (RFC 4918, §9.1).

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesStart, Event};

/// What is asked of each entry.
const PROPERTIES: [&str; 4] = ["resourcetype", "getetag", "getcontentlength", "getlastmodified"];

/// The body that asks for it.
///
/// # Errors
/// Never in practice: it is written into memory.
pub(super) fn body() -> Result<Vec<u8>, String> {
    let mut writer = Writer::new(Vec::new());
    writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None))).map_err(|error| error.to_string())?;
    let ask = writer.create_element("propfind").with_attribute(("xmlns", "DAV:")).write_inner_content(|writer| {
        writer.create_element("prop").write_inner_content(|writer| {
            PROPERTIES.iter().try_for_each(|name| writer.write_event(Event::Empty(BytesStart::new(*name))))
        })?;
        Ok(())
    });
    ask.map_err(|error: std::io::Error| error.to_string())?;
    Ok(writer.into_inner())
}
