//! Whether a document is well-formed XML 1.0, read as a stream.
//!
//! Written here because the XML readers at hand are lenient (two roots, unclosed elements and repeated attributes
//! pass) and hold each node, of a hundred megabytes maybe, in memory. This one holds the names of the open elements
//! (at most 256 of 1 KiB), the attribute names of one tag (at most 1 MiB) and two buffers, and looks at each
//! character once. It knows no document types: one is refused before anything in it is read. Namespaces are not its
//! matter: a prefix need not be declared for a document to be well-formed.

use std::io::{self, Read};
use std::ops::Range;

use super::source::{Source, Stop};
use super::transcode::Charset;
use super::{NotAReturn, presentable};

/// Returns are nested about 15 deep.
pub(super) const MAX_DEPTH: usize = 256;
/// Per start tag, names and values; returns stay under 1 KiB, and readers behind us hold a tag in memory.
const MAX_ATTRIBUTE_BYTES: u64 = 1024 * 1024;
/// Per start tag; returns have up to ten.
const MAX_ATTRIBUTES: usize = 1024;
/// Longest value in an XML declaration.
const MAX_DECLARED_BYTES: usize = 64;
/// What an XML declaration may hold, in this order.
const DECLARED: [&[u8]; 3] = [b"version", b"encoding", b"standalone"];

/// Checks the document in `reader`, which stands at its first character.
pub(super) fn check<R: Read>(reader: R, charset: &Charset) -> io::Result<Result<(), NotAReturn>> {
    let mut checker = Checker {
        source: Source::new(reader, charset),
        names: Vec::new(),
        open: Vec::new(),
        word: Vec::new(),
        attributes: Vec::new(),
        rooted: false,
    };
    match checker.document() {
        Ok(()) => Ok(Ok(())),
        Err(Stop::Refused(refusal)) => Ok(Err(refusal)),
        Err(Stop::Io(error)) => Err(error),
    }
}

struct Checker<R> {
    source: Source<R>,
    /// Names of the open elements, end to end, and where each starts.
    names: Vec<u8>,
    open: Vec<usize>,
    /// The name being read; in a start tag, those of all its attributes.
    word: Vec<u8>,
    attributes: Vec<Range<usize>>,
    /// Whether the root element was met.
    rooted: bool,
}

impl<R: Read> Checker<R> {
    fn document(&mut self) -> Result<(), Stop> {
        let mut at_start = self.source.peek()? == Some(b'<');
        while self.content()? {
            match self.source.peek()? {
                Some(b'/') => self.end_tag()?,
                Some(b'?') => self.instruction(at_start)?,
                Some(b'!') => self.declaration()?,
                _ => self.start_tag()?,
            }
            at_start = false;
        }
        if self.rooted { Ok(()) } else { Err(self.source.unexpected("it has no element")) }
    }

    /// Passes what comes before the next `<`, and that; false at the right end of a document.
    fn content(&mut self) -> Result<bool, Stop> {
        if self.open.is_empty() {
            self.source.skip_space()?;
        } else {
            self.text()?;
        }
        if self.source.accept(b'<')? {
            return Ok(true);
        }
        if self.source.peek()?.is_some() {
            return Err(self.source.fault("something stands outside the root element".to_owned()));
        }
        match self.innermost() {
            None => Ok(false),
            Some(name) => {
                let what = format!("the document ends too early: <{}> is not closed", shown(name));
                Err(self.source.fault(what))
            }
        }
    }

    /// Text up to the next markup or the end.
    fn text(&mut self) -> Result<(), Stop> {
        let mut brackets = 0_u8;
        loop {
            if self.source.skip_while(|byte| !matches!(byte, b'<' | b'&' | b']' | b'>'))? > 0 {
                brackets = 0;
            }
            match self.source.peek()? {
                None | Some(b'<') => return Ok(()),
                Some(b']') => brackets = (brackets + 1).min(2),
                Some(b'>') if brackets == 2 => return Err(self.source.fault("`]]>` stands in a text".to_owned())),
                Some(b'&') => {
                    self.reference()?;
                    brackets = 0;
                    continue;
                }
                Some(_) => brackets = 0,
            }
            self.source.bump();
        }
    }

    /// A reference, from its `&`: to a character, or to one of the five entities that need no declaration.
    fn reference(&mut self) -> Result<(), Stop> {
        self.source.bump();
        if self.source.accept(b'#')? {
            let radix = if self.source.accept(b'x')? { 16 } else { 10 };
            let (mut code, mut digits) = (0_u32, false);
            while let Some(digit) = self.source.peek()?.and_then(|byte| char::from(byte).to_digit(radix)) {
                code = code.saturating_mul(radix).saturating_add(digit);
                digits = true;
                self.source.bump();
            }
            if !digits || !is_character(code) {
                return Err(self.source.unexpected("a reference is to no character that XML allows"));
            }
        } else {
            let start = self.word.len();
            self.source.name(&mut self.word, "a reference (`&`)")?;
            let known = matches!(&self.word[start..], b"amp" | b"lt" | b"gt" | b"quot" | b"apos");
            if !known {
                let what = format!("the entity `&{};` is not declared", shown(&self.word[start..]));
                return Err(self.source.unexpected(&what));
            }
            self.word.truncate(start);
        }
        self.source.expect(b";", "a reference")
    }

    fn start_tag(&mut self) -> Result<(), Stop> {
        if self.open.is_empty() && std::mem::replace(&mut self.rooted, true) {
            return Err(self.source.unexpected("a second root element"));
        }
        if self.open.len() == MAX_DEPTH {
            return Err(Stop::Refused(NotAReturn::TooDeep));
        }
        self.open.push(self.names.len());
        self.source.name(&mut self.names, "a tag")?;
        self.attributes()?;
        if self.source.accept(b'/')? {
            self.close();
        }
        self.source.expect(b">", "a tag")
    }

    fn end_tag(&mut self) -> Result<(), Stop> {
        self.source.bump();
        self.word.clear();
        self.source.name(&mut self.word, "an end tag")?;
        match self.innermost() {
            Some(name) if name == self.word => {}
            Some(name) => {
                let what = format!("</{}> closes <{}>", shown(&self.word), shown(name));
                return Err(self.source.unexpected(&what));
            }
            None => return Err(self.source.unexpected("an end tag closes nothing")),
        }
        self.close();
        self.source.skip_space()?;
        self.source.expect(b">", "an end tag")
    }

    /// The attributes of a start tag, up to its `/` or `>`.
    fn attributes(&mut self) -> Result<(), Stop> {
        self.word.clear();
        self.attributes.clear();
        let mut value_bytes = 0;
        loop {
            let spaced = self.source.skip_space()?;
            if matches!(self.source.peek()?, Some(b'/' | b'>')) {
                return self.unique_attributes();
            }
            if !spaced {
                return Err(self.source.unexpected("a tag is not written right"));
            }
            if self.attributes.len() == MAX_ATTRIBUTES {
                return Err(self.source.excessive("a tag with more than 1 024 attributes"));
            }
            let start = self.word.len();
            self.source.name(&mut self.word, "a tag")?;
            self.attributes.push(start..self.word.len());
            self.equals()?;
            self.value(&mut value_bytes)?;
        }
    }

    fn equals(&mut self) -> Result<(), Stop> {
        self.source.skip_space()?;
        self.source.expect(b"=", "an attribute")?;
        self.source.skip_space().map(|_| ())
    }

    /// An attribute's value, quotes included; `value_bytes` counts those of the tag.
    fn value(&mut self, value_bytes: &mut u64) -> Result<(), Stop> {
        let quote = self.quote()?;
        loop {
            *value_bytes += self.source.skip_while(|byte| byte != quote && !matches!(byte, b'<' | b'&'))?;
            if *value_bytes + self.word.len() as u64 > MAX_ATTRIBUTE_BYTES {
                return Err(self.source.excessive("a tag of more than 1 MiB"));
            }
            match self.source.peek()? {
                Some(b'&') => self.reference()?,
                Some(byte) if byte == quote => break,
                _ => return Err(self.source.unexpected("the value of an attribute is not closed")),
            }
        }
        self.source.bump();
        Ok(())
    }

    fn quote(&mut self) -> Result<u8, Stop> {
        match self.source.peek()? {
            Some(quote @ (b'"' | b'\'')) => {
                self.source.bump();
                Ok(quote)
            }
            _ => Err(self.source.unexpected("the value of an attribute is not quoted")),
        }
    }

    fn unique_attributes(&mut self) -> Result<(), Stop> {
        let word = &self.word;
        let name = |range: &Range<usize>| &word[range.clone()];
        self.attributes.sort_unstable_by(|one, other| name(one).cmp(name(other)));
        let twice = self.attributes.windows(2).find(|pair| name(&pair[0]) == name(&pair[1]));
        match twice {
            None => Ok(()),
            Some(pair) => {
                Err(self.source.fault(format!("the attribute `{}` stands twice in a tag", shown(name(&pair[0])))))
            }
        }
    }

    /// What starts with `<!`: a comment, a CDATA section, or the document type, at which reading ends.
    fn declaration(&mut self) -> Result<(), Stop> {
        self.source.bump();
        match self.source.peek()? {
            Some(b'-') => self.comment(),
            Some(b'[') if self.open.is_empty() => {
                Err(self.source.fault("something stands outside the root element".to_owned()))
            }
            Some(b'[') => self.cdata(),
            _ => {
                self.source.expect(b"DOCTYPE", "what starts with `<!`")?;
                Err(Stop::Refused(NotAReturn::DocumentType))
            }
        }
    }

    fn comment(&mut self) -> Result<(), Stop> {
        self.source.expect(b"--", "a comment")?;
        loop {
            self.source.skip_while(|byte| byte != b'-')?;
            self.source.expect(b"-", "a comment, which is not closed")?;
            if self.source.accept(b'-')? {
                return self.source.expect(b">", "a comment, in which `--` may not stand");
            }
        }
    }

    fn cdata(&mut self) -> Result<(), Stop> {
        self.source.expect(b"[CDATA[", "a CDATA section")?;
        loop {
            self.source.skip_while(|byte| byte != b']')?;
            let brackets = self.source.skip_while(|byte| byte == b']')?;
            match self.source.peek()? {
                None => return Err(self.source.unexpected("a CDATA section is not closed")),
                Some(b'>') if brackets >= 2 => break,
                Some(_) => {}
            }
        }
        self.source.bump();
        Ok(())
    }

    /// What starts with `<?`: at the very start maybe the XML declaration, else a processing instruction.
    fn instruction(&mut self, at_start: bool) -> Result<(), Stop> {
        self.source.bump();
        self.word.clear();
        self.source.name(&mut self.word, "what starts with `<?`")?;
        if at_start && self.word == b"xml" {
            return self.xml_declaration();
        }
        if self.word.eq_ignore_ascii_case(b"xml") {
            return Err(self.source.unexpected("an XML declaration stands elsewhere than at the very start"));
        }
        if !self.source.skip_space()? {
            return self.source.expect(b"?>", "a processing instruction");
        }
        loop {
            self.source.skip_while(|byte| byte != b'?')?;
            self.source.expect(b"?", "a processing instruction, which is not closed")?;
            if self.source.accept(b'>')? {
                return Ok(());
            }
        }
    }

    /// The rest of the XML declaration (production 23).
    fn xml_declaration(&mut self) -> Result<(), Stop> {
        let mut next = 0;
        loop {
            let spaced = self.source.skip_space()?;
            if next > 0 && self.source.peek()? == Some(b'?') {
                return self.source.expect(b"?>", "the XML declaration");
            }
            self.word.clear();
            self.source.name(&mut self.word, "the XML declaration")?;
            let found = DECLARED.iter().position(|name| self.word == *name);
            let Some(index) = found.filter(|&index| spaced && index >= next && (next > 0 || index == 0)) else {
                return Err(self.source.unexpected("the XML declaration is not written right"));
            };
            next = index + 1;
            self.equals()?;
            self.declared_value(DECLARED[index])?;
        }
    }

    fn declared_value(&mut self, name: &[u8]) -> Result<(), Stop> {
        let quote = self.quote()?;
        self.word.clear();
        while let Some(byte) = self.source.peek()?.filter(|&byte| byte != quote) {
            if self.word.len() == MAX_DECLARED_BYTES {
                break;
            }
            self.word.push(byte);
            self.source.bump();
        }
        let right = match name {
            b"version" => self.word.strip_prefix(b"1.").is_some_and(is_number),
            b"encoding" => is_encoding_name(&self.word),
            _ => matches!(self.word.as_slice(), b"yes" | b"no"),
        };
        if !right {
            return Err(self.source.unexpected("a value in the XML declaration is not one it may have"));
        }
        self.source.expect(&[quote], "the XML declaration")
    }

    /// The name of the element read now.
    fn innermost(&self) -> Option<&[u8]> {
        self.open.last().map(|&start| &self.names[start..])
    }

    fn close(&mut self) {
        if let Some(start) = self.open.pop() {
            self.names.truncate(start);
        }
    }
}

fn is_number(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

/// Production 81.
fn is_encoding_name(name: &[u8]) -> bool {
    let continues = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.first().is_some_and(u8::is_ascii_alphabetic) && name.iter().all(continues)
}

/// Production 2, for a reference.
fn is_character(code: u32) -> bool {
    let allowed = |character| matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..);
    char::from_u32(code).is_some_and(allowed)
}

fn shown(name: &[u8]) -> String {
    presentable(&String::from_utf8_lossy(name), 80)
}
