//! FAST over WebDAV (guide v3.4, §4): folders of what comes back, listed one by one, whose files stay until we remove them.
//!
//! `out/` holds a folder for each circuit, these a folder for each label, and beside them `PES_Retour` and `chorus-pivot`.
//! A document is its path with the entity tag of the file, else with its size and date: a name that is used again is
//! another document.

mod etag;
#[cfg(fuzzing)]
#[path = "../../../fuzzing/webdav.rs"]
pub mod fuzzing;
mod href;
mod multistatus;
mod propfind;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reqwest::Method;

use self::etag::Etag;
use self::multistatus::Resource;
use super::plain;
use super::refusal::{self, Asked};
use crate::connector::{Access, Cause, Connector, ConnectorError, Download, Listing, Page, Released};
use crate::feed::{Kind, RemoteDocument, RemoteFile};
use crate::http::{Answer, Client, reattempt};

/// Bytes of a folder's listing that are read: 50 000 entries have about 30 MiB in the most talkative dialect.
const LARGEST_LISTING: usize = 32 << 20;
/// The folders that are no circuits.
const PES_RETOUR: &str = "PES_Retour";
const CHORUS: &str = "chorus-pivot";
/// Stands before the name of a folder that is only looked into.
const STRANGE: &str = "";

/// A feed of one account over WebDAV.
#[derive(Debug)]
pub struct Webdav {
    client: Client,
    /// The address of `out/`, with the slash.
    out: String,
    kind: Kind,
    /// The circuits collected; all where there is none.
    circuits: Vec<String>,
}

impl Webdav {
    /// What `kind` holds for the account `siren` at `base_url`, in `circuits` or (where none is named) all of them, called
    /// through `client`, which holds its certificate.
    #[must_use]
    pub fn new(client: Client, base_url: &str, siren: &str, kind: Kind, circuits: &[String]) -> Self {
        let out = format!("{base_url}/partage/webdav/clients/{siren}/out/");
        Self { client, out, kind, circuits: circuits.to_vec() }
    }

    fn url(&self, file: &RemoteFile) -> String {
        format!("{}{}", self.out, file.path)
    }

    /// What lies in the folder `path`, whose names are encoded; `None` where there is no such folder.
    async fn folder(&self, path: &[String]) -> Result<Option<Vec<Resource>>, ConnectorError> {
        let mut url = format!("{}{}", self.out, path.join("/"));
        if !path.is_empty() {
            url.push('/');
        }
        let not_a_listing = |detail: String| ConnectorError::NotAListing { detail };
        let body = propfind::body().map_err(not_a_listing)?;
        let headers = [("depth", "1"), ("content-type", "application/xml; charset=\"utf-8\""), ("accept", "*/*")];
        let mut answer = self.client.request(method("PROPFIND")?, &url, &headers, body).await?;
        match answer.status {
            207 => plain::uncoded(&answer).map_err(|error| not_a_listing(error.to_string()))?,
            404 | 410 => return Ok(None),
            200..300 => return Err(not_a_listing(format!("status {} in place of 207", answer.status))),
            _ => return Err(refusal::of_status(answer, Asked::List).await),
        }
        let Some(bytes) = answer.body.read(LARGEST_LISTING).await? else {
            return Err(not_a_listing(format!("it is larger than {} MiB", LARGEST_LISTING >> 20)));
        };
        multistatus::parse(&bytes).map(Some).map_err(not_a_listing)
    }

    /// The entries of a folder, by name; what cannot be taken is noted as refused. An answer that speaks of other places only
    /// is none about this folder.
    fn entries(
        &self,
        path: &[String],
        found: Vec<Resource>,
        listing: &mut Listing,
    ) -> Result<Vec<(href::Child, Resource)>, ConnectorError> {
        let base = format!("{}{}", href::path_of(&self.out), path.join("/"));
        let there = |resource: &Resource| resource.status.is_none_or(|status| (200..300).contains(&status));
        let (mut entries, mut refused, mut itself) = (Vec::with_capacity(found.len()), Vec::new(), false);
        for resource in found.into_iter().filter(there) {
            match href::child(&base, &resource.href) {
                Ok(Some(child)) => entries.push((child, resource)),
                Ok(None) => itself = true,
                Err(why) => refused.push(why),
            }
        }
        match refused.first() {
            Some(why) if entries.is_empty() && !itself => {
                let detail =
                    format!("it speaks of other places than {base}: {why}; is a proxy on the way changing addresses?");
                Err(ConnectorError::NotAListing { detail })
            }
            _ => {
                listing.refused.extend(refused);
                Ok(entries)
            }
        }
    }

    /// Whether a folder of `out/` holds a circuit that is collected, or one that is not; `None` for those of other feeds.
    fn is_wanted(&self, name: &str) -> Option<bool> {
        if [PES_RETOUR, CHORUS].contains(&name) {
            return None;
        }
        Some(self.circuits.is_empty() || self.circuits.iter().any(|circuit| circuit == name))
    }

    /// Whether the circuit `name`, which is not collected, holds anything. That it cannot be looked into concerns nobody.
    async fn look_into(&self, name: &str) -> Result<Option<String>, ConnectorError> {
        let (path, shown) = ([name.to_owned()], href::decode(name));
        let found = self.folder(&path).await;
        match found.and_then(|found| self.entries(&path, found.unwrap_or_default(), &mut Listing::default())) {
            Ok(entries) if entries.is_empty() => Ok(None),
            Ok(entries) => {
                let count = entries.len();
                Ok(Some(format!("out/{shown} holds {count} entries, and is not among `circuits`: left alone")))
            }
            Err(error @ ConnectorError::Later { .. }) => Err(error),
            Err(error) => {
                Ok(Some(format!("out/{shown}, which is not among `circuits`, cannot be looked into: {}", error.kind())))
            }
        }
    }

    /// `out/`: its folders are the circuits.
    fn circuits(&self, entries: Vec<(href::Child, Resource)>, listing: &mut Listing) {
        let (mut loose, mut strange) = (0_usize, Vec::new());
        for (child, resource) in &entries {
            match (resource.collection, self.is_wanted(&child.name)) {
                (true, Some(true)) => listing.further.push(Page(vec![child.encoded.clone()])),
                (true, Some(false)) => strange.push(Page(vec![STRANGE.to_owned(), child.encoded.clone()])),
                (true, None) => {}
                (false, _) => loose += usize::from(resource.length != Some(0)),
            }
        }
        // Last, for nothing is collected there.
        listing.further.extend(strange);
        if loose > 0 {
            listing.notes.push(format!("out/ holds {loose} files outside of any circuit: left alone"));
        }
        for circuit in &self.circuits {
            if !entries.iter().any(|(child, resource)| resource.collection && child.name == *circuit) {
                listing.notes.push(format!("out/ has no folder {circuit}, which `circuits` names"));
            }
        }
    }

    /// A folder of files: a circuit, a label, or that of a feed.
    fn files(&self, path: &[String], entries: Vec<(href::Child, Resource)>, listing: &mut Listing) {
        let is_circuit = matches!(self.kind, Kind::Acquittements | Kind::Signes);
        let folders: Vec<String> = path.iter().map(|name| href::decode(name)).collect();
        let circuit = folders.first().filter(|_| is_circuit);
        let label = folders.get(1);
        for (child, resource) in entries {
            if resource.collection {
                // A label has no folders of its own.
                match path.len() {
                    1 => listing.further.push(Page(vec![path[0].clone(), child.encoded])),
                    _ => listing.notes.push(format!("out/{}/{} is not looked into", folders.join("/"), child.name)),
                }
                continue;
            }
            // Nothing was written into it yet.
            if resource.length == Some(0) {
                continue;
            }
            let names: Vec<&str> = folders.iter().map(String::as_str).chain([child.name.as_str()]).collect();
            let file = RemoteFile {
                path: format!("{}/{}", path.join("/"), child.encoded),
                etag: resource.etag.as_ref().map(Etag::header),
                size: resource.length,
                modified: resource.modified,
            };
            let id = format!("{}@{}", names.join("/"), version(&resource));
            let (circuit, label) = (circuit.cloned(), label.cloned());
            listing.documents.push(RemoteDocument { id, circuit, label, file: Some(file) });
        }
    }
}

/// What tells this version of a file from others of its name.
fn version(resource: &Resource) -> String {
    let date = |time: Timestamp| time.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    match (&resource.etag, resource.length, resource.modified) {
        (Some(etag), ..) => etag.tag.clone(),
        (None, length, modified) => {
            let length = length.map(|length| length.to_string());
            length.into_iter().chain(modified.map(date)).collect::<Vec<_>>().join("-")
        }
    }
}

fn method(name: &'static str) -> Result<Method, ConnectorError> {
    let illegal = |_| Access::new(Cause::Setup, format!("{name} is no method")).into();
    Method::from_bytes(name.as_bytes()).map_err(illegal)
}

impl Connector for Webdav {
    fn first_pages(&self) -> Vec<Page> {
        let path = match self.kind {
            Kind::PesRetour => vec![PES_RETOUR.to_owned()],
            Kind::Chorus => vec![CHORUS.to_owned()],
            Kind::Acquittements | Kind::Signes => Vec::new(),
        };
        vec![Page(path)]
    }

    async fn list(&self, Page(path): &Page) -> Result<Listing, ConnectorError> {
        let mut listing = Listing::default();
        if let [STRANGE, name] = path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            listing.notes.extend(self.look_into(name).await?);
            return Ok(listing);
        }
        let Some(found) = self.folder(path).await? else {
            // Empty folders vanish, and come back; the one that holds them all does not.
            if path.is_empty() {
                return Err(Access::new(Cause::NotThere, "there is no out/ for this SIREN".to_owned()).into());
            }
            if self.first_pages().contains(&Page(path.clone())) {
                listing.notes.push(format!("there is no folder out/{}", href::decode(&path.join("/"))));
            }
            return Ok(listing);
        };
        let entries = self.entries(path, found, &mut listing)?;
        if path.is_empty() {
            self.circuits(entries, &mut listing);
        } else {
            self.files(path, entries, &mut listing);
        }
        Ok(listing)
    }

    async fn fetch(&self, document: &RemoteDocument) -> Result<Download, ConnectorError> {
        let Some(file) = &document.file else {
            return Err(ConnectorError::Unknown { detail: "it came over another interface".to_owned() });
        };
        let url = self.url(file);
        let mut answer = reattempt::until_connected(|| self.client.get(&url, "*/*")).await?;
        if answer.status != 200 {
            return Err(refusal::of_status(answer, Asked::Document).await);
        }
        plain::uncoded(&answer)?;
        if let Some(detail) = difference(file, &answer, answer.length()) {
            return Err(ConnectorError::Changed { detail });
        }
        let length = answer.length();
        let head = answer.body.next().await?;
        // A page or a message in its place is not the file: the intake says what it is.
        let instead = !is_of_a_file(&answer) && head.as_ref().is_none_or(|head| refusal::is_message(head));
        let whole = file.size.filter(|_| !instead);
        if let (Some(size), Some(length)) = (whole, length)
            && size != length
        {
            let detail = format!("{length} bytes come where {size} were listed");
            return Err(ConnectorError::Changed { detail });
        }
        Ok(Download::plain(head, answer.body, length).of_size(whole))
    }

    async fn release(&self, document: &RemoteDocument) -> Result<Released, ConnectorError> {
        let Some(file) = &document.file else { return Ok(Released::Gone) };
        let url = self.url(file);
        let (mut strong, mut date) = (strong(file.etag.as_deref()), None);
        if strong.is_none() {
            // Nothing that the server would compare itself: compared by us, just before.
            let head = self.client.request(Method::HEAD, &url, &[], Vec::new());
            let answer = head.await?;
            match answer.status {
                404 | 410 => return Ok(Released::Gone),
                200..300 => {}
                _ => return Err(refusal::of_status(answer, Asked::Document).await),
            }
            match is_still(file, &answer) {
                Some(true) => {}
                Some(false) => return Ok(Released::Replaced),
                None => {
                    let detail = "the server does not tell whether the file is still the one that was collected: remove it \
                                  there by hand";
                    return Err(ConnectorError::Answered { detail: detail.to_owned() });
                }
            }
            strong = self::strong(answer.header("etag"));
            date = answer.header("last-modified").filter(|_| is_firm(&answer)).map(str::to_owned);
        }
        let condition: Vec<(&'static str, &str)> = match (&strong, &date) {
            (Some(tag), _) => vec![("if-match", tag.as_str())],
            (None, Some(date)) => vec![("if-unmodified-since", date.as_str())],
            (None, None) => Vec::new(),
        };
        let answer = reattempt::until_connected(|| self.client.request(Method::DELETE, &url, &condition, Vec::new()));
        let answer = answer.await?;
        match answer.status {
            200 | 202 | 204 | 404 | 410 => Ok(Released::Gone),
            412 => Ok(Released::Replaced),
            _ => Err(refusal::of_status(answer, Asked::Document).await),
        }
    }
}

/// Whether a file is the one listed, as far as an answer without its bytes proves: all that the listing told must be confirmed,
/// and its tag or date be part of it. `None` where that cannot be told: then nothing may be removed.
fn is_still(listed: &RemoteFile, answer: &Answer) -> Option<bool> {
    let tag = |text: &str| Etag::parse(text).map(|etag| etag.tag);
    let (mut known, mut same) = (false, true);
    if let (Some(then), Some(now)) = (listed.etag.as_deref().and_then(tag), answer.header("etag").and_then(tag)) {
        known = true;
        same &= then == now;
    }
    if let (Some(then), Some(now)) = (listed.modified, answer.last_modified()) {
        known = true;
        same &= then.as_second() == now.as_second();
    }
    if let (Some(then), Some(now)) = (listed.size, answer.named_length()) {
        same &= then == now;
    }
    // Another length is another file, whatever else is told.
    if same { known.then_some(true) } else { Some(false) }
}

/// Whether the date of a file tells its versions apart: one of the last minute does not (RFC 9110, §8.8.2.2), and servers refuse
/// to be held to it.
fn is_firm(answer: &Answer) -> bool {
    match (answer.date(), answer.last_modified()) {
        (Some(now), Some(modified)) => now.duration_since(modified) >= jiff::SignedDuration::from_secs(60),
        _ => false,
    }
}

/// An entity tag that a server may be held to: a weak one never matches (RFC 9110, §13.1.1).
fn strong(etag: Option<&str>) -> Option<String> {
    etag.and_then(Etag::parse).filter(|etag| !etag.weak).map(|etag| etag.header())
}

/// Whether an answer tells what only files have.
fn is_of_a_file(answer: &Answer) -> bool {
    answer.header("etag").is_some() || answer.last_modified().is_some()
}

/// How what an answer is about, of `length` bytes, differs from the file listed; `None` where it does not, or does not say.
fn difference(listed: &RemoteFile, answer: &Answer, length: Option<u64>) -> Option<String> {
    let tag = |text: &str| Etag::parse(text).map(|etag| etag.tag);
    if let (Some(then), Some(now)) = (listed.etag.as_deref().and_then(tag), answer.header("etag").and_then(tag)) {
        return (then != now).then(|| "the file was changed since it was listed".to_owned());
    }
    if let (Some(then), Some(now)) = (listed.modified, answer.last_modified())
        && then.as_second() != now.as_second()
    {
        return Some("the file was changed since it was listed".to_owned());
    }
    match (listed.size, length) {
        (Some(then), Some(now)) if then != now && is_of_a_file(answer) => {
            Some(format!("the file has {now} bytes where {then} were listed: it is still being written"))
        }
        _ => None,
    }
}
