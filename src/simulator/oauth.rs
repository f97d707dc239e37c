//! The token servers of the customs and of PISTE, over plain HTTP on loopback, for both grants at once.
//!
//! `POST /oauth2/token` and `POST /api/oauth/token` give a new token to every client that is [known](Tokens::know), and
//! refuse all others as RFC 6749 §5.2 says. [`Tokens::script`] puts other answers before that, [`Tokens::adjust`] changes
//! lives and latency.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::route::percent_decoded;

/// The longest request read.
const LIMIT: usize = 64 * 1024;

/// A request for a token.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// When it had been read.
    pub at: Instant,
    /// Its path.
    pub path: String,
    /// Its form, decoded.
    pub form: HashMap<String, String>,
    /// The form as it came.
    pub body: String,
    /// The status answered; `None` while the answer is not decided, or where none was given.
    pub status: Option<u16>,
}

/// An answer put before the usual one.
#[derive(Clone, Debug)]
pub enum Script {
    /// This status, these headers (each a whole line) and this body.
    Answer(u16, Vec<String>, String),
    /// The connection is closed without an answer.
    Close,
    /// Nothing ever comes.
    Hang,
}

/// How the server behaves.
#[derive(Clone, Debug)]
pub struct Manners {
    /// The life of each token given, in seconds.
    pub expires_in: u64,
    /// Between a request and its answer.
    pub latency: Duration,
    /// What `token_type` says.
    pub token_type: String,
    /// The header `Date`, if there is one.
    pub date: Option<String>,
    /// This answer, instead of a token, for as long as it is set.
    pub always: Option<Script>,
}

/// A running token server, which ends with this handle.
#[derive(Debug)]
pub struct Tokens {
    desk: Arc<Desk>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Desk {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner {
    clients: HashMap<String, String>,
    manners: Manners,
    scripts: VecDeque<Script>,
    requests: Vec<TokenRequest>,
    given: u64,
    /// Tokens given and not revoked, and until when each is valid.
    valid: HashMap<String, Instant>,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tokens {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let manners = Manners {
            expires_in: 300,
            latency: Duration::ZERO,
            token_type: "Bearer".to_owned(),
            date: None,
            always: None,
        };
        let (clients, scripts, requests) = (HashMap::new(), VecDeque::new(), Vec::new());
        let inner = Inner { clients, manners, scripts, requests, given: 0, valid: HashMap::new() };
        let desk = Arc::new(Desk { inner: Mutex::new(inner), changed: Notify::new() });
        let task = tokio::spawn(accept(listener, Arc::clone(&desk)));
        Ok(Self { desk, address, task })
    }

    /// `token_url` for the customs.
    #[must_use]
    pub fn douane_url(&self) -> String {
        format!("http://{}/oauth2/token", self.address)
    }

    /// `token_url` for PISTE.
    #[must_use]
    pub fn piste_url(&self) -> String {
        format!("http://{}/api/oauth/token", self.address)
    }

    /// Gives tokens to the client `name` with this secret; a later call changes the secret.
    pub fn know(&self, name: &str, secret: &str) {
        self.desk.lock().clients.insert(name.to_owned(), secret.to_owned());
    }

    /// Answers the next request for which no answer is scripted yet.
    pub fn script(&self, script: Script) {
        self.desk.lock().scripts.push_back(script);
    }

    /// Changes how the server behaves from now on.
    pub fn adjust(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.desk.lock().manners);
    }

    /// Whether `token` was given, has not been revoked, and lives.
    #[must_use]
    pub fn is_valid(&self, token: &str) -> bool {
        self.desk.lock().valid.get(token).is_some_and(|end| Instant::now() < *end)
    }

    /// No token given so far is valid any more.
    pub fn revoke_all(&self) {
        self.desk.lock().valid.clear();
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.desk.lock().requests.clone()
    }

    /// Waits until so many requests have come. Has no time limit.
    pub async fn wait_for(&self, count: usize) {
        loop {
            let mut changed = std::pin::pin!(self.desk.changed.notified());
            changed.as_mut().enable();
            if self.desk.lock().requests.len() >= count {
                return;
            }
            changed.await;
        }
    }
}

async fn accept(listener: TcpListener, desk: Arc<Desk>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let desk = Arc::clone(&desk);
        connections.spawn(async move {
            // A client that goes away is no event.
            let _ = converse(stream, &desk).await;
        });
    }
}

async fn converse(mut stream: TcpStream, desk: &Desk) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    while let Some((method, path, body)) = read_request(&mut stream, &mut buffer).await? {
        let (index, script, latency) = {
            let mut inner = desk.lock();
            let form = decode(&body);
            inner.requests.push(TokenRequest { at: Instant::now(), path: path.clone(), form, body, status: None });
            let index = inner.requests.len() - 1;
            let script = inner.scripts.pop_front().or_else(|| inner.manners.always.clone());
            (index, script, inner.manners.latency)
        };
        desk.changed.notify_waiters();
        sleep(latency).await;
        let (status, headers, text) = match script {
            Some(Script::Answer(status, headers, body)) => (status, headers, body),
            Some(Script::Close) => return Ok(()),
            Some(Script::Hang) => std::future::pending().await,
            None => usual(desk, index, &method, &path),
        };
        let date = {
            let mut inner = desk.lock();
            inner.requests[index].status = Some(status);
            inner.manners.date.clone()
        };
        let mut head =
            format!("HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", text.len());
        for line in headers.into_iter().chain(date.map(|date| format!("Date: {date}"))) {
            head += &format!("{line}\r\n");
        }
        stream.write_all(format!("{head}\r\n{text}").as_bytes()).await?;
    }
    Ok(())
}

/// A token for a known client, and a refusal for every other.
fn usual(desk: &Desk, index: usize, method: &str, path: &str) -> (u16, Vec<String>, String) {
    let mut inner = desk.lock();
    let form = inner.requests[index].form.clone();
    let field = |key: &str| form.get(key).cloned().unwrap_or_default();
    let refuse = |status: u16, code: &str| (status, Vec::new(), format!("{{\"error\":\"{code}\"}}"));
    let (name, secret, code) = match (method, path, field("grant_type").as_str()) {
        ("POST", "/oauth2/token", "password") if field("client_id") == "gun-api" => {
            (field("username"), field("password"), "invalid_grant")
        }
        ("POST", "/api/oauth/token", "client_credentials") => {
            (field("client_id"), field("client_secret"), "invalid_client")
        }
        ("POST", "/oauth2/token" | "/api/oauth/token", _) => return refuse(400, "unsupported_grant_type"),
        _ => return refuse(404, "not_found"),
    };
    if field("scope") != "openid" {
        return refuse(400, "invalid_scope");
    }
    if inner.clients.get(&name) != Some(&secret) {
        return refuse(400, code);
    }
    inner.given += 1;
    let token = format!("token-{}-of-{name}", inner.given);
    let end = Instant::now() + Duration::from_secs(inner.manners.expires_in);
    inner.valid.insert(token.clone(), end);
    let body = serde_json::json!({
        "access_token": token,
        "expires_in": inner.manners.expires_in,
        "token_type": inner.manners.token_type,
        "refresh_token": "never to be used",
    });
    (200, vec!["Cache-Control: no-store".to_owned()], body.to_string())
}

/// Reads a request with its body; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<(String, String, String)>> {
    let invalid = |error: httparse::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(head) = parsed.parse(buffer).map_err(invalid)? {
            let (method, path) =
                (parsed.method.unwrap_or_default().to_owned(), parsed.path.unwrap_or_default().to_owned());
            let length = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let length =
                length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok()).unwrap_or(0_usize);
            if buffer.len() >= head + length {
                let body = String::from_utf8_lossy(&buffer[head..head + length]).into_owned();
                buffer.advance(head + length);
                return Ok(Some((method, path, body)));
            }
        }
        if buffer.len() > LIMIT || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// The fields of `application/x-www-form-urlencoded`.
fn decode(body: &str) -> HashMap<String, String> {
    let text = |part: &str| percent_decoded(&part.replace('+', " ")).unwrap_or_default();
    body.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (text(key), text(value))).collect()
}
