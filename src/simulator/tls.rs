//! TLS of the simulated platform: who is let in, and how others are told.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, ServerConnection, SignatureScheme,
};
use tokio_rustls::TlsAcceptor;

use super::{Error, Keys};

/// The two ways a server may ask for a certificate.
#[derive(Clone)]
pub(super) struct Doors {
    /// Refuses by a TLS alert.
    pub(super) strict: TlsAcceptor,
    /// Lets everyone finish the handshake; HTTP tells them.
    pub(super) lenient: TlsAcceptor,
    judge: Arc<dyn ClientCertVerifier>,
}

/// What nginx would find of a client's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Visitor {
    /// Known, by the common name of the certificate.
    Known(Arc<str>),
    /// Came without a certificate.
    Nobody,
    /// Came with one that is not accepted.
    Refused,
}

impl Doors {
    pub(super) fn new(keys: &Keys) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(keys.authority().clone())?;
        let judge = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .with_crls([keys.revoked.clone()])
            .only_check_end_entity_revocation()
            .allow_unknown_revocation_status()
            .build()?;
        let door = |verifier: Arc<dyn ClientCertVerifier>| -> Result<TlsAcceptor, Error> {
            let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()?
                .with_client_cert_verifier(verifier)
                .with_single_cert(keys.server.chain(), keys.server.key())?;
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(TlsAcceptor::from(Arc::new(config)))
        };
        let lenient = door(Arc::new(Indulgent(Arc::clone(&judge))))?;
        Ok(Self { strict: door(Arc::clone(&judge))?, lenient, judge })
    }

    /// Who stands behind a finished handshake.
    pub(super) fn visitor(&self, session: &ServerConnection) -> Visitor {
        let Some((leaf, chain)) = session.peer_certificates().and_then(<[_]>::split_first) else {
            return Visitor::Nobody;
        };
        match self.judge.verify_client_cert(leaf, chain, UnixTime::now()) {
            Ok(_) => Visitor::Known(common_name(leaf).into()),
            Err(_) => Visitor::Refused,
        }
    }
}

fn common_name(certificate: &CertificateDer<'_>) -> String {
    x509_parser::parse_x509_certificate(certificate)
        .ok()
        .and_then(|(_, parsed)| parsed.subject().iter_common_name().next()?.as_str().ok().map(str::to_owned))
        .unwrap_or_default()
}

/// Accepts every client and every certificate whose key the client has, as nginx does before HTTP.
#[derive(Debug)]
struct Indulgent(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Indulgent {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
