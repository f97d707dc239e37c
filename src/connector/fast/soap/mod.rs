//! FAST over SOAP 1.1 (guide v3.4, §2.5), with the account's certificate: the same documents as over REST, by the same ids.
//!
//! An answer is decoded as it arrives: [`answer`] tells envelopes from parts, [`envelope`] finds the document in one,
//! [`multipart`] takes parts apart, [`base64`] decodes; [`message`] reads what stands around the document, [`listing`] judges
//! ids, and [`fault`] says what a refusal means.
//!
//! A document that came, and whose envelope is not as it should be, is set aside with what is wrong with it: the service may
//! give it only once.

mod answer;
mod base64;
mod envelope;
mod fault;
#[cfg(fuzzing)]
#[path = "../../../fuzzing/soap.rs"]
pub mod fuzzing;
mod listing;
mod message;
mod multipart;
mod request;

use bytes::{Bytes, BytesMut};
use reqwest::Method;

use self::answer::Answer;
use self::envelope::{LARGEST_LIST, Scanner};
use self::listing::Entries;
use self::message::Message;
use super::refusal::{self, Asked};
use super::{GivesAgain, plain};
use crate::connector::words::{shown, summary};
use crate::connector::{Connector, ConnectorError, Download, Listing, Page, Unfit, Unwrap};
use crate::content::platform_error;
use crate::feed::{Kind, RemoteDocument};
use crate::http::{self, Client, HttpError, reattempt};

/// The service, below the platform's address.
const PATH: &str = "/parapheur-soap/soap/v1/Documents";
/// How much of an answer is looked at to tell whether it is an envelope.
const START: usize = 4 << 10;

/// A feed of one account over SOAP.
#[derive(Debug)]
pub struct Soap {
    client: Client,
    url: String,
    siren: String,
    kind: Kind,
    circuits: Vec<String>,
}

impl Soap {
    /// What `kind` holds for the account `siren` at `base_url`, called through `client`, which holds its certificate; signed
    /// documents of `circuits`.
    #[must_use]
    pub fn new(client: Client, base_url: &str, siren: &str, kind: Kind, circuits: &[String]) -> Self {
        let (url, siren) = (format!("{base_url}{PATH}"), siren.to_owned());
        Self { client, url, siren, kind, circuits: circuits.to_vec() }
    }

    async fn send(&self, envelope: Vec<u8>) -> Result<http::Answer, HttpError> {
        let headers = [("content-type", "text/xml; charset=utf-8"), ("soapaction", "\"\""), ("accept", "*/*")];
        self.client.request(Method::POST, &self.url, &headers, envelope).await
    }

    /// Asks for the document `id`.
    async fn download(
        &self,
        operation: &str,
        id: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Download, ConnectorError> {
        let envelope = envelope(operation, parameters)?;
        let mut answer = reattempt::until_connected(|| self.send(envelope.clone())).await?;
        if answer.status != 200 {
            return Err(self.refusal(answer, Asked::Document).await);
        }
        if let Err(error) = plain::uncoded(&answer) {
            return Ok(Download::doubtful(None, answer.body, error.to_string()));
        }
        let content_type = content_type(&answer);
        let head = start(&mut answer).await?;
        if !is_envelope(&content_type, &head) {
            // The intake says what it is, and sets it aside.
            return plain::download(answer, Some(head)).await;
        }
        Ok(match Answer::of(&content_type, Scanner::of_document()) {
            Ok(reader) => Download::wrapped(head, answer.body, Box::new(Wrapped::new(reader, id))),
            Err(doubt) => Download::doubtful(Some(head), answer.body, doubt),
        })
    }

    /// The error that an answer with another status than 200 stands for: a fault says more than its status.
    async fn refusal(&self, mut answer: http::Answer, asked: Asked) -> ConnectorError {
        if let Some(error) = refusal::of_headers(&answer) {
            return error;
        }
        let (status, content_type) = (answer.status, content_type(&answer));
        let body = refusal::read(&mut answer).await;
        match read_whole(&content_type, &body, Scanner::of_document()) {
            Ok(Message::Fault(texts)) => fault::meaning(&texts, status, asked),
            // All documents have one address: what is wrong with it says nothing about any of them.
            _ if matches!(status, 404 | 410) => refusal::of_body(status, &body, Asked::List),
            _ => match refusal::of_body(status, &body, asked) {
                ConnectorError::Answered { .. } if platform_error(&body).is_none() => {
                    let detail = summary(&shown(&String::from_utf8_lossy(&body)));
                    ConnectorError::Unavailable { status, detail }
                }
                error => error,
            },
        }
    }
}

/// The operations that list and that download a kind.
const fn operations(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Acquittements => ("listRemainingAcknowledgements", "downloadAcknowledgement"),
        Kind::PesRetour => ("listRemainingPesRetour", "downloadPesRetour"),
        Kind::Chorus => ("listRemainingChorus", "downloadChorus"),
        Kind::Signes => ("listRemainingSignedDocs", "download"),
    }
}

fn envelope(operation: &str, parameters: &[(&str, &str)]) -> Result<Vec<u8>, ConnectorError> {
    request::envelope(operation, parameters).map_err(|detail| ConnectorError::Answered { detail })
}

fn content_type(answer: &http::Answer) -> String {
    answer.header("content-type").unwrap_or_default().to_owned()
}

/// Reads an answer that is all there.
fn read_whole(content_type: &str, body: &[u8], scanner: Scanner) -> Result<Message, String> {
    let mut answer = Answer::of(content_type, scanner)?;
    answer.feed(body, &mut Vec::new())?;
    answer.finish()
}

impl Connector for Soap {
    fn first_pages(&self) -> Vec<Page> {
        match self.kind {
            Kind::Signes => self.circuits.iter().map(|circuit| Page(vec![circuit.clone()])).collect(),
            _ => vec![Page::default()],
        }
    }

    async fn list(&self, Page(circuit): &Page) -> Result<Listing, ConnectorError> {
        let mut parameters = vec![("siren", self.siren.as_str())];
        parameters.extend(circuit.iter().map(|circuit| ("circuitId", circuit.as_str())));
        let mut answer = self.send(envelope(operations(self.kind).0, &parameters)?).await?;
        if answer.status != 200 {
            return Err(self.refusal(answer, Asked::List).await);
        }
        let not_a_listing = |detail: String| ConnectorError::NotAListing { detail };
        plain::uncoded(&answer).map_err(|error| not_a_listing(error.to_string()))?;
        let content_type = content_type(&answer);
        let scanner = Scanner::of_list(Entries::of(self.kind, circuit.first()));
        let mut reader = Answer::of(&content_type, scanner).map_err(not_a_listing)?;
        let (mut start, mut length, mut outcome) = (Vec::new(), 0, Ok(()));
        while let Some(chunk) = answer.body.next().await? {
            length += chunk.len();
            if length > LARGEST_LIST {
                return Err(not_a_listing(format!("it is larger than {} MiB", LARGEST_LIST >> 20)));
            }
            if start.len() < refusal::READ {
                start.extend_from_slice(&chunk);
            }
            // What it is instead may show later.
            outcome = outcome.and_then(|()| reader.feed(&chunk, &mut Vec::new()));
        }
        match outcome.and_then(|()| reader.finish()) {
            Ok(Message::List(listing)) => Ok(listing),
            Ok(Message::Answer(_)) => Ok(Listing::default()),
            Ok(Message::Fault(texts)) => Err(fault::meaning(&texts, 200, Asked::List)),
            Err(detail) => match platform_error(&start) {
                Some(error) => Err(refusal::of_platform_error(&error, 200, Asked::List)),
                None => Err(not_a_listing(detail)),
            },
        }
    }

    async fn fetch(&self, document: &RemoteDocument) -> Result<Download, ConnectorError> {
        let mut parameters = vec![("documentId", document.id.as_str())];
        if self.kind == Kind::Signes {
            // The file alone: with either the answer is a ZIP (§2.5.1).
            parameters.extend([("fdc", "false"), ("acquit", "false")]);
        }
        self.download(operations(self.kind).1, &document.id, &parameters).await
    }
}

impl GivesAgain for Soap {
    async fn fetch_again(&self, id: &str) -> Result<Download, ConnectorError> {
        self.download("download", id, &[("documentId", id), ("fdc", "false"), ("acquit", "true")]).await
    }
}

/// The start of a body, enough of it to tell an envelope, or all there is.
async fn start(answer: &mut http::Answer) -> Result<Bytes, ConnectorError> {
    let mut start = BytesMut::new();
    while start.len() < START && !is_envelope("", &start) {
        match answer.body.next().await? {
            Some(chunk) => start.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok(start.freeze())
}

fn is_envelope(content_type: &str, head: &[u8]) -> bool {
    let parts = content_type.trim_start().to_lowercase().starts_with("multipart/");
    parts || head.windows(8).take(START).any(|window| window == b"Envelope")
}

/// A document in the envelope it comes in.
#[derive(Debug)]
struct Wrapped {
    reader: Answer,
    id: String,
    /// Something of it has come.
    came: bool,
}

impl Wrapped {
    fn new(reader: Answer, id: &str) -> Self {
        Self { reader, id: id.to_owned(), came: false }
    }
}

impl Unwrap for Wrapped {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let before = out.len();
        self.reader.feed(bytes, out)?;
        self.came |= out.len() > before;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Unfit> {
        let returns = match self.reader.finish()? {
            Message::Answer(returns) => returns,
            Message::List(_) => Vec::new(),
            Message::Fault(texts) if self.came => {
                return Err(format!("a fault follows the document: {}", shown(&texts.join(", "))).into());
            }
            Message::Fault(texts) => return Err(Unfit::Refusal(fault::meaning(&texts, 200, Asked::Document))),
        };
        match returns.iter().map(|it| it.contents).sum::<usize>() {
            0 => return Err("it holds no document".to_owned().into()),
            1 => {}
            count => return Err(format!("it holds {count} documents where one was asked for").into()),
        }
        match returns.iter().find_map(|it| it.document_id.as_ref().filter(|_| it.contents > 0)) {
            Some(other) if *other != self.id => Err(format!("it holds {} in its place", shown(other)).into()),
            _ => Ok(()),
        }
    }
}
