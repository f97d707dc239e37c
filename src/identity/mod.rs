//! Client certificates: read, judged (dates, use, chain, key), handed to rustls.
//!
//! [`Identity::load`] refuses what can never work and says why ([`IdentityError`]); [`Identity::findings`] says what is
//! to be known about the rest at a given time. Secrets stay inside: of the private key only the means to sign is kept.

mod contents;
mod error;
mod judgement;
mod pkcs12;
mod select;
mod usage;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring::default_provider;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls_pki_types::CertificateDer;
use secrecy::{ExposeSecret, SecretString};
use x509_parser::certificate::X509Certificate;
use x509_parser::time::ASN1Time;

pub(crate) use contents::read_limited;
use contents::{Contents, Wanted};
pub use error::IdentityError;
pub use judgement::{EXPIRING_DAYS, Judgement, Weight};
pub(crate) use usage::readable_name;

/// A certificate with its chain and the key that proves it.
pub struct Identity {
    /// The certificate first, then those that vouch for it, each followed by its issuer.
    pub chain: Vec<CertificateDer<'static>>,
    /// Whom the certificate names, as one readable line.
    pub subject: String,
    /// Who issued it, as one readable line.
    pub issuer: String,
    /// Its serial number in upper-case hexadecimal, as `openssl x509 -serial` prints it.
    pub serial: String,
    /// The first moment of its validity.
    pub not_before: Timestamp,
    /// The last moment of its validity.
    pub not_after: Timestamp,
    /// Whether its key usages allow it to authenticate a client.
    pub client_auth: bool,
    /// Whether the chain reaches a self-signed certificate, or holds at least one intermediate.
    pub chain_complete: bool,
    file: PathBuf,
    hindrance: Option<String>,
    key: Arc<dyn SigningKey>,
}

impl Identity {
    /// Reads the certificate in `certificate` (PKCS#12, PEM, or one DER certificate, told by content) with its key from
    /// the same file or from `key`; `password` opens what is encrypted in either.
    ///
    /// Blocks while files are read and keys derived (some milliseconds).
    ///
    /// # Errors
    /// When the two can never work together, whatever the time: see [`IdentityError`].
    pub fn load(
        certificate: &Path,
        key: Option<&Path>,
        password: Option<&SecretString>,
    ) -> Result<Self, IdentityError> {
        let password = password.map(ExposeSecret::expose_secret);
        let wanted = if key.is_some() { Wanted::Certificates } else { Wanted::All };
        let Contents { certificates, mut keys } = Contents::read(certificate, wanted, password)?;
        if certificates.is_empty() {
            return Err(IdentityError::NoCertificate { file: certificate.to_owned() });
        }
        if let Some(key) = key {
            keys = Contents::read(key, Wanted::All, password)?.keys;
        }
        let key_file = key.unwrap_or(certificate);
        if keys.is_empty() {
            return Err(IdentityError::NoKey { file: key_file.to_owned() });
        }
        let parsed = certificates.iter().map(|der| parse(der, certificate)).collect::<Result<Vec<_>, _>>()?;
        let pair = select::select(&parsed, &keys, certificate, key_file)?;
        Ok(Self::assemble(&certificates, &parsed, pair, certificate))
    }

    fn assemble(
        certificates: &[CertificateDer<'static>],
        parsed: &[X509Certificate<'_>],
        pair: select::Pair,
        file: &Path,
    ) -> Self {
        let chain = select::order_chain(parsed, pair.leaf);
        let leaf = &parsed[pair.leaf];
        let hindrance = usage::hindrance(leaf);
        Self {
            chain: chain.iter().map(|&place| certificates[place].clone()).collect(),
            subject: readable_name(leaf.subject()),
            issuer: readable_name(leaf.issuer()),
            serial: usage::readable_serial(leaf),
            not_before: timestamp(leaf.validity().not_before),
            not_after: timestamp(leaf.validity().not_after),
            client_auth: hindrance.is_none(),
            chain_complete: select::is_complete(parsed, &chain),
            file: file.to_owned(),
            hindrance,
            key: pair.key,
        }
    }

    /// What TLS 1.2 and 1.3 clients need to present this certificate to servers that `verifier` trusts. It is presented
    /// whenever a server asks for one, even if the authorities the server names are others: many name too few. Session
    /// tickets are this configuration's own, so that no session of another identity is resumed.
    ///
    /// # Errors
    /// [`IdentityError::Refused`] if the TLS library finds no protocol version to offer.
    pub fn client_config(&self, verifier: Arc<dyn ServerCertVerifier>) -> Result<rustls::ClientConfig, IdentityError> {
        let certified = CertifiedKey::new(self.chain.clone(), Arc::clone(&self.key));
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|source| IdentityError::Refused { file: self.file.clone(), source })?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        Ok(config)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("file", &self.file)
            .field("subject", &self.subject)
            .field("serial", &self.serial)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>, file: &Path) -> Result<X509Certificate<'a>, IdentityError> {
    x509_parser::parse_x509_certificate(der).map(|(_, certificate)| certificate).map_err(|error| {
        IdentityError::Damaged { file: file.to_owned(), reason: format!("one of its certificates: {error}") }
    })
}

/// "No end" is written as the last second of 9999, which is beyond what timestamps hold.
fn timestamp(time: ASN1Time) -> Timestamp {
    let edge = if time.timestamp() < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_second(time.timestamp()).unwrap_or(edge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_without_end_ends_with_time_itself() {
        let last_second_of_9999 = ASN1Time::from_timestamp(253_402_300_799).unwrap();
        assert_eq!(timestamp(last_second_of_9999), Timestamp::MAX);
    }
}
