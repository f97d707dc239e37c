//! The interfaces of the platforms behind one contract: list what a feed holds, fetch a document.
//!
//! A connector knows a platform's addresses and words; it keeps nothing, counts nothing and tries nothing again, save
//! a document request whose connection never opened. When to call, what to do with the bytes and what an error costs
//! is the poll's affair.

mod bearer;
mod download;
pub mod entreprise;
pub mod error;
pub mod fast;
pub mod resource;
mod words;
mod xml;

use std::future::Future;

pub use download::Download;
pub(in crate::connector) use download::{Unfit, Unwrap};
pub use error::{Access, Cause, ConnectorError};

use crate::feed::RemoteDocument;

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
