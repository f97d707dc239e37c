//! How the platform behaves, as a test may have it.

use std::time::Duration;

use super::answer::Framing;
use super::soap::Mtom;
use super::webdav::Dialect;

/// How the platform behaves where its guide leaves the matter open, or where a test wants it so.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Listings go on showing documents that were collected.
    pub keep_listing: bool,
    /// Wait before each answer.
    pub latency: Duration,
    /// A document counts as collected as soon as its download begins, whatever then happens to it.
    pub consume_on_start: bool,
    /// A collected document asked for again is denied ("Invalid docId"), with this status; `None`: served again.
    pub forget_collected: Option<u16>,
    /// The status of the error for an unknown document.
    pub unknown_status: u16,
    /// Listings write ids as strings, not as numbers.
    pub ids_as_strings: bool,
    /// Clients without a good certificate finish the handshake and are told by HTML, not by a TLS alert.
    pub plain_400_without_certificate: bool,
    /// TCP connections are accepted, and TLS never answered.
    pub hold_handshakes: bool,
    /// How the end of bodies is marked.
    pub framing: Framing,
    /// More headers for each document.
    pub download_headers: Vec<(String, String)>,
    /// How SOAP carries documents.
    pub mtom: Mtom,
    /// The status of SOAP's faults.
    pub fault_status: u16,
    /// How WebDAV lists folders.
    pub dialect: Dialect,
    /// Over WebDAV, label folders vanish with their last file.
    pub vanishing_labels: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            keep_listing: false,
            latency: Duration::ZERO,
            consume_on_start: false,
            forget_collected: None,
            unknown_status: 500,
            ids_as_strings: false,
            plain_400_without_certificate: false,
            hold_handshakes: false,
            framing: Framing::Length,
            download_headers: Vec::new(),
            mtom: Mtom::Inline,
            fault_status: 500,
            dialect: Dialect { prefix: Some("D"), ..Dialect::default() },
            vanishing_labels: true,
        }
    }
}
