//! What the platform remembers of each request.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::time::Instant;

use super::route::Call;
use crate::feed::Kind;

/// One request that arrived, and what became of its answer.
///
/// Everything is recorded before the last byte of the answer leaves: who has read an answer finds it here.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the request had been read, by the platform's wall clock.
    pub at: Timestamp,
    /// The same moment, by the runtime's clock.
    pub started_at: Instant,
    /// When the answer was over, whole or not; `None` while it lasts.
    pub finished_at: Option<Instant>,
    /// `GET`, or whatever came instead.
    pub method: String,
    /// Path and query, as they came.
    pub path: String,
    /// Which call that is, if any.
    pub call: Option<Call>,
    /// The SIREN of a listing; of a download, the SIREN whose document it is, if the platform has it.
    pub siren: Option<String>,
    /// The kind, where the path names one.
    pub kind: Option<Kind>,
    /// The document that was asked for, or removed: its id, or its path below `out/`; over WebDAV also the folder listed.
    pub id: Option<String>,
    /// The request's headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The request's body.
    pub body: Bytes,
    /// The status answered; `None` where no answer left.
    pub status: Option<u16>,
    /// Common name of the client's certificate.
    pub client_subject: Option<Arc<str>>,
    /// Number of the TCP connection, from 1.
    pub connection: u64,
    /// Bytes of the body that were handed to the network.
    pub sent: u64,
    /// Whether the whole body of the answer was handed to the network.
    pub completed: bool,
}
