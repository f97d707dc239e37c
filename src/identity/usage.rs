//! What a certificate says of itself: whom it names, and what it may be used for.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ExtendedKeyUsage, KeyUsage};
use x509_parser::oid_registry::OidRegistry;
use x509_parser::x509::X509Name;

use crate::words::is_hidden;

/// Why `certificate` may not authenticate a client, if it may not: servers enforce both extensions where present.
pub(super) fn hindrance(certificate: &X509Certificate<'_>) -> Option<String> {
    if let Ok(Some(extension)) = certificate.extended_key_usage()
        && !(extension.value.any || extension.value.client_auth)
    {
        return Some(format!("its extended key usage allows only {}", purposes(extension.value)));
    }
    if let Ok(Some(extension)) = certificate.key_usage()
        && !signs(extension.value)
    {
        return Some(format!("its key usage allows only {}", extension.value.to_string().to_lowercase()));
    }
    None
}

/// A certificate for signing documents has "non repudiation" alone, and the platform's TLS server turns it away.
fn signs(usage: &KeyUsage) -> bool {
    usage.digital_signature() || usage.key_agreement()
}

fn purposes(usage: &ExtendedKeyUsage<'_>) -> String {
    let known = [
        (usage.server_auth, "server authentication"),
        (usage.code_signing, "code signing"),
        (usage.email_protection, "e-mail protection"),
        (usage.time_stamping, "time stamping"),
        (usage.ocsp_signing, "OCSP signing"),
    ];
    let named = known.iter().filter(|(allowed, _)| *allowed).map(|(_, name)| (*name).to_owned());
    let registry = OidRegistry::default();
    let other =
        usage.other.iter().map(|oid| registry.get(oid).map_or_else(|| oid.to_string(), |entry| entry.sn().to_owned()));
    named.chain(other).collect::<Vec<_>>().join(", ")
}

/// The longest name that is shown, in characters.
const LONGEST_NAME: usize = 200;

/// `name` as people and logs may read it (`C=FR, O=Mairie, CN=…`): one line, of bounded length, without characters
/// that steer a terminal or turn the direction of text.
pub(crate) fn readable_name(name: &X509Name<'_>) -> String {
    tame(&name.to_string())
}

fn tame(text: &str) -> String {
    let replace = |character| if is_hidden(character) { char::REPLACEMENT_CHARACTER } else { character };
    text.chars().map(replace).take(LONGEST_NAME).collect()
}

/// The serial number as `openssl x509 -serial` prints it: upper-case hexadecimal.
pub(super) fn readable_serial(certificate: &X509Certificate<'_>) -> String {
    let serial = certificate.raw_serial();
    let digits = match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    digits.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_a_terminal_break_a_line_or_fill_the_log() {
        assert_eq!(tame("CN=\u{1b}[2Jé\n\u{202e}x"), "CN=\u{fffd}[2Jé\u{fffd}\u{fffd}x");
        assert_eq!(tame(&"é".repeat(10_000)).chars().count(), LONGEST_NAME);
    }
}
