//! Selectors: names of feeds or accounts, with globs.

use crate::config::Patterns;
use crate::feed::FeedName;

/// What a command was asked to look at; nothing named means everything.
pub(super) struct Selection(Option<Patterns>);

/// What was named is not there: more likely a slip than a question.
#[derive(Debug, thiserror::Error)]
#[error("no feed matches {0}; `vaguemestre status` lists them")]
pub(super) struct NoFeed(String);

impl Selection {
    /// Reads selectors as they were typed.
    ///
    /// # Errors
    /// A sentence that names the one that cannot be read.
    pub(super) fn parse(selectors: &[String]) -> anyhow::Result<Self> {
        if selectors.is_empty() {
            return Ok(Self(None));
        }
        Ok(Self(Some(Patterns::parse(selectors.to_vec())?)))
    }

    /// Refuses to answer with nothing where something was named.
    ///
    /// # Errors
    /// [`NoFeed`], unless a feed was `found`.
    pub(super) fn require(&self, found: bool, selectors: &[String]) -> Result<(), NoFeed> {
        if found || self.0.is_none() { Ok(()) } else { Err(NoFeed(selectors.join(", "))) }
    }

    pub(super) fn holds(&self, feed: &FeedName) -> bool {
        self.0.as_ref().is_none_or(|patterns| patterns.matches(feed))
    }
}

/// Reads a time as people type it: RFC 3339, or a date or a date and time of Paris.
pub(super) fn time(text: &str) -> Result<jiff::Timestamp, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time);
    }
    let civil = text
        .parse::<jiff::civil::DateTime>()
        .or_else(|_| text.parse::<jiff::civil::Date>().map(|date| date.to_datetime(jiff::civil::Time::midnight())));
    civil.and_then(|civil| civil.to_zoned(crate::schedule::paris().clone())).map(|zoned| zoned.timestamp()).map_err(
        |_| "write a time such as 2026-11-22, 2026-11-22T10:00 (Paris) or 2026-11-22T10:00:00+01:00".to_owned(),
    )
}

/// Reads a length of time as people type it: `24h`, `7d`, `1y`.
pub(super) fn span(text: &str) -> Result<jiff::SignedDuration, String> {
    let wrong = || "write a length of time such as 24h, 7d or 52w".to_owned();
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: i64 = text[..split].parse().map_err(|_| wrong())?;
    let seconds = match text[split..].trim() {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" | "day" | "days" => 86_400,
        "w" => 7 * 86_400,
        "y" | "year" => 365 * 86_400,
        _ => return Err(wrong()),
    };
    number.checked_mul(seconds).map(jiff::SignedDuration::from_secs).ok_or_else(wrong)
}
