//! Certificates for the simulated platform and its clients: an authority, what it issues, and what it would not.
//!
//! As with the authorities French administrations use, clients are issued by an intermediate authority: a client that
//! sends its certificate without the chain is refused.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::Error;
use crate::clock::{Clock, SystemClock};

const DAY: Duration = Duration::from_secs(86_400);
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// The serial number that every revoked certificate bears, and the only one on the revocation list.
const REVOKED_SERIAL: u64 = 666;

/// How a client certificate stands with the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Good for three years.
    Valid,
    /// Good, but only for this long.
    ExpiresIn(Duration),
    /// Ended yesterday.
    Expired,
    /// Begins tomorrow.
    NotYetValid,
    /// Issued by an authority the platform does not know.
    Foreign,
    /// Made for servers: without the use `clientAuth`.
    ServerOnly,
    /// On the authority's revocation list.
    Revoked,
}

/// The authority of the simulated platform, and the certificate of its server.
pub struct Keys {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
    foreign: CertifiedIssuer<'static, KeyPair>,
    pub(super) server: Issued,
    pub(super) revoked: CertificateRevocationListDer<'static>,
    /// When these keys were made, since 1970.
    made: Duration,
    serials: AtomicU64,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

/// A certificate with its chain (leaf first, without the root) and its private key.
#[derive(Clone)]
pub struct Issued {
    /// The common name in its subject.
    pub common_name: String,
    chain: Vec<CertificateDer<'static>>,
    chain_pem: String,
    key: Vec<u8>,
    key_pem: String,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("common_name", &self.common_name).finish_non_exhaustive()
    }
}

impl Keys {
    /// Makes an authority and a server certificate for `localhost` and 127.0.0.1, valid around the present time.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        let now = SystemClock::new().now().as_duration();
        let made = Duration::from_secs(u64::try_from(now.as_secs()).unwrap_or_default());
        let root = CertifiedIssuer::self_signed(authority("Autorite racine de demonstration", made), key()?)?;
        let intermediate = CertifiedIssuer::signed_by(
            authority("Autorite de demonstration - certificats de services", made),
            key()?,
            &root,
        )?;
        let foreign = CertifiedIssuer::self_signed(authority("Autorite inconnue", made), key()?)?;
        let revoked = revocations(made).signed_by(&intermediate)?;
        let server = server_certificate(made, &intermediate)?;
        Ok(Self {
            revoked: revoked.into(),
            root,
            intermediate,
            foreign,
            server,
            made,
            serials: AtomicU64::new(REVOKED_SERIAL + 1),
        })
    }

    /// Issues a client certificate whose subject has this common name.
    ///
    /// # Errors
    /// When the machine gives no randomness.
    pub fn client(&self, common_name: &str, standing: Standing) -> Result<Issued, Error> {
        let (from, to) = match standing {
            Standing::ExpiresIn(rest) => (self.made - 30 * DAY, self.made + rest),
            Standing::Expired => (self.made - 3 * YEAR, self.made - DAY),
            Standing::NotYetValid => (self.made + DAY, self.made + 3 * YEAR),
            _ => (self.made - DAY, self.made + 3 * YEAR),
        };
        let mut params = subject(common_name, from, to);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match standing {
            Standing::ServerOnly => ExtendedKeyUsagePurpose::ServerAuth,
            _ => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.serial_number = Some(SerialNumber::from(match standing {
            Standing::Revoked => REVOKED_SERIAL,
            _ => self.serials.fetch_add(1, Ordering::Relaxed),
        }));
        let issuer = if standing == Standing::Foreign { &self.foreign } else { &self.intermediate };
        issue(params, common_name, issuer)
    }

    /// The certificate of the platform's server, for another server that stands in its place.
    #[must_use]
    pub fn server(&self) -> &Issued {
        &self.server
    }

    /// The certificate that clients must trust to reach the platform.
    #[must_use]
    pub fn authority(&self) -> &CertificateDer<'static> {
        self.root.der()
    }

    /// Writes that certificate as PEM to `folder/authority.pem`, and gives the path.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn write_authority(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join("authority.pem");
        write_private(&path, &self.root.pem())?;
        Ok(path)
    }
}

impl Issued {
    /// The certificate and its chain, leaf first.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    /// The private key.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// Chain and key in one PEM text, the certificates first.
    #[must_use]
    pub fn pem(&self) -> String {
        format!("{}{}", self.chain_pem, self.key_pem)
    }

    /// Writes chain and key to `folder/name`, readable by the owner alone, and gives the path.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<PathBuf> {
        let path = folder.join(name);
        write_private(&path, &self.pem())?;
        Ok(path)
    }
}

fn write_private(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

fn key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate()
}

/// Parameters of a certificate for `common_name`, valid between two times since 1970.
fn subject(common_name: &str, from: Duration, to: Duration) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + from;
    params.not_after = epoch + to;
    params.use_authority_key_identifier_extension = true;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "FR");
    params.distinguished_name.push(DnType::OrganizationName, "Plateforme simulee");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn authority(common_name: &str, made: Duration) -> CertificateParams {
    let mut params = subject(common_name, made - 10 * YEAR, made + 20 * YEAR);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn revocations(made: Duration) -> CertificateRevocationListParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    CertificateRevocationListParams {
        this_update: epoch + (made - DAY),
        next_update: epoch + (made + 20 * YEAR),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(REVOKED_SERIAL),
            revocation_time: epoch + (made - DAY),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    }
}

fn server_certificate(made: Duration, issuer: &CertifiedIssuer<'static, KeyPair>) -> Result<Issued, Error> {
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let named = subject("localhost", made - DAY, made + 10 * YEAR);
    params.not_before = named.not_before;
    params.not_after = named.not_after;
    params.distinguished_name = named.distinguished_name;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    issue(params, "localhost", issuer)
}

fn issue(
    params: CertificateParams,
    common_name: &str,
    issuer: &CertifiedIssuer<'static, KeyPair>,
) -> Result<Issued, Error> {
    let key = key()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Issued {
        common_name: common_name.to_owned(),
        chain_pem: format!("{}{}", certificate.pem(), issuer.pem()),
        chain: vec![certificate.der().clone(), issuer.der().clone()],
        key: key.serialize_der(),
        key_pem: key.serialize_pem(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_files_for_their_owner_alone_and_never_overwrite() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::generate().unwrap();
        let issued = keys.client("Mairie", Standing::Valid).unwrap();
        let path = issued.write(folder.path(), "mairie.pem").unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!((text.matches("BEGIN CERTIFICATE").count(), text.matches("BEGIN PRIVATE KEY").count()), (2, 1));
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let authority = std::fs::read_to_string(keys.write_authority(folder.path()).unwrap()).unwrap();
        assert_eq!(authority.matches("BEGIN CERTIFICATE").count(), 1);
        assert!(issued.write(folder.path(), "mairie.pem").is_err());
    }
}
