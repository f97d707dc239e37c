//! What a body seems to be, from how it starts.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;
use serde::de::IgnoredAny;

use super::{NotAReturn, platform_error, presentable};

/// How much of a body is read to tell what it is.
pub(super) const HEAD_BYTES: u64 = 64 * 1024;
/// Characters quoted of a page's title or of a text.
const MAX_QUOTE: usize = 80;
/// Elements that start a page, and no return.
const PAGE_ELEMENTS: [&str; 6] = ["html", "head", "title", "meta", "script", "body"];

/// What the start of a body lets one expect; formats with an end are still to be checked to it.
pub(super) enum Guess {
    Xml,
    Pdf,
    Zip,
    Binary,
    Refused(NotAReturn),
}

/// The start of a body, as bytes and as characters.
pub(super) struct Head<'a> {
    bytes: &'a [u8],
    text: Cow<'a, str>,
    /// Whether it is the whole body.
    whole: bool,
}

impl<'a> Head<'a> {
    /// The start, `bytes`, of a body of `size` bytes.
    pub(super) fn new(bytes: &'a [u8], size: u64) -> Self {
        Self { bytes, text: readable(bytes), whole: bytes.len() as u64 >= size }
    }

    /// What the body seems to be.
    pub(super) fn guess(&self) -> Guess {
        let text = self.text.trim_start_matches(is_space);
        if self.bytes.starts_with(b"<\0") || self.bytes.starts_with(b"\0<") {
            // UTF-16 without its mark: the check of XML says whether it stands.
            Guess::Xml
        } else if text.chars().all(|character| is_space(character) || character == '\0') {
            if self.whole { Guess::Refused(NotAReturn::Empty) } else { Guess::Xml }
        } else if text.starts_with('<') {
            if is_page(text) { Guess::Refused(NotAReturn::Html { title: title(text) }) } else { Guess::Xml }
        } else if text.starts_with("%PDF-") {
            Guess::Pdf
        } else if [b"PK\x03", b"PK\x05", b"PK\x07"].iter().any(|mark| self.bytes.starts_with(*mark)) {
            Guess::Zip
        } else if self.is_binary() {
            Guess::Binary
        } else {
            Guess::Refused(self.message(text))
        }
    }

    /// Whether it has what no text has: control characters, or behind the mark of UTF-16 something else.
    fn is_binary(&self) -> bool {
        let control =
            |character: char| (character < ' ' && !is_space(character) && character != '\x0C') || character == '\x7F';
        self.text.contains(control) || (marked_utf16(self.bytes) && self.text.contains('\u{FFFD}'))
    }

    /// Which of the messages `text`, which is no document, is.
    fn message(&self, text: &str) -> NotAReturn {
        let text = text.trim_end();
        if !text.starts_with(['{', '[', '"']) {
            return NotAReturn::Text { start: presentable(text, MAX_QUOTE) };
        }
        if let Some(error) = platform_error(self.bytes).filter(|_| self.whole) {
            return NotAReturn::JsonError(error);
        }
        // Nobody parses megabytes to choose between two refusals.
        if !self.whole || serde_json::from_str::<IgnoredAny>(text).is_ok() {
            return NotAReturn::Json;
        }
        NotAReturn::Text { start: presentable(text, MAX_QUOTE) }
    }
}

/// `bytes` as characters: as their byte order mark says, else as UTF-8, else as what Western Windows writes. A character
/// cut off at the end is left out.
pub(super) fn readable(bytes: &[u8]) -> Cow<'_, str> {
    if marked_utf16(bytes) {
        return WINDOWS_1252.decode(&bytes[..bytes.len() & !1]).0;
    }
    let unmarked = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(unmarked) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => {
            Cow::Borrowed(std::str::from_utf8(&unmarked[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(_) => WINDOWS_1252.decode_without_bom_handling(unmarked).0,
    }
}

fn marked_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF")
}

/// White space as XML and JSON know it.
const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// Whether markup is a page: its document type or its first element says so.
fn is_page(mut text: &str) -> bool {
    loop {
        text = text.trim_start_matches(is_space);
        let end = if text.starts_with("<!--") {
            "-->"
        } else if text.starts_with("<?") {
            "?>"
        } else {
            break;
        };
        match text.split_once(end) {
            Some((_, rest)) => text = rest,
            None => return false,
        }
    }
    if let Some(rest) = strip_word(text, "<!doctype") {
        return strip_word(rest.trim_start_matches(is_space), "html").is_some();
    }
    PAGE_ELEMENTS.iter().any(|name| text.strip_prefix('<').is_some_and(|tag| strip_word(tag, name).is_some()))
}

/// What follows `word`, in any case, if `text` starts with it and it ends there.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let start = text.get(..word.len()).filter(|start| start.eq_ignore_ascii_case(word))?;
    let rest = &text[start.len()..];
    (!rest.starts_with(|next: char| next.is_alphanumeric() || matches!(next, '_' | '-' | '.' | ':'))).then_some(rest)
}

/// What a page calls itself.
fn title(page: &str) -> Option<String> {
    let lower = page.to_ascii_lowercase();
    let tag = lower.match_indices("<title").map(|(at, found)| at + found.len()).next()?;
    let start = tag + lower[tag..].find('>')? + 1;
    let end = start + lower[start..].find("</title").unwrap_or(lower.len() - start);
    Some(presentable(&page[start..end], MAX_QUOTE)).filter(|title| !title.is_empty())
}
