//! What the files hold, before it is known what belongs together.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::error::PEMError;
use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;

use super::error::IdentityError;
use super::pkcs12::{self, Failure};

/// The largest file that is read, in bytes: a chain with its key has a few thousand.
const LARGEST_FILE: u64 = 1024 * 1024;

/// Certificates and private keys, in the order they stand in the file.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) keys: Vec<PrivateKeyDer<'static>>,
}

/// The bytes of a file with what is needed to judge and to name it.
struct Source<'a> {
    file: &'a Path,
    bytes: Vec<u8>,
    mode: u32,
    password: Option<&'a str>,
    wanted: Wanted,
}

/// What is taken from a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Certificates and keys.
    All,
    /// Certificates: the key is in another file, and one that stands here may be of a form that is not read.
    Certificates,
}

impl Contents {
    /// Reads `file`, which may be PKCS#12, PEM or a single DER certificate; what counts is its content, not its name.
    pub(super) fn read(file: &Path, wanted: Wanted, password: Option<&str>) -> Result<Self, IdentityError> {
        let (bytes, mode) = read_limited(file).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => IdentityError::Missing { file: file.to_owned() },
            _ => IdentityError::Unreadable { file: file.to_owned(), source },
        })?;
        let source = Source { file, bytes, mode, password, wanted };
        if source.mentions(b"-----BEGIN ") {
            source.decode_pem()
        } else if source.bytes.first() == Some(&0x30) {
            source.decode_der()
        } else {
            let reason = if source.bytes.is_empty() { "it is empty" } else { "its content is something else" };
            Err(IdentityError::Unrecognized { file: file.to_owned(), reason })
        }
    }
}

impl Source<'_> {
    fn decode_der(&self) -> Result<Contents, IdentityError> {
        // What Windows exports as .cer.
        if let Ok((_, certificate)) = parse_x509_certificate(&self.bytes) {
            let certificate = CertificateDer::from(certificate.as_raw().to_vec());
            return Ok(Contents { certificates: vec![certificate], keys: Vec::new() });
        }
        self.require_private()?;
        let conversion = format!(
            "`openssl pkcs12 -legacy -in '{0}' -out '{0}.pem'`, which is then the `certificate`",
            self.file.display()
        );
        pkcs12::open(&self.bytes, self.password.unwrap_or_default())
            .map_err(|failure| self.explain(failure, conversion))
    }

    fn decode_pem(&self) -> Result<Contents, IdentityError> {
        if self.mentions(b"PRIVATE KEY-----") {
            self.require_private()?;
        }
        let traditional = self.mentions(b"Proc-Type: 4,ENCRYPTED");
        if traditional && self.wanted == Wanted::All {
            let failure = Failure::Unsupported("OpenSSL's traditional form".to_owned());
            return Err(self.explain(failure, self.key_conversion()));
        }
        // Editors of Windows put a byte order mark before the first line, which then does not begin with dashes.
        let text = self.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.bytes);
        let mut contents = Contents::default();
        for section in Pem::iter_from_buffer(text) {
            match section {
                Ok(section) => self.take(section, &mut contents)?,
                // The unwanted key, whose headers are no base64.
                Err(PEMError::Base64DecodeError) if traditional => {}
                Err(error) => return Err(self.damaged(error.to_string())),
            }
        }
        Ok(contents)
    }

    /// Adds one PEM section; requests, parameters and revocation lists are passed over.
    fn take(&self, section: Pem, contents: &mut Contents) -> Result<(), IdentityError> {
        let Pem { label, contents: der } = section;
        match label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => contents.certificates.push(der.into()),
            key if key.ends_with("PRIVATE KEY") && self.wanted == Wanted::Certificates => {}
            "PRIVATE KEY" => contents.keys.push(PrivateKeyDer::Pkcs8(der.into())),
            "RSA PRIVATE KEY" => contents.keys.push(PrivateKeyDer::Pkcs1(der.into())),
            "EC PRIVATE KEY" => contents.keys.push(PrivateKeyDer::Sec1(der.into())),
            "ENCRYPTED PRIVATE KEY" => {
                let Some(password) = self.password else {
                    return Err(IdentityError::PasswordNeeded { file: self.file.to_owned() });
                };
                let key = pkcs12::decrypt_key(&der, password);
                contents.keys.push(key.map_err(|failure| self.explain(failure, self.key_conversion()))?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Refuses a secret that every user of the machine may read.
    fn require_private(&self) -> Result<(), IdentityError> {
        if self.mode & 0o004 == 0 {
            return Ok(());
        }
        Err(IdentityError::ReadableByOthers { file: self.file.to_owned(), mode: self.mode & 0o7777 })
    }

    fn explain(&self, failure: Failure, conversion: String) -> IdentityError {
        let file = self.file.to_owned();
        match (failure, self.password) {
            (Failure::Password, None) => IdentityError::PasswordNeeded { file },
            (Failure::Password, Some(_)) => IdentityError::WrongPassword { file },
            (Failure::Unsupported(what), _) => IdentityError::UnsupportedEncryption { file, what, conversion },
            (Failure::Damaged(reason), _) => self.damaged(reason),
        }
    }

    fn damaged(&self, reason: String) -> IdentityError {
        IdentityError::Damaged { file: self.file.to_owned(), reason }
    }

    fn key_conversion(&self) -> String {
        format!("`openssl pkcs8 -topk8 -in '{0}' -out '{0}.pk8'`, which is then the `key`", self.file.display())
    }

    fn mentions(&self, words: &[u8]) -> bool {
        self.bytes.windows(words.len()).any(|window| window == words)
    }
}

/// The file's bytes (1 MiB at most) and permission bits. Anything but a regular file is refused: a pipe would block for ever.
pub(crate) fn read_limited(file: &Path) -> io::Result<(Vec<u8>, u32)> {
    let kind = fs::metadata(file)?;
    if kind.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !kind.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let file = File::open(file)?;
    let mode = file.metadata()?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok((bytes, mode))
}
