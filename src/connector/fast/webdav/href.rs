//! Where an entry of a folder lies: names are decoded once, compared, and encoded by us. Only the path of an address counts:
//! whatever host a server names, it is asked itself and nobody else (F10).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

use crate::connector::words::shown;
use crate::words::is_hidden;

/// All but what no server takes for anything else (RFC 3986, §2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Child {
    /// Its name, for people and for comparing.
    pub(super) name: String,
    /// Its name, for addresses.
    pub(super) encoded: String,
}

/// The entry of the folder at `base` (a path, encoded) that `href` names; `None` for the folder itself.
///
/// # Errors
/// Why that is no entry of the folder, or none that can be taken.
pub(super) fn child(base: &str, href: &str) -> Result<Option<Child>, String> {
    let path = path_of(href.trim());
    let whole = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", base.trim_end_matches('/')) };
    let (folder, entry) = (segments(base), segments(&whole));
    if entry == folder {
        return Ok(None);
    }
    let Some((name, place)) = entry.split_last() else { return Err(format!("{} has no name", shown(href))) };
    if place != folder {
        return Err(format!("{} is not in the folder listed", shown(href)));
    }
    let encoded = percent_encode(name, ENCODED).to_string();
    let illegal = String::from_utf8_lossy(name).contains(|c: char| c.is_control() || c == '/');
    if illegal || matches!(name.as_slice(), b"" | b"." | b"..") {
        return Err(format!("{} has a name that cannot be taken", shown(href)));
    }
    Ok(Some(Child { name: decode(&encoded), encoded }))
}

/// An encoded name, for people and for comparing. One that is no UTF-8, or holds what is not seen, stays as it is; a slash, which
/// no name has, keeps it apart from one that is really called so.
pub(super) fn decode(encoded: &str) -> String {
    match percent_decode_str(encoded).decode_utf8() {
        Ok(name) if !name.contains(is_hidden) => name.into_owned(),
        _ => format!("{encoded}/"),
    }
}

/// The path of an address, or the whole of what is a path.
pub(super) fn path_of(href: &str) -> &str {
    match href.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        _ => href,
    }
}

/// The names of a path, decoded; a slash at the end makes none.
fn segments(path: &str) -> Vec<Vec<u8>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/').map(|segment| percent_decode_str(segment).collect()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "/partage/webdav/clients/213400172/out/PES";

    fn encode(name: &str) -> String {
        percent_encode(name.as_bytes(), ENCODED).to_string()
    }

    fn name(href: &str) -> Option<String> {
        child(BASE, href).unwrap().map(|child| child.name)
    }

    #[test]
    fn names_are_decoded_once_wherever_they_are_said_to_lie() {
        let known = [
            ("https://autre.example:8443/partage/webdav/clients/213400172/out/PES/a.xml", "a.xml"),
            ("/partage/webdav/clients/213400172/out/PES/retour%20%C3%A9t%c3%a9.xml", "retour été.xml"),
            ("/partage/webdav/clients/213400172/out/%50ES/100%25%20%2523.xml", "100% %23.xml"),
            ("/partage/webdav/clients/213400172/out/PES/a+b;c&d=e,f'(g).xml", "a+b;c&d=e,f'(g).xml"),
            ("/partage/webdav/clients/213400172/out/PES/TesoT/", "TesoT"),
            ("b.xml", "b.xml"),
            // What is not seen stays as it is written.
            ("/partage/webdav/clients/213400172/out/PES/%E2%80%AElmx.fdp", "%E2%80%AElmx.fdp/"),
            ("/partage/webdav/clients/213400172/out/PES/%FF.xml", "%FF.xml/"),
        ];
        for (href, expected) in known {
            assert_eq!(name(href).as_deref(), Some(expected), "{href}");
        }
        for itself in ["/partage/webdav/clients/213400172/out/PES/", "/partage/webdav/clients/213400172/out/PES"] {
            assert_eq!(name(itself), None);
        }
    }

    #[test]
    fn what_lies_elsewhere_or_has_no_honest_name_is_refused() {
        for href in [
            "/partage/webdav/clients/213400172/out/PES/../autre.xml",
            "/partage/webdav/clients/213400172/out/PES/%2E%2E",
            "/partage/webdav/clients/213400172/out/PES/a%2Fb.xml",
            "/partage/webdav/clients/213400172/out/PES/a%00b",
            "/partage/webdav/clients/213400172/out/PES/a%0Ab",
            "/partage/webdav/clients/213400172/out/PES/x/y.xml",
            "/partage/webdav/clients/999999999/out/PES/a.xml",
            "/partage/webdav/clients/213400172/out/PES//a.xml",
            "/",
            "",
        ] {
            assert!(child(BASE, href).is_err() || child(BASE, href) == Ok(None) && href.is_empty(), "{href}");
        }
    }

    #[test]
    fn a_name_that_is_no_utf8_is_taken_and_is_not_the_one_written_as_it_is_encoded() {
        let names = ["%E9t%E9.xml", "%25E9t%25E9.xml"].map(|href| child(BASE, href).unwrap().unwrap());
        assert_eq!(names.clone().map(|child| child.name), ["%E9t%E9.xml/", "%E9t%E9.xml"]);
        assert_eq!(names.map(|child| child.encoded), ["%E9t%E9.xml", "%25E9t%25E9.xml"]);
        for href in ["a%2F%FF", "%FF%00", "%FF%0A"] {
            assert!(child(BASE, href).is_err(), "{href}");
        }
    }

    proptest! {
        #[test]
        fn any_name_comes_back_as_it_was(name in "[^/\\p{Cc}]{1,40}") {
            prop_assume!(name != "." && name != ".." && !name.contains(is_hidden));
            let href = format!("{BASE}/{}", encode(&name));
            let child = child(BASE, &href).unwrap().unwrap();
            prop_assert_eq!(&child.name, &name);
            prop_assert_eq!(child.encoded, encode(&name));
        }

        #[test]
        fn no_href_leads_out_of_its_folder(href in "\\PC{0,80}") {
            if let Ok(Some(child)) = child(BASE, &href) {
                prop_assert!(!child.encoded.contains('/') && child.encoded != ".." && child.encoded != ".");
            }
        }
    }
}
