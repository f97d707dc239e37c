//! The language people are spoken to in: English as the sources write it, or French.
//!
//! Problems are stored in the ledger as English text and shown by another process, maybe years later: so whoever shows a text
//! gives it to [`Tongue::say`], which finds the sentences it is made of in a catalogue (`locale/fr.toml`), carries over what
//! varies in them, and leaves alone what it does not know. What programs read (`--json`, `--nagios`, logs, event names, keys,
//! states, commands) is never given to it.

mod catalogue;
mod reader;

use std::borrow::Cow;

use catalogue::FRENCH;
use reader::Reader;

/// A longer text is none of ours.
const LONGEST: usize = 4 << 10;

/// A language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tongue {
    /// As the sources write it.
    #[default]
    English,
    /// As the catalogue has it.
    French,
}

impl Tongue {
    /// What the locale asks for, by `variable` of the environment: the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set
    /// and not empty (POSIX, Base Definitions, §8.2); unless that is `C` or `POSIX`, the first language of `LANGUAGE` that is
    /// spoken here goes before it, as with gettext. French is spoken in UTF-8 only.
    #[must_use]
    pub fn of_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let Some(locale) = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set) else { return Self::English };
        let (language, codeset) = parts(&locale);
        let in_utf_8 = codeset.is_none_or(|codeset| codeset.replace('-', "").eq_ignore_ascii_case("utf8"));
        if matches!(language, "C" | "POSIX") || !in_utf_8 {
            return Self::English;
        }
        let preferred = set("LANGUAGE").and_then(|list| list.split(':').find_map(|one| Self::named(parts(one).0)));
        preferred.or_else(|| Self::named(language)).unwrap_or_default()
    }

    /// What a browser asks for by its header `Accept-Language` (RFC 9110, §12.5.4): of the languages spoken here the one that it
    /// likes best, the first of those that it likes as well.
    #[must_use]
    pub fn of_browser(accept_language: &str) -> Self {
        let wish = |range: &str| {
            let (name, weight) = range.split_once(';').unwrap_or((range, ""));
            let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
            Some((Self::named(name.trim())?, weight.filter(|weight| *weight > 0.0)?))
        };
        let best = |best: Option<(Self, f32)>, one: (Self, f32)| best.filter(|best| best.1 >= one.1).or(Some(one));
        accept_language.split(',').filter_map(wish).fold(None, best).map(|(tongue, _)| tongue).unwrap_or_default()
    }

    /// The language `fr`, `fr_FR`, `en`, …, where it is spoken here.
    fn named(name: &str) -> Option<Self> {
        let language = name.split(['_', '-']).next().unwrap_or_default();
        [("fr", Self::French), ("en", Self::English)]
            .into_iter()
            .find_map(|(code, tongue)| language.eq_ignore_ascii_case(code).then_some(tongue))
    }

    /// `text`, which our sources wrote in English, in this language: each sentence that is known, with what varies in it
    /// carried over; what is not known stays as it is.
    #[must_use]
    pub fn say(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::English => Cow::Borrowed(text),
            Self::French if text.len() > LONGEST => Cow::Borrowed(text),
            Self::French if text.contains('\n') => {
                let lines: Vec<Cow<'_, str>> = text.split('\n').map(|line| self.say(line)).collect();
                Cow::Owned(lines.join("\n"))
            }
            Self::French => {
                let sentence = text.trim();
                let said = Reader::new(&FRENCH, sentence).translate();
                said.map_or(Cow::Borrowed(text), |said| Cow::Owned(text.replacen(sentence, &said, 1)))
            }
        }
    }

    /// What stands between a subject and what is said of it.
    #[must_use]
    pub const fn colon(self) -> &'static str {
        match self {
            Self::English => ": ",
            Self::French => "\u{a0}: ",
        }
    }

    /// What stands between what is so and what to do.
    #[must_use]
    pub const fn semicolon(self) -> &'static str {
        match self {
            Self::English => "; ",
            Self::French => "\u{a0}; ",
        }
    }
}

/// Language and codeset of a locale's name, `fr_FR.UTF-8@euro`.
fn parts(locale: &str) -> (&str, Option<&str>) {
    let locale = locale.split('@').next().unwrap_or_default();
    locale.split_once('.').map_or((locale, None), |(language, codeset)| (language, Some(codeset)))
}

#[cfg(test)]
mod tests;
