//! The interfaces of the platforms behind one contract: list what a feed holds, fetch a document.
//!
//! A connector knows a platform's addresses and words; it keeps nothing, counts nothing and tries nothing again, save
//! a document request whose connection never opened. When to call, what to do with the bytes and what an error costs
//! is the poll's affair.

mod bearer;
pub mod entreprise;
pub mod error;
pub mod fast;
pub mod resource;
mod words;
mod xml;

use std::future::Future;

use bytes::Bytes;

pub use error::{Access, Cause, ConnectorError};

use crate::feed::RemoteDocument;
use crate::http::Body;

/// What a request of a listing showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The platform's documents, in its order, each once.
    pub documents: Vec<RemoteDocument>,
    /// Entries that are no documents, shortened for the log.
    pub refused: Vec<String>,
    /// How many entries stood there more than once.
    pub duplicates: usize,
    /// What an operator should know beside that.
    pub notes: Vec<String>,
    /// What is to be listed further.
    pub further: Vec<Page>,
}

/// One request of a listing: all of it, or one folder of several. Only its connector reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(pub(super) Vec<String>);

/// What became of a document that the platform was told to remove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// It is gone, by our doing or before.
    Gone,
    /// Something else lies in its place: that is another document, and stays.
    Replaced,
}

/// A document on its way.
#[derive(Debug)]
pub struct Download {
    /// What was read ahead to tell a document from an error.
    head: Option<Bytes>,
    /// The rest.
    rest: Body,
    /// The length the platform announced, in bytes.
    length: Option<u64>,
    /// The length it must have, in bytes, where a listing has told.
    size: Option<u64>,
    /// Bytes handed out.
    received: u64,
    /// Takes the document out of what it comes in.
    unwrap: Option<Box<dyn Unwrap>>,
}

/// Takes a document out of what it comes in.
pub(super) trait Unwrap: std::fmt::Debug + Send + Sync {
    /// Takes the next bytes; what they hold of the document is added to `out`.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String>;

    /// All is there: whether it is whole.
    fn finish(&mut self) -> Result<(), String>;
}

impl Download {
    /// A document that is the body itself: its `head`, read ahead, and the `rest`.
    pub(super) fn plain(head: Option<Bytes>, rest: Body, length: Option<u64>) -> Self {
        Self { head, rest, length, size: None, received: 0, unwrap: None }
    }

    /// A document in something else: its own first bytes, and the `rest` of what it comes in.
    pub(super) fn wrapped(head: Bytes, rest: Body, unwrap: Box<dyn Unwrap>) -> Self {
        Self { unwrap: Some(unwrap), ..Self::plain(Some(head).filter(|head| !head.is_empty()), rest, None) }
    }

    /// The same, of exactly so many bytes.
    pub(super) fn of_size(self, size: Option<u64>) -> Self {
        Self { size, ..self }
    }

    /// The length the platform announced, in bytes.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`ConnectorError::Broken`], or what the server's refusal means; [`ConnectorError::Changed`] where it is longer than
    /// listed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        let next = match self.head.take() {
            Some(head) => Some(head),
            None => self.unwrapped().await?,
        };
        self.received += next.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match (&next, self.size) {
            (None, Some(size)) if self.received < size => {
                let detail = format!("it ended after {} of {size} bytes", self.received);
                Err(ConnectorError::Broken { detail })
            }
            (_, Some(size)) if self.received > size => {
                let detail = format!("more than the {size} bytes listed come: it is still being written");
                Err(ConnectorError::Changed { detail })
            }
            _ => Ok(next),
        }
    }

    /// The next bytes of the body, or of what it holds.
    async fn unwrapped(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        let broken = |detail: String| ConnectorError::Broken { detail };
        let mut out = Vec::new();
        loop {
            let chunk = self.rest.next().await?;
            let Some(unwrap) = &mut self.unwrap else { return Ok(chunk) };
            let Some(chunk) = chunk else {
                unwrap.finish().map_err(broken)?;
                self.unwrap = None;
                return Ok(None);
            };
            unwrap.feed(&chunk, &mut out).map_err(broken)?;
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
    }
}

/// The way to the documents of one feed. Lives for one poll: it may hold a certificate.
pub trait Connector: Send + Sync {
    /// The requests that a listing begins with; never none.
    fn first_pages(&self) -> Vec<Page> {
        vec![Page::default()]
    }

    /// Makes one request of a listing. The caller has recorded that it leaves.
    fn list(&self, page: &Page) -> impl Future<Output = Result<Listing, ConnectorError>> + Send;

    /// Asks for a document; the platform may count it as collected from then on.
    fn fetch(&self, document: &RemoteDocument) -> impl Future<Output = Result<Download, ConnectorError>> + Send;

    /// Tells the platform that a document is safe here, where its documents stay until they are removed.
    fn release(&self, _document: &RemoteDocument) -> impl Future<Output = Result<Released, ConnectorError>> + Send {
        std::future::ready(Ok(Released::Gone))
    }
}
