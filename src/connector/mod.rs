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

use std::future::Future;

use bytes::Bytes;

pub use error::{Access, Cause, ConnectorError};

use crate::http::Body;

/// What a listing showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The platform's ids, in its order, each once.
    pub ids: Vec<String>,
    /// Entries that are no ids, shortened for the log.
    pub refused: Vec<String>,
    /// How many entries stood there more than once.
    pub duplicates: usize,
}

/// A document on its way.
#[derive(Debug)]
pub struct Download {
    /// What was read ahead to tell a document from an error.
    pub(super) head: Option<Bytes>,
    /// The rest.
    pub(super) rest: Body,
    /// The length the platform announced, in bytes.
    pub(super) length: Option<u64>,
}

impl Download {
    /// The length the platform announced, in bytes.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`ConnectorError::Broken`], or what the server's refusal means.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        self.rest.next().await.map_err(ConnectorError::from)
    }
}

/// The way to the documents of one feed. Lives for one poll: it may hold a certificate.
pub trait Connector: Send + Sync {
    /// Lists what the feed holds.
    fn list(&self) -> impl Future<Output = Result<Listing, ConnectorError>> + Send;

    /// Asks for a document; the platform may count it as collected from then on.
    fn fetch(&self, remote_id: &str) -> impl Future<Output = Result<Download, ConnectorError>> + Send;
}
