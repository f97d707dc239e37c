//! Addresses of platforms and proxies.

use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;

/// What to write instead of a wrong address of a platform.
pub(super) const PLATFORM: &str = "write an address such as \"https://parapheur.dfast.fr\", without user, password, \
                                   query or fragment; plain http is for a platform on this machine only";
/// What to write instead of a wrong address of a webhook.
pub(super) const HOOK: &str = "write an address such as \"https://logiciel.example.fr/documents\", without user, password \
                               or fragment; plain http is for this machine only";
/// What to write instead of a wrong address of a proxy.
pub(super) const PROXY: &str = "write an address such as \"http://proxy.example.fr:3128\" (http: what goes through it is encrypted all the same), without user, password or path";

/// Where a platform is.
#[derive(Debug)]
pub struct Platform {
    /// The address without a slash at its end.
    pub base_url: String,
    /// Scheme, host, and port unless it is the scheme's own.
    pub origin: String,
    /// Whether it is on this machine.
    pub loopback: bool,
}

impl Platform {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, to go on from its text.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = read(text)?;
        let loopback = is_loopback(&url);
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => return Err("uses plain http to another machine"),
            _ => return Err("is not an address of the web"),
        }
        let base_url = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { base_url, origin: url.origin().ascii_serialization(), loopback })
    }
}

/// Checks the address of a webhook, which may have a query.
pub(super) fn hook(text: &str) -> Result<String, &'static str> {
    let (place, _) = text.split_once('?').unwrap_or((text, ""));
    Platform::parse(place)?;
    let url = Url::parse(text).map_err(|_| "is not a whole address")?;
    if url.fragment().is_some() { Err("has a fragment") } else { Ok(url.to_string()) }
}

/// Checks the address of a proxy.
pub(super) fn proxy(text: &str) -> Result<String, &'static str> {
    let url = read(text)?;
    match url.scheme() {
        "http" if url.path() == "/" => Ok(text.to_owned()),
        "http" => Err("has a path"),
        // Its own TLS would be shown the certificate that is meant for the platform alone.
        _ => Err("is not an http proxy"),
    }
}

fn read(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not a whole address")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a query or fragment");
    }
    if url.host_str().is_none_or(str::is_empty) { Err("names no host") } else { Ok(url) }
}

/// Whether `url` names this machine: 127.0.0.0/8, `::1` or `localhost`.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let v6 = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || v6.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
}

/// `text` as messages may show it: an address in it loses its user and password.
pub(super) fn without_user(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("//").map_or("", |(scheme, _)| scheme);
            format!("{scheme}//…@{host}")
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_the_same_however_the_address_is_written() {
        for text in ["https://Parapheur.dfast.fr", "https://parapheur.dfast.fr:443/", "HTTPS://parapheur.dfast.fr//"] {
            let platform = Platform::parse(text).unwrap();
            assert_eq!(platform.origin, "https://parapheur.dfast.fr", "{text}");
            assert_eq!(platform.base_url, "https://parapheur.dfast.fr", "{text}");
        }
        assert_eq!(Platform::parse("https://a.fr:8443/x/").unwrap().base_url, "https://a.fr:8443/x");
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for text in ["http://127.0.0.1:1", "http://127.9.9.9", "https://localhost/x", "http://[::1]:8080"] {
            assert!(Platform::parse(text).unwrap().loopback, "{text}");
        }
        for text in ["https://128.0.0.1", "https://localhost.example.fr", "https://[::2]", "https://127.0.0.1.nip.io"] {
            assert!(!Platform::parse(text).unwrap().loopback, "{text}");
        }
    }

    #[test]
    fn addresses_that_leak_or_mislead_are_refused() {
        for text in [
            "http://a.fr",
            "https://u:p@a.fr",
            "https://u@a.fr",
            "https://a.fr?x",
            "https://a.fr#x",
            "a.fr",
            "ftp://a.fr",
            "",
        ] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
        for text in ["socks5://a.fr", "http://u:p@a.fr", "a.fr:3128", "http://a.fr/x"] {
            assert!(proxy(text).is_err(), "{text}");
        }
        assert!(proxy("http://a.fr:3128").is_ok() && proxy("http://a.fr/").is_ok() && proxy("https://a.fr/").is_err());
    }

    #[test]
    fn a_password_is_never_shown() {
        assert_eq!(without_user("https://u:p@a.fr/x"), "https://…@a.fr/x");
        assert_eq!(without_user("u:p@ss@a.fr"), "//…@a.fr");
    }
}
