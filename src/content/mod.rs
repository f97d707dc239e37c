//! What bytes are: whether a body is a return of FAST-Parapheur, or an API's answer, or something said instead of one.
//!
//! A return is XML that is well-formed, or a whole PDF, a whole ZIP, or other binary. It is never a page, a message,
//! a JSON object or a part of itself: what is cut or answers in place of a document must not be kept as one.
//! Bytes are only read, as a stream: however large or hostile they are, a judgement holds less than 4 MiB.

pub mod difference;
mod ending;
mod json;
mod platform_error;
mod references;
mod sniff;
mod source;
pub mod summary;
mod transcode;
mod wellformed;

use std::io::{self, Read, Seek, SeekFrom};

pub use json::json;
pub use platform_error::{PlatformError, platform_error};
pub use references::{referenced, references_resolved};

use crate::words::presentable;
use sniff::{Guess, Head};

/// What a body is, as far as its bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// XML 1.0.
    Xml,
    /// A PDF.
    Pdf,
    /// A ZIP, or a format that is one (office documents).
    Zip,
    /// JSON.
    Json,
    /// A page for people: only ever a refusal.
    Html,
    /// Words for people: only ever a refusal.
    Text,
    /// Anything else.
    Binary,
}

impl MediaType {
    /// One for each extension that a kept document may have; of FAST, JSON only where an operator took it for the document.
    pub const KEPT: [Self; 5] = [Self::Xml, Self::Pdf, Self::Zip, Self::Json, Self::Binary];

    /// The media type's registered name, e.g. `application/xml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Xml => "application/xml",
            Self::Pdf => "application/pdf",
            Self::Zip => "application/zip",
            Self::Json => "application/json",
            Self::Html => "text/html",
            Self::Text => "text/plain",
            Self::Binary => "application/octet-stream",
        }
    }

    /// The extension of a file that holds it, without the dot; `bin` for what no business software opens by name.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Xml => "xml",
            Self::Pdf => "pdf",
            Self::Zip => "zip",
            Self::Json => "json",
            Self::Html | Self::Text | Self::Binary => "bin",
        }
    }
}

/// Why a body is not a return. What it quotes of the body is shortened and has no control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAReturn {
    /// Nothing, or nothing but blanks.
    #[error("the platform sent an empty body in place of the document")]
    Empty,
    /// A page, e.g. of a login, a proxy or a maintenance.
    #[error("the platform sent an HTML page{} in place of the document", quoted(.title.as_deref()))]
    Html {
        /// What the page calls itself, at most 80 characters.
        title: Option<String>,
    },
    /// The platform's error object.
    #[error("the platform sent an error in place of the document: {0}")]
    JsonError(PlatformError),
    /// Any other JSON.
    #[error("the platform sent JSON in place of the document")]
    Json,
    /// JSON that breaks off, or its rules.
    #[error("the answer is not well-formed JSON at line {line}, column {column}")]
    CutJson {
        /// Line of the fault, from 1.
        line: usize,
        /// Its column, from 1.
        column: usize,
    },
    /// Words, in no format a return has.
    #[error("the platform sent plain text in place of the document: \"{start}\"")]
    Text {
        /// How it starts, at most 80 characters.
        start: String,
    },
    /// It starts as XML and breaks its rules, or ends too early.
    #[error("the document is not well-formed XML at line {line}, column {column}: {what}")]
    NotWellFormed {
        /// Line of the fault, from 1.
        line: u64,
        /// Column of the fault in characters, from 1.
        column: u64,
        /// The fault.
        what: String,
    },
    /// XML that declares a document type: no return does, and parsers of business software may be led astray by one.
    #[error("the document declares a document type (<!DOCTYPE), which no return does")]
    DocumentType,
    /// A PDF or ZIP whose end is missing.
    #[error("the document was cut: {what}")]
    Cut {
        /// What it is a part of.
        media_type: MediaType,
        /// What is missing.
        what: &'static str,
    },
    /// XML nested deeper than any return.
    #[error("the document's elements are nested more than {} deep, which no return is", wellformed::MAX_DEPTH)]
    TooDeep,
    /// XML with a name or a start tag larger than in any return.
    #[error("the document has {what} at line {line}, which no return has")]
    Excessive {
        /// Line, from 1.
        line: u64,
        /// What is too large, and the limit.
        what: &'static str,
    },
}

impl NotAReturn {
    /// One stable word, for the ledger, the log and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Html { .. } => "html",
            Self::JsonError(_) => "json_error",
            Self::Json => "json",
            Self::CutJson { .. } => "cut_json",
            Self::Text { .. } => "text",
            Self::NotWellFormed { .. } => "not_well_formed",
            Self::DocumentType => "document_type",
            Self::Cut { .. } => "cut",
            Self::TooDeep => "too_deep",
            Self::Excessive { .. } => "excessive",
        }
    }

    /// What the refused bytes are, or pretend to be.
    #[must_use]
    pub const fn media_type(&self) -> MediaType {
        match self {
            Self::Empty => MediaType::Binary,
            Self::Html { .. } => MediaType::Html,
            Self::JsonError(_) | Self::Json | Self::CutJson { .. } => MediaType::Json,
            Self::Text { .. } => MediaType::Text,
            Self::NotWellFormed { .. } | Self::DocumentType | Self::TooDeep | Self::Excessive { .. } => MediaType::Xml,
            Self::Cut { media_type, .. } => *media_type,
        }
    }
}

/// `bytes`, a whole XML document in any encoding, as UTF-8, once it has passed the checks of a return: well-formed, without a
/// document type, not nested without end.
///
/// # Errors
/// What it is instead, or what is wrong with it.
pub fn xml_text(bytes: &[u8]) -> Result<String, NotAReturn> {
    let impossible = |error: io::Error| NotAReturn::NotWellFormed { line: 1, column: 1, what: error.to_string() };
    match judge(io::Cursor::new(bytes), bytes.len() as u64).map_err(impossible)?? {
        MediaType::Xml => {}
        other => return Err(NotAReturn::Text { start: format!("no XML but {}", other.as_str()) }),
    }
    let charset =
        transcode::Charset::of(bytes).map_err(|what| NotAReturn::NotWellFormed { line: 1, column: 1, what })?;
    let skipped = usize::try_from(charset.bom_bytes()).unwrap_or_default();
    Ok(transcode::whole(&bytes[skipped..], &charset))
}

/// Judges whether the `size` bytes of `reader`, from its start, are what an HTTP API may answer: a return, JSON that is
/// well-formed, or plain text (CSV among it). Its refusals are the connector's to know.
///
/// # Errors
/// Only what `reader` fails with; a refusal is a result.
pub fn judge_answer<R: Read + Seek>(mut reader: R, size: u64) -> io::Result<Result<MediaType, NotAReturn>> {
    let judgement = judge(&mut reader, size)?;
    match judgement {
        Err(NotAReturn::Json | NotAReturn::JsonError(_)) => {
            reader.rewind()?;
            match serde_json::from_reader::<_, serde::de::IgnoredAny>(io::BufReader::new(reader)) {
                Ok(_) => Ok(Ok(MediaType::Json)),
                Err(error) if error.is_io() => Err(error.into()),
                Err(error) => Ok(Err(NotAReturn::CutJson { line: error.line(), column: error.column() })),
            }
        }
        Err(NotAReturn::Text { .. }) => Ok(Ok(MediaType::Text)),
        other => Ok(other),
    }
}

/// Judges whether the `size` bytes of `reader`, from its start, are a return of FAST-Parapheur, and which kind.
///
/// # Errors
/// Only what `reader` fails with; a refusal is a result.
pub fn judge<R: Read + Seek>(mut reader: R, size: u64) -> io::Result<Result<MediaType, NotAReturn>> {
    reader.rewind()?;
    let mut start = Vec::new();
    (&mut reader).take(sniff::HEAD_BYTES).read_to_end(&mut start)?;
    let head = Head::new(&start, size);
    Ok(match head.guess() {
        Guess::Refused(refusal) => Err(refusal),
        Guess::Binary => Ok(MediaType::Binary),
        Guess::Pdf => ending::whole_pdf(&mut reader, size)?.map(|()| MediaType::Pdf),
        Guess::Zip => ending::whole_zip(&mut reader, size)?.map(|()| MediaType::Zip),
        Guess::Xml => match transcode::Charset::of(&start) {
            Err(what) => Err(NotAReturn::NotWellFormed { line: 1, column: 1, what }),
            Ok(charset) => {
                reader.seek(SeekFrom::Start(charset.bom_bytes()))?;
                wellformed::check(reader, &charset)?.map(|()| MediaType::Xml)
            }
        },
    })
}

fn quoted(title: Option<&str>) -> String {
    title.map(|title| format!(" (\"{title}\")")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
