//! FAST over SOAP 1.1 (guide v3.4, §2.5), with the account's certificate: the same documents as over REST, by the same ids.
//!
//! An answer is decoded as it arrives: [`answer`] tells envelopes from parts, [`envelope`] finds the document in one,
//! [`multipart`] takes parts apart, [`base64`] decodes; [`fault`] says what a refusal means.

mod answer;
mod base64;
mod envelope;
mod fault;
mod multipart;
mod request;

use bytes::{Bytes, BytesMut};
use reqwest::Method;

use self::answer::Answer;
use self::envelope::{LARGEST_LIST, Message, Return, Scanner};
use super::refusal::{self, Asked};
use super::{listing, plain};
use crate::connector::words::shown;
use crate::connector::{Connector, ConnectorError, Download, Listing, Page, Unwrap};
use crate::feed::{Kind, RemoteDocument};
use crate::http::{self, Client, HttpError, reattempt};

/// The service, below the platform's address.
const PATH: &str = "/parapheur-soap/soap/v1/Documents";
/// How much of an answer is looked at to tell whether it is an envelope.
const START: usize = 4 << 10;
/// Characters of a signed document's id, which the guide does not describe.
const LONGEST_ID: usize = 128;

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

    /// The error that an answer with another status than 200 stands for: a fault says more than its status.
    async fn refusal(&self, mut answer: http::Answer, asked: Asked) -> ConnectorError {
        if let Some(error) = refusal::of_headers(&answer) {
            return error;
        }
        let (status, content_type) = (answer.status, content_type(&answer));
        let body = refusal::read(&mut answer).await;
        match read_whole(&content_type, &body, Scanner::of_document()) {
            Ok(Message::Fault(texts)) => fault::meaning(&texts, status, asked),
            // All documents have one address: that it is missing says nothing about any of them.
            _ if matches!(status, 404 | 410) => refusal::of_body(status, &body, Asked::List),
            _ => refusal::of_body(status, &body, asked),
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
        let Some(body) = answer.body.read(LARGEST_LIST).await? else {
            return Err(not_a_listing(format!("it is larger than {} MiB", LARGEST_LIST >> 20)));
        };
        match read_whole(&content_type, &body, Scanner::of_list()) {
            Ok(Message::Answer(returns)) => Ok(read(returns, self.kind, circuit.first())),
            Ok(Message::Fault(texts)) => Err(fault::meaning(&texts, 200, Asked::List)),
            Err(detail) => match crate::content::platform_error(&body) {
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
        let envelope = envelope(operations(self.kind).1, &parameters)?;
        let mut answer = reattempt::until_connected(|| self.send(envelope.clone())).await?;
        if answer.status != 200 {
            return Err(self.refusal(answer, Asked::Document).await);
        }
        plain::uncoded(&answer)?;
        let content_type = content_type(&answer);
        let head = start(&mut answer).await?;
        if !is_envelope(&content_type, &head) {
            // The intake says what it is, and sets it aside.
            return plain::download(answer, Some(head)).await;
        }
        let broken = |detail: String| ConnectorError::Broken { detail };
        let mut decoded = Vec::new();
        let mut reader = Answer::of(&content_type, Scanner::of_document()).map_err(broken)?;
        reader.feed(&head, &mut decoded).map_err(broken)?;
        while decoded.is_empty() {
            match answer.body.next().await? {
                Some(chunk) => reader.feed(&chunk, &mut decoded).map_err(broken)?,
                None => match reader.finish().map_err(broken)? {
                    Message::Fault(texts) => return Err(fault::meaning(&texts, 200, Asked::Document)),
                    Message::Answer(returns) if !returns.iter().any(|it| it.content) => {
                        return Err(ConnectorError::Answered { detail: "the answer holds no document".to_owned() });
                    }
                    Message::Answer(_) => break,
                },
            }
        }
        let unwrap = Box::new(Wrapped { reader, id: document.id.clone() });
        Ok(Download::wrapped(Bytes::from(decoded), answer.body, unwrap))
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

/// What a listing's returns say.
fn read(returns: Vec<Return>, kind: Kind, circuit: Option<&String>) -> Listing {
    let mut listing = Listing::default();
    for returned in returns {
        let id = returned.text;
        let fits = match kind {
            Kind::Signes => is_id(&id),
            _ => listing::is_id(&id),
        };
        if fits {
            listing.documents.push(RemoteDocument { circuit: circuit.cloned(), ..RemoteDocument::of_id(id) });
        } else {
            listing.refused.push(shown(&id).chars().take(40).collect());
        }
    }
    listing
}

/// Whether `text` can be the id of a signed document.
fn is_id(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(legal)
}

/// A document in the envelope it comes in.
#[derive(Debug)]
struct Wrapped {
    reader: Answer,
    id: String,
}

impl Unwrap for Wrapped {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        self.reader.feed(bytes, out)
    }

    fn finish(&mut self) -> Result<(), String> {
        let returns = match self.reader.finish()? {
            Message::Answer(returns) => returns,
            Message::Fault(texts) => return Err(format!("a fault follows the document: {}", shown(&texts.join(", ")))),
        };
        let documents: Vec<&Return> = returns.iter().filter(|it| it.content).collect();
        let [document] = documents[..] else {
            return Err(format!("the answer holds {} documents where one was asked for", documents.len()));
        };
        match &document.document_id {
            Some(other) if *other != self.id => Err(format!("the answer holds {} in its place", shown(other))),
            _ => Ok(()),
        }
    }
}
