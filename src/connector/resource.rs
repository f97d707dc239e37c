//! The APIs of Douane and PISTE: a GET with the account's token, which is asked for anew and the request repeated once
//! where the API has rejected that very token (T2, T3; RFC 6750).

mod refusal;

use std::collections::HashSet;
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::{Access, Cause, Connector, ConnectorError, Download, Listing, Page, bearer};
use crate::content::json;
use crate::feed::RemoteDocument;
use crate::http::{Answer, Carried, Client, HttpError, reattempt};
use crate::token::{Manager, Token};

/// Bytes of an answer that are read into memory, to be compared with the version held.
const LARGEST: usize = 32 << 20;
/// Characters of an item's id.
const LONGEST_ID: usize = 200;
/// Entries of a list that are no ids and shown.
const KEPT: usize = 20;

/// An account's way to its API.
#[derive(Debug)]
pub struct Resource {
    client: Client,
    api_url: String,
    tokens: Arc<Manager>,
    /// `douane/siege`.
    account: String,
}

/// What is known of the version held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
}

/// What a visit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visit {
    /// What is held is still so, the server says.
    Unchanged,
    /// An answer, which may or may not differ.
    Answer {
        /// Its bytes.
        body: Vec<u8>,
        /// Its `ETag` and `Last-Modified`.
        held: Held,
    },
}

impl Resource {
    /// The API at `api_url`, called through `client` with the tokens of `account`.
    #[must_use]
    pub fn new(client: Client, api_url: &str, tokens: Arc<Manager>, account: &str) -> Self {
        Self { client, api_url: api_url.to_owned(), tokens, account: account.to_owned() }
    }

    /// Asks for `path`, unless it is still what is `held`.
    ///
    /// # Errors
    /// What the answer means; a refusal that comes with status 200 is one.
    pub async fn visit(&self, path: &str, held: &Held) -> Result<Visit, ConnectorError> {
        let mut answer = self.get(path, held).await?;
        let conditional = held.etag.is_some() || held.last_modified.is_some();
        if answer.status == 304 && conditional {
            return Ok(Visit::Unchanged);
        }
        let body = self.body(path, &mut answer).await?;
        let header = |name: &str| answer.header(name).map(str::to_owned);
        let held = Held { etag: header("etag"), last_modified: header("last-modified") };
        Ok(Visit::Answer { body, held })
    }

    /// The body of an answer that is none but what was asked for.
    async fn body(&self, path: &str, answer: &mut Answer) -> Result<Vec<u8>, ConnectorError> {
        if answer.status != 200 {
            return Err(refusal::of_status(answer, path, self.platform()).await);
        }
        if let Some(coding) = answer.content_encoding() {
            let detail = format!("the answer came with content coding «{coding}», which was not asked for");
            return Err(ConnectorError::Answered { detail });
        }
        let body = answer.body.read(LARGEST).await.map_err(|error| self.fault(error))?;
        let too_large = || ConnectorError::Answered {
            detail: format!("the answer to {path} is larger than {} MiB, which is not taken", LARGEST >> 20),
        };
        let body = body.ok_or_else(too_large)?;
        match refusal::in_disguise(&body) {
            Some(detail) => Err(ConnectorError::Answered { detail: answer.discreet(detail.as_bytes()) }),
            None => Ok(body),
        }
    }

    /// GETs `path` with the account's token; once more with a new one where that very token was rejected.
    async fn get(&self, path: &str, held: &Held) -> Result<Answer, ConnectorError> {
        let token = self.token().await?;
        let answer = self.send(path, held, &token).await?;
        if !self.rejects(&answer) {
            return Ok(answer);
        }
        if let Err(error) = self.tokens.reject(&self.account, &token.access_token).await {
            let remedy = error.remedy().to_owned();
            return Err(Access::new(Cause::Token { remedy }, error.to_string()).into());
        }
        let token = self.token().await?;
        let answer = self.send(path, held, &token).await?;
        if self.rejects(&answer) {
            let cause = Cause::Api {
                kind: "token_rejected",
                what: "the API rejects a token that it has just given",
                remedy: "compare token_url and api_url: both must be of the same environment; if they are, ask the \
                         platform's support"
                    .to_owned(),
            };
            return Err(Access::new(cause, format!("status {}", answer.status)).into());
        }
        Ok(answer)
    }

    /// A GET changes nothing there: one whose connection did not open is made again.
    async fn send(&self, path: &str, held: &Held, token: &Token) -> Result<Answer, ConnectorError> {
        let url = format!("{}{path}", self.api_url);
        let carried = Carried {
            bearer: Some(&token.access_token),
            etag: held.etag.as_deref(),
            last_modified: held.last_modified.as_deref(),
        };
        let answer = reattempt::until_connected(|| self.client.get_with(&url, "*/*", &carried)).await;
        answer.map_err(|error| self.fault(error))
    }

    async fn token(&self) -> Result<Token, ConnectorError> {
        self.tokens.token(&self.account).await.map_err(|error| {
            let remedy = error.remedy();
            Access::new(Cause::Token { remedy }, error.to_string()).into()
        })
    }

    /// Whether `answer` says that the token it was asked with is not, or no longer, valid (T2).
    fn rejects(&self, answer: &Answer) -> bool {
        if !(400..500).contains(&answer.status) {
            return false;
        }
        match bearer::challenge(answer) {
            Some(challenge) if challenge.error.is_some() => challenge.error.as_deref() == Some("invalid_token"),
            // PISTE's gateway says no more than 401.
            _ => answer.status == 401 && self.platform() == Platform::Piste,
        }
    }

    fn platform(&self) -> Platform {
        if self.account.starts_with("piste/") { Platform::Piste } else { Platform::Douane }
    }

    /// No certificate of ours takes part: what TLS says is not about one.
    fn fault(&self, error: HttpError) -> ConnectorError {
        match error {
            HttpError::Refused { .. } => {
                let remedy = "ask the platform's support, and whether a device inspects TLS on the way".to_owned();
                let cause = Cause::Api { kind: "tls", what: "TLS fails", remedy };
                Access::new(cause, error.to_string()).into()
            }
            other => other.into(),
        }
    }
}

/// The platforms whose resources these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Platform {
    Douane,
    Piste,
}

/// A list of an API, whose items are documents.
#[derive(Debug)]
pub struct Items {
    resource: Resource,
    /// The list.
    path: String,
    /// JSON pointer to an item's id, in the item.
    id: String,
    /// An item, `{id}` standing for its id.
    item: String,
}

impl Items {
    /// The items of the list at `path`; `id` points to the id in each, `item` is where one is fetched.
    #[must_use]
    pub fn new(resource: Resource, path: &str, id: &str, item: &str) -> Self {
        Self { resource, path: path.to_owned(), id: id.to_owned(), item: item.to_owned() }
    }
}

impl Connector for Items {
    async fn list(&self, _page: &Page) -> Result<Listing, ConnectorError> {
        let mut answer = self.resource.get(&self.path, &Held::default()).await?;
        let body = self.resource.body(&self.path, &mut answer).await?;
        read_list(&body, &self.id).map_err(|detail| ConnectorError::NotAListing { detail })
    }

    async fn fetch(&self, document: &RemoteDocument) -> Result<Download, ConnectorError> {
        let path = self.item.replace("{id}", &utf8_percent_encode(&document.id, NON_ALPHANUMERIC).to_string());
        let mut answer = self.resource.get(&path, &Held::default()).await?;
        if matches!(answer.status, 404 | 410) {
            return Err(ConnectorError::Unknown { detail: format!("{path}: status {}", answer.status) });
        }
        if answer.status != 200 {
            return Err(refusal::of_status(&mut answer, &path, self.resource.platform()).await);
        }
        if let Some(coding) = answer.content_encoding() {
            let detail = format!("the item came with content coding «{coding}», which was not asked for");
            return Err(ConnectorError::Broken { detail });
        }
        let length = answer.length();
        // A refusal in an item's place is short: what is longer than a first piece is none.
        let head = answer.body.next().await.map_err(|error| self.resource.fault(error))?;
        match head.as_ref().and_then(|head| refusal::in_words(head)) {
            Some(detail) => Err(ConnectorError::Answered { detail: answer.discreet(detail.as_bytes()) }),
            None => Ok(Download::plain(head, answer.body, length)),
        }
    }
}

/// The ids of a list: an array, or the one array that an object holds.
fn read_list(body: &[u8], pointer: &str) -> Result<Listing, String> {
    let value = json(body)?;
    let entries = match &value {
        Value::Array(entries) => entries,
        Value::Object(members) => {
            let mut arrays = members.values().filter_map(Value::as_array);
            match (arrays.next(), arrays.next()) {
                (Some(entries), None) => entries,
                (None, _) => return Err("it holds no list".to_owned()),
                (Some(_), Some(_)) => return Err("it holds more than one list".to_owned()),
            }
        }
        _ => return Err("it is no list".to_owned()),
    };
    let (mut listing, mut seen, mut refused) = (Listing::default(), HashSet::new(), 0_usize);
    for entry in entries {
        match entry.pointer(pointer).and_then(id) {
            Some(id) if seen.insert(id.clone()) => listing.documents.push(RemoteDocument::of_id(id)),
            Some(_) => listing.duplicates += 1,
            None => {
                refused += 1;
                if refused <= KEPT {
                    listing.refused.push(super::words::shown(&entry.to_string()).chars().take(40).collect());
                }
            }
        }
    }
    if refused > KEPT {
        listing.refused.push(format!("… and {} more", refused - KEPT));
    }
    Ok(listing)
}

fn id(value: &Value) -> Option<String> {
    let id = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let right = !id.trim().is_empty() && id.chars().count() <= LONGEST_ID && !id.contains(crate::words::is_hidden);
    // A whole segment of a path that leads upwards is no id.
    (right && id != "." && id != "..").then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_bare_or_in_an_object_and_each_id_counts_once() {
        let bare = read_list(br#"[{"id": 7}, {"id": "a/b"}, {"id": 7}, {"x": 1}, {"id": ".."}]"#, "/id").unwrap();
        let ids = |listing: &Listing| listing.documents.iter().map(|it| it.id.clone()).collect::<Vec<_>>();
        assert_eq!((ids(&bare), bare.duplicates, bare.refused.len()), (vec!["7".to_owned(), "a/b".to_owned()], 1, 2));
        let held = read_list(br#"{"total": 1, "items": ["x"]}"#, "").unwrap();
        assert_eq!(ids(&held), ["x"]);
        for wrong in ["{}", "{\"a\": [], \"b\": []}", "1", "<html>"] {
            assert!(read_list(wrong.as_bytes(), "/id").is_err(), "{wrong}");
        }
    }
}
