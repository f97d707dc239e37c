//! Whom we trust: the system's roots and, beside them, authorities the operator names.
//!
//! A server whose issuer nobody knows is most often no attack but a proxy that opens TLS. So the refusal carries the
//! issuer's name, which [`server_issuer`] finds again in whatever error comes out at the top.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::ring::default_provider;
use rustls::{CertificateError, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;

use crate::identity::{read_limited, readable_name};

/// Verifies servers as webpki does, and names the issuer of those it does not know. Built once, shared by all clients.
#[derive(Debug)]
pub struct ServerVerifier {
    inner: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
}

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file of additional authorities cannot be read.
    #[error("{file}, which holds additional authorities, cannot be read")]
    Unreadable {
        /// The file as it was named.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no certificate in it.
    #[error("{file} holds no authority's certificate in PEM form (-----BEGIN CERTIFICATE-----)")]
    NoCertificate {
        /// The file as it was named.
        file: PathBuf,
    },
    /// There is one that makes no sense.
    #[error("{file} holds a certificate that cannot be understood: {reason}")]
    Damaged {
        /// The file as it was named.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither the system nor the configuration names an authority.
    #[error("this machine trusts no authority{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    NoRoots {
        /// What kept the system's roots from being read, if anything did.
        reason: Option<String>,
    },
}

impl TrustError {
    /// What to do about it: one sentence for an operator.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable { file, .. } => {
                format!("correct `ca_certificate`, or let the service's user read {}", file.display())
            }
            Self::NoCertificate { file } => format!(
                "if it is a DER file, convert it: `openssl x509 -inform der -in '{0}' -out '{0}.pem'`",
                file.display()
            ),
            Self::Damaged { .. } => "copy the authority's certificate again from where it was delivered".to_owned(),
            Self::NoRoots { .. } => {
                "install the package ca-certificates, or name the authorities in `ca_certificate`".to_owned()
            }
        }
    }
}

/// A server's certificate was issued by an authority we do not know.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate was issued by an unknown authority: {issuer}")]
pub struct UnknownServerIssuer {
    /// The issuer's name as one readable line.
    pub issuer: String,
}

impl ServerVerifier {
    /// Trusts the system's roots (or those of `SSL_CERT_FILE`, `SSL_CERT_DIR`) and the PEM certificates in `extra_ca`.
    ///
    /// # Errors
    /// When `extra_ca` cannot be used, or when there would be nobody to trust.
    pub fn new(extra_ca: Option<&Path>) -> Result<Arc<Self>, TrustError> {
        let system = rustls_native_certs::load_native_certs();
        let extra = extra_ca.map(read_authorities).transpose()?;
        let fault = system.errors.first().map(ToString::to_string);
        Self::trusting(system.certs, extra, fault)
    }

    fn trusting(
        system: Vec<CertificateDer<'static>>,
        extra: Option<RootCertStore>,
        fault: Option<String>,
    ) -> Result<Arc<Self>, TrustError> {
        let mut roots = extra.unwrap_or_else(RootCertStore::empty);
        // Bundles hold the odd certificate that webpki does not take: it is passed over, as everywhere else.
        roots.add_parsable_certificates(system);
        let roots = Arc::new(roots);
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::new(default_provider()))
            .build()
            .map_err(|_| TrustError::NoRoots { reason: fault })?;
        Ok(Arc::new(Self { inner, roots }))
    }

    /// Names the issuer in refusals that are about it; others pass as they are.
    fn name_issuer(&self, error: rustls::Error, server: &CertificateDer<'_>) -> rustls::Error {
        let Ok((_, certificate)) = x509_parser::parse_x509_certificate(server) else { return error };
        let unknown = match &error {
            // A bad signature is one under the name of an authority we know, by somebody else.
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => true,
            // A box that signs for itself as an authority is refused for being one before anybody asks who issued it.
            rustls::Error::InvalidCertificate(CertificateError::Other(_)) => {
                certificate.is_ca() && !self.knows_issuer(&certificate)
            }
            _ => false,
        };
        if !unknown {
            return error;
        }
        let issuer = readable_name(certificate.issuer());
        CertificateError::Other(OtherError(Arc::new(UnknownServerIssuer { issuer }))).into()
    }

    fn knows_issuer(&self, certificate: &X509Certificate<'_>) -> bool {
        self.roots.subjects().iter().any(|subject| subject.as_ref() == certificate.issuer().as_raw())
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.inner
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            .map_err(|error| self.name_issuer(error, end_entity))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// The unknown issuer behind `error`, however deep it lies: TLS errors travel inside those of I/O and HTTP.
#[must_use]
pub fn server_issuer<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))) =
            error.downcast_ref()
        {
            return inner.downcast_ref::<UnknownServerIssuer>().map(|unknown| unknown.issuer.as_str());
        }
        // An I/O error gives as its source that of the error it wraps, and skips this one.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn read_authorities(file: &Path) -> Result<RootCertStore, TrustError> {
    let (bytes, _) = read_limited(file).map_err(|source| TrustError::Unreadable { file: file.to_owned(), source })?;
    let damaged = |reason: String| TrustError::Damaged { file: file.to_owned(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| damaged(error.to_string()))?;
        roots.add(certificate).map_err(|error| damaged(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(TrustError::NoCertificate { file: file.to_owned() });
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_trusts_nobody_is_told_why_and_what_to_install() {
        let error = ServerVerifier::trusting(Vec::new(), None, Some("no /etc/ssl".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "this machine trusts no authority: no /etc/ssl");
        assert!(error.remedy().contains("ca-certificates"));
    }
}
