//! The characters of an XML document, looked at one byte of UTF-8 at a time, with their place.

use std::io::{self, Read};

use super::NotAReturn;
use super::transcode::{Charset, Transcoder};

/// No name in a return is near as long: a limit, so that a hostile one cannot fill the memory.
pub(super) const MAX_NAME_BYTES: usize = 1024;

/// Why reading stopped.
pub(super) enum Stop {
    Io(io::Error),
    Refused(NotAReturn),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A document, from the first character to the last. All it hands out are characters XML 1.0 allows (production 2).
pub(super) struct Source<R> {
    transcoder: Transcoder<R>,
    text: Box<[u8]>,
    at: usize,
    end: usize,
    /// What stands behind `text[..end]`, if it must not.
    fault: Option<String>,
    /// Place of `text[0]`, from 1.
    line: u64,
    column: u64,
}

impl<R: Read> Source<R> {
    /// Bytes of UTF-8 held at once.
    const TEXT_BYTES: usize = 8 * 1024;

    /// The document in `reader`, which stands at its first character.
    pub(super) fn new(reader: R, charset: &Charset) -> Self {
        Self {
            transcoder: Transcoder::new(reader, charset),
            text: vec![0; Self::TEXT_BYTES].into(),
            at: 0,
            end: 0,
            fault: None,
            line: 1,
            column: 1,
        }
    }

    /// The next byte, which stays; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Stop> {
        if self.at == self.end {
            self.refill()?;
        }
        Ok(self.text[..self.end].get(self.at).copied())
    }

    /// Passes the byte just peeked at.
    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    /// Passes the next byte if it is `byte`.
    pub(super) fn accept(&mut self, byte: u8) -> Result<bool, Stop> {
        let found = self.peek()? == Some(byte);
        if found {
            self.bump();
        }
        Ok(found)
    }

    /// Passes `bytes`, which must come next in `place`.
    pub(super) fn expect(&mut self, bytes: &[u8], place: &str) -> Result<(), Stop> {
        for &byte in bytes {
            if !self.accept(byte)? {
                return Err(self.unexpected(&format!("`{}` is missing in {place}", byte.escape_ascii())));
            }
        }
        Ok(())
    }

    /// Passes bytes while they are `wanted`, and says how many.
    pub(super) fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) -> Result<u64, Stop> {
        let mut skipped = 0;
        while self.peek()?.is_some() {
            let text = &self.text[self.at..self.end];
            let count = text.iter().position(|&byte| !wanted(byte)).unwrap_or(text.len());
            self.at += count;
            skipped += count as u64;
            if self.at < self.end {
                break;
            }
        }
        Ok(skipped)
    }

    /// Passes white space, and says whether there was some.
    pub(super) fn skip_space(&mut self) -> Result<bool, Stop> {
        Ok(self.skip_while(is_space)? > 0)
    }

    /// Reads a name (production 5) behind what `into` holds.
    pub(super) fn name(&mut self, into: &mut Vec<u8>, place: &str) -> Result<(), Stop> {
        let start = into.len();
        self.take_while(may_be_in_name, into, start + MAX_NAME_BYTES)?;
        if self.peek()?.is_some_and(may_be_in_name) {
            return Err(self.excessive("a name of more than 1 024 bytes"));
        }
        if is_name(&into[start..]) { Ok(()) } else { Err(self.unexpected(&format!("a name is missing in {place}"))) }
    }

    /// Passes bytes while they are `wanted`, and adds them to `into`, until that holds `most`.
    pub(super) fn take_while(
        &mut self,
        wanted: impl Fn(u8) -> bool,
        into: &mut Vec<u8>,
        most: usize,
    ) -> Result<(), Stop> {
        while into.len() < most && self.peek()?.is_some() {
            let text = &self.text[self.at..self.end];
            let text = &text[..text.len().min(most - into.len())];
            let count = text.iter().position(|&byte| !wanted(byte)).unwrap_or(text.len());
            into.extend_from_slice(&text[..count]);
            self.at += count;
            if count < text.len() {
                break;
            }
        }
        Ok(())
    }

    /// The refusal of what stands here, or of the end if the document ends here.
    pub(super) fn unexpected(&mut self, what: &str) -> Stop {
        match self.peek() {
            Ok(None) => self.fault(format!("the document ends too early: {what}")),
            Ok(Some(_)) => self.fault(what.to_owned()),
            Err(stop) => stop,
        }
    }

    /// The refusal of what stands here.
    pub(super) fn fault(&self, what: String) -> Stop {
        let (line, column) = self.place();
        Stop::Refused(NotAReturn::NotWellFormed { line, column, what })
    }

    /// The refusal of something too large.
    pub(super) fn excessive(&self, what: &'static str) -> Stop {
        Stop::Refused(NotAReturn::Excessive { line: self.place().0, what })
    }

    fn refill(&mut self) -> Result<(), Stop> {
        if let Some(what) = self.fault.take() {
            return Err(self.fault(what));
        }
        (self.line, self.column) = self.place();
        (self.at, self.end) = (0, 0);
        let filled = self.transcoder.fill(&mut self.text)?;
        self.fault = filled.malformed;
        self.end = filled.bytes;
        if let Some(at) = first_illegal(&self.text[..self.end]) {
            self.end = at;
            self.fault = Some("a character that XML does not allow".to_owned());
        }
        if self.end == 0 && self.fault.is_some() { self.refill() } else { Ok(()) }
    }

    /// Line and column of the next byte.
    fn place(&self) -> (u64, u64) {
        let passed = &self.text[..self.at];
        let characters = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte & 0xC0 != 0x80).count() as u64;
        match passed.iter().rposition(|&byte| byte == b'\n') {
            None => (self.line, self.column + characters(passed)),
            Some(last) => {
                let lines = passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
                (self.line + lines, 1 + characters(&passed[last + 1..]))
            }
        }
    }
}

/// White space (production 3).
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Where the first character is that XML does not allow: control characters, U+FFFE and U+FFFF.
fn first_illegal(text: &[u8]) -> Option<usize> {
    let control = |byte: u8| byte < b' ' && !is_space(byte);
    // Without a branch, for speed: nearly no text has either.
    let suspect = text.iter().fold(false, |seen, &byte| seen | control(byte) | (byte == 0xEF));
    if !suspect {
        return None;
    }
    let at_noncharacter = |rest: &[u8]| rest.starts_with(b"\xEF\xBF\xBE") || rest.starts_with(b"\xEF\xBF\xBF");
    (0..text.len()).find(|&at| control(text[at]) || at_noncharacter(&text[at..]))
}

const fn may_be_in_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'_' | b'-' | b'.') || byte >= 0x80
}

fn is_name(name: &[u8]) -> bool {
    // Nearly all are of these.
    let starts = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b':' | b'_');
    if name.is_ascii() {
        return name.first().is_some_and(starts) && name.iter().all(|&byte| may_be_in_name(byte));
    }
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let mut characters = name.chars();
    characters.next().is_some_and(starts_name) && characters.all(continues_name)
}

/// Production 4.
const fn starts_name(character: char) -> bool {
    matches!(character,
        ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

/// Production 4a.
const fn continues_name(character: char) -> bool {
    starts_name(character)
        || matches!(character, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}
