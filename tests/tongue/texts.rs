//! Problems as they lie in the ledger: each kind, cause and remedy together.

use std::path::PathBuf;

use rustls::AlertDescription;
use vaguemestre::connector::{Access, Cause, ConnectorError};
use vaguemestre::identity::IdentityError;
use vaguemestre::ledger::LedgerError;
use vaguemestre::tongue::Tongue;

use crate::catalogue;

/// What is left in English in `said`: the longest fixed parts of sentences of the catalogue.
pub(crate) fn left_in_english(said: &str) -> Vec<String> {
    let catalogue = catalogue::read();
    let telling = |text: &String| {
        let part = text.split("{}").max_by_key(|part| part.len()).unwrap_or_default().to_owned();
        // What is typed is the same in both languages; a word or two may well stand in French or in a name.
        let spoken: String = part.split(['`', '"']).step_by(2).collect();
        (spoken.len() > 10 && spoken.trim().contains(' ')).then_some(part)
    };
    catalogue.sentences.keys().filter_map(telling).filter(|part| said.contains(part.as_str())).collect()
}

fn assert_french(english: &str) {
    let said = Tongue::French.say(english);
    let left = left_in_english(&said);
    assert!(left.is_empty() && said != english, "{english}\n{said}\n{left:#?}");
}

#[test]
fn every_cause_of_access_is_told_with_its_remedy() {
    let all = [
        Cause::CertificateExpired,
        Cause::CertificateRevoked,
        Cause::UnknownAuthority,
        Cause::CertificateRefused,
        Cause::CertificateNotSeen,
        Cause::UnknownSubscriber,
        Cause::Tls,
        Cause::NoTls,
        Cause::Unauthorized,
        Cause::NotThere,
        Cause::Redirect,
        Cause::Inspection { issuer: "CN=Pare-feu, O=Mairie (interne)".to_owned() },
        Cause::ServerCertificate,
        Cause::Proxy,
        Cause::Network,
        Cause::Setup,
        Cause::Token { remedy: "correct username or password, and compare `environment`: accounts of production and formation differ; nothing is asked until they change, or 2026-11-22 10:30:00 (Paris) has come".to_owned() },
        Cause::Api { kind: "denied", what: "the API denies access", remedy: "ask the platform's support what it wants: it does not say that the token is invalid".to_owned() },
    ];
    let details = [
        "no connection to parapheur.dfast.fr: Connection refused (os error 111)",
        "parapheur.dfast.fr refused the connection (TLS alert BadCertificate)",
        "status 403: Forbidden; ask «nobody»",
        "",
    ];
    for cause in all {
        for detail in details {
            let access = Access::new(cause.clone(), detail);
            assert_french(&access.to_string());
            assert_french(&ConnectorError::from(access).to_string());
        }
        assert_french(&cause.remedy());
    }
    assert_eq!(Cause::from_alert(AlertDescription::CertificateExpired), Cause::CertificateExpired);
}

#[test]
fn every_fault_of_a_certificate_is_told_with_its_remedy() {
    let file = || PathBuf::from("/etc/vaguemestre/mairie (1).p12");
    let denied = || std::io::Error::from_raw_os_error(13);
    let all = [
        IdentityError::Missing { file: file() },
        IdentityError::Unreadable { file: file(), source: denied() },
        IdentityError::ReadableByOthers { file: file(), mode: 0o644 },
        IdentityError::Unrecognized { file: file(), reason: "its content is something else" },
        IdentityError::Damaged { file: file(), reason: "it holds no encrypted key".to_owned() },
        IdentityError::PasswordNeeded { file: file() },
        IdentityError::WrongPassword { file: file() },
        IdentityError::NoCertificate { file: file() },
        IdentityError::NoKey { file: file() },
        IdentityError::KeyMismatch { certificate: file(), key: file() },
        IdentityError::UnsupportedKey { file: file(), found: "ECDSA on the curve 1.2.3".to_owned() },
    ];
    for error in all {
        assert_french(&format!("{error}: {}", error.remedy()));
        assert!(Tongue::French.say(&error.to_string()).contains("/etc/vaguemestre/mairie (1).p12"));
    }
}

#[test]
fn faults_of_the_ledger_are_told_with_their_remedy() {
    let path = || PathBuf::from("/var/lib/vaguemestre/ledger.sqlite");
    for error in [
        LedgerError::Missing(path()),
        LedgerError::Vanished(path()),
        LedgerError::Full(path()),
        LedgerError::Busy(path()),
    ] {
        assert_french(&format!("{error}; {}", error.remedy()));
    }
}
