//! What a WebDAV server says of its files.

use jiff::Timestamp;

use super::etag::Etag;
use super::{href, multistatus};

/// An entry of a folder.
#[derive(Debug)]
pub struct Entry {
    /// Where it lies, as the server wrote it.
    pub href: String,
    /// Whether it is a folder.
    pub collection: bool,
    /// Its entity tag, as a header has it.
    pub etag: Option<String>,
    /// When it was last changed.
    pub modified: Option<Timestamp>,
    /// A status of its own.
    pub status: Option<u16>,
}

/// Reads a multistatus.
///
/// # Errors
/// What is wrong with it.
pub fn multistatus(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let entry = |it: multistatus::Resource| Entry {
        href: it.href,
        collection: it.collection,
        etag: it.etag.as_ref().map(Etag::header),
        modified: it.modified,
        status: it.status,
    };
    Ok(multistatus::parse(bytes)?.into_iter().map(entry).collect())
}

/// The name, for people and for addresses, of the entry of `base` that `href` means.
///
/// # Errors
/// Why it cannot be taken.
pub fn child(base: &str, href: &str) -> Result<Option<(String, String)>, String> {
    Ok(href::child(base, href)?.map(|child| (child.name, child.encoded)))
}

/// An entity tag as a header has it, and whether it is weak.
#[must_use]
pub fn etag(text: &str) -> Option<(String, bool)> {
    Etag::parse(text).map(|etag| (etag.header(), etag.weak))
}
