//! What goes on the wire: an honest answer, and what a [`Fault`] makes of it.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::fault::Fault;

/// The most bytes of a body written at once.
const PIECE: usize = 256 * 1024;
/// The end of a long body is written apart, so that it leaves only once the reader has taken most of the rest.
const TAIL: usize = 16 * 1024;
/// The length an endless answer announces, where it announces one: a pebibyte.
const ENDLESS: u64 = 1 << 50;

/// How the end of a body is marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// By a `Content-Length`.
    #[default]
    Length,
    /// By the last chunk of `Transfer-Encoding: chunked`.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// What happens once the last byte is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The next request is awaited.
    KeepAlive,
    /// An orderly close.
    Close,
    /// TCP ends, TLS does not.
    Abrupt,
    /// TCP is reset.
    Reset,
    /// Nothing, until the client goes.
    Hang,
    /// Filler, until the client goes.
    Endless,
}

/// An answer, with the way it is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// `None`: not even headers.
    pub(super) status: Option<u16>,
    headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) framing: Framing,
    /// A `Content-Length` other than the body's.
    announced: Option<u64>,
    /// How many bytes of the body are written.
    pub(super) written: usize,
    pub(super) ending: Ending,
    /// Pause before each byte of the headers.
    pub(super) head_pause: Option<Duration>,
    /// So many bytes of the body at a time, with this pause before.
    pub(super) pace: Option<(usize, Duration)>,
}

impl Answer {
    pub(super) fn new(status: u16, media_type: &str, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self {
            status: Some(status),
            headers: vec![("Content-Type".to_owned(), media_type.to_owned())],
            written: body.len(),
            body,
            framing: Framing::Length,
            announced: None,
            ending: Ending::KeepAlive,
            head_pause: None,
            pace: None,
        }
    }

    /// The platform's own way of saying no (guide v3.4, §2.6.3).
    pub(super) fn refusal(status: u16, now: Timestamp, code: u32, developers: &str, users: &str) -> Self {
        let body = json!({
            "generation": now.as_millisecond(),
            "developerMessage": developers,
            "userFriendlyMessage": users,
            "errorCode": code,
        });
        Self::new(status, "application/json;charset=UTF-8", body.to_string())
    }

    /// An error page as the web server in front of the platform writes it, which then closes.
    pub(super) fn web_server(status: u16, title: &str, text: &str) -> Self {
        let body = format!(
            "<html>\r\n<head><title>{status} {title}</title></head>\r\n<body>\r\n<center><h1>{status} {text}</h1>\
             </center>\r\n<center>{title}</center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
        );
        Self::new(status, "text/html", body).ended(Ending::Close)
    }

    pub(super) fn with_headers(mut self, headers: &[(String, String)]) -> Self {
        self.headers.extend_from_slice(headers);
        self
    }

    pub(super) fn framed(mut self, framing: Framing) -> Self {
        self.framing = framing;
        if framing == Framing::Close {
            self.ending = Ending::Close;
        }
        self
    }

    pub(super) fn ended(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    pub(super) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same without its body, whose length it still tells: as HEAD is answered.
    pub(super) fn headers_only(mut self) -> Self {
        self.announced = Some(self.body.len() as u64);
        self.body = Bytes::new();
        self.written = 0;
        Self { framing: Framing::Length, ..self }
    }

    fn cut(mut self, at: usize) -> Self {
        self.written = at.min(self.body.len());
        self
    }

    /// This answer as `fault` leaves it; `true` with it where the body is still the honest one, or its beginning.
    pub(super) fn spoilt(self, fault: &Fault, now: Timestamp) -> (Self, bool) {
        let honest = match fault {
            Fault::CutWithLength(at) => self.framed(Framing::Length).cut(*at).ended(Ending::Close),
            Fault::CutWithoutLength(at) => self.framed(Framing::Close).cut(*at),
            Fault::CutChunked(at) => self.framed(Framing::Chunked).cut(*at).ended(Ending::Close),
            Fault::HangAfter(at) => self.cut(*at).ended(Ending::Hang),
            Fault::Drip { bytes, every } => Self { pace: Some(((*bytes).max(1), *every)), ..self },
            Fault::Endless { with_length: true } => {
                Self { announced: Some(ENDLESS), ..self.framed(Framing::Length).ended(Ending::Endless) }
            }
            Fault::Endless { with_length: false } => self.framed(Framing::Close).ended(Ending::Endless),
            Fault::ResetAfter(at) => self.cut(*at).ended(Ending::Reset),
            Fault::TruncatedTls(at) => self.framed(Framing::Close).cut(*at).ended(Ending::Abrupt),
            Fault::WrongLength(length) => {
                Self { announced: Some(*length), ..self.framed(Framing::Length).ended(Ending::Close) }
            }
            Fault::GzipNonsense => self.with_header("Content-Encoding", "gzip"),
            Fault::HugeHeaders(size) => self.with_header("X-Padding", "x".repeat(*size)),
            Fault::SlowHeaders(pause) => Self { head_pause: Some(*pause), ..self },
            other => return (Self::instead(other, now), false),
        };
        (honest, true)
    }

    /// What a fault says that leaves nothing of the honest answer.
    fn instead(fault: &Fault, now: Timestamp) -> Self {
        match fault {
            Fault::Status(status, body, headers) => {
                Self { headers: headers.clone(), ..Self::new(*status, "", body.clone()) }
            }
            Fault::JsonErrorWith200(text) => Self::refusal(200, now, 102, text, "Une erreur interne est survenue"),
            Fault::Empty200 => Self::new(200, "application/xml", ""),
            Fault::Redirect(to) => Self::new(302, "text/html", "").with_header("Location", to),
            Fault::RetryAfter(status, seconds) => {
                Self::web_server(*status, "Service Unavailable", "Service Unavailable")
                    .with_header("Retry-After", seconds.to_string())
            }
            Fault::DoctypeXml => Self::new(200, "application/xml", DOCTYPE),
            Fault::Replace(bytes) => Self::new(200, "application/xml", bytes.clone()),
            Fault::Reset => Self { status: None, ..Self::new(200, "", "").ended(Ending::Reset) },
            Fault::Hang => Self { status: None, ..Self::new(200, "", "").ended(Ending::Hang) },
            _ => Self::new(200, "text/html;charset=UTF-8", LOGIN_PAGE),
        }
    }

    /// Whether the whole body is written.
    pub(super) fn is_whole(&self) -> bool {
        self.status.is_some() && self.written == self.body.len() && self.ending != Ending::Endless
    }

    /// The status line and the headers.
    pub(super) fn head(&self, now: Timestamp) -> Vec<u8> {
        let Some(status) = self.status else { return Vec::new() };
        let mut head = format!("HTTP/1.1 {status} {}\r\nServer: nginx\r\n", reason(status));
        let date = now.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT");
        let _ = write!(head, "Date: {date}\r\n");
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        match self.framing {
            // Neither has a body (RFC 9110, §8.6).
            Framing::Length if status == 204 => {}
            Framing::Length => {
                let length = self.announced.unwrap_or(self.body.len() as u64);
                let _ = write!(head, "Content-Length: {length}\r\n");
            }
            Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            Framing::Close => {}
        }
        // A cut is not announced, as it would not be in life.
        if self.framing == Framing::Close || (self.ending == Ending::Close && self.is_whole()) {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// How much of what is left of the body to write next.
    pub(super) fn piece(&self, left: usize) -> usize {
        match self.pace {
            Some((bytes, _)) => left.min(bytes),
            None if left > TAIL => (left - TAIL).min(PIECE),
            None => left,
        }
    }

    /// Adds a piece of the body to `out`, in this answer's framing; after the `last`, whatever ends the body.
    pub(super) fn frame(&self, piece: &[u8], last: bool, out: &mut Vec<u8>) {
        if self.framing != Framing::Chunked || self.status.is_none() {
            out.extend_from_slice(piece);
            return;
        }
        if !piece.is_empty() {
            out.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            out.extend_from_slice(piece);
            out.extend_from_slice(b"\r\n");
        }
        if last && self.is_whole() {
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        207 => "Multi-Status",
        301 => "Moved Permanently",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        412 => "Precondition Failed",
        405 => "Method Not Allowed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

const LOGIN_PAGE: &str = "<!DOCTYPE html>\n<html lang=\"fr\">\n<head><meta charset=\"utf-8\"><title>Connexion</title></head>\n\
     <body><form method=\"post\" action=\"/login\"><input name=\"identifiant\"><input name=\"secret\" type=\"password\">\
     <button>Se connecter</button></form></body>\n</html>\n";

const DOCTYPE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE PES_Retour [\n  <!ENTITY a \"aaaaaaaaaa\">\n  \
     <!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">\n  <!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">\n  \
     <!ENTITY x SYSTEM \"file:///etc/hostname\">\n]>\n<PES_Retour><NomFic>&c;&x;</NomFic></PES_Retour>\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn written(answer: &Answer) -> String {
        let mut out = answer.head(Timestamp::UNIX_EPOCH);
        answer.frame(&answer.body[..answer.written], true, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_chunked_answer_ends_with_the_last_chunk_unless_it_is_cut() {
        let answer = Answer::new(200, "application/xml", "0123456789abcdef").framed(Framing::Chunked);
        assert!(written(&answer).ends_with("\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"));
        let (cut, honest) = answer.spoilt(&Fault::CutChunked(3), Timestamp::UNIX_EPOCH);
        assert!(honest && written(&cut).ends_with("\r\n\r\n3\r\n012\r\n"));
    }

    #[test]
    fn a_cut_answer_announces_what_it_does_not_give() {
        let (cut, _) =
            Answer::new(200, "text/plain", "0123456789").spoilt(&Fault::CutWithLength(4), Timestamp::UNIX_EPOCH);
        let text = written(&cut);
        assert!(text.contains("Content-Length: 10\r\n") && text.ends_with("\r\n\r\n0123"), "{text}");
        assert!(!text.contains("close") && !cut.is_whole());
    }

    #[test]
    fn the_date_is_that_of_the_platforms_clock_in_the_form_http_wants() {
        let now: Timestamp = "2026-11-22T08:09:10.5Z".parse().unwrap();
        let head = String::from_utf8(Answer::new(200, "text/plain", "").head(now)).unwrap();
        assert!(head.contains("\r\nDate: Sun, 22 Nov 2026 08:09:10 GMT\r\n"), "{head}");
    }
}
