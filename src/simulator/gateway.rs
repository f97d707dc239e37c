//! The APIs of the customs and of PISTE, over plain HTTP on loopback: resources that change, lists with items, for
//! whoever brings a token that [`Tokens`] gave.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::http::{Reply, Request, Server};
use super::oauth::Tokens;

/// A request for a resource.
#[derive(Clone, Debug)]
pub struct ResourceRequest {
    /// When it came.
    pub at: Instant,
    /// Its path and query.
    pub target: String,
    /// The token it brought.
    pub token: Option<String>,
    /// Its `If-None-Match`.
    pub etag: Option<String>,
    /// The status answered.
    pub status: u16,
}

/// A running API, which ends with this handle.
#[derive(Debug)]
pub struct Gateway {
    server: Server,
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    tokens: Arc<Tokens>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    resources: HashMap<String, (String, Vec<u8>, u64)>,
    scripts: VecDeque<Reply>,
    requests: Vec<ResourceRequest>,
    /// PISTE refuses tokens by a 401 and nothing else.
    bare: bool,
    versions: u64,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Starts an API for the tokens of `tokens`, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(tokens: Arc<Tokens>) -> io::Result<Self> {
        let desk = Arc::new(Desk { tokens, inner: Mutex::default() });
        let server = Server::start({
            let desk = Arc::clone(&desk);
            move |request| {
                let reply = answer(&desk, &request);
                async move { Some(reply) }
            }
        });
        Ok(Self { server: server.await?, desk })
    }

    /// `api_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Serves `body` at `path` from now on, as another version than before.
    pub fn put(&self, path: &str, media: &str, body: impl Into<Vec<u8>>) {
        let mut inner = self.desk.lock();
        inner.versions += 1;
        let version = inner.versions;
        inner.resources.insert(path.to_owned(), (media.to_owned(), body.into(), version));
    }

    /// Answers the next request so, whatever it asks.
    pub fn script(&self, reply: Reply) {
        self.desk.lock().scripts.push_back(reply);
    }

    /// Refuses tokens by a bare 401, as PISTE does.
    pub fn refuse_barely(&self) {
        self.desk.lock().bare = true;
    }

    /// All requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ResourceRequest> {
        self.desk.lock().requests.clone()
    }
}

fn answer(desk: &Desk, request: &Request) -> Reply {
    let token = request.bearer().map(str::to_owned);
    let valid = token.as_deref().is_some_and(|token| desk.tokens.is_valid(token));
    let mut inner = desk.lock();
    let etag = request.header("if-none-match").map(str::to_owned);
    let reply = match inner.scripts.pop_front() {
        Some(reply) => reply,
        None if !valid && inner.bare => Reply::new(401, "text/plain", "Unauthorized"),
        None if !valid => Reply::new(401, "text/plain", "no")
            .with("WWW-Authenticate: Bearer realm=\"douane\", error=\"invalid_token\", error_description=\"expired\""),
        None => match inner.resources.get(&request.path()) {
            None => Reply::new(404, "text/plain", "no such resource"),
            Some((_, _, version)) if etag.as_deref() == Some(format!("\"v{version}\"").as_str()) => {
                Reply { status: 304, ..Reply::default() }.with(format!("ETag: \"v{version}\""))
            }
            Some((media, body, version)) => Reply::new(200, media, body.clone()).with(format!("ETag: \"v{version}\"")),
        },
    };
    let target = request.target.clone();
    inner.requests.push(ResourceRequest { at: Instant::now(), target, token, etag, status: reply.status });
    reply
}
