//! Who asks for what, and what they are told. GET and HEAD only: nothing can be changed here.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode, Version};
use percent_encoding::percent_decode_str;

use super::page::{self, Facts};
use super::words::Words;
use super::{Desk, Sources, metrics, sheet};
use crate::status::{FeedStatus, Matter, Overview, Severity, Trouble};
use crate::tongue::Tongue;

type Body = UnsyncBoxBody<Bytes, Infallible>;
type Reply = Response<Body>;

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const STYLE: &str = include_str!("style.css");
const ICON: &str = include_str!("icon.svg");

/// On every answer: nothing from elsewhere is loaded, run or framed, and nothing is kept by anybody.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Feeds of `/status` that are written at a time: with thousands, the whole is never in memory.
const AT_A_TIME: usize = 64;

/// How the request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By TCP: a web page may have lured somebody's browser here.
    Port,
    /// By a Unix socket, which no browser reaches.
    Socket,
}

/// Answers `request`, whatever its body is.
pub(super) async fn answer<B>(request: Request<B>, way: Way, desk: &Desk) -> Reply {
    let mut reply = if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut reply =
            plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered: nothing can be changed here\n");
        reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        reply
    } else if way == Way::Port && !addresses_us(&request, &desk.sources.host) {
        plain(
            StatusCode::MISDIRECTED_REQUEST,
            "this name is not known here: ask by the IP address, by localhost or by this machine's own name\n",
        )
    } else {
        let tongue = Tongue::of_browser(text(request.headers(), header::ACCEPT_LANGUAGE).unwrap_or_default());
        route(request.uri().path(), request.uri().query().unwrap_or_default(), tongue, desk).await
    };
    for (name, value) in HEADERS {
        reply.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    reply
}

async fn route(path: &str, query: &str, tongue: Tongue, desk: &Desk) -> Reply {
    let sources = &desk.sources;
    match path {
        "/" => front(query, Words::of(tongue), desk).await,
        "/style.css" => whole(StatusCode::OK, "text/css; charset=utf-8", STYLE),
        "/icon.svg" => whole(StatusCode::OK, "image/svg+xml", ICON),
        "/livez" => health(sources.life.lives(), "alive\n"),
        "/readyz" => health(sources.life.collects(), "ready\n"),
        "/status" => match desk.overview() {
            Some(overview) => status(overview),
            None => plain(StatusCode::SERVICE_UNAVAILABLE, "nothing is known yet: the daemon has only just started\n"),
        },
        "/metrics" => {
            let overview = desk.overview();
            let facts = metrics::Facts {
                overview: overview.as_deref(),
                life: &sources.life,
                tally: &sources.tally,
                ledger_bytes: ledger_bytes(sources),
                now: sources.clock.now(),
            };
            whole(StatusCode::OK, sheet::MEDIA_TYPE, metrics::text(&facts))
        }
        _ => plain(
            StatusCode::NOT_FOUND,
            "there is nothing here; / is a page for people, others are /metrics, /status, /livez and /readyz\n",
        ),
    }
}

async fn front(query: &str, words: &Words, desk: &Desk) -> Reply {
    let sources = &desk.sources;
    let (overview, now) = (desk.overview(), sources.clock.now());
    // Why it could not be asked is a problem of its own, told above.
    let days = sources.plot.days(&sources.ledger, now).await.ok();
    let filter = parameter(query, "feed").unwrap_or_default();
    let facts = Facts {
        words,
        overview: overview.as_deref(),
        filter: filter.trim(),
        of_our_own: of_our_own(sources, overview.as_deref()),
        days: days.as_deref(),
        started: sources.life.started,
        now,
    };
    let mut reply = whole(StatusCode::OK, HTML, page::page(&facts));
    reply.headers_mut().insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(words.language));
    reply.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-language"));
    reply
}

/// What keeps the daemon itself from collecting, where the overview does not tell it, and better.
fn of_our_own(sources: &Sources, overview: Option<&Overview>) -> Option<String> {
    let full = |trouble: &Trouble| {
        trouble.kind == Matter::DiskFailed || (trouble.kind == Matter::DiskLow && trouble.severity == Severity::Error)
    };
    let told = overview.is_some_and(|overview| overview.troubles.iter().any(full));
    sources.life.obstacle().filter(|_| !told)
}

/// What a form has sent as `name`.
fn parameter(query: &str, name: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    Some(percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned())
}

fn health(outcome: Result<(), String>, well: &'static str) -> Reply {
    match outcome {
        Ok(()) => plain(StatusCode::OK, well),
        Err(why) => plain(StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}

fn plain(status: StatusCode, text: impl Into<Bytes>) -> Reply {
    whole(status, TEXT, text)
}

fn whole(status: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Reply {
    finish(status, media_type, Full::new(text.into()).boxed_unsync())
}

fn finish(status: StatusCode, media_type: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    reply
}

/// What `status --json` prints, piece by piece.
fn status(overview: Arc<Overview>) -> Reply {
    const FEEDS: &str = r#""feeds":[]"#;
    let frame = serde_json::to_string(&overview.without_feeds()).unwrap_or_default();
    // Within a text its quotes would be escaped.
    let Some((before, after)) = frame.split_once(FEEDS) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the status could not be written: this is a defect\n");
    };
    let (before, after) = (format!(r#"{before}"feeds":["#), format!("]{after}\n"));
    let count = overview.feeds.len();
    let pieces = (0..count).step_by(AT_A_TIME).map(move |from| {
        let feeds = &overview.feeds[from..count.min(from + AT_A_TIME)];
        let written: Vec<String> = feeds.iter().filter_map(written).collect();
        if from == 0 { written.join(",") } else { format!(",{}", written.join(",")) }
    });
    let all = std::iter::once(before).chain(pieces).chain(std::iter::once(after));
    let frames = all.map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
    finish(StatusCode::OK, JSON, StreamBody::new(stream::iter(frames)).boxed_unsync())
}

fn written(feed: &FeedStatus) -> Option<String> {
    serde_json::to_string(feed).ok()
}

fn ledger_bytes(sources: &Sources) -> Option<u64> {
    let path = sources.ledger.path();
    let log = path.with_extension("sqlite-wal").metadata().map_or(0, |facts| facts.len());
    Some(path.metadata().ok()?.len() + log)
}

/// Whether the request names this machine, and not something that a stranger's name server has pointed here: a page from
/// elsewhere would otherwise be let read the answers, as one of its own (DNS rebinding).
fn addresses_us<B>(request: &Request<B>, host: &str) -> bool {
    let named = request.uri().authority().map(|it| it.as_str()).or_else(|| text(request.headers(), header::HOST));
    match named {
        Some(named) => is_ours(named, host),
        // No browser speaks HTTP/1.0; simple probes do, and name nobody.
        None => request.version() == Version::HTTP_10,
    }
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Whether `named`, a host with or without a port, is an IP address, `localhost`, or `host`, this machine's name.
fn is_ours(named: &str, host: &str) -> bool {
    let name = match named.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => named.rsplit_once(':').map_or(named, |(name, _)| name),
    };
    let short = host.split('.').next().unwrap_or_default();
    let ours = ["localhost", host, short].into_iter().filter(|name| !name.is_empty());
    name.parse::<IpAddr>().is_ok() || ours.into_iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_strangers_server_may_point_here_are_not_ours() {
        for named in [
            "127.0.0.1:9464",
            "127.0.0.1",
            "[::1]:9464",
            "[::1]",
            "10.0.0.9:1",
            "localhost:9464",
            "LOCALHOST",
            "town",
            "town:1",
            "town.example.fr:9464",
        ] {
            assert!(is_ours(named, "town.example.fr"), "{named}");
        }
        for named in [
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example:9464",
            "127.0.0.1.evil.example",
            "",
            ":9464",
            "town.evil.example",
            "[evil]:1",
        ] {
            assert!(!is_ours(named, "town.example.fr"), "{named}");
            assert!(!is_ours(named, ""), "{named}");
        }
    }

    #[test]
    fn what_a_form_sends_is_read_back() {
        assert_eq!(parameter("a=1&feed=fast%2F*+x%C3%A9&feed=2", "feed").unwrap(), "fast/* xé");
        assert_eq!(parameter("feedback=1&feed", "feed"), None);
    }
}
