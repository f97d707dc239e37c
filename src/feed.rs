//! The words all modules share: feeds, kinds, documents and their states.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The streams FAST-Parapheur offers for one SIREN (guide v3.4, §2.6.13–2.6.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Hélios acknowledgements of deposited PES files.
    Acquittements,
    /// PES-Retour files of the accounting officer.
    PesRetour,
    /// Chorus Pro invoices (pivot format).
    Chorus,
    /// Documents that were deposited for signature, once signed: over SOAP and WebDAV, circuit by circuit.
    Signes,
}

impl Kind {
    /// All of them, in the order they are listed to people.
    pub const ALL: [Self; 4] = [Self::Acquittements, Self::PesRetour, Self::Chorus, Self::Signes];
    /// What every interface offers, and what is collected unless an account says otherwise.
    pub const USUAL: [Self; 3] = [Self::Acquittements, Self::PesRetour, Self::Chorus];

    /// The word used in configuration and feed names.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acquittements => "acquittements",
            Self::PesRetour => "pes-retour",
            Self::Chorus => "chorus",
            Self::Signes => "signes",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The full name of a feed, `platform/account/kind`, e.g. `fast/mairie/acquittements`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedName(Arc<str>);

/// A text that is not of the form `platform/account/kind`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not the name of a feed; one looks like `fast/mairie/acquittements`")]
pub struct NotAFeedName(String);

impl FeedName {
    /// The feed of FAST-Parapheur's `account` that carries `kind`.
    #[must_use]
    pub fn fast(account: &str, kind: Kind) -> Self {
        Self(format!("fast/{account}/{kind}").into())
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The platform: `fast`.
    #[must_use]
    pub fn platform(&self) -> &str {
        self.part(0)
    }

    /// The account's own name, without its platform: `mairie`.
    #[must_use]
    pub fn account(&self) -> &str {
        self.part(1)
    }

    /// The kind: `acquittements`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.part(2)
    }

    /// The account with its platform, as the ledger names it: `fast/mairie`.
    #[must_use]
    pub fn account_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&*self.0, |(account, _)| account)
    }

    fn part(&self, index: usize) -> &str {
        self.0.split('/').nth(index).unwrap_or_default()
    }
}

impl FromStr for FeedName {
    type Err = NotAFeedName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        if parts.len() == 3 && parts.iter().all(|part| is_name(part)) {
            Ok(Self(text.into()))
        } else {
            Err(NotAFeedName(text.to_owned()))
        }
    }
}

impl fmt::Display for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FeedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether `text` may name an account, resource, watch or target: `[a-z0-9][a-z0-9._-]{0,62}`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let later = |byte: u8| first(byte) || matches!(byte, b'.' | b'_' | b'-');
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len()) && first(bytes[0]) && bytes[1..].iter().all(|&byte| later(byte))
}

/// A document as its platform knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteDocument {
    /// The platform's name for it, unique in its feed: an id, or for a file its path with what tells its versions apart.
    pub id: String,
    /// The circuit (workflow) it belongs to, where the platform says so.
    pub circuit: Option<String>,
    /// The label (folder of a circuit) it lies under, where there is one.
    pub label: Option<String>,
    /// Where it lies, if it is a file that stays until it is removed.
    pub file: Option<RemoteFile>,
}

impl RemoteDocument {
    /// A document known by `id` alone.
    #[must_use]
    pub fn of_id(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }
}

/// A file of a platform, as a listing shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its path below the folder of what comes back, percent-encoded: `PES/TesoT/retour%201.xml`.
    pub path: String,
    /// Its entity tag as in a header, weak or strong (RFC 9110, §8.8.3).
    pub etag: Option<String>,
    /// Its length, in bytes.
    pub size: Option<u64>,
    /// When it was last changed, as the server says it.
    pub modified: Option<Timestamp>,
}

/// Where a document stands: the words of the ledger's `documents.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DocumentState {
    /// Seen in a listing, not yet asked for.
    Listed,
    /// Claimed: its download may have left.
    Fetching,
    /// Safe in the archive; some target still waits for it.
    Stored,
    /// Safe, and handed to every target that wants it.
    Delivered,
    /// Seen by the first listing of an account that starts with `first_poll = "skip"`.
    Skipped,
    /// A try failed; there will be another.
    Failed,
    /// Not tried any more: needs `retry` or `dismiss`.
    Abandoned,
    /// No longer on the platform, and not by our doing.
    Gone,
    /// Asked for, interrupted, and no longer on the platform.
    Lost,
    /// Closed by an operator.
    Dismissed,
}

impl DocumentState {
    /// All states, in the order a document may pass them.
    pub const ALL: [Self; 10] = [
        Self::Listed,
        Self::Fetching,
        Self::Stored,
        Self::Delivered,
        Self::Skipped,
        Self::Failed,
        Self::Abandoned,
        Self::Gone,
        Self::Lost,
        Self::Dismissed,
    ];

    /// The ledger's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Fetching => "fetching",
            Self::Stored => "stored",
            Self::Delivered => "delivered",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Gone => "gone",
            Self::Lost => "lost",
            Self::Dismissed => "dismissed",
        }
    }
}

impl fmt::Display for DocumentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for DocumentState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|state| state.as_str()).collect();
            format!("`{text}` is no state of a document; the states are {}", all.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feed_names_split_into_platform_account_and_kind() {
        let feed: FeedName = "fast/ville-de-l.1/pes-retour".parse().unwrap();
        assert_eq!((feed.platform(), feed.account(), feed.kind()), ("fast", "ville-de-l.1", "pes-retour"));
        assert_eq!(feed.account_name(), "fast/ville-de-l.1");
    }

    #[test]
    fn names_that_could_be_paths_or_globs_are_refused() {
        for text in
            ["fast/../chorus", "fast/Mairie/chorus", "fast//chorus", "fast/mairie", "fast/a/b/c", "fast/*/chorus"]
        {
            assert!(text.parse::<FeedName>().is_err(), "{text}");
        }
        assert!(is_name(&"a".repeat(63)) && !is_name(&"a".repeat(64)) && !is_name("") && !is_name(".a"));
    }
}
