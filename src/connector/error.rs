//! Errors by what the caller does differently; those of access with their cause and remedy (F8).

use std::fmt;
use std::time::Duration;

use rustls::AlertDescription;

use crate::http::HttpError;
use crate::http::error::is_about_certificates;

/// Why a listing or a document did not come.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// No way in: the poll ends, nothing counts, the feed's next poll tries again.
    #[error(transparent)]
    Access(#[from] Access),
    /// A 5xx that says nothing about the document: three in a row end the poll.
    #[error("the platform answers {status}{}", sentence(.detail))]
    Unavailable {
        /// The status.
        status: u16,
        /// What the body says, shortened; may be empty.
        detail: String,
    },
    /// The platform asks to be left alone: the poll ends.
    #[error("the platform answers {status} and asks to wait {} s", .wait.as_secs())]
    Later {
        /// The status.
        status: u16,
        /// For how long.
        wait: Duration,
    },
    /// The platform does not have that document, or denies it.
    #[error("the platform does not have this document: {detail}")]
    Unknown {
        /// Its words.
        detail: String,
    },
    /// The platform answered about that document, otherwise than with it.
    #[error("{detail}")]
    Answered {
        /// Its words.
        detail: String,
    },
    /// The request left; its answer did not arrive, or not as the bytes that were asked for.
    #[error("{detail}")]
    Broken {
        /// How far it came.
        detail: String,
    },
    /// What lies there is not what was listed: it is still being written, or another has taken its place. Left for the next
    /// listing.
    #[error("{detail}; it is left for the next poll")]
    Changed {
        /// What differs.
        detail: String,
    },
    /// The answer to a listing is none.
    #[error("the listing cannot be read: {detail}")]
    NotAListing {
        /// What it is instead.
        detail: String,
    },
}

impl ConnectorError {
    /// One stable word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Access(access) => access.cause.kind(),
            Self::Unavailable { .. } => "unavailable",
            Self::Later { .. } => "later",
            Self::Unknown { .. } => "unknown_document",
            Self::Answered { .. } => "answered",
            Self::Broken { .. } => "broken",
            Self::Changed { .. } => "changed",
            Self::NotAListing { .. } => "not_a_listing",
        }
    }
}

fn sentence(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!(": {detail}") }
}

impl From<HttpError> for ConnectorError {
    fn from(error: HttpError) -> Self {
        let detail = error.to_string();
        match error {
            HttpError::Unreachable { .. } => Access::new(Cause::Network, detail).into(),
            HttpError::Proxy { .. } => Access::new(Cause::Proxy, detail).into(),
            HttpError::UntrustedServer { issuer: Some(issuer), .. } => {
                Access::new(Cause::Inspection { issuer }, detail).into()
            }
            HttpError::UntrustedServer { issuer: None, .. } => Access::new(Cause::ServerCertificate, detail).into(),
            HttpError::Refused { alert, .. } => Access::new(Cause::from_alert(alert), detail).into(),
            HttpError::NoTls { .. } => Access::new(Cause::NoTls, detail).into(),
            HttpError::Setup(_) => Access::new(Cause::Setup, detail).into(),
            HttpError::NoAnswer { .. } | HttpError::Stalled { .. } | HttpError::Broken { .. } => {
                Self::Broken { detail }
            }
        }
    }
}

/// What keeps an account out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Our certificate has expired.
    CertificateExpired,
    /// The platform says that our certificate is revoked.
    CertificateRevoked,
    /// The platform does not know the authority that issued our certificate.
    UnknownAuthority,
    /// The platform refuses our certificate without saying why.
    CertificateRefused,
    /// The platform saw no certificate: something on the way has opened the connection, or dropped it.
    CertificateNotSeen,
    /// The platform does not know the SIREN.
    UnknownSubscriber,
    /// The platform ends the handshake with an alert that does not say whether the certificate is why.
    Tls,
    /// No TLS can be agreed upon with whoever answers.
    NoTls,
    /// The platform knows us, and denies this SIREN or this feed.
    Unauthorized,
    /// The address of this feed does not exist there.
    NotThere,
    /// The answer sends us elsewhere; redirects are never followed.
    Redirect,
    /// The server's certificate was issued by an authority this machine does not know.
    Inspection {
        /// That authority.
        issuer: String,
    },
    /// The server's certificate is not valid.
    ServerCertificate,
    /// The proxy makes no way through, or asks for a login.
    Proxy,
    /// No connection.
    Network,
    /// Our own settings cannot be used.
    Setup,
    /// There is no token to call with; the detail says why.
    Token {
        /// What to do.
        remedy: String,
    },
    /// An HTTP API keeps us out.
    Api {
        /// One stable word.
        kind: &'static str,
        /// What is so.
        what: &'static str,
        /// What to do.
        remedy: String,
    },
}

impl Cause {
    /// One stable word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateRevoked => "certificate_revoked",
            Self::UnknownAuthority => "certificate_unknown_authority",
            Self::CertificateRefused => "certificate_refused",
            Self::CertificateNotSeen => "certificate_not_seen",
            Self::UnknownSubscriber => "unknown_subscriber",
            Self::Tls => "tls",
            Self::NoTls => "no_tls",
            Self::Unauthorized => "unauthorized",
            Self::NotThere => "not_there",
            Self::Redirect => "redirect",
            Self::Inspection { .. } => "tls_inspection",
            Self::ServerCertificate => "server_certificate",
            Self::Proxy => "proxy",
            Self::Network => "network",
            Self::Setup => "setup",
            Self::Token { .. } => "token",
            Self::Api { kind, .. } => kind,
        }
    }

    /// Whether another certificate of the same account may fare better.
    #[must_use]
    pub fn is_about_the_certificate(&self) -> bool {
        matches!(
            self,
            Self::CertificateExpired
                | Self::CertificateRevoked
                | Self::UnknownAuthority
                | Self::CertificateRefused
                | Self::Unauthorized
        )
    }

    /// What a TLS alert says (RFC 8446, §6.2).
    #[must_use]
    pub fn from_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateExpired => Self::CertificateExpired,
            AlertDescription::CertificateRevoked => Self::CertificateRevoked,
            AlertDescription::UnknownCA => Self::UnknownAuthority,
            AlertDescription::CertificateRequired => Self::CertificateNotSeen,
            alert if is_about_certificates(alert) => Self::CertificateRefused,
            _ => Self::Tls,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::CertificateExpired => {
                "install a valid certificate for this account, and have FAST register it".into()
            }
            Self::CertificateRevoked => {
                "order a new certificate (RGS*, for software use) and have FAST register it".into()
            }
            Self::UnknownAuthority => {
                "use a certificate of an authority that FAST accepts (RGS*), with its intermediate certificates in the \
                 file"
                    .into()
            }
            Self::CertificateRefused => {
                "ask FAST support whether this certificate is registered for the SIREN; the other causes are a \
                 revoked certificate, a missing intermediate certificate, or a device that inspects TLS on the way"
                    .into()
            }
            Self::CertificateNotSeen => {
                "have this host exempted from TLS inspection by the proxy or firewall; the certificate must reach FAST"
                    .into()
            }
            Self::UnknownSubscriber => {
                "correct the account's siren, or ask FAST to open it for this certificate".into()
            }
            Self::Tls => {
                "the causes are a certificate that FAST does not accept, a device that inspects TLS on the way, or \
                          trouble at the platform: run `vaguemestre check --online`; if it stays so, ask FAST support"
                    .into()
            }
            Self::NoTls => {
                "who answers speaks another protocol there, or only versions of TLS before 1.2, which are not safe: check the \
                 address and its port, and whether a proxy or firewall answers in its place"
                    .into()
            }
            Self::Unauthorized => {
                "ask FAST support to give this certificate the right to this SIREN and to enable this feed for it"
                    .into()
            }
            Self::NotThere => {
                "check [fast] base_url and environment; else ask FAST whether this feed is enabled".into()
            }
            Self::Redirect => "check [fast] base_url; a login page of a proxy in between redirects as well".into(),
            Self::Inspection { issuer } => format!(
                "a device of «{issuer}» seems to inspect TLS: have this host exempted from it; if that authority is \
                 your own, name it in ca_certificate"
            ),
            Self::ServerCertificate => "check this machine's clock and its package ca-certificates".into(),
            Self::Proxy => {
                "check [http] proxy, and that it lets this machine reach that host; a proxy that asks for a \
                            password is not supported"
                    .into()
            }
            Self::Network => {
                "check the network, the name server, the firewall (port 443 outwards) and [http] proxy of this machine"
                    .into()
            }
            Self::Setup => "correct the setting named; `vaguemestre check` shows it".into(),
            Self::Token { remedy } | Self::Api { remedy, .. } => remedy.clone(),
        }
    }
}

/// An error of access: the cause as far as it is known, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The cause.
    pub cause: Cause,
    /// What was seen.
    pub detail: String,
}

impl Access {
    /// An error of `cause`, as shown by `detail`.
    #[must_use]
    pub fn new(cause: Cause, detail: impl Into<String>) -> Self {
        Self { cause, detail: detail.into() }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.cause {
            Cause::CertificateExpired => "the certificate has expired".to_owned(),
            Cause::CertificateRevoked => "FAST says that the certificate is revoked".to_owned(),
            Cause::UnknownAuthority => "FAST does not know the authority of the certificate".to_owned(),
            Cause::CertificateRefused => "FAST refuses the certificate".to_owned(),
            Cause::CertificateNotSeen => "FAST saw no certificate".to_owned(),
            Cause::UnknownSubscriber => "FAST does not know this SIREN".to_owned(),
            Cause::Tls => "TLS fails".to_owned(),
            Cause::NoTls => "no safe connection can be made".to_owned(),
            Cause::Unauthorized => "FAST denies access to this SIREN or feed".to_owned(),
            Cause::NotThere => "the platform has no such address".to_owned(),
            Cause::Redirect => "the platform sends us elsewhere".to_owned(),
            Cause::Inspection { issuer } => format!("TLS inspection by «{issuer}»"),
            Cause::ServerCertificate => "the server's certificate is not valid".to_owned(),
            Cause::Proxy => "the proxy refuses".to_owned(),
            Cause::Network => "network down".to_owned(),
            Cause::Setup => "the account cannot be set up".to_owned(),
            Cause::Token { .. } => "no token".to_owned(),
            Cause::Api { what, .. } => (*what).to_owned(),
        };
        write!(f, "{what} ({}): {}", self.detail, self.cause.remedy())
    }
}

impl std::error::Error for Access {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_alerts_about_certificates_blame_the_certificate() {
        let kind = |alert| Cause::from_alert(alert).kind();
        assert_eq!(kind(AlertDescription::BadCertificate), "certificate_refused");
        assert_eq!(kind(AlertDescription::AccessDenied), "certificate_refused");
        assert_eq!(kind(AlertDescription::CertificateExpired), "certificate_expired");
        for alert in
            [AlertDescription::HandshakeFailure, AlertDescription::InternalError, AlertDescription::BadRecordMac]
        {
            assert_eq!(kind(alert), "tls");
        }
        let (host, alert) = ("fast".to_owned(), AlertDescription::InternalError);
        let error = ConnectorError::from(HttpError::Refused { host, alert }).to_string();
        assert!(error.starts_with("TLS fails (fast refused the connection (TLS alert InternalError)): "), "{error}");
    }
}
