//! Which certificate and key belong together, and in what order the chain stands.

use std::cmp::Reverse;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::SigningKey;
use rustls_pki_types::PrivateKeyDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_DSA, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519,
};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::error::IdentityError;
use super::usage;

/// A leaf, as its place among the certificates, and the key that proves it.
pub(super) struct Pair {
    pub(super) leaf: usize,
    pub(super) key: Arc<dyn SigningKey>,
}

/// The pair to present: where several certificates have their key, the one for client authentication that ends last
/// (an old one is often kept beside the new one), else the first.
pub(super) fn select(
    certificates: &[X509Certificate<'_>],
    keys: &[PrivateKeyDer<'static>],
    certificate_file: &Path,
    key_file: &Path,
) -> Result<Pair, IdentityError> {
    let usable: Vec<Arc<dyn SigningKey>> = keys.iter().filter_map(|key| any_supported_type(key).ok()).collect();
    let pairs = usable.iter().flat_map(|key| {
        let belongs = move |certificate: &X509Certificate<'_>| {
            key.public_key().is_some_and(|public| public.as_ref() == certificate.public_key().raw)
        };
        let leaves = certificates.iter().enumerate().filter(move |(_, certificate)| belongs(certificate));
        leaves.map(move |(leaf, _)| Pair { leaf, key: Arc::clone(key) })
    });
    let best = pairs.min_by_key(|pair| {
        let certificate = &certificates[pair.leaf];
        Reverse((usage::hindrance(certificate).is_none(), certificate.validity().not_after.timestamp()))
    });
    best.ok_or_else(|| explain_no_pair(certificates, usable.len() == keys.len(), certificate_file, key_file))
}

fn explain_no_pair(
    certificates: &[X509Certificate<'_>],
    keys_are_usable: bool,
    certificate_file: &Path,
    key_file: &Path,
) -> IdentityError {
    if keys_are_usable {
        return IdentityError::KeyMismatch { certificate: certificate_file.to_owned(), key: key_file.to_owned() };
    }
    // What cannot be loaded says nothing about itself; its certificate does.
    match certificates.iter().find_map(|certificate| unsupported(certificate.public_key())) {
        Some(found) => IdentityError::UnsupportedKey { file: certificate_file.to_owned(), found },
        None => IdentityError::Damaged {
            file: key_file.to_owned(),
            reason: "its private key is of no form the TLS library reads".to_owned(),
        },
    }
}

/// What kind of key this is, if it is one that `ring` cannot sign with.
fn unsupported(public_key: &SubjectPublicKeyInfo<'_>) -> Option<String> {
    let algorithm = &public_key.algorithm;
    if let Ok(PublicKey::RSA(key)) = public_key.parsed() {
        let bits = key.key_size();
        return (!(2048..=4096).contains(&bits)).then(|| format!("RSA of {bits} bits"));
    }
    if algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 || curve == OID_NIST_EC_P384 => None,
            Some(curve) if curve == OID_NIST_EC_P521 => Some("ECDSA on P-521".to_owned()),
            Some(curve) => Some(format!("ECDSA on the curve {curve}")),
            None => Some("ECDSA on a curve without a name".to_owned()),
        };
    }
    match &algorithm.algorithm {
        algorithm if *algorithm == OID_SIG_ED25519 => None,
        algorithm if *algorithm == OID_KEY_TYPE_DSA => Some("DSA".to_owned()),
        algorithm => Some(format!("algorithm {algorithm}")),
    }
}

/// The certificates from `leaf` upwards, as places; what issued none of them is left out.
pub(super) fn order_chain(certificates: &[X509Certificate<'_>], leaf: usize) -> Vec<usize> {
    let mut chain = vec![leaf];
    let mut last = leaf;
    while !is_self_issued(&certificates[last]) {
        let Some(issuer) = find_issuer(certificates, &certificates[last], &chain) else { break };
        chain.push(issuer);
        last = issuer;
    }
    chain
}

/// Whether a server that knows the authority's root can follow `chain` to it: it ends in a self-signed certificate, or
/// it holds at least one intermediate. Authorities leave the root out, and how many intermediates there ought to be
/// is not written anywhere; a leaf alone is the case that fails in practice.
pub(super) fn is_complete(certificates: &[X509Certificate<'_>], chain: &[usize]) -> bool {
    chain.len() > 1 || chain.last().is_some_and(|&last| is_self_issued(&certificates[last]))
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject().as_raw() == certificate.issuer().as_raw()
}

/// Authorities renew their own certificates under the same name: key identifiers tell them apart, where there are any.
fn find_issuer(certificates: &[X509Certificate<'_>], issued: &X509Certificate<'_>, taken: &[usize]) -> Option<usize> {
    let named =
        |&place: &usize| !taken.contains(&place) && certificates[place].subject().as_raw() == issued.issuer().as_raw();
    let wanted = authority_key(issued);
    (0..certificates.len())
        .filter(named)
        .min_by_key(|&place| wanted.is_none() || subject_key(&certificates[place]) != wanted)
}

fn authority_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref().map(|id| id.0),
        _ => None,
    })
}

fn subject_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}
