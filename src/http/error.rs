//! What can happen to a request, told by how far it came.

use std::error::Error as _;

use rustls::AlertDescription;

use super::verifier;

/// How the HTTP client begins what it says of a proxy.
const TUNNEL_ERROR: &str = "tunnel error: ";

/// A request that brought no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection was made: the request has not left.
    #[error("no connection to {host}: {detail}")]
    Unreachable {
        /// The host, or the proxy before it.
        host: String,
        /// What the system says.
        detail: String,
    },
    /// The server's certificate is not one we trust: the request has not left.
    #[error("{host} shows a certificate that this machine does not trust ({detail})")]
    UntrustedServer {
        /// The host.
        host: String,
        /// Who issued its certificate, where that is what is unknown.
        issuer: Option<String>,
        /// What is wrong with it.
        detail: String,
    },
    /// The server refused us at the TLS level, by an alert in place of an answer.
    #[error("{host} refused the connection (TLS alert {alert:?})")]
    Refused {
        /// The host.
        host: String,
        /// The alert (RFC 8446, §6.2).
        alert: AlertDescription,
    },
    /// No TLS could be agreed upon: the request has not left.
    #[error("no TLS with {host}: {detail}")]
    NoTls {
        /// The host.
        host: String,
        /// What stands in the way.
        detail: String,
    },
    /// The proxy made no way through: the request has not left.
    #[error("the proxy makes no way to {host}: {detail}")]
    Proxy {
        /// The host beyond it.
        host: String,
        /// What it says.
        detail: String,
    },
    /// Nothing came within the time limit.
    #[error("{host} did not answer within {seconds} s")]
    NoAnswer {
        /// The host.
        host: String,
        /// The limit, in seconds.
        seconds: u64,
    },
    /// The transfer stood still, or crept under 1 KiB/s, for as long as the time limit.
    #[error("the transfer from {host} stood still after {bytes} bytes")]
    Stalled {
        /// The host.
        host: String,
        /// Bytes of the body received.
        bytes: u64,
    },
    /// The connection broke before the answer was whole.
    #[error("the connection to {host} broke after {bytes} bytes: {detail}")]
    Broken {
        /// The host.
        host: String,
        /// Bytes of the body received.
        bytes: u64,
        /// What the system says.
        detail: String,
    },
    /// The client could not be made (a proxy's address, a certificate that TLS cannot use).
    #[error("the HTTP client cannot be set up: {0}")]
    Setup(String),
}

impl HttpError {
    /// Tells what `error`, which came in place of an answer, means.
    pub(super) fn classify(host: &str, error: &reqwest::Error) -> Self {
        let unsent = error.is_connect() || error.is_builder();
        match Self::from_tls(host, error) {
            Some(Self::NoTls { .. }) if !unsent => Self::cut(host, error, 0),
            // In TLS 1.3 our certificate is refused after the handshake, when the request has left already. Any other alert
            // as late as that may have cut off an answer.
            Some(Self::Refused { alert, .. }) if !unsent && !is_about_certificates(alert) => Self::cut(host, error, 0),
            Some(refusal) => refusal,
            None if unsent && refused_by_proxy(error) => {
                let detail = innermost(error).trim_start_matches(TUNNEL_ERROR).to_owned();
                Self::Proxy { host: host.to_owned(), detail }
            }
            None if unsent => Self::Unreachable { host: host.to_owned(), detail: innermost(error) },
            None => Self::cut(host, error, 0),
        }
    }

    /// What `error`, which came after `bytes` of a body, means: whatever it is, an answer had begun.
    pub(super) fn cut(host: &str, error: &reqwest::Error, bytes: u64) -> Self {
        Self::Broken { host: host.to_owned(), bytes, detail: innermost(error) }
    }

    /// Tells what an error of a connection without a request means.
    pub(super) fn from_io(host: &str, error: std::io::Error) -> Self {
        let detail = error.to_string();
        Self::from_tls(host, &error).unwrap_or_else(|| Self::Unreachable { host: host.to_owned(), detail })
    }

    /// What TLS has to say in the chain of `error`, if anything.
    fn from_tls(host: &str, error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let host = host.to_owned();
        match find::<rustls::Error>(error)? {
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => Some(Self::NoTls {
                host,
                detail: "it takes neither TLS 1.2 nor 1.3 (TLS alert ProtocolVersion)".to_owned(),
            }),
            rustls::Error::AlertReceived(alert) => Some(Self::Refused { host, alert: *alert }),
            rustls::Error::InvalidMessage(fault) => {
                Some(Self::NoTls { host, detail: format!("what it sends is no TLS ({fault:?})") })
            }
            rustls::Error::PeerIncompatible(fault) => {
                Some(Self::NoTls { host, detail: format!("it has no version or cipher that we take ({fault:?})") })
            }
            rustls::Error::PeerMisbehaved(fault) => {
                Some(Self::NoTls { host, detail: format!("it breaks the rules of TLS ({fault:?})") })
            }
            rustls::Error::InvalidCertificate(fault) => {
                let issuer = verifier::server_issuer(error).map(str::to_owned);
                Some(Self::UntrustedServer { host, issuer, detail: format!("{fault}") })
            }
            _ => None,
        }
    }

    /// Whether no connection could be made, so that giving the request again asks nothing twice, and may help.
    #[must_use]
    pub fn never_left(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Whether `alert` says something about our certificate (RFC 8446, §6.2). Servers of before TLS 1.3 may refuse one by
/// `handshake_failure` as well (RFC 5246, §7.4.6), but only during the handshake, and for other reasons too.
#[must_use]
pub fn is_about_certificates(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

/// The cause of type `T` in the chain of `error`; an `io::Error` hides its own inside.
fn find<'e, T: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
            && let Some(found) = find::<T>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Whether a proxy answered, and not with a tunnel. The HTTP client keeps the type of that error to itself: its words tell,
/// and a test sees to it that they stay. A proxy that is not there at all is another matter.
fn refused_by_proxy(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.to_string().starts_with(TUNNEL_ERROR) {
            return cause.source().is_none();
        }
        next = cause.source();
    }
    false
}

/// The last cause says what happened; those before it only that a request failed. Where to read more is for programmers.
fn innermost(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = cause.to_string();
        next = cause.source();
    }
    text.split(": https://docs.rs/").next().unwrap_or_default().to_owned()
}
