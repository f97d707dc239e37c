//! The shared folders (guide v3.4, §4): a tree of files for each account, listed in whatever dialect a test wants.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::answer::Answer;
use super::route::percent_decoded;
use super::shop::Request;

/// The interface, below the platform's address.
const BASE: &str = "/partage/webdav/clients/";

/// What entity tags a server sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Etags {
    /// Strong ones.
    #[default]
    Strong,
    /// Weak ones in listings, strong ones elsewhere: as Apache's for a file that has just been written.
    WeakAtFirst,
    /// Weak ones everywhere.
    Weak,
    /// None.
    None,
}

/// How a server writes its multistatus.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialect {
    /// The prefix of WebDAV's namespace; none: the default namespace.
    pub prefix: Option<&'static str>,
    /// Hrefs are whole addresses, of a host that nobody knows.
    pub absolute: bool,
    /// Each property in a propstat of its own, with one of status 404 among them.
    pub split: bool,
    /// Hexadecimal digits in lower case.
    pub lower: bool,
    /// Entity tags.
    pub etags: Etags,
    /// No dates, anywhere.
    pub undated: bool,
    /// Answers to HEAD tell nothing of the file but its length.
    pub mute: bool,
    /// The tag of an answer to GET is never the one that was listed.
    pub restless: bool,
}

/// A file of an account.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) bytes: Bytes,
    pub(super) version: u64,
    pub(super) modified: Timestamp,
    /// The length listings tell, where that is not the true one: it is being written.
    pub(super) told: Option<usize>,
}

/// The folders and files below `out/` of one account.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) files: BTreeMap<Vec<String>, File>,
    pub(super) folders: BTreeSet<Vec<String>>,
}

/// A place below `out/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) siren: String,
    pub(super) path: Vec<String>,
    /// The path ends with a slash.
    pub(super) slash: bool,
}

impl Place {
    /// Reads the path of a request.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let (siren, rest) = path.strip_prefix(BASE)?.split_once('/')?;
        let rest = rest.strip_prefix("out")?;
        let inner = rest.strip_prefix('/').or(rest.is_empty().then_some(""))?;
        let slash = rest.ends_with('/');
        let names = inner.trim_end_matches('/').split('/').filter(|name| !name.is_empty());
        let path = names.map(percent_decoded).collect::<Option<Vec<_>>>()?;
        Some(Self { siren: percent_decoded(siren)?, path, slash })
    }
}

/// A path as tests write it.
pub(super) fn names(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

impl Tree {
    pub(super) fn put(&mut self, path: Vec<String>, file: File) {
        for depth in 1..path.len() {
            self.folders.insert(path[..depth].to_vec());
        }
        self.files.insert(path, file);
    }

    /// Removes a file; with `vanishing`, the label folder that it leaves empty as well.
    pub(super) fn remove(&mut self, path: &[String], vanishing: bool) -> bool {
        let removed = self.files.remove(path).is_some();
        let folder = &path[..path.len().saturating_sub(1)];
        if vanishing && folder.len() > 1 && !self.files.keys().any(|other| other.starts_with(folder)) {
            self.folders.remove(folder);
        }
        removed
    }

    fn is_folder(&self, path: &[String]) -> bool {
        path.is_empty() || self.folders.contains(path)
    }
}

/// The honest answer of an account's tree.
pub(super) fn respond(tree: &Tree, place: &Place, request: &Request, dialect: Dialect) -> Answer {
    let missing = || Answer::web_server(404, "Not Found", "Not Found");
    match (request.method.as_str(), tree.files.get(&place.path)) {
        ("PROPFIND", _) => match request.header("depth") {
            Some("1") if tree.is_folder(&place.path) && place.slash => multistatus(tree, place, dialect),
            Some("1") if tree.is_folder(&place.path) => {
                Answer::new(301, "text/html", "").with_header("Location", format!("{}/", request.path))
            }
            Some("0" | "1") => missing(),
            _ => Answer::web_server(403, "Forbidden", "Depth is not allowed"),
        },
        (_, None) if tree.is_folder(&place.path) => Answer::web_server(405, "Not Allowed", "Not Allowed"),
        (_, None) => missing(),
        ("GET" | "HEAD", Some(file)) => {
            let mut answer = Answer::new(200, "application/octet-stream", file.bytes.clone());
            if request.method == "HEAD" && dialect.mute {
                return answer;
            }
            if !dialect.undated {
                answer = answer.with_header("Last-Modified", date(file.modified));
            }
            match tag(file, dialect.etags, false) {
                Some(tag) if dialect.restless => answer.with_header("ETag", tag.replacen('"', "\"other-", 1)),
                Some(tag) => answer.with_header("ETag", tag),
                None => answer,
            }
        }
        ("DELETE", Some(file)) if request.header("if-unmodified-since").is_some_and(|it| it != date(file.modified)) => {
            Answer::web_server(412, "Precondition Failed", "Precondition Failed")
        }
        ("DELETE", Some(file)) => match request.header("if-match") {
            // A weak tag never matches.
            Some(wanted) if Some(wanted) != tag(file, Etags::Strong, false).as_deref() => {
                Answer::web_server(412, "Precondition Failed", "Precondition Failed")
            }
            _ => Answer::new(204, "text/plain", ""),
        },
        _ => Answer::web_server(405, "Not Allowed", "Not Allowed"),
    }
}

fn tag(file: &File, etags: Etags, listing: bool) -> Option<String> {
    let tag = format!("\"{:x}-{:x}\"", file.bytes.len(), file.version);
    match etags {
        Etags::None => None,
        Etags::Weak => Some(format!("W/{tag}")),
        Etags::WeakAtFirst if listing => Some(format!("W/{tag}")),
        Etags::Strong | Etags::WeakAtFirst => Some(tag),
    }
}

fn date(time: Timestamp) -> String {
    time.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn multistatus(tree: &Tree, place: &Place, dialect: Dialect) -> Answer {
    let p = dialect.prefix.map(|prefix| format!("{prefix}:")).unwrap_or_default();
    let declaration = dialect.prefix.map_or_else(String::new, |prefix| format!(":{prefix}"));
    let mut text =
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<{p}multistatus xmlns{declaration}=\"DAV:\">\n");
    let mut entry = |path: &[String], properties: Vec<(&str, String)>| {
        let folder = properties.iter().any(|(name, value)| *name == "resourcetype" && !value.is_empty());
        let _ = write!(text, "<{p}response><{p}href>{}</{p}href>", href(place, path, folder, dialect));
        let property = |(name, value): &(&str, String)| format!("<{p}{name}>{value}</{p}{name}>");
        let ok = format!("<{p}status>HTTP/1.1 200 OK</{p}status>");
        if dialect.split {
            for one in &properties {
                let _ = write!(text, "<{p}propstat><{p}prop>{}</{p}prop>{ok}</{p}propstat>", property(one));
            }
            let _ = write!(
                text,
                "<{p}propstat><{p}prop><{p}getcontentlength>1</{p}getcontentlength></{p}prop>\
                 <{p}status>HTTP/1.1 404 Not Found</{p}status></{p}propstat>"
            );
        } else {
            let all: String = properties.iter().map(property).collect();
            let _ = write!(text, "<{p}propstat><{p}prop>{all}</{p}prop>{ok}</{p}propstat>");
        }
        let _ = writeln!(text, "</{p}response>");
    };
    let collection = || ("resourcetype", format!("<{p}collection/>"));
    let below = |path: &&Vec<String>| path.len() == place.path.len() + 1 && path.starts_with(&place.path);
    entry(&place.path, vec![collection()]);
    for folder in tree.folders.iter().filter(below) {
        entry(folder, vec![collection()]);
    }
    for (path, file) in tree.files.iter().filter(|(path, _)| below(path)) {
        let mut properties = vec![
            ("resourcetype", String::new()),
            ("getcontentlength", file.told.unwrap_or(file.bytes.len()).to_string()),
        ];
        properties.extend((!dialect.undated).then(|| ("getlastmodified", date(file.modified))));
        properties.extend(tag(file, dialect.etags, true).map(|tag| ("getetag", tag.replace('"', "&quot;"))));
        entry(path, properties);
    }
    let _ = writeln!(text, "</{p}multistatus>");
    Answer::new(207, "application/xml; charset=\"utf-8\"", text)
}

fn href(place: &Place, path: &[String], folder: bool, dialect: Dialect) -> String {
    let mut href = if dialect.absolute { "http://interne.example:8080".to_owned() } else { String::new() };
    let _ = write!(href, "{BASE}{}/out", place.siren);
    for name in path {
        href.push('/');
        for byte in name.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => href.push(char::from(byte)),
                _ if dialect.lower => {
                    let _ = write!(href, "%{byte:02x}");
                }
                _ => {
                    let _ = write!(href, "%{byte:02X}");
                }
            }
        }
    }
    if folder {
        href.push('/');
    }
    href
}
