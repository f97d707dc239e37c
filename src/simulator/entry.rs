//! The record of a request while its answer is on its way.

use std::sync::Arc;

use tokio::time::Instant;

use super::shop::{Inner, Shop};
use crate::feed::Kind;

/// The record of one request, while its answer is being written.
///
/// The end is recorded before the last bytes leave, so that who reads the answer finds it recorded; it is taken back
/// when they could not be written, or when the entry is dropped before they were.
pub(super) struct Entry {
    shop: Arc<Shop>,
    index: usize,
    /// The document that is collected once the answer is over.
    document: Option<(Kind, String)>,
    /// Whether the document had been collected before, once its end is recorded.
    undo: Option<bool>,
    over: bool,
}

impl Entry {
    /// The entry of the request whose record is the `index`th; `document` is collected with its end.
    pub(super) fn of(shop: Arc<Shop>, index: usize, document: Option<(Kind, String)>) -> Self {
        Self { shop, index, document, undo: None, over: false }
    }

    /// Notes that the last `sent` bytes leave now, and whether the body is then whole.
    pub(super) fn ending(&mut self, sent: usize, whole: bool) {
        let mut inner = self.shop.lock();
        if let (true, Some(key)) = (whole, &self.document) {
            self.undo = Some(inner.mark(key, true));
        }
        self.close(&mut inner, Some(sent), whole);
    }

    /// Notes that `sent` more bytes have left.
    pub(super) fn sent(&mut self, sent: usize) {
        if let Some(record) = self.shop.lock().records.get_mut(self.index) {
            record.sent += sent as u64;
        }
    }

    /// Notes that the last bytes have left.
    pub(super) fn ended(&mut self) {
        self.over = true;
    }

    fn close(&self, inner: &mut Inner, sent: Option<usize>, completed: bool) {
        if let Some(record) = inner.records.get_mut(self.index) {
            record.finished_at = Some(Instant::now());
            record.completed = completed;
            record.sent += sent.unwrap_or_default() as u64;
        }
        self.shop.changed.notify_waiters();
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut inner = self.shop.lock();
        if let (Some(key), Some(before)) = (&self.document, self.undo) {
            inner.mark(key, before);
        }
        self.close(&mut inner, None, false);
    }
}
