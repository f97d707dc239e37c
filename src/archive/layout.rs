//! Where a copy lies. Names from outside are data: rebuilt, never trusted, never a path.

use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::feed::FeedName;

/// The archive, below the state directory.
pub const ARCHIVE: &str = "archive";
/// What is arriving, below the state directory.
pub const INCOMING: &str = "archive/.incoming";
/// What arrived and is no return, below the state directory.
pub const QUARANTINE: &str = "archive/quarantine";

/// Characters of a name at most: with folders and extension well under every file system's limits.
const LONGEST: usize = 150;
/// Characters of a document's own name behind its id: a file's name has 255 bytes.
const LONGEST_OWN: usize = 90;
/// `~` and 16 hexadecimal digits.
const MARK: usize = 17;

/// `text` reduced to letters, digits, `.`, `_` and `-`; where that changed anything, `~` and 16 hexadecimal digits of
/// its SHA-256 keep different texts apart. Never empty, never hidden, at most 150 characters.
#[must_use]
pub fn safe_name(text: &str) -> String {
    safe_name_within(text, LONGEST)
}

fn safe_name_within(text: &str, longest: usize) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !text.is_empty() && text.len() <= longest && !text.starts_with('.') && text.chars().all(allowed) {
        return text.to_owned();
    }
    let kept: String = text.chars().filter(|&c| allowed(c)).skip_while(|&c| c == '.').take(longest - MARK).collect();
    format!("{kept}~{}", &hex(&Sha256::digest(text.as_bytes()))[..16])
}

/// The stem of a document's copy, relative to the state directory, less the extension; `at` is when it is claimed.
#[must_use]
pub fn stem(feed: &FeedName, remote_id: &str, at: Timestamp) -> String {
    let day = at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y/%m/%d").to_string();
    format!("{ARCHIVE}/{feed}/{day}/{}", safe_name(remote_id))
}

/// The stem of a copy that belongs to the feed `to`, and not to `from` as had been thought.
#[must_use]
pub fn stem_of_other(stem: &str, from: &FeedName, to: &FeedName) -> String {
    match stem.strip_prefix(&format!("{ARCHIVE}/{from}/")) {
        Some(rest) => format!("{ARCHIVE}/{to}/{rest}"),
        None => stem.to_owned(),
    }
}

/// Where a document goes in an inbox: `<platform>/<account>/<kind>/<remote_id>[-<name>].<ext>`.
#[must_use]
pub fn inbox_path(feed: &FeedName, remote_id: &str, name: Option<&str>, extension: &str) -> PathBuf {
    let mut file = safe_name(remote_id);
    // A name that brings its extension keeps one.
    let bare =
        name.map(|name| name.strip_suffix(&format!(".{extension}")).unwrap_or(name)).filter(|name| !name.is_empty());
    if let Some(name) = bare {
        file = format!("{file}-{}", safe_name_within(name, LONGEST_OWN));
    }
    PathBuf::from(feed.as_str()).join(format!("{file}.{extension}"))
}

/// What the name of a file says that is whole, and on its way to its final name: after a crash, a file whose content
/// matches its name is adopted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedName {
    /// The row of its document.
    pub document: i64,
    /// Bytes.
    pub size: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// Whether an operator took it though it had not passed the checks.
    pub accepted: bool,
}

impl SealedName {
    /// The file's name: `<document>.<size>.<sha256>.sealed`, or `….accepted`.
    #[must_use]
    pub fn file_name(&self) -> String {
        let ending = if self.accepted { "accepted" } else { "sealed" };
        format!("{}.{}.{}.{ending}", self.document, self.size, self.sha256)
    }
}

/// Reads the name of a sealed file back.
#[must_use]
pub fn parse_sealed(name: &str) -> Option<SealedName> {
    let parts: Vec<&str> = name.split('.').collect();
    let [document, size, sha256, ending] = parts[..] else { return None };
    let accepted = match ending {
        "sealed" => false,
        "accepted" => true,
        _ => return None,
    };
    let (document, size) = (document.parse().ok()?, size.parse().ok()?);
    (sha256.len() == 64).then(|| SealedName { document, size, sha256: sha256.to_owned(), accepted })
}

/// Hexadecimal digits of `bytes`, in lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_ids_keep_their_names() {
        assert_eq!(safe_name("320073963"), "320073963");
        assert_eq!(safe_name("PES_2026-11-22.v1"), "PES_2026-11-22.v1");
    }

    #[test]
    fn hostile_names_become_harmless_and_stay_apart() {
        let long = "x".repeat(5000);
        let hostile =
            ["..", ".", "", "../../etc/passwd", "a/b", "a\0b", ".vaguemestre", "é", "\u{202e}fdp", &long, "a b"];
        let mut seen = std::collections::HashSet::new();
        for text in hostile {
            let name = safe_name(text);
            assert!(
                name.len() <= 150 && !name.starts_with('.') && !name.contains(['/', '\0', ' ']),
                "{text:?}: {name}"
            );
            assert!(name.contains('~'), "{text:?}: {name}");
            assert!(seen.insert(name));
        }
        assert_ne!(safe_name("a/b"), safe_name("ab"));
    }

    #[test]
    fn the_stem_bears_the_utc_date_of_the_claim() {
        let feed = "fast/mairie/chorus".parse().unwrap();
        let at = "2026-11-22T23:30:00-02:00".parse().unwrap();
        assert_eq!(stem(&feed, "12", at), "archive/fast/mairie/chorus/2026/11/23/12");
    }

    #[test]
    fn sealed_names_read_back() {
        for accepted in [false, true] {
            let name = SealedName { document: 7, size: 42, sha256: "ab".repeat(32), accepted };
            assert_eq!(parse_sealed(&name.file_name()), Some(name));
        }
        for name in ["7.42.sealed", "7.part", "x.42.ab.sealed", "7.42.abcd.sealed"] {
            assert_eq!(parse_sealed(name), None, "{name}");
        }
    }
}
