//! Faults of the wire, byte by byte, on every kind of request that is made: each ends in time, with an error that says what
//! happened, and the neighbour's feed goes on meanwhile (F7, F8, F10).
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "../common/mod.rs"]
mod common;

mod apis;
mod fast;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use common::wire::{Step, answer};

/// A fault made of an honest answer's head and body, and the words by which an error tells it of a listing and of a document.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    play: fn(Honest) -> Vec<Step>,
    listing: &'static str,
    document: &'static str,
}

/// An honest answer.
struct Honest {
    /// The headers that say what it is.
    kind: String,
    status: &'static str,
    body: Vec<u8>,
}

impl Honest {
    fn whole(&self) -> Bytes {
        answer(self.status, &self.kind, &self.body)
    }

    fn head(&self) -> Bytes {
        let whole = self.whole();
        whole.slice(..whole.len() - self.body.len())
    }

    /// Status line and headers, less the length; the end of the head is to be added.
    fn open(&self, headers: &str) -> Bytes {
        format!("HTTP/1.1 {}\r\n{}{headers}", self.status, self.kind).into()
    }

    fn chunked(&self, rest: impl AsRef<[u8]>) -> Vec<Step> {
        vec![Step::Say(self.open("Transfer-Encoding: chunked\r\n\r\n")), Step::Say(rest.as_ref().to_vec().into())]
    }

    fn chunk(&self) -> Vec<u8> {
        [format!("{:x}\r\n", self.body.len()).as_bytes(), &self.body, b"\r\n"].concat()
    }

    /// The answer up to byte `at` of the whole of it.
    fn until(&self, at: usize) -> Step {
        Step::Say(self.whole().slice(..at))
    }
}

const fn fault(name: &'static str, play: fn(Honest) -> Vec<Step>, words: &'static str) -> Fault {
    Fault { name, play, listing: words, document: words }
}

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const NGINX_400: &str = "<html><head><title>400 No required SSL certificate was sent</title></head><body>\
    <center><h1>400 Bad Request</h1></center></body></html>";

/// Slowness, which no test of a connection's life would show.
const SLOW: &[Fault] = &[
    fault("headers byte by byte", |it| vec![Step::Drip(it.whole(), ms(500))], "did not answer within 1 s"),
    fault("a status line and no more", |_| vec![Step::Say("HTTP/1.1 200 OK\r\n".into()), Step::Hang], "did not answer"),
    fault("headers without end, slowly", |_| slow_head("X-More: x\r\n"), "did not answer within 1 s"),
    fault("interim answers without end", |_| slow_head("\r\nHTTP/1.1 100 Continue\r\n"), "did not answer within 1 s"),
    fault("a body byte by byte", |it| vec![Step::Say(it.head()), Step::Drip(it.body.into(), ms(150))], "stood still"),
    fault("headers, and no body", |it| vec![Step::Say(it.head()), Step::Hang], "stood still after 0 bytes"),
    fault("all but the last byte", |it| vec![it.until(it.whole().len() - 1), Step::Hang], "stood still after"),
    fault(
        "chunks of a byte",
        |it| [it.chunked(""), vec![Step::Trickle("1\r\n \r\n".into(), ms(100))]].concat(),
        "stood still after",
    ),
    fault(
        "chunks that never begin",
        |it| [it.chunked(""), vec![Step::Trickle("0".into(), ms(100))]].concat(),
        "stood still after 0 bytes",
    ),
];

fn slow_head(line: &'static str) -> Vec<Step> {
    vec![Step::Say("HTTP/1.1 100 Continue\r\n".into()), Step::Trickle(line.into(), ms(50))]
}

/// Connections that end, at every class of byte.
const ENDS: &[Fault] = &[
    fault("a reset in place of an answer", |_| vec![Step::Reset], "broke after 0 bytes"),
    fault("a reset after 1 byte", |it| vec![it.until(1), Step::Reset], "broke after 0 bytes"),
    fault("a reset inside the headers", |it| vec![it.until(30), Step::Reset], "broke after 0 bytes"),
    fault("a reset before the end of the headers", |it| vec![it.until(it.head().len() - 1), Step::Reset], "broke"),
    fault("a reset before the first byte of the body", |it| vec![Step::Say(it.head()), Step::Reset], "broke after 0"),
    fault("a reset after the first byte of the body", |it| vec![it.until(it.head().len() + 1), Step::Reset], "broke"),
    fault("a reset before the last byte of the body", |it| vec![it.until(it.whole().len() - 1), Step::Reset], "broke"),
    fault(
        "a reset between two records",
        |it| vec![Step::Say(it.head()), Step::Say(it.body[..it.body.len() / 2].to_vec().into()), Step::Reset],
        "broke after",
    ),
    fault("a reset inside a record", |it| vec![Step::Say(it.head()), Step::TornRecord(it.body.into())], "broke after"),
    fault("an end in place of an answer", |_| vec![Step::Close], "broke after 0 bytes"),
    fault("an end after 1 byte", |it| vec![it.until(1), Step::Close], "broke after 0 bytes"),
    fault("an end inside the headers", |it| vec![it.until(30), Step::Close], "broke after 0 bytes"),
    fault("an end before the body", |it| vec![Step::Say(it.head()), Step::Close], "broke after 0 bytes"),
    fault("an end before the last byte", |it| vec![it.until(it.whole().len() - 1), Step::Close], "broke after"),
    fault("an end of TCP in place of an answer", |_| vec![Step::Abrupt], "broke after 0 bytes"),
    fault("an end of TCP inside the headers", |it| vec![it.until(30), Step::Abrupt], "broke after 0 bytes"),
    fault("an end of TCP before the last byte", |it| vec![it.until(it.whole().len() - 1), Step::Abrupt], "broke after"),
    fault("half closed in place of an answer", |_| vec![Step::HalfClose], "broke after 0 bytes"),
    fault("half closed in the body", |it| vec![it.until(it.head().len() + 9), Step::HalfClose], "broke after 9 bytes"),
];

/// Answers that are no HTTP, or are told wrongly.
const NONSENSE: &[Fault] = &[
    fault("a chunk of no size", |it| it.chunked("\r\n"), "broke after 0 bytes"),
    fault("a chunk of no number", |it| it.chunked("zz\r\n"), "broke after 0 bytes"),
    fault("a chunk of less than nothing", |it| it.chunked("-1\r\n"), "broke after 0 bytes"),
    fault("a chunk larger than any number", |it| it.chunked("fffffffffffffffff\r\n"), "broke after 0 bytes"),
    fault("a chunk longer than said", |it| it.chunked([&b"1\r\n"[..], &it.body, b"\r\n0\r\n\r\n"].concat()), "broke"),
    fault(
        "a chunk that ends early",
        |it| [it.chunked("ffff\r\nabc"), vec![Step::Close]].concat(),
        "broke after 3 bytes",
    ),
    fault(
        "the last chunk without its end",
        |it| [it.chunked([&it.chunk(), &b"0\r\n"[..]].concat()), vec![Step::Close]].concat(),
        "broke after",
    ),
    fault("no last chunk", |it| [it.chunked(it.chunk()), vec![Step::Close]].concat(), "broke after"),
    fault("a chunk's extension of a megabyte", |it| it.chunked(format!("1;{}", "x".repeat(1 << 20))), "broke after 0"),
    fault(
        "trailers without end",
        |it| {
            [it.chunked([&it.chunk(), &b"0\r\n"[..]].concat()), vec![Step::Forever("X-T: x\r\n".repeat(500).into())]]
                .concat()
        },
        "broke after",
    ),
    fault(
        "two lengths",
        |it| vec![Step::Say(it.open("Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"))],
        "broke after 0 bytes",
    ),
    fault(
        "a length less than nothing",
        |it| vec![Step::Say(it.open("Content-Length: -3\r\n\r\nabc"))],
        "broke after 0",
    ),
    fault("a length with a sign", |it| vec![Step::Say(it.open("Content-Length: +3\r\n\r\nabc"))], "broke after 0"),
    fault("another protocol", |_| vec![Step::Say("SSH-2.0-OpenSSH_9.2p1\r\n".into())], "broke after 0 bytes"),
    fault("bytes of no protocol", |_| vec![Step::Say(vec![0, 159, 255, 1, 13, 10].into())], "broke after 0 bytes"),
    fault("HTTP/2", |_| vec![Step::Say(vec![0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0, 16, 0].into())], "broke after 0"),
    fault(
        "a header of two megabytes",
        |it| vec![Step::Say(it.open(&format!("X-Padding: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(2 << 20))))],
        "broke after 0 bytes",
    ),
    fault(
        "ten thousand headers",
        |it| vec![Step::Say(it.open(&("X-Padding: x\r\n".repeat(10_000) + "Content-Length: 0\r\n\r\n")))],
        "broke after 0 bytes",
    ),
    fault(
        "headers without end",
        |_| vec![Step::Say("HTTP/1.1 200 OK\r\n".into()), Step::Forever("X: y\r\n".into())],
        "broke",
    ),
    fault("a NUL in a header", |it| vec![Step::Say(it.open("X-Nul: a\0b\r\nContent-Length: 0\r\n\r\n"))], "broke"),
    fault("content coded with gzip", |it| coded(it, "gzip"), "content coding «gzip», which was not asked for"),
    fault("content coded with brotli", |it| coded(it, "br"), "content coding «br», which was not asked for"),
    fault("content coded twice", |it| coded(it, "gzip, gzip"), "content coding «gzip, gzip», which was not asked for"),
];

/// A bomb: 10 KiB that would unpack to 10 MiB, were anybody to unpack it.
fn coded(it: Honest, coding: &str) -> Vec<Step> {
    vec![Step::Say(answer(it.status, &format!("{}Content-Encoding: {coding}\r\n", it.kind), vec![0; 10 << 10]))]
}

/// Answers that are HTTP and something else than what was asked for. The words differ by what was asked.
const ANSWERS: &[Fault] = &[
    Fault {
        name: "nginx sees no certificate",
        play: |_| vec![Step::Say(answer("400 Bad Request", "Content-Type: text/html\r\n", NGINX_400))],
        listing: "saw no certificate",
        document: "saw no certificate",
    },
    Fault {
        name: "nginx finds the certificate wrong",
        play: |_| vec![Step::Say(answer("400 Bad Request", "", "<html><h1>The SSL certificate error</h1></html>"))],
        listing: "refuses the certificate",
        document: "refuses the certificate",
    },
    fault(
        "a redirect to elsewhere",
        |_| redirect("301 Moved Permanently", "https://elsewhere.invalid/x"),
        "sends us elsewhere",
    ),
    fault(
        "a redirect to a login",
        |_| redirect("302 Found", "https://portal.invalid/login"),
        "https://portal.invalid/login",
    ),
    fault("a redirect by another method", |_| redirect("303 See Other", "/elsewhere"), "status 303, to /elsewhere"),
    fault(
        "a redirect that keeps the method",
        |_| redirect("307 Temporary Redirect", "//x.invalid/"),
        "sends us elsewhere",
    ),
    fault("a redirect for good", |_| redirect("308 Permanent Redirect", "file:///etc/passwd"), "sends us elsewhere"),
    fault("a redirect to nowhere", |_| vec![Step::Say(answer("302 Found", "", ""))], "to nowhere"),
    fault(
        "another protocol is offered",
        |_| vec![Step::Say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".into())],
        "answers 101",
    ),
    fault(
        "a proxy wants a password",
        |_| vec![Step::Say(answer("407 Proxy Authentication Required", "", ""))],
        "proxy",
    ),
    fault(
        "trouble there",
        |_| vec![Step::Say(answer("500 Oops", "", "<h1>Oops\u{1b}[31m\u{202e}</h1>"))],
        "answers 500: Oops [31m",
    ),
    fault("trouble on the way", |_| vec![Step::Say(answer("502 Bad Gateway", "", "x"))], "answers 502"),
    fault("it asks to wait", |_| vec![Step::Say(answer("503 No", "Retry-After: 60\r\n", ""))], "asks to wait 60 s"),
];

fn redirect(status: &str, place: &str) -> Vec<Step> {
    vec![Step::Say(answer(status, &format!("Location: {place}\r\n"), ""))]
}

/// All of them.
fn all_faults() -> impl Iterator<Item = &'static Fault> {
    [SLOW, ENDS, NONSENSE, ANSWERS].into_iter().flatten()
}
