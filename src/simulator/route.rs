//! What a request asks for: the paths of the editor's guide, §2.6.13–2.6.15.

use super::shop::Request;
use super::soap::{self, Order};
use super::webdav::Place;
use crate::feed::Kind;

const BASE: &str = "/parapheur-ws/rest/v1/documents/v2/";

/// The calls by which documents are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `…/{siren}/{kind}/remaining`, `listRemaining…`, `PROPFIND`
    List,
    /// `…/{id}/{kind}/download`, `download…`, `GET`
    Download,
    /// `…/{id}/download?acquit=true`, `download` with `acquit`: once more, with the file deposited, in a ZIP
    Again,
    /// `HEAD`
    Look,
    /// `DELETE`
    Release,
}

/// The interface that is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Interface {
    Rest,
    /// What the envelope asks for, or the text of the fault that it deserves.
    Soap(Result<Order, String>),
    Webdav(Place),
}

/// A call with its object: the SIREN of a listing, the id (or the path below `out/`) of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) call: Call,
    pub(super) kind: Kind,
    pub(super) subject: String,
    pub(super) interface: Interface,
}

/// The platform's word for a kind, in paths.
pub(super) const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Acquittements => "ack",
        Kind::PesRetour => "pes-retour",
        Kind::Chorus => "chorus",
        Kind::Signes => "signes",
    }
}

impl Route {
    /// Reads a request (a query is ignored); `None` when nothing is there.
    pub(super) fn parse(request: &Request) -> Option<Self> {
        let path = request.path.split_once('?').map_or(request.path.as_str(), |(path, _)| path);
        if path == soap::PATH {
            let order = soap::read(request);
            let (call, kind, subject) = match &order {
                Ok(order) => (order.call, order.kind, order.subject.clone()),
                Err(_) => (Call::List, Kind::Acquittements, String::new()),
            };
            return Some(Self { call, kind, subject, interface: Interface::Soap(order) });
        }
        if let Some(place) = Place::parse(path) {
            return Some(Self::of_place(place, &request.method));
        }
        let (subject, rest) = path.strip_prefix(BASE)?.split_once('/')?;
        if rest == "download" && request.path.ends_with("?fdc=false&acquit=true") {
            let (call, kind) = (Call::Again, Kind::Acquittements);
            return Some(Self { call, kind, subject: percent_decoded(subject)?, interface: Interface::Rest });
        }
        let (kind, call) = rest.split_once('/')?;
        let kind = Kind::USUAL.into_iter().find(|&candidate| word(candidate) == kind)?;
        let call = match call {
            "remaining" => Call::List,
            "download" => Call::Download,
            _ => return None,
        };
        Some(Self { call, kind, subject: percent_decoded(subject)?, interface: Interface::Rest })
    }

    fn of_place(place: Place, method: &str) -> Self {
        let call = match method {
            "PROPFIND" => Call::List,
            "DELETE" => Call::Release,
            "HEAD" => Call::Look,
            _ => Call::Download,
        };
        let kind = match place.path.first().map(String::as_str) {
            Some("PES_Retour") => Kind::PesRetour,
            Some("chorus-pivot") => Kind::Chorus,
            _ => Kind::Acquittements,
        };
        Self { call, kind, subject: place.path.join("/"), interface: Interface::Webdav(place) }
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
        let parse = |path: &str| {
            Route::parse(&Request { method: "GET".to_owned(), path: path.to_owned(), ..Request::default() })
        };
        let route = parse("/parapheur-ws/rest/v1/documents/v2/213400010/pes-retour/remaining").unwrap();
        let subject = "213400010".to_owned();
        assert_eq!(route, Route { call: Call::List, kind: Kind::PesRetour, subject, interface: Interface::Rest });
        let route = parse("/parapheur-ws/rest/v1/documents/v2/a%2Fb%20c/ack/download?x=1").unwrap();
        assert_eq!((route.call, route.subject.as_str()), (Call::Download, "a/b c"));
        for path in
            ["/", "/parapheur-ws/rest/v1/documents/v2/1/ack", "/parapheur-ws/rest/v1/documents/v2/1/fax/download"]
        {
            assert_eq!(parse(path), None, "{path}");
        }
    }
}
