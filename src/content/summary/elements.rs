//! The elements of a document that was checked before, one by one: local names, the attribute `V`, the start of their text.

use std::io::{self, Read};

use crate::content::presentable;
use crate::content::references::references_resolved;
use crate::content::source::{Source, Stop, is_space};
use crate::content::transcode::Charset;

/// Bytes taken of a value; what is shown is shorter still.
const TAKEN: usize = 2048;
/// Characters of a value that are kept.
const KEPT: usize = 512;

/// A step through a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Element {
    /// An element begins: its name without a prefix, and the value of its attribute `V`.
    Opened { name: String, value: Option<String> },
    /// The innermost element ends, with the start of the text behind its last child.
    Closed { text: String },
}

/// Reads elements.
pub(super) struct Elements<R> {
    source: Source<R>,
    /// The element just opened is empty: it ends next.
    ending: bool,
    text: Vec<u8>,
}

impl<R: Read> Elements<R> {
    pub(super) fn new(reader: R, charset: &Charset) -> Self {
        Self { source: Source::new(reader, charset), ending: false, text: Vec::new() }
    }

    /// The next step; `None` at the end, or where the document is not what its check let expect.
    pub(super) fn next(&mut self) -> io::Result<Option<Element>> {
        match self.step() {
            Ok(step) => Ok(step),
            Err(Stop::Io(error)) => Err(error),
            Err(Stop::Refused(_)) => Ok(None),
        }
    }

    fn step(&mut self) -> Result<Option<Element>, Stop> {
        if std::mem::take(&mut self.ending) {
            return Ok(Some(Element::Closed { text: String::new() }));
        }
        loop {
            self.characters()?;
            if self.source.peek()?.is_none() {
                return Ok(None);
            }
            self.source.bump();
            match self.source.peek()? {
                Some(b'/') => {
                    self.until(b">", false)?;
                    let text = value(&std::mem::take(&mut self.text));
                    return Ok(Some(Element::Closed { text }));
                }
                Some(b'?') => self.until(b"?>", false)?,
                Some(b'!') => {
                    self.source.bump();
                    let section = self.source.peek()? == Some(b'[');
                    self.skip(if section { b"[CDATA[".len() } else { b"--".len() })?;
                    self.until(if section { b"]]>" } else { b"-->" }, section)?;
                }
                _ => return self.tag().map(Some),
            }
        }
    }

    /// Takes text up to the next markup.
    fn characters(&mut self) -> Result<(), Stop> {
        self.source.take_while(|byte| byte != b'<', &mut self.text, TAKEN)?;
        self.source.skip_while(|byte| byte != b'<').map(drop)
    }

    /// Passes everything up to `end`; what stands before is text where `kept`.
    fn until(&mut self, end: &[u8], kept: bool) -> Result<(), Stop> {
        let mut last = Vec::with_capacity(end.len());
        while let Some(byte) = self.source.peek()? {
            self.source.bump();
            last.push(byte);
            if last == end {
                return Ok(());
            }
            if last.len() == end.len() {
                let first = last.remove(0);
                if kept && self.text.len() < TAKEN {
                    // A reference means nothing in a section: its sign is not taken for one.
                    self.text.extend_from_slice(if first == b'&' { b"&amp;" } else { std::slice::from_ref(&first) });
                }
            }
        }
        Ok(())
    }

    fn skip(&mut self, count: usize) -> Result<(), Stop> {
        for _ in 0..count {
            self.source.peek()?;
            self.source.bump();
        }
        Ok(())
    }

    fn tag(&mut self) -> Result<Element, Stop> {
        self.text.clear();
        let mut name = Vec::new();
        self.source.name(&mut name, "a tag")?;
        let mut value = None;
        loop {
            self.source.skip_space()?;
            match self.source.peek()? {
                Some(b'/') => {
                    self.source.bump();
                    self.ending = true;
                }
                Some(b'>') => {
                    self.source.bump();
                    return Ok(Element::Opened { name: local(&name), value });
                }
                Some(_) => {
                    let found = self.attribute()?;
                    value = value.or(found);
                }
                None => return Err(self.source.unexpected("a tag has no end")),
            }
        }
    }

    /// One attribute; its value where it is `V`.
    fn attribute(&mut self) -> Result<Option<String>, Stop> {
        let mut name = Vec::new();
        self.source.name(&mut name, "an attribute")?;
        self.source.skip_while(|byte| is_space(byte) || byte == b'=')?;
        let quote = self.source.peek()?.unwrap_or_default();
        self.source.bump();
        let mut raw = Vec::new();
        self.source.take_while(|byte| byte != quote, &mut raw, TAKEN)?;
        self.source.skip_while(|byte| byte != quote)?;
        self.source.peek()?;
        self.source.bump();
        Ok((name == b"V").then(|| self::value(&raw)))
    }
}

/// A name without its prefix.
fn local(name: &[u8]) -> String {
    let local = name.rsplit(|&byte| byte == b':').next().unwrap_or_default();
    String::from_utf8_lossy(local).into_owned()
}

/// A value fit to be shown: its references resolved, on one line, shortened.
fn value(raw: &[u8]) -> String {
    // Most texts are what stands between two tags.
    if raw.iter().all(|&byte| is_space(byte)) {
        return String::new();
    }
    presentable(&references_resolved(&String::from_utf8_lossy(raw)), KEPT)
}
