//! What can go wrong, on demand.

use std::time::Duration;

use bytes::Bytes;

use super::route::Call;
use crate::feed::Kind;

/// A misbehaviour of the platform, in answer to one request.
///
/// Where a number of bytes is given, it counts bytes of the body, not of the headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status with this body and these headers.
    Status(u16, Bytes, Vec<(String, String)>),
    /// The true `Content-Length`, but the connection closes after this many bytes.
    CutWithLength(usize),
    /// No length; the body is ended by an orderly close after this many bytes: only its content tells.
    CutWithoutLength(usize),
    /// Chunked, closed after this many bytes, without the last chunk.
    CutChunked(usize),
    /// A login page in HTML, with status 200.
    HtmlWith200,
    /// The platform's JSON error with this text for developers, with status 200.
    JsonErrorWith200(String),
    /// Status 200 and an empty body.
    Empty200,
    /// Reads the request and never answers.
    Hang,
    /// Stops after the headers and this many bytes, with the connection left open.
    HangAfter(usize),
    /// Writes this many bytes of the body at a time, with a pause before each.
    Drip {
        /// How many bytes at a time; at least one.
        bytes: usize,
        /// The pause.
        every: Duration,
    },
    /// The document, then filler for ever.
    Endless {
        /// Announces a length (of a pebibyte), instead of none.
        with_length: bool,
    },
    /// Status 302, to this address.
    Redirect(String),
    /// Resets the connection instead of answering.
    Reset,
    /// Resets the connection after the headers and this many bytes.
    ResetAfter(usize),
    /// No length; after this many bytes the TCP connection ends without TLS having said so, as a cut by a third would.
    TruncatedTls(usize),
    /// The whole body under this `Content-Length`, then closes the connection.
    WrongLength(u64),
    /// The plain body, said to be compressed.
    GzipNonsense,
    /// The true answer, with headers of at least this many bytes.
    HugeHeaders(usize),
    /// This status with `Retry-After`, in seconds.
    RetryAfter(u16, u64),
    /// The true answer, with a pause before each byte of its headers.
    SlowHeaders(Duration),
    /// XML that declares a document type and entities that multiply.
    DoctypeXml,
    /// Status 200 and these bytes in place of the true ones.
    Replace(Bytes),
}

/// Which requests a fault hits: those for which all that is given agrees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// Of this SIREN only (for a download: the SIREN whose document it is).
    pub siren: Option<String>,
    /// Of this kind only.
    pub kind: Option<Kind>,
    /// Of this document only; no listing matches then.
    pub id: Option<String>,
    /// Only listings, or only downloads.
    pub call: Option<Call>,
}

impl Matcher {
    /// Every listing and every download.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Every listing.
    #[must_use]
    pub fn listings() -> Self {
        Self { call: Some(Call::List), ..Self::default() }
    }

    /// Listings of this kind of this SIREN.
    #[must_use]
    pub fn listing(siren: &str, kind: Kind) -> Self {
        Self { siren: Some(siren.to_owned()), kind: Some(kind), ..Self::listings() }
    }

    /// Every download.
    #[must_use]
    pub fn downloads() -> Self {
        Self { call: Some(Call::Download), ..Self::default() }
    }

    /// Every removal of a file.
    #[must_use]
    pub fn releases() -> Self {
        Self { call: Some(Call::Release), ..Self::default() }
    }

    /// Downloads of this document.
    #[must_use]
    pub fn download(id: impl ToString) -> Self {
        Self { id: Some(id.to_string()), ..Self::downloads() }
    }

    pub(super) fn hits(&self, call: Call, kind: Kind, siren: Option<&str>, id: Option<&str>) -> bool {
        self.call.is_none_or(|wanted| wanted == call)
            && self.kind.is_none_or(|wanted| wanted == kind)
            && self.siren.as_deref().is_none_or(|wanted| Some(wanted) == siren)
            && self.id.as_deref().is_none_or(|wanted| Some(wanted) == id)
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next request that matches.
    Once,
    /// The next so many.
    N(u32),
    /// All, until faults are cleared.
    Always,
}

/// A fault that waits for its request.
#[derive(Debug)]
pub(super) struct Armed {
    pub(super) matcher: Matcher,
    pub(super) fault: Fault,
    pub(super) times: Times,
}

impl Armed {
    /// Counts one strike.
    pub(super) fn strike(&mut self) {
        self.times = match self.times {
            Times::Always => Times::Always,
            Times::Once => Times::N(0),
            Times::N(left) => Times::N(left.saturating_sub(1)),
        };
    }
}
