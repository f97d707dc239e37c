//! FAST-Parapheur (Docaposte FAST): what its interfaces have in common.

pub mod listing;
mod plain;
mod refusal;
pub mod rest;
pub mod soap;
pub mod webdav;

use std::future::Future;

use crate::connector::{Connector, ConnectorError, Download, Listing, Page};
use crate::feed::RemoteDocument;

/// An interface that gives once more what it has given out (guide v3.4, §2.5.1 and §2.6.1): an acknowledgement with the file
/// that was deposited, in a ZIP.
pub trait GivesAgain: Connector {
    /// Asks for an acknowledgement that was collected before.
    fn fetch_again(&self, id: &str) -> impl Future<Output = Result<Download, ConnectorError>> + Send;
}

/// A way to what was collected before.
#[derive(Debug)]
pub struct Again<C>(pub C);

impl<C: GivesAgain> Connector for Again<C> {
    async fn list(&self, page: &Page) -> Result<Listing, ConnectorError> {
        self.0.list(page).await
    }

    async fn fetch(&self, document: &RemoteDocument) -> Result<Download, ConnectorError> {
        self.0.fetch_again(&document.id).await
    }
}
