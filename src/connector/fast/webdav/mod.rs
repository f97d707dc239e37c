//! FAST over WebDAV (guide v3.4, §4): folders of what comes back, listed one by one, whose files stay until we remove them.
//!
//! `out/` holds a folder for each circuit, these a folder for each label, and beside them `PES_Retour` and `chorus-pivot`.
//! A document is its path with the entity tag of the file, else with its size and date: a name that is used again is
//! another document.

mod etag;
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

    /// What lies in the folder `path`; `None` where there is no such folder.
    async fn folder(&self, path: &[String]) -> Result<Option<Vec<Resource>>, ConnectorError> {
        let mut url = format!("{}{}", self.out, href::encode(path));
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

    /// The entries of a folder, by name; what cannot be taken is noted as refused.
    fn entries(&self, path: &[String], found: Vec<Resource>, listing: &mut Listing) -> Vec<(href::Child, Resource)> {
        let base = format!("{}{}", href::path_of(&self.out), href::encode(path));
        let there = |resource: &Resource| resource.status.is_none_or(|status| (200..300).contains(&status));
        let mut entries = Vec::with_capacity(found.len());
        for resource in found.into_iter().filter(there) {
            match href::child(&base, &resource.href) {
                Ok(Some(child)) => entries.push((child, resource)),
                Ok(None) => {}
                Err(why) => listing.refused.push(why),
            }
        }
        entries
    }

    /// Whether a folder of `out/` holds a circuit that is collected, or one that is not; `None` for those of other feeds.
    fn is_wanted(&self, name: &str) -> Option<bool> {
        if [PES_RETOUR, CHORUS].contains(&name) {
            return None;
        }
        Some(self.circuits.is_empty() || self.circuits.iter().any(|circuit| circuit == name))
    }

    /// `out/`: its folders are the circuits.
    fn circuits(&self, entries: Vec<(href::Child, Resource)>, listing: &mut Listing) {
        let mut loose = 0_usize;
        for (child, resource) in &entries {
            match (resource.collection, self.is_wanted(&child.name)) {
                (true, Some(true)) => listing.further.push(Page(vec![child.name.clone()])),
                (true, Some(false)) => listing.further.push(Page(vec![STRANGE.to_owned(), child.name.clone()])),
                (true, None) => {}
                (false, _) => loose += usize::from(resource.length != Some(0)),
            }
        }
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
        let circuit = path.first().filter(|_| is_circuit);
        let label = path.get(1);
        for (child, resource) in entries {
            if resource.collection {
                // A label has no folders of its own.
                match path.len() {
                    1 => listing.further.push(Page(vec![path[0].clone(), child.name])),
                    _ => listing.notes.push(format!("out/{}/{} is not looked into", path.join("/"), child.name)),
                }
                continue;
            }
            // Nothing was written into it yet.
            if resource.length == Some(0) {
                continue;
            }
            let names: Vec<&str> = path.iter().map(String::as_str).chain([child.name.as_str()]).collect();
            let file = RemoteFile {
                path: format!("{}/{}", href::encode(path), child.encoded),
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
            let path = [name.to_owned()];
            let found = self.folder(&path).await?.unwrap_or_default();
            let entries = self.entries(&path, found, &mut Listing::default());
            if !entries.is_empty() {
                let count = entries.len();
                listing
                    .notes
                    .push(format!("out/{name} holds {count} entries, and is not among `circuits`: left alone"));
            }
            return Ok(listing);
        }
        let Some(found) = self.folder(path).await? else {
            // Empty folders vanish, and come back; the one that holds them all does not.
            return match path.is_empty() {
                true => Err(Access::new(Cause::NotThere, "there is no out/ for this SIREN".to_owned()).into()),
                false => Ok(listing),
            };
        };
        let entries = self.entries(path, found, &mut listing);
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
        let mut strong = strong(file.etag.as_deref());
        if strong.is_none() {
            // Nothing that the server would compare itself: compared by us, just before.
            let head = self.client.request(Method::HEAD, &url, &[], Vec::new());
            let answer = head.await?;
            match answer.status {
                404 | 410 => return Ok(Released::Gone),
                200..300 => {}
                _ => return Err(refusal::of_status(answer, Asked::Document).await),
            }
            if difference(file, &answer, answer.named_length()).is_some() {
                return Ok(Released::Replaced);
            }
            strong = self::strong(answer.header("etag"));
        }
        let condition: Vec<(&'static str, &str)> = strong.iter().map(|tag| ("if-match", tag.as_str())).collect();
        let answer = reattempt::until_connected(|| self.client.request(Method::DELETE, &url, &condition, Vec::new()));
        let answer = answer.await?;
        match answer.status {
            200 | 202 | 204 | 404 | 410 => Ok(Released::Gone),
            412 => Ok(Released::Replaced),
            _ => Err(refusal::of_status(answer, Asked::Document).await),
        }
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
