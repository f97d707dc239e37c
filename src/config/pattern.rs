//! Which feeds are meant: names of feeds or accounts, with globs.

use std::fmt;

use globset::{Glob, GlobSet, GlobSetBuilder};
use serde::{Deserialize, Serialize};

use crate::feed::FeedName;

/// Names of feeds (`fast/mairie/chorus`) or accounts (`fast/mairie`), with globs (`fast/*`, `*/acquittements`).
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Patterns {
    written: Vec<String>,
    compiled: GlobSet,
}

/// A text that cannot be a pattern.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a pattern of feed names ({why})")]
pub struct NotAPattern {
    text: String,
    why: String,
}

impl Patterns {
    /// Reads `written`; one that cannot be read fails them all.
    pub fn parse(written: Vec<String>) -> Result<Self, NotAPattern> {
        let mut builder = GlobSetBuilder::new();
        for text in &written {
            let fault = |why: String| NotAPattern { text: text.clone(), why };
            if text.is_empty() || text.split('/').count() > 3 {
                return Err(fault("a feed is named platform/account/kind".to_owned()));
            }
            builder.add(Glob::new(text).map_err(|error| fault(error.kind().to_string()))?);
        }
        let compiled =
            builder.build().map_err(|error| NotAPattern { text: written.join(", "), why: error.kind().to_string() })?;
        Ok(Self { written, compiled })
    }

    /// The pattern that means every feed.
    pub(super) fn all() -> Self {
        Self::parse(vec!["*".to_owned()]).unwrap_or_default()
    }

    /// Whether some pattern means `feed`, or the whole account it belongs to.
    #[must_use]
    pub fn matches(&self, feed: &FeedName) -> bool {
        self.compiled.is_match(feed.as_str()) || self.compiled.is_match(feed.account_name())
    }

    /// The patterns as they were written.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.written
    }
}

impl TryFrom<Vec<String>> for Patterns {
    type Error = NotAPattern;

    fn try_from(written: Vec<String>) -> Result<Self, Self::Error> {
        Self::parse(written)
    }
}

impl From<Patterns> for Vec<String> {
    fn from(patterns: Patterns) -> Self {
        patterns.written
    }
}

impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(f)
    }
}
