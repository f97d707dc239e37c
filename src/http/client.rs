//! The HTTP client of one identity at one origin. It follows no redirect, uses no proxy but the configured one, asks
//! for no compression, and limits every wait.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::Method;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, RETRY_AFTER,
};
use rustls::crypto::ring::default_provider;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, timeout, timeout_at};

use super::HttpError;
use super::public::PublicOnly;
use super::skew::SkewWatch;
use super::verifier::ServerVerifier;

/// Longest wait for a connection, its TLS handshake included.
const CONNECT: Duration = Duration::from_secs(10);
/// Added to the time limit of a request, so that a connection that does not open within it is told as that.
const GRACE: Duration = Duration::from_millis(250);
/// A transfer slower than this for a whole time limit counts as standing still, in bytes per second.
const SLOWEST: u64 = 1024;
/// An idle connection is closed after this.
const IDLE: Duration = Duration::from_secs(30);

/// How a platform is reached.
#[derive(Clone, Debug, Default)]
pub struct Route {
    /// Scheme, host and port: the only origin this client talks to.
    pub origin: String,
    /// Whether that is this machine: then no proxy, and plain HTTP is allowed.
    pub loopback: bool,
    /// `http://host:port` of a proxy.
    pub proxy: Option<String>,
    /// Hosts reached without it.
    pub no_proxy: Vec<String>,
    /// To the first byte, and for any stretch under 1 KiB/s.
    pub timeout: Duration,
    /// Connections kept open between requests.
    pub keep_alive: usize,
    /// Whether its name must lead to the public internet. Where a proxy connects, that one sees to it.
    pub public_only: bool,
    /// Compares the server's clock with ours, where that is wanted.
    pub clocks: Option<Arc<SkewWatch>>,
}

impl Route {
    /// The proxy by which `host` is reached, if it is by one.
    #[must_use]
    pub fn proxy_for(&self, host: &str) -> Option<&str> {
        let excepted = |name: &String| host == name || host.ends_with(&format!(".{}", name.trim_start_matches('.')));
        let direct = self.loopback || self.no_proxy.iter().any(excepted);
        self.proxy.as_deref().filter(|_| !direct)
    }
}

/// A client bound to one origin.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    origin: String,
    host: String,
    timeout: Duration,
    clocks: Option<Arc<SkewWatch>>,
}

impl Client {
    /// Makes a client that shows the certificate in `tls` to `route.origin` and to nobody else.
    ///
    /// # Errors
    /// [`HttpError::Setup`] names what cannot be used.
    pub fn new(tls: rustls::ClientConfig, route: &Route) -> Result<Self, HttpError> {
        let setup = |error: reqwest::Error| HttpError::Setup(error.to_string());
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(!route.loopback)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT.min(route.timeout))
            .pool_max_idle_per_host(route.keep_alive)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .tcp_keepalive(Duration::from_secs(30))
            .user_agent(concat!("vaguemestre/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = route.proxy.as_ref().filter(|_| !route.loopback) {
            let except = reqwest::NoProxy::from_string(&route.no_proxy.join(","));
            builder = builder.proxy(reqwest::Proxy::all(proxy).map_err(setup)?.no_proxy(except));
        }
        let host = route.origin.split_once("://").map_or(route.origin.as_str(), |(_, host)| host).to_owned();
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
        if route.public_only && route.proxy_for(name).is_none() {
            builder = builder.dns_resolver(PublicOnly);
        }
        let (origin, clocks) = (route.origin.clone(), route.clocks.clone());
        Ok(Self { inner: builder.build().map_err(setup)?, origin, host, timeout: route.timeout, clocks })
    }

    /// Host and port, as errors name them.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// GETs `url`, which must be of this client's origin. Answers once the headers have come.
    ///
    /// # Errors
    /// How far it came; an answer of any status is none.
    pub async fn get(&self, url: &str, accept: &'static str) -> Result<Answer, HttpError> {
        self.bound(url)?;
        self.send(self.inner.get(url).header(ACCEPT, accept)).await
    }

    /// GETs `url` as [`Client::get`] does, with what `carried` adds.
    ///
    /// # Errors
    /// How far it came, or that a header cannot carry what it was given; an answer of any status is none.
    pub async fn get_with(&self, url: &str, accept: &'static str, carried: &Carried<'_>) -> Result<Answer, HttpError> {
        self.bound(url)?;
        let mut request = self.inner.get(url).header(ACCEPT, accept);
        if let Some(token) = carried.bearer {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
                .map_err(|_| HttpError::Setup("the token holds characters that no request can carry".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        // What a server gave that no header can carry is left out: the answer comes whole then.
        for (name, value) in [(IF_NONE_MATCH, carried.etag), (IF_MODIFIED_SINCE, carried.last_modified)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
                request = request.header(name, value);
            }
        }
        let answer = self.send(request).await?;
        Ok(Answer { carried: carried.bearer.cloned(), ..answer })
    }

    /// POSTs `form` (`application/x-www-form-urlencoded`) to `url`, which must be of this client's origin.
    ///
    /// # Errors
    /// How far it came; an answer of any status is none.
    pub async fn post_form(&self, url: &str, accept: &'static str, form: &SecretString) -> Result<Answer, HttpError> {
        self.bound(url)?;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = self.inner.post(url).header(ACCEPT, accept).header(CONTENT_TYPE, kind);
        self.send(request.body(form.expose_secret().to_owned())).await
    }

    /// Sends `body` to `url`, which must be of this client's origin, by `method` and with `headers`.
    ///
    /// # Errors
    /// How far it came, or that a header cannot carry what it was given; an answer of any status is none.
    pub async fn request(
        &self,
        method: Method,
        url: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, HttpError> {
        self.bound(url)?;
        let mut request = self.inner.request(method, url);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| HttpError::Setup(format!("the header {name} cannot carry what it was given")))?;
            request = request.header(*name, value);
        }
        self.send(if body.is_empty() { request } else { request.body(body) }).await
    }

    /// Nothing is sent to another origin (F10).
    fn bound(&self, url: &str) -> Result<(), HttpError> {
        let within = url.strip_prefix(&self.origin).is_some_and(|rest| rest.starts_with('/'));
        if !within {
            return Err(HttpError::Setup(format!("{url} is not of {}: nothing was sent", self.origin)));
        }
        Ok(())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, HttpError> {
        let asked = self.clocks.as_ref().map(|clocks| clocks.now());
        // To the first byte, connecting included.
        let answer = match timeout(self.timeout + GRACE, request.send()).await {
            Err(_) => Err(HttpError::NoAnswer { host: self.host.clone(), seconds: self.timeout.as_secs() }),
            Ok(Err(error)) => Err(HttpError::classify(&self.host, &error)),
            Ok(Ok(response)) => Ok(Answer {
                status: response.status().as_u16(),
                headers: response.headers().clone(),
                carried: None,
                body: Body {
                    host: self.host.clone(),
                    limit: self.timeout,
                    stretch: Stretch { since: Instant::now(), bytes: 0 },
                    received: 0,
                    response,
                },
            }),
        };
        if let (Some(clocks), Some(asked), Ok(answer)) = (&self.clocks, asked, &answer)
            && let Some(date) = answer.date()
        {
            clocks.compare(&self.origin, date, asked);
        }
        answer
    }
}

/// What a request carries beside its address.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried<'a> {
    /// The access token (RFC 6750, §2.1).
    pub bearer: Option<&'a SecretString>,
    /// The `ETag` of what is held: the answer is 304 where that has not changed (RFC 9110, §13.1.2).
    pub etag: Option<&'a str>,
    /// Its `Last-Modified`, likewise (RFC 9110, §13.1.3).
    pub last_modified: Option<&'a str>,
}

/// An answer whose headers have come.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    headers: HeaderMap,
    /// The token it was asked with.
    carried: Option<SecretString>,
    /// Its body, yet to be read.
    pub body: Body,
}

impl Answer {
    /// Seconds the server asks us to wait, as a number or as a date read against its own `Date` (RFC 9110, §10.2.3).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        Duration::try_from(http_date(text)?.duration_since(self.date()?)).ok()
    }

    /// The server's wall time as it made the answer (its header `Date`, to the second).
    #[must_use]
    pub fn date(&self) -> Option<Timestamp> {
        http_date(self.headers.get(DATE)?.to_str().ok()?)
    }

    /// The first header `name` (in lower case), if it is one of printable ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers `name`, in their order.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// What the server says, less the token it was asked with: some repeat in an error what they were sent (T5).
    #[must_use]
    pub fn discreet(&self, said: &[u8]) -> String {
        let said = String::from_utf8_lossy(said);
        match self.carried.as_ref().map(|token| token.expose_secret()).filter(|token| !token.is_empty()) {
            Some(token) => said.replace(token, "…"),
            None => said.into_owned(),
        }
    }

    /// A content coding that was not asked for: the bytes are not those of the document.
    #[must_use]
    pub fn content_encoding(&self) -> Option<&str> {
        let coding = self.headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("unreadable");
        (!coding.eq_ignore_ascii_case("identity")).then_some(coding)
    }

    /// The length the server announced, in bytes.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.body.response.content_length()
    }

    /// The length that the headers name, in bytes: of an answer to HEAD, that of what GET would bring.
    #[must_use]
    pub fn named_length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// When what it brings was last changed (RFC 9110, §8.8.2).
    #[must_use]
    pub fn last_modified(&self) -> Option<Timestamp> {
        http_date(self.header("last-modified")?)
    }

    /// Where a redirect points: never followed, but named to the operator.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.headers.get(reqwest::header::LOCATION)?.to_str().ok()
    }
}

/// A time as HTTP writes it (RFC 9110, §5.6.7).
#[must_use]
pub fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

/// TLS without a certificate of ours, to servers that `verifier` accepts; without one, to no server at all (plain HTTP
/// on loopback needs none).
///
/// # Errors
/// [`HttpError::Setup`] if the TLS library finds no protocol version to offer.
pub fn anonymous_tls(verifier: Option<Arc<ServerVerifier>>) -> Result<rustls::ClientConfig, HttpError> {
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| HttpError::Setup(error.to_string()))?;
    Ok(match verifier {
        Some(verifier) => builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth(),
        None => builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth(),
    })
}

/// A body on its way.
#[derive(Debug)]
pub struct Body {
    host: String,
    limit: Duration,
    stretch: Stretch,
    received: u64,
    response: reqwest::Response,
}

/// The stretch of time over which the present rate is judged.
#[derive(Debug)]
struct Stretch {
    since: Instant,
    bytes: u64,
}

impl Body {
    /// The next bytes; `None` at the end, which the server has marked as one.
    ///
    /// # Errors
    /// `Stalled` or `Broken`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, HttpError> {
        match timeout_at(self.stretch.since + self.limit, self.response.chunk()).await {
            Err(_) => Err(HttpError::Stalled { host: self.host.clone(), bytes: self.received }),
            Ok(Err(error)) => Err(HttpError::cut(&self.host, &error, self.received)),
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(chunk))) => {
                self.received += chunk.len() as u64;
                self.stretch.bytes += chunk.len() as u64;
                if self.stretch.bytes >= SLOWEST * self.limit.as_secs().max(1) {
                    self.stretch = Stretch { since: Instant::now(), bytes: 0 };
                }
                Ok(Some(chunk))
            }
        }
    }

    /// Reads the whole body, if it has at most `limit` bytes; `None` where it has more.
    ///
    /// # Errors
    /// `Stalled` or `Broken`.
    pub async fn read(&mut self, limit: usize) -> Result<Option<Vec<u8>>, HttpError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.next().await? {
            if bytes.len() + chunk.len() > limit {
                return Ok(None);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Some(bytes))
    }
}
