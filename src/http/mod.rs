//! How platforms are called: one client per identity and origin, with limits on time and size, and no redirects.

pub mod client;
pub mod error;
pub mod handshake;
mod public;
pub mod reattempt;
pub mod skew;
pub mod verifier;

pub use client::{Answer, Body, Carried, Client, Route, anonymous_tls, http_date};
pub use error::HttpError;
pub use public::is_public;
