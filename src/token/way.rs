//! The way to a token server, made for one request.

use std::sync::Arc;
use std::time::Duration;

use super::Client;
use crate::config::Address;
use crate::http::skew::SkewWatch;
use crate::http::verifier::ServerVerifier;
use crate::http::{self, HttpError, Route, anonymous_tls};

/// To the first byte of an answer, and for any stretch of it that stands still.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How token servers are reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// `http://host:port` of a proxy.
    pub proxy: Option<String>,
    /// Hosts reached without it.
    pub no_proxy: Vec<String>,
    /// PEM file of authorities trusted beside the system's.
    pub ca_certificate: Option<std::path::PathBuf>,
}

/// A client for one request.
pub(super) async fn connect(client: &Client, way: Way, clocks: Arc<SkewWatch>) -> Result<http::Client, HttpError> {
    let address = Address::parse(&client.token_url).map_err(|fault| HttpError::Setup(fault.to_owned()))?;
    let plain = address.origin.starts_with("http://");
    let ca_certificate = way.ca_certificate.clone();
    let tls = tokio::task::spawn_blocking(move || {
        let verifier = if plain { None } else { Some(ServerVerifier::new(ca_certificate.as_deref())) };
        let verifier =
            verifier.transpose().map_err(|error| HttpError::Setup(format!("{error}: {}", error.remedy())))?;
        anonymous_tls(verifier)
    });
    let tls = tls.await.map_err(|error| HttpError::Setup(error.to_string()))??;
    let route = Route {
        origin: address.origin,
        loopback: address.loopback,
        proxy: way.proxy,
        no_proxy: way.no_proxy,
        timeout: TIMEOUT,
        keep_alive: 0,
        public_only: false,
        clocks: Some(clocks),
    };
    http::Client::new(tls, &route)
}
