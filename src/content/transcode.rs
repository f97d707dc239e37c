//! From a document's bytes to UTF-8, whatever encoding it declares, a buffer at a time.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::presentable;

/// How a document's bytes are to be read as characters.
///
/// A byte order mark decides; without one the XML declaration, and without one UTF-8. ISO-8859-1 is read as
/// windows-1252, its superset: the same characters but for 0x80–0x9F, which XML allows either way.
pub(super) struct Charset {
    encoding: &'static Encoding,
    bom_bytes: u64,
    ascii: bool,
}

impl Charset {
    /// The encoding of the document that starts with `head`, or what is wrong with the one it names.
    pub(super) fn of(head: &[u8]) -> Result<Self, String> {
        let known = |encoding, bom_bytes: usize| Self { encoding, bom_bytes: bom_bytes as u64, ascii: false };
        if let Some((encoding, bom_bytes)) = Encoding::for_bom(head) {
            return Ok(known(encoding, bom_bytes));
        }
        if head.starts_with(b"<\0") {
            return Ok(known(UTF_16LE, 0));
        }
        if head.starts_with(b"\0<") {
            return Ok(known(UTF_16BE, 0));
        }
        let Some(label) = declared_label(head) else { return Ok(known(UTF_8, 0)) };
        let shown = presentable(label, 40);
        match Encoding::for_label_no_replacement(label.as_bytes()) {
            None => Err(format!("it declares the encoding `{shown}`, which is not known")),
            Some(encoding) if !encoding.is_ascii_compatible() => {
                Err(format!("it declares the encoding `{shown}`, and is not written in it"))
            }
            Some(encoding) => {
                let ascii = ["us-ascii", "ascii"].iter().any(|name| label.eq_ignore_ascii_case(name));
                Ok(Self { encoding, bom_bytes: 0, ascii })
            }
        }
    }

    /// How many bytes before the first character.
    pub(super) const fn bom_bytes(&self) -> u64 {
        self.bom_bytes
    }
}

/// The encoding named by the XML declaration that starts `head`; whether the declaration is right is checked later.
fn declared_label(head: &[u8]) -> Option<&str> {
    let declaration = head.strip_prefix(b"<?xml")?;
    // `<?xml-stylesheet` and its like declare nothing.
    declaration.first().filter(|byte| byte.is_ascii_whitespace())?;
    let end = declaration.windows(2).position(|pair| pair == b"?>")?;
    let declaration = std::str::from_utf8(&declaration[..end]).ok()?;
    let (_, rest) = declaration.split_once("encoding")?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split(quote).next()
}

/// Reads a document as UTF-8.
pub(super) struct Transcoder<R> {
    reader: R,
    decoder: Decoder,
    name: &'static str,
    ascii: bool,
    raw: Box<[u8]>,
    at: usize,
    end: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Reading,
    /// All bytes are read, not all decoded.
    Draining,
    /// What is left in `raw` is good, what follows is not.
    Broken,
    Done,
}

/// What a call of [`Transcoder::fill`] found.
pub(super) struct Filled {
    /// Bytes of UTF-8, whole characters; 0 at the end.
    pub(super) bytes: usize,
    /// What stands behind them, if it is no character.
    pub(super) malformed: Option<String>,
}

impl<R: Read> Transcoder<R> {
    /// Bytes read at once.
    const RAW_BYTES: usize = 4 * 1024;

    /// Reads `reader`, which stands at the first character, as `charset` says.
    pub(super) fn new(reader: R, charset: &Charset) -> Self {
        Self {
            reader,
            decoder: charset.encoding.new_decoder_without_bom_handling(),
            name: if charset.ascii { "US-ASCII" } else { charset.encoding.name() },
            ascii: charset.ascii,
            raw: vec![0; Self::RAW_BYTES].into(),
            at: 0,
            end: 0,
            stage: Stage::Reading,
        }
    }

    /// Fills `text` with the next characters.
    pub(super) fn fill(&mut self, text: &mut [u8]) -> io::Result<Filled> {
        loop {
            if self.at == self.end {
                self.read()?;
            }
            if self.stage == Stage::Done {
                return Ok(Filled { bytes: 0, malformed: None });
            }
            let last = self.stage == Stage::Draining;
            let raw = &self.raw[self.at..self.end];
            let (result, read, bytes) = self.decoder.decode_to_utf8_without_replacement(raw, text, last);
            self.at += read;
            let broken = match result {
                DecoderResult::Malformed(..) => true,
                DecoderResult::InputEmpty => self.stage == Stage::Broken,
                DecoderResult::OutputFull => false,
            };
            if broken {
                self.stage = Stage::Done;
                return Ok(Filled { bytes, malformed: Some(format!("bytes that are not {}", self.name)) });
            }
            if last && result == DecoderResult::InputEmpty {
                self.stage = Stage::Done;
            }
            if bytes > 0 {
                return Ok(Filled { bytes, malformed: None });
            }
        }
    }

    /// Reads the next bytes, up to the first that US-ASCII does not have.
    fn read(&mut self) -> io::Result<()> {
        if self.stage != Stage::Reading {
            return Ok(());
        }
        let count = loop {
            match self.reader.read(&mut self.raw) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        (self.at, self.end) = (0, count);
        if count == 0 {
            self.stage = Stage::Draining;
        } else if self.ascii {
            self.end = Encoding::ascii_valid_up_to(&self.raw[..count]);
            if self.end < count {
                self.stage = Stage::Broken;
            }
        }
        Ok(())
    }
}

/// The characters of a document that has passed its checks, behind its byte order mark.
pub(super) fn whole(bytes: &[u8], charset: &Charset) -> String {
    charset.encoding.decode_without_bom_handling(bytes).0.into_owned()
}
