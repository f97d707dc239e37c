//! Secrets are never in the configuration: it says where they are, and they are read when needed.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRef {
    /// In a file, read again at each use.
    File(PathBuf),
    /// In an environment variable of the daemon.
    Env(String),
    /// Among the credentials systemd passes to the service.
    Credential(String),
}

/// Why a secret could not be read. Never holds any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file of the secret, or of the credential, cannot be read.
    #[error("the secret file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// Any user of the machine may read the file.
    #[error("the secret file {} is readable by others (mode {mode:04o}); run chmod o-rwx on it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The bytes are not text.
    #[error("the secret in {0} is not UTF-8 text")]
    NotText(String),
    /// The environment variable is not set.
    #[error("the environment variable {0} is not set; set it for the service and restart")]
    NotSet(String),
    /// A credential is wanted, but only the service itself is given them.
    #[error("the credential {0:?} can be read inside the systemd service only (CREDENTIALS_DIRECTORY is not set)")]
    OutsideService(String),
}

impl SecretError {
    /// A stable word for ledger, log and metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "secret-unreadable",
            Self::Exposed { .. } => "secret-exposed",
            Self::NotText(_) => "secret-not-text",
            Self::NotSet(_) => "secret-not-set",
            Self::OutsideService(_) => "secret-outside-service",
        }
    }
}

impl SecretRef {
    /// Reads the secret, less one newline at its end; `env` looks environment variables up.
    pub fn read(&self, env: &dyn Fn(&str) -> Option<String>) -> Result<SecretString, SecretError> {
        let text = match self {
            Self::File(path) => read_file(path)?,
            Self::Env(name) => env(name).ok_or_else(|| SecretError::NotSet(name.clone()))?,
            Self::Credential(name) => {
                let directory =
                    env("CREDENTIALS_DIRECTORY").ok_or_else(|| SecretError::OutsideService(name.clone()))?;
                read_file(&Path::new(&directory).join(name))?
            }
        };
        let secret = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text);
        Ok(SecretString::from(secret))
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(SecretError::Exposed { path: path.to_owned(), mode });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| SecretError::NotText(path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use secrecy::ExposeSecret;

    use super::*;

    fn nothing(_: &str) -> Option<String> {
        None
    }

    /// A file that holds `text`, with permissions `mode`.
    fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn one_newline_at_the_end_is_dropped_and_no_more() {
        for (text, secret) in
            [("pass\n", "pass"), ("pass", "pass"), ("pass\n\n", "pass\n"), (" pass \n", " pass "), ("\n", "")]
        {
            let (_folder, path) = file(text.as_bytes(), 0o600);
            assert_eq!(SecretRef::File(path).read(&nothing).unwrap().expose_secret(), secret);
            let env = |name: &str| (name == "PW").then(|| text.to_owned());
            assert_eq!(SecretRef::Env("PW".to_owned()).read(&env).unwrap().expose_secret(), secret);
        }
    }

    #[test]
    fn a_file_open_to_others_is_refused() {
        for (mode, refused) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            let (_folder, path) = file(b"pass", mode);
            let read = SecretRef::File(path.clone()).read(&nothing);
            assert_eq!(matches!(read, Err(SecretError::Exposed { .. })), refused, "{mode:o}");
            if let Err(error) = read {
                assert!(error.to_string().contains(path.to_str().unwrap()) && !error.to_string().contains("pass"));
            }
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let missing = SecretRef::File("/nowhere/password".into()).read(&nothing).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/password"), "{missing}");
        let unset = SecretRef::Env("MAIRIE_PW".to_owned()).read(&nothing).unwrap_err();
        assert!(unset.to_string().contains("MAIRIE_PW"), "{unset}");
        let (_folder, path) = file(b"\xff\xfe", 0o600);
        assert!(matches!(SecretRef::File(path).read(&nothing), Err(SecretError::NotText(_))));
    }

    #[test]
    fn credentials_are_read_inside_the_service_only() {
        let credential = SecretRef::Credential("secret".to_owned());
        assert!(matches!(credential.read(&nothing), Err(SecretError::OutsideService(_))));
        let (folder, _) = file(b"pass\n", 0o400);
        let env = |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.path().to_str().unwrap().to_owned());
        assert_eq!(credential.read(&env).unwrap().expose_secret(), "pass");
        let other = SecretRef::Credential("other".to_owned()).read(&env);
        assert!(matches!(other, Err(SecretError::Unreadable { .. })));
    }
}
