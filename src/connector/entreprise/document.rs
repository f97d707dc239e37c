//! Documents at an address that an answer names (Q6): fetched at once, without token or certificate, and only from
//! public servers, for the address is not ours and must not lead into the network this machine stands in.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Address;
use crate::connector::Download;
use crate::connector::words::shown;
use crate::http::verifier::ServerVerifier;
use crate::http::{Carried, Client, HttpError, Route, anonymous_tls, is_public};

/// To the first byte of a document, and for any stretch of it that stands still.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a document could not be fetched. Never names more of its address than the host.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Its address is none that is fetched from.
    #[error("the document's address, at {host}, {why}: it is not fetched")]
    Address {
        /// The host.
        host: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The server answers otherwise than with it.
    #[error("the document's server, {host}, answers {status} instead of the document")]
    Status {
        /// The host.
        host: String,
        /// The status.
        status: u16,
    },
    /// It came in another form than asked for.
    #[error("the document of {host} came with content coding «{coding}», which was not asked for")]
    Coded {
        /// The host.
        host: String,
        /// The form.
        coding: String,
    },
    /// It did not arrive.
    #[error("the document could not be fetched: {0}")]
    Http(#[from] HttpError),
}

/// Begins to fetch the document at `url`; `route` says how the platform is reached, and whether it is on this machine:
/// then documents may be as well.
pub(super) async fn fetch(url: &str, route: &Route, verifier: &Arc<ServerVerifier>) -> Result<Download, DocumentError> {
    let parsed = reqwest::Url::parse(url).map_err(|_| address("an unknown host", "is no address"))?;
    let host = parsed.host_str().unwrap_or("an unknown host").to_owned();
    let bare = format!("{}://{}", parsed.scheme(), parsed.host_str().unwrap_or_default());
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(address(&host, "holds a user or a password"));
    }
    let loopback = Address::parse(&bare).is_ok_and(|address| address.loopback);
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    let allowed = match (parsed.scheme(), loopback) {
        ("http" | "https", true) => route.loopback,
        ("https", false) => literal.is_none_or(is_public),
        _ => return Err(address(&host, "is not https")),
    };
    if !allowed {
        return Err(address(&host, "is not a public one"));
    }
    let verifier = (parsed.scheme() == "https").then(|| Arc::clone(verifier));
    let route = Route {
        origin: parsed.origin().ascii_serialization(),
        loopback,
        public_only: !loopback,
        timeout: TIMEOUT,
        keep_alive: 0,
        clocks: None,
        ..route.clone()
    };
    let client = Client::new(anonymous_tls(verifier)?, &route)?;
    let answer = client.get_with(parsed.as_str(), "*/*", &Carried::default()).await?;
    if answer.status != 200 {
        return Err(DocumentError::Status { host, status: answer.status });
    }
    if let Some(coding) = answer.content_encoding() {
        return Err(DocumentError::Coded { host, coding: shown(coding) });
    }
    let length = answer.length();
    Ok(Download::plain(None, answer.body, length))
}

fn address(host: &str, why: &'static str) -> DocumentError {
    DocumentError::Address { host: host.to_owned(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_leads_inside_is_refused_and_only_its_host_is_named() {
        let route = Route { origin: "https://entreprise.api.gouv.fr".to_owned(), ..Route::default() };
        let verifier = ServerVerifier::new(None).unwrap();
        for url in [
            "http://example.org/secret",
            "https://127.0.0.1/secret",
            "https://[::1]/secret",
            "https://10.0.0.1/secret",
            "https://localhost/secret",
            "https://u:p@example.org/secret",
            "file:///secret",
            "https://2130706433/secret",
        ] {
            let error = fetch(url, &route, &verifier).await.unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
            assert!(error.contains("not fetched"), "{url}: {error}");
        }
    }
}
