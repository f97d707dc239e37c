//! PKCS#12 files, old (RC2, 3DES) and new (AES), and the encrypted keys of PEM files.

use p12_keystore::Pkcs12Archive;
use p12_keystore::error::Error;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::contents::Contents;

/// Why encrypted content could not be opened.
pub(super) enum Failure {
    /// Not with this password.
    Password,
    /// Not by this program: the scheme's description.
    Unsupported(String),
    /// By nobody: what makes no sense.
    Damaged(String),
}

/// Everything a PKCS#12 file holds. Bags are taken as they are, not as its attributes link them: which key belongs to
/// which certificate is told by the keys themselves.
pub(super) fn open(bytes: &[u8], password: &str) -> Result<Contents, Failure> {
    // An indefinite length: BER, which Firefox and old Java write.
    if bytes.get(1) == Some(&0x80) {
        return Err(Failure::Unsupported("BER encoding".to_owned()));
    }
    // PKCS#12 turns passwords into UTF-16, and the library stops at the basic plane.
    if password.chars().any(|character| u32::from(character) > 0xffff) {
        return Err(Failure::Unsupported("characters of its password outside Unicode's basic plane".to_owned()));
    }
    unpack(bytes, password).map_err(classify)
}

fn unpack(bytes: &[u8], password: &str) -> Result<Contents, Error> {
    let archive = Pkcs12Archive::from_pkcs12(bytes, password)?;
    let certificates = archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec()));
    let keys = archive.keys.iter().map(|bag| PrivateKeyDer::Pkcs8(bag.key.as_der().to_vec().into()));
    Ok(Contents { certificates: certificates.collect(), keys: keys.collect() })
}

/// Decrypts an `ENCRYPTED PRIVATE KEY` section (RFC 5958). A PKCS#12 file holds keys in this very form, so the key is
/// wrapped into one without seal, and opened like any other.
pub(super) fn decrypt_key(encrypted: &[u8], password: &str) -> Result<PrivateKeyDer<'static>, Failure> {
    const VERSION_3: &[u8] = &[0x02, 0x01, 0x03];
    // 1.2.840.113549.1.12.10.1.2, pkcs8ShroudedKeyBag
    const SHROUDED_KEY_BAG: &[u8] = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x0c\x0a\x01\x02";
    let bag = sequence(&[SHROUDED_KEY_BAG, &element(EXPLICIT_0, encrypted)]);
    let safe = sequence(&[&data(&sequence(&[&bag]))]);
    let file = sequence(&[VERSION_3, &data(&safe)]);
    let contents = unpack(&file, password).map_err(|error| match error {
        // One wrong password in 256 leaves the right padding, and nonsense before it.
        Error::InvalidPrivateKey => Failure::Password,
        other => classify(other),
    })?;
    contents.keys.into_iter().next().ok_or_else(|| Failure::Damaged("it holds no encrypted key".to_owned()))
}

fn classify(error: Error) -> Failure {
    match error {
        Error::MacError(_) | Error::UnpadError => Failure::Password,
        // The library passes its cipher's errors on as text; all but this one are about the scheme.
        Error::Pkcs5Error(text) if text == "PKCS#5 decryption failed" => Failure::Password,
        Error::Pkcs5Error(text) => Failure::Unsupported(text),
        Error::UnsupportedEncryptionScheme
        | Error::UnsupportedMacAlgorithm
        | Error::UnsupportedContentType
        | Error::UnsupportedCertificateType
        | Error::InvalidParameters => Failure::Unsupported(error.to_string().to_lowercase()),
        other => Failure::Damaged(format!("as PKCS#12 it makes no sense ({other})")),
    }
}

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
const EXPLICIT_0: u8 = 0xa0;

/// `ContentInfo` of type data (1.2.840.113549.1.7.1).
fn data(content: &[u8]) -> Vec<u8> {
    const DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01";
    sequence(&[DATA, &element(EXPLICIT_0, &element(OCTET_STRING, content))])
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// One DER element: tag, length in the fewest bytes, content.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|&&byte| byte == 0).count()..];
    let mut element = vec![tag];
    match digits {
        [] => element.push(0),
        &[short] if short < 0x80 => element.push(short),
        long => {
            element.push(0x80 | long.len() as u8);
            element.extend_from_slice(long);
        }
    }
    element.extend_from_slice(content);
    element
}
