//! Tokens for the other programs of this machine: a Unix socket that answers `GET /token/douane/siege`.
//!
//! Who may connect is a matter of the file system: the socket belongs to the daemon's user and group, mode 0660. One
//! answer per connection, in HTTP/1.1: `{"access_token", "expires_in"}`, or `{"error", "remedy"}` with status 401 (the
//! platform refuses the credentials), 404 (no such account) or 503 (try again later).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::{Manager, TokenError};
use crate::clock::Clock;
use crate::socket;

/// Programs served at a time; others wait.
const AT_A_TIME: usize = 64;
/// The longest request read, in bytes.
const HEAD: usize = 8 * 1024;
/// For a request to arrive, and for its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// After an accept that failed (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(200);

/// Where other programs are given tokens; opened and closed as the configuration says.
#[derive(Debug)]
pub struct Counter {
    manager: Arc<Manager>,
    clock: Arc<dyn Clock>,
    open: Option<(PathBuf, JoinHandle<()>)>,
}

impl Counter {
    /// A counter that is closed.
    #[must_use]
    pub fn new(manager: Arc<Manager>, clock: Arc<dyn Clock>) -> Self {
        Self { manager, clock, open: None }
    }

    /// Serves at `socket` from now on, or nowhere. One that cannot be opened is logged: everything else goes on.
    pub async fn serve(&mut self, socket: Option<&Path>) {
        if self.open.as_ref().map(|(path, _)| path.as_path()) == socket {
            return;
        }
        self.close();
        let Some(path) = socket else { return };
        match socket::bind(path).await {
            Ok(listener) => {
                tracing::info!(socket = %path.display(), "programs are given tokens at {}", path.display());
                let work = accept(listener, Arc::clone(&self.manager), Arc::clone(&self.clock));
                self.open = Some((path.to_owned(), tokio::spawn(work)));
            }
            Err(error) => tracing::error!(
                socket = %path.display(),
                "no program is given tokens at {}: {error}; correct [token] socket, or the folder it lies in, and reload",
                path.display()
            ),
        }
    }

    /// Serves nobody any more, and removes the socket.
    pub fn close(&mut self) {
        if let Some((path, work)) = self.open.take() {
            work.abort();
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::debug!(%error, "{} could not be removed", path.display());
            }
        }
    }
}

async fn accept(listener: UnixListener, manager: Arc<Manager>, clock: Arc<dyn Clock>) {
    let mut guests = JoinSet::new();
    loop {
        while guests.len() >= AT_A_TIME {
            guests.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let (manager, clock) = (Arc::clone(&manager), Arc::clone(&clock));
                guests.spawn(async move {
                    // A program that goes away has lost interest.
                    let _ = attend(stream, &manager, &*clock).await;
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a program could not be attended to");
                tokio::time::sleep(PAUSE).await;
            }
        }
        while guests.try_join_next().is_some() {}
    }
}

async fn attend(mut stream: UnixStream, manager: &Arc<Manager>, clock: &dyn Clock) -> io::Result<()> {
    let head = timeout(PATIENCE, read_head(&mut stream)).await??;
    let reply = match Request::parse(&head) {
        Request::Token(account) => token(manager, clock, &account).await,
        Request::Elsewhere => Reply::refuse(404, "there is nothing here", "ask for /token/PLATFORM/ACCOUNT"),
        Request::Otherwise => {
            Reply { header: "Allow: GET\r\n".to_owned(), ..Reply::refuse(405, "only GET is answered", "") }
        }
        Request::Nonsense => Reply::refuse(400, "this is no HTTP request", "ask in HTTP/1.1"),
    };
    timeout(PATIENCE, reply.write(&mut stream)).await?
}

async fn token(manager: &Arc<Manager>, clock: &dyn Clock, account: &str) -> Reply {
    let error = match manager.token(account).await {
        Ok(token) => {
            let body = json!({
                "access_token": token.access_token.expose_secret(),
                "expires_in": token.expires_in.as_secs(),
            });
            return Reply { status: 200, header: String::new(), body: body.to_string().into() };
        }
        Err(error) => error,
    };
    let status = match &error {
        TokenError::Unknown(_) => 404,
        TokenError::Refused { .. } => 401,
        _ => 503,
    };
    let mut reply = Reply::refuse(status, &error.to_string(), &error.remedy());
    if let TokenError::Failed { until, .. } = error {
        let seconds = until.duration_since(clock.now()).as_secs().max(0) + 1;
        reply.header = format!("Retry-After: {seconds}\r\n");
    }
    reply
}

/// What a program asks for.
enum Request {
    /// The token of an account.
    Token(String),
    /// Something that is not there.
    Elsewhere,
    /// By another method than GET.
    Otherwise,
    /// Not in HTTP.
    Nonsense,
}

impl Request {
    fn parse(head: &[u8]) -> Self {
        let Ok(head) = std::str::from_utf8(head) else { return Self::Nonsense };
        let line: Vec<&str> = head.lines().next().unwrap_or_default().split(' ').collect();
        let [method, target, version] = line[..] else { return Self::Nonsense };
        if !version.starts_with("HTTP/1.") || !head.ends_with("\r\n\r\n") {
            return Self::Nonsense;
        }
        // The absolute form names a host, which is nothing on a socket (RFC 9112, §3.2.2).
        let target = target.strip_prefix("http://").map_or(target, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
        let path = target.split(['?', '#']).next().unwrap_or_default();
        match (method, path.strip_prefix("/token/")) {
            ("GET", Some(account)) => Self::Token(account.to_owned()),
            ("GET", None) => Self::Elsewhere,
            _ => Self::Otherwise,
        }
    }
}

struct Reply {
    status: u16,
    /// Further headers, each with the end of its line.
    header: String,
    body: SecretString,
}

impl Reply {
    fn refuse(status: u16, error: &str, remedy: &str) -> Self {
        Self { status, header: String::new(), body: json!({ "error": error, "remedy": remedy }).to_string().into() }
    }

    async fn write(&self, stream: &mut UnixStream) -> io::Result<()> {
        let Self { status, header, body } = self;
        let reason = match status {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "Service Unavailable",
        };
        let body = body.expose_secret();
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Cache-Control: no-store\r\n{header}Connection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    }
}

/// The request's head, or what came instead of one.
async fn read_head(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let count = stream.read(&mut piece).await?;
        head.extend_from_slice(&piece[..count]);
        if let Some(end) = head.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            head.truncate(end + 4);
            return Ok(head);
        }
        if count == 0 || head.len() > HEAD {
            return Ok(head);
        }
    }
}
