//! What a copy says of itself, for the day on which the ledger that knew is lost: its feed and its name on the platform.
//!
//! On disk: JSON in the extended attribute `user.vaguemestre` of the file; where the file system has none, in a hidden file
//! beside it, `.<name>.about`. It is written before the file is synced, and so is as durable as its bytes. All of this blocks.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use xattr::FileExt as _;

use super::write;
use crate::feed::{RemoteDocument, RemoteFile};

/// The attribute.
const ATTRIBUTE: &str = "user.vaguemestre";

/// What a copy is a copy of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// The feed it came from, by its name then: an account may have another name now, and its name be another's.
    pub feed: String,
    /// The platform it came from: scheme, host and port.
    pub origin: String,
    /// The SIREN the platform files it under.
    pub siren: String,
    /// The platform's name for it.
    pub remote_id: String,
    /// The circuit it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<String>,
    /// The label it lies under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Of a file of the platform, where it lies there, percent-encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Its length, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it was last changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}

impl Tag {
    /// The tag of `document`, which came from `feed`, known to its platform by `origin` and `siren`.
    #[must_use]
    pub fn of(feed: &str, (origin, siren): (&str, &str), document: RemoteDocument) -> Self {
        let RemoteDocument { id, circuit, label, file } = document;
        let RemoteFile { path, etag, size, modified } = file.clone().unwrap_or_default();
        let path = file.map(|_| path);
        let (origin, siren) = (origin.to_owned(), siren.to_owned());
        Self { feed: feed.to_owned(), origin, siren, remote_id: id, circuit, label, path, etag, size, modified }
    }

    /// The document as its platform knows it.
    #[must_use]
    pub fn document(self) -> RemoteDocument {
        let Self { remote_id: id, circuit, label, path, etag, size, modified, .. } = self;
        let file = path.map(|path| RemoteFile { path, etag, size, modified });
        RemoteDocument { id, circuit, label, file }
    }
}

/// Writes `tag` to `file`, whose sync makes it durable; answers false where its file system takes none.
///
/// # Errors
/// What the system says.
pub fn attach(file: &File, tag: &Tag) -> io::Result<bool> {
    match file.set_xattr(ATTRIBUTE, &serde_json::to_vec(tag)?) {
        Err(error) if is_unsupported(&error) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Writes `tag` beside the place that a file is about to take, durably, where the file itself could not take it.
///
/// # Errors
/// What the system says.
pub fn attach_beside(place: &Path, tag: &Tag) -> io::Result<()> {
    write_beside(place, &serde_json::to_vec(tag)?)
}

/// Reads the tag of the file at `place`; `None` where it has none, or none that can be read.
///
/// # Errors
/// What the system says.
pub fn read(place: &Path) -> io::Result<Option<Tag>> {
    let text = match xattr::get(place, ATTRIBUTE) {
        Err(error) if is_unsupported(&error) => None,
        other => other?,
    };
    let text = match text {
        Some(text) => text,
        None => match std::fs::read(beside(place)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        },
    };
    Ok(serde_json::from_slice(&text).ok())
}

/// Removes the tag beside the copy at `place`, where there is one.
///
/// # Errors
/// What the system says.
pub fn remove_beside(place: &Path) -> io::Result<()> {
    match std::fs::remove_file(beside(place)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether a file's name is that of a tag beside a copy.
#[must_use]
pub fn is_beside(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".about")
}

fn is_unsupported(error: &io::Error) -> bool {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
    // Also where one file system allows too little room for it.
    matches!(errno, Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::E2BIG | Errno::ENOSPC | Errno::EPERM)
}

fn beside(place: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or_default());
    name.push(".about");
    place.with_file_name(name)
}

fn write_beside(place: &Path, text: &[u8]) -> io::Result<()> {
    let path = beside(place);
    if path.symlink_metadata().is_ok() {
        std::fs::remove_file(&path)?;
    }
    let mut file = write::create(&path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> Tag {
        let file = RemoteFile { path: "PES/a%20b.xml".to_owned(), size: Some(7), ..RemoteFile::default() };
        let document = RemoteDocument { file: Some(file), ..RemoteDocument::of_id("PES/a b.xml@7") };
        Tag::of("fast/mairie/acquittements", ("https://parapheur.example", "213400172"), document)
    }

    #[test]
    fn a_copy_says_what_it_is_on_any_file_system() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.xml");
        std::fs::write(&place, "<a/>").unwrap();
        assert_eq!(read(&place).unwrap(), None);
        assert!(attach(&File::open(&place).unwrap(), &tag()).unwrap(), "the temporary folder takes attributes");
        assert_eq!(read(&place).unwrap(), Some(tag()));
        assert_eq!(tag().document().file.unwrap().path, "PES/a%20b.xml");
        let other = folder.path().join("b.xml");
        std::fs::write(&other, "<b/>").unwrap();
        attach_beside(&other, &tag()).unwrap();
        attach_beside(&other, &tag()).unwrap();
        assert_eq!(read(&other).unwrap(), Some(tag()));
        assert!(is_beside(".b.xml.about") && !is_beside("b.xml.about"));
    }

    #[test]
    fn what_is_no_tag_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a.xml");
        std::fs::write(&place, "<a/>").unwrap();
        write_beside(&place, b"{\"feed\": 7}").unwrap();
        assert_eq!(read(&place).unwrap(), None);
    }
}
