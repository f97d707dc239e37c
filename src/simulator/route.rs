//! What a request asks for: the paths of the editor's guide, §2.6.13–2.6.15.

use crate::feed::Kind;

const BASE: &str = "/parapheur-ws/rest/v1/documents/v2/";

/// The two calls by which documents are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `…/{siren}/{kind}/remaining`
    List,
    /// `…/{id}/{kind}/download`
    Download,
}

/// A call with its object: the SIREN of a listing, the id of a download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) call: Call,
    pub(super) kind: Kind,
    pub(super) subject: String,
}

/// The platform's word for a kind, in paths.
pub(super) const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Acquittements => "ack",
        Kind::PesRetour => "pes-retour",
        Kind::Chorus => "chorus",
    }
}

impl Route {
    /// Reads a path (a query is ignored); `None` when nothing is there.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        let (subject, rest) = path.strip_prefix(BASE)?.split_once('/')?;
        let (kind, call) = rest.split_once('/')?;
        let kind = Kind::ALL.into_iter().find(|&candidate| word(candidate) == kind)?;
        let call = match call {
            "remaining" => Call::List,
            "download" => Call::Download,
            _ => return None,
        };
        Some(Self { call, kind, subject: percent_decoded(subject)? })
    }
}

pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_guide_are_understood_and_others_are_not() {
        let route = Route::parse("/parapheur-ws/rest/v1/documents/v2/213400010/pes-retour/remaining").unwrap();
        assert_eq!(route, Route { call: Call::List, kind: Kind::PesRetour, subject: "213400010".into() });
        let route = Route::parse("/parapheur-ws/rest/v1/documents/v2/a%2Fb%20c/ack/download?x=1").unwrap();
        assert_eq!((route.call, route.subject.as_str()), (Call::Download, "a/b c"));
        for path in
            ["/", "/parapheur-ws/rest/v1/documents/v2/1/ack", "/parapheur-ws/rest/v1/documents/v2/1/fax/download"]
        {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
