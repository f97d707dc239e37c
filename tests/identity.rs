//! Certificates are judged before any platform is asked: what can never work is named with its remedy, and the rest
//! is said in good time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking; the exemption does not reach helpers")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use tempfile::TempDir;
use vaguemestre::identity::{Identity, IdentityError, Weight};

const PASSWORD: &str = "motdepasse";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/identity").join(name)
}

/// A folder where fixtures have the modes that git does not keep.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn copy(&self, name: &str) -> PathBuf {
        self.write(name, &fs::read(fixture(name)).unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }
}

fn load(certificate: &str, key: Option<&str>, password: Option<&str>) -> Result<Identity, IdentityError> {
    let folder = Folder::new();
    let key = key.map(|name| folder.copy(name));
    Identity::load(&folder.copy(certificate), key.as_deref(), password.map(SecretString::from).as_ref())
}

fn load_bytes(bytes: &[u8], password: Option<&str>) -> Result<Identity, IdentityError> {
    let folder = Folder::new();
    Identity::load(&folder.write("identity", bytes), None, password.map(SecretString::from).as_ref())
}

fn refusal(certificate: &str, key: Option<&str>, password: Option<&str>) -> &'static str {
    let error = load(certificate, key, password).unwrap_err();
    assert!(error.to_string().contains("/"), "names the file: {error}");
    assert!(!error.remedy().is_empty());
    error.kind()
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// Weights and kinds of what is found, problems first.
fn found(identity: &Identity, now: Timestamp) -> Vec<(Weight, &'static str)> {
    identity.findings(now).iter().map(|judgement| (judgement.weight, judgement.kind)).collect()
}

const MAY_2026: &str = "2026-05-01T10:00:00Z";

#[test]
fn modern_pkcs12_is_read_with_its_chain_and_facts() {
    let identity = load("modern.p12", None, Some(PASSWORD)).unwrap();
    assert_eq!(identity.subject, "C=FR, O=Mairie d'essai, CN=releve.mairie.example");
    assert_eq!(identity.issuer, "C=FR, O=Autorité d'essai, CN=Autorité d'essai");
    assert_eq!(identity.serial, "1A2B3C4D5E6F7003");
    assert_eq!(identity.not_before, at("2020-01-01T00:00:00Z"));
    assert_eq!(identity.not_after, at("2120-01-01T00:00:00Z"));
    assert_eq!((identity.chain.len(), identity.client_auth, identity.chain_complete), (2, true, true));
    assert_eq!(found(&identity, at(MAY_2026)), []);
}

#[test]
fn old_pkcs12_of_rc2_and_3des_with_microsofts_attributes_is_read() {
    let identity = load("legacy.p12", None, Some("motdepassé")).unwrap();
    assert_eq!(identity.subject, "C=FR, O=Syndicat d'essai, CN=rsa.syndicat.example");
    assert_eq!(found(&identity, at(MAY_2026)), [], "a certificate without key usages may be used for all");
}

#[test]
fn pkcs12_with_an_empty_password_needs_none_configured() {
    load("empty-password.p12", None, None).unwrap();
    load("empty-password.p12", None, Some("")).unwrap();
    assert_eq!(refusal("empty-password.p12", None, Some(PASSWORD)), "certificate-wrong-password");
}

#[test]
fn wrong_missing_password_and_damage_are_told_apart() {
    assert_eq!(refusal("modern.p12", None, Some("autre")), "certificate-wrong-password");
    assert_eq!(refusal("legacy.p12", None, Some("motdepasse")), "certificate-wrong-password");
    assert_eq!(refusal("modern.p12", None, None), "certificate-password-needed");
    let whole = fs::read(fixture("modern.p12")).unwrap();
    assert_eq!(load_bytes(&whole[..whole.len() - 10], Some(PASSWORD)).unwrap_err().kind(), "certificate-damaged");
    assert_eq!(load_bytes(&whole[..1], Some(PASSWORD)).unwrap_err().kind(), "certificate-damaged");
}

#[test]
fn no_damage_of_any_byte_is_taken_for_a_sound_file_of_another_key_or_panics() {
    let whole = fs::read(fixture("legacy.p12")).unwrap();
    for place in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x15;
        if let Ok(identity) = load_bytes(&bytes, Some("motdepassé")) {
            assert_eq!(identity.subject, "C=FR, O=Syndicat d'essai, CN=rsa.syndicat.example", "byte {place}");
        }
    }
}

#[test]
fn protections_that_are_not_read_name_the_command_that_converts_them() {
    for (certificate, key) in [
        ("rc2-128.p12", None),
        ("mairie-chain.pem", Some("mairie-traditional.key")),
        ("mairie-chain.pem", Some("mairie-encrypted-sha1.key")),
    ] {
        let error = load(certificate, key, Some(PASSWORD)).unwrap_err();
        assert_eq!(error.kind(), "certificate-unsupported-encryption", "{key:?} {error}");
        assert!(error.remedy().contains("openssl pk"), "{}", error.remedy());
    }
    let mut ber = fs::read(fixture("modern.p12")).unwrap();
    ber[1] = 0x80;
    assert_eq!(load_bytes(&ber, Some(PASSWORD)).unwrap_err().kind(), "certificate-unsupported-encryption");
}

#[test]
fn a_key_apart_replaces_one_of_any_form_beside_the_certificate() {
    let text = |name: &str| fs::read_to_string(fixture(name)).unwrap();
    let folder = Folder::new();
    let key = folder.copy("mairie-sec1.key");
    for old in ["mairie-traditional.key", "mairie-encrypted-sha1.key", "mairie-encrypted.key", "server.pem"] {
        let both = folder.write("both.pem", (text(old) + &text("mairie-chain.pem")).as_bytes());
        Identity::load(&both, Some(&key), None).unwrap_or_else(|error| panic!("{old}: {error}"));
    }
}

#[test]
fn files_without_key_or_certificate_say_so() {
    assert_eq!(refusal("no-key.p12", None, Some(PASSWORD)), "certificate-no-key");
    assert_eq!(refusal("mairie-chain.pem", None, None), "certificate-no-key");
    assert_eq!(refusal("mairie-leaf.cer", None, None), "certificate-no-key");
    assert_eq!(refusal("mairie-sec1.key", None, None), "certificate-absent");
    assert_eq!(refusal("mairie.pem", Some("ca.pem"), None), "certificate-no-key");
}

#[test]
fn pem_is_read_in_one_file_in_any_order_and_sorted_leaf_first() {
    let identity = load("mairie.pem", None, None).unwrap();
    let leaf = CertificateDer::from_pem_file(fixture("mairie-leaf.pem")).unwrap();
    assert_eq!((identity.chain.len(), &identity.chain[0]), (2, &leaf));
}

#[test]
fn of_two_issuers_with_one_name_the_one_with_the_right_key_stands_in_the_chain() {
    let text = |name: &str| fs::read_to_string(fixture(name)).unwrap();
    let identity = load_bytes((text("former-issuer.pem") + &text("mairie.pem")).as_bytes(), None).unwrap();
    assert_eq!(identity.chain, load("mairie.pem", None, None).unwrap().chain);
}

#[test]
fn pem_keys_apart_are_read_in_every_form() {
    for key in ["mairie-sec1.key", "mairie.pem"] {
        load("mairie-chain.pem", Some(key), None).unwrap_or_else(|error| panic!("{key}: {error}"));
    }
    load("rsa-chain.pem", Some("rsa-pkcs1.key"), None).unwrap();
    load("mairie-leaf.cer", Some("mairie-sec1.key"), None).unwrap();
    for key in ["mairie-encrypted.key", "mairie-encrypted-3des.key"] {
        load("mairie-chain.pem", Some(key), Some(PASSWORD)).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert_eq!(refusal("mairie-chain.pem", Some(key), Some("autre")), "certificate-wrong-password");
        assert_eq!(refusal("mairie-chain.pem", Some(key), None), "certificate-password-needed");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_do_no_harm() {
    let text = fs::read_to_string(fixture("mairie.pem")).unwrap();
    load_bytes(format!("\u{feff}{}", text.replace('\n', "\r\n")).as_bytes(), None).unwrap();
}

#[test]
fn damaged_pem_is_told() {
    let text = fs::read_to_string(fixture("mairie.pem")).unwrap();
    let cut = &text[..text.len() - 40];
    assert_eq!(load_bytes(cut.as_bytes(), None).unwrap_err().kind(), "certificate-damaged");
    let garbled = text.replace("MII", "M!!");
    assert_eq!(load_bytes(garbled.as_bytes(), None).unwrap_err().kind(), "certificate-damaged");
}

#[test]
fn other_content_is_recognized_as_such() {
    for bytes in [&b""[..], b"\xfe\xed\xfe\xed a Java keystore", b"<html>"] {
        assert_eq!(load_bytes(bytes, None).unwrap_err().kind(), "certificate-unrecognized");
    }
}

#[test]
fn the_key_of_another_certificate_is_refused() {
    assert_eq!(refusal("mairie-chain.pem", Some("server.pem"), None), "certificate-key-mismatch");
    assert_eq!(refusal("mairie-chain.pem", Some("rsa-pkcs1.key"), None), "certificate-key-mismatch");
}

#[test]
fn keys_that_tls_cannot_use_are_named() {
    for (file, found) in [("weak.pem", "RSA of 1024 bits"), ("p521.pem", "ECDSA on P-521")] {
        let error = load(file, None, None).unwrap_err();
        assert_eq!(error.kind(), "certificate-unsupported-key");
        assert!(error.to_string().contains(found), "{error}");
    }
}

#[test]
fn of_several_certificates_with_keys_the_client_certificate_that_ends_last_is_chosen() {
    let text = |name: &str| fs::read_to_string(fixture(name)).unwrap();
    let all = ["server.pem", "dated.pem", "mairie.pem", "signature.pem"].map(text).concat();
    assert_eq!(load_bytes(all.as_bytes(), None).unwrap().subject, "C=FR, O=Mairie d'essai, CN=releve.mairie.example");
    let store = pkcs12_of(&["server.pem", "dated.pem"]);
    let identity = load_bytes(&store, Some(PASSWORD)).unwrap();
    assert_eq!(identity.subject, "C=FR, O=Mairie d'essai, CN=date.mairie.example");
    assert_eq!(identity.chain.len(), 2);
}

fn pkcs12_of(names: &[&str]) -> Vec<u8> {
    use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
    let mut store = KeyStore::new();
    for name in names {
        let key = PrivateKeyDer::from_pem_file(fixture(name)).unwrap();
        let chain = CertificateDer::pem_file_iter(fixture(name)).unwrap();
        let chain = chain.map(|certificate| Certificate::from_der(&certificate.unwrap()).unwrap());
        let key = PrivateKey::from_der(key.secret_der()).unwrap();
        store.add_entry(name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(*name, key, chain)));
    }
    store.writer(PASSWORD).write().unwrap()
}

#[test]
fn certificates_for_other_uses_are_a_problem() {
    for (file, reason) in [("server.pem", "only server authentication"), ("signature.pem", "only non repudiation")] {
        let identity = load(file, None, None).unwrap();
        assert!(!identity.client_auth);
        assert_eq!(found(&identity, at(MAY_2026)), [(Weight::Problem, "certificate-no-client-use")]);
        let judgement = &identity.findings(at(MAY_2026))[0];
        assert!(judgement.message.ends_with(reason), "{}", judgement.message);
    }
}

#[test]
fn expiry_is_a_note_for_sixty_days_and_then_a_problem() {
    let identity = load("dated.pem", None, None).unwrap();
    let end = at("2027-03-01T12:00:00Z");
    assert_eq!(identity.not_after, end);
    let message = |now: &str| identity.findings(at(now))[0].message.clone();

    assert_eq!(
        (identity.days_left(at("2026-12-31T12:00:00Z")), found(&identity, at("2026-12-31T12:00:00Z"))),
        (60, vec![])
    );
    let expiring = [(Weight::Note, "certificate-expiring")];
    assert_eq!(found(&identity, at("2026-12-31T12:00:01Z")), expiring);
    assert_eq!(message("2027-02-19T12:00:00Z"), "the certificate expires in 10 days, on 2027-03-01 12:00 UTC");
    assert_eq!(message("2027-02-28T12:00:00Z"), "the certificate expires in 1 day, on 2027-03-01 12:00 UTC");
    assert_eq!((identity.days_left(end), found(&identity, end)), (0, expiring.to_vec()), "its last moment counts");
    assert!(message("2027-03-01T11:59:59Z").contains("in less than a day"));

    let expired = at("2027-03-01T12:00:01Z");
    assert_eq!(
        (identity.days_left(expired), found(&identity, expired)),
        (-1, vec![(Weight::Problem, "certificate-expired")])
    );
    assert_eq!(found(&identity, at("2019-12-31T23:59:59Z")), [(Weight::Problem, "certificate-not-yet-valid")]);
}

#[test]
fn a_chain_without_intermediate_is_a_note() {
    let identity = load("mairie-leaf.pem", Some("mairie-sec1.key"), None).unwrap();
    assert!(!identity.chain_complete);
    assert_eq!(found(&identity, at(MAY_2026)), [(Weight::Note, "certificate-chain-incomplete")]);
    let own = load("self-signed.pem", None, None).unwrap();
    assert!(own.chain_complete, "a self-signed certificate needs no other");
}

#[test]
fn private_keys_readable_by_others_are_refused_and_certificates_are_not() {
    let folder = Folder::new();
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    let password = SecretString::from("not even tried");
    for name in ["modern.p12", "mairie.pem", "mairie-encrypted.key", "mairie-traditional.key"] {
        let path = folder.copy(name);
        open(&path);
        let error = Identity::load(&path, None, Some(&password)).unwrap_err();
        assert_eq!(error.kind(), "certificate-readable-by-others", "{name}");
        assert!(error.to_string().contains("0644"), "{error}");
    }
    let (chain, key) = (folder.copy("mairie-chain.pem"), folder.copy("mairie-sec1.key"));
    open(&chain);
    Identity::load(&chain, Some(&key), None).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    Identity::load(&chain, Some(&key), None).unwrap();
}

#[test]
fn what_cannot_be_read_says_whether_it_is_missing() {
    let folder = Folder::new();
    let kind = |path: &Path| Identity::load(path, None, None).unwrap_err().kind();
    assert_eq!(kind(&folder.0.path().join("absent.p12")), "certificate-missing");
    assert_eq!(kind(folder.0.path()), "certificate-unreadable");
    assert_eq!(kind(Path::new("/dev/zero")), "certificate-unreadable");
    assert_eq!(kind(&folder.write("large.p12", &vec![0x30; 1024 * 1024 + 1])), "certificate-unreadable");
}

#[test]
fn nothing_secret_is_shown_by_debug() {
    let shown = format!("{:?}", load("mairie.pem", None, None).unwrap());
    assert!(shown.contains("1A2B3C4D5E6F7003") && !shown.contains("key"), "{shown}");
}
