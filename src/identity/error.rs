//! Why a certificate cannot be used, and what to do about it.

use std::io;
use std::path::PathBuf;

/// What keeps a certificate and its key from being used; each variant asks something else of the operator.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file is not there.
    #[error("{file} does not exist")]
    Missing {
        /// The file as it was named.
        file: PathBuf,
    },
    /// The file is there, and cannot be read.
    #[error("{file} cannot be read")]
    Unreadable {
        /// The file as it was named.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds a private key, and every user of the machine may read it.
    #[error("{file} holds a private key and is readable by others (mode {mode:04o})")]
    ReadableByOthers {
        /// The file as it was named.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The content is neither PKCS#12 nor PEM, whatever its name says.
    #[error("{file} is neither PKCS#12 nor PEM: {reason}")]
    Unrecognized {
        /// The file as it was named.
        file: PathBuf,
        /// What was found instead.
        reason: &'static str,
    },
    /// The content begins right and then makes no sense.
    #[error("{file} is damaged: {reason}")]
    Damaged {
        /// The file as it was named.
        file: PathBuf,
        /// What could not be understood.
        reason: String,
    },
    /// The content is encrypted and no password was given.
    #[error("{file} needs a password, and none is configured")]
    PasswordNeeded {
        /// The file as it was named.
        file: PathBuf,
    },
    /// The password given does not open the file.
    #[error("the password does not open {file}")]
    WrongPassword {
        /// The file as it was named.
        file: PathBuf,
    },
    /// The content is protected or encoded in a way that is not read here.
    #[error("{file} is protected in a way this program does not read: {what}")]
    UnsupportedEncryption {
        /// The file as it was named.
        file: PathBuf,
        /// The scheme, as far as it is known.
        what: String,
        /// The command that writes the same content in a form that is read.
        conversion: String,
    },
    /// There is no certificate in the file.
    #[error("{file} holds no certificate")]
    NoCertificate {
        /// The file as it was named.
        file: PathBuf,
    },
    /// There is no private key in the file.
    #[error("{file} holds no private key")]
    NoKey {
        /// The file as it was named.
        file: PathBuf,
    },
    /// There are certificates and keys, and none belongs to another.
    #[error("the private key in {key} belongs to another certificate than {certificate} holds")]
    KeyMismatch {
        /// Where the certificates were read.
        certificate: PathBuf,
        /// Where the keys were read (the same file, if they are together).
        key: PathBuf,
    },
    /// The key is of a kind or size that TLS cannot use here.
    #[error("{file} has a key that cannot be used for TLS here: {found}")]
    UnsupportedKey {
        /// Where the certificate was read.
        file: PathBuf,
        /// The key's kind and size.
        found: String,
    },
    /// The TLS library did not accept the identity.
    #[error("{file} was refused by the TLS library")]
    Refused {
        /// Where the certificate was read.
        file: PathBuf,
        /// What the library said.
        source: rustls::Error,
    },
}

impl IdentityError {
    /// The stable word for this kind of failure, for the ledger, logs and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "certificate-missing",
            Self::Unreadable { .. } => "certificate-unreadable",
            Self::ReadableByOthers { .. } => "certificate-readable-by-others",
            Self::Unrecognized { .. } => "certificate-unrecognized",
            Self::Damaged { .. } => "certificate-damaged",
            Self::PasswordNeeded { .. } => "certificate-password-needed",
            Self::WrongPassword { .. } => "certificate-wrong-password",
            Self::UnsupportedEncryption { .. } => "certificate-unsupported-encryption",
            Self::NoCertificate { .. } => "certificate-absent",
            Self::NoKey { .. } => "certificate-no-key",
            Self::KeyMismatch { .. } => "certificate-key-mismatch",
            Self::UnsupportedKey { .. } => "certificate-unsupported-key",
            Self::Refused { .. } => "certificate-refused",
        }
    }

    /// What to do about it: one sentence for an operator.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "put the file there, or correct the path (it is relative to the file that names it)".to_owned()
            }
            Self::Unreadable { file, source } => unreadable_remedy(file.display(), source),
            Self::ReadableByOthers { file, .. } => format!("chmod o-rwx '{}'", file.display()),
            Self::Unrecognized { .. } => {
                "name the .p12 or .pfx file the authority delivered, or a PEM file with the certificate and its chain"
                    .to_owned()
            }
            Self::Damaged { .. } => "copy it again from where it was delivered, in binary mode".to_owned(),
            Self::PasswordNeeded { .. } => "set `certificate_password`".to_owned(),
            Self::WrongPassword { .. } => {
                "correct `certificate_password`; if it is certainly right, the file is damaged: \
                 copy it again from where it was delivered"
                    .to_owned()
            }
            Self::UnsupportedEncryption { conversion, .. } => format!("convert it: {conversion}"),
            Self::NoCertificate { .. } => {
                "name a file that holds the certificate and its chain in `certificate`".to_owned()
            }
            Self::NoKey { .. } => {
                "export the certificate again together with its private key, or name the key's own file in `key`"
                    .to_owned()
            }
            Self::KeyMismatch { .. } => {
                "name the key this certificate was requested with, or the certificate issued for this key".to_owned()
            }
            Self::UnsupportedKey { .. } => {
                "ask the authority for a certificate with a key of RSA (2048 to 4096 bits) or ECDSA (P-256 or P-384)"
                    .to_owned()
            }
            Self::Refused { .. } => {
                "check the certificate with `openssl x509 -text`, or have it issued anew".to_owned()
            }
        }
    }
}

fn unreadable_remedy(file: std::path::Display<'_>, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            format!(
                "let the service's user read it and the folders above it: chgrp vaguemestre '{file}' && chmod 0640 '{file}'"
            )
        }
        io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput => "name the file itself".to_owned(),
        io::ErrorKind::FileTooLarge => "name the certificate's file: none is that large".to_owned(),
        _ => "see what the system says about it, and try again".to_owned(),
    }
}
