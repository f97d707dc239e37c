//! FAST-Parapheur played on loopback: what `demo` and the tests collect from.
//!
//! A [`Platform`] speaks REST, SOAP and WebDAV as the editor's guide has them (v3.4, §2.6, §2.5, §4) over TLS with client certificates made by
//! [`keys`], serves documents such as [`samples`] writes, and misbehaves on demand: a [`Fault`] acts on the raw wire,
//! which is why HTTP is written by hand here. It keeps a [`Record`] of every request, so that a test can say what was
//! asked, when, and over which connection. It shares no code with the connector: a mistake in one is not repeated in
//! the other.
//!
//! Over plain HTTP, [`oauth`] plays the token servers of the customs and of PISTE, [`gateway`] their APIs, [`entreprise`]
//! API Entreprise with its quotas and its ban.
//!
//! A request walks through `connection` (TLS, reading), `shop` (what the platform holds, and what it answers),
//! `answer` (what goes on the wire, as a [`Fault`] changes it) and `entry` (its [`Record`]).

use std::io;

mod answer;
mod behaviour;
mod connection;
pub mod entreprise;
mod entry;
mod fault;
pub mod gateway;
mod http;
pub mod keys;
pub mod oauth;
mod platform;
mod record;
mod route;
pub mod samples;
mod shop;
mod soap;
mod tls;
mod webdav;
mod zip;

pub use answer::Framing;
pub use behaviour::Behaviour;
pub use entreprise::Entreprise;
pub use fault::{Fault, Matcher, Times};
pub use gateway::Gateway;
pub use http::{Reply, Request};
pub use keys::Keys;
pub use platform::Platform;
pub use record::Record;
pub use route::Call;
pub use soap::Mtom;
pub use webdav::{Dialect, Etags};

/// Why the simulated platform could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A certificate or its key could not be made.
    #[error("the simulated platform could not make its certificates: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The certificates were not accepted for TLS.
    #[error("the simulated platform could not use its certificates: {0}")]
    Tls(#[from] rustls::Error),
    /// The verifier of client certificates could not be built.
    #[error("the simulated platform could not check client certificates: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A file could not be written, or the address not be bound.
    #[error("the simulated platform could not start: {0}")]
    Io(#[from] io::Error),
}
