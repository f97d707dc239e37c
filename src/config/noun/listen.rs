//! Where a listener listens: `127.0.0.1:9464`, or the path of a Unix socket.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What to write instead of something that is no such place.
pub(in crate::config) const EXAMPLES: &str = "write an IP address and a port, such as \"127.0.0.1:9464\", or the whole path of \
                                              a Unix socket, such as \"/run/vaguemestre/admin.sock\"";

/// Where a listener listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Listen {
    /// At an IP address and a TCP port.
    Port(SocketAddr),
    /// At a Unix socket, by its whole path.
    Socket(PathBuf),
}

impl Listen {
    /// Whether only programs of this machine reach it.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::Port(address) => address.ip().to_canonical().is_loopback(),
            Self::Socket(_) => true,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

impl From<Listen> for String {
    fn from(listen: Listen) -> Self {
        listen.to_string()
    }
}

impl TryFrom<String> for Listen {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse(&text)
    }
}

/// Reads an address with its port, or a whole path.
pub(in crate::config) fn parse(text: &str) -> Result<Listen, &'static str> {
    if text.starts_with('/') && !text.ends_with('/') && !text.contains('\0') {
        // The kernel takes no longer one (`sun_path` has 108 bytes, the last of them zero).
        return if text.len() < 108 {
            Ok(Listen::Socket(Path::new(text).to_owned()))
        } else {
            Err("is too long a path")
        };
    }
    text.parse().map(Listen::Port).map_err(|_| "is no place to listen at")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_whole_paths_read_back_as_written() {
        for text in ["127.0.0.1:9464", "[::1]:9464", "0.0.0.0:80", "/run/vaguemestre/admin.sock"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn names_relative_paths_and_addresses_without_a_port_are_refused() {
        for text in
            ["", "9464", ":9464", "127.0.0.1", "localhost:9464", "admin.sock", "/run/", "127.0.0.1:99999", "::1:9"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&format!("/{}", "x".repeat(107))).is_err());
    }

    #[test]
    fn only_loopback_and_sockets_are_local() {
        for text in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "/x"] {
            assert!(parse(text).unwrap().is_local(), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert!(!parse(text).unwrap().is_local(), "{text}");
        }
    }
}
