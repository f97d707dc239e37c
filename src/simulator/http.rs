//! A small HTTP/1.1 server on loopback for the APIs: connections are kept, requests have no body.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::route::percent_decoded;

/// The longest request read.
const LIMIT: usize = 64 * 1024;

/// A request, read.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// The path, decoded.
    #[must_use]
    pub fn path(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        percent_decoded(path).unwrap_or_else(|| path.to_owned())
    }

    /// The parameter `name`, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).and_then(|(_, value)| percent_decoded(&value.replace('+', " ")))
    }

    /// The header `name`, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The access token.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }
}

/// What goes back.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Whole lines.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// `status` with a body of `media`.
    #[must_use]
    pub fn new(status: u16, media: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: vec![format!("Content-Type: {media}")], body: body.into() }
    }

    /// JSON.
    #[must_use]
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    /// With a further header line.
    #[must_use]
    pub fn with(mut self, line: impl Into<String>) -> Self {
        self.headers.push(line.into());
        self
    }
}

/// A running server, which ends with this handle.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves `answer` on a free port of 127.0.0.1; `None` closes the connection without an answer.
    pub(super) async fn start<F, Fut>(answer: F) -> io::Result<Self>
    where
        F: Fn(Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Option<Reply>> + Send,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = Arc::clone(&answer);
                connections.spawn(async move {
                    // A client that goes away is no event.
                    let _ = converse(stream, &*answer).await;
                });
            }
        });
        Ok(Self { address, task })
    }
}

async fn converse<F, Fut>(mut stream: TcpStream, answer: &F) -> io::Result<()>
where
    F: Fn(Request) -> Fut,
    Fut: Future<Output = Option<Reply>>,
{
    let mut buffer = BytesMut::new();
    while let Some(request) = read(&mut stream, &mut buffer).await? {
        let Some(Reply { status, headers, body }) = answer(request).await else { return Ok(()) };
        let mut head = format!("HTTP/1.1 {status} -\r\n");
        if status != 304 {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        for line in headers {
            head += &format!("{line}\r\n");
        }
        let mut bytes = format!("{head}\r\n").into_bytes();
        if status != 304 {
            bytes.extend(body);
        }
        stream.write_all(&bytes).await?;
    }
    Ok(())
}

async fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Option<Request>> {
    let invalid = |error: httparse::Error| io::Error::new(io::ErrorKind::InvalidData, error);
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 48];
        let mut parsed = httparse::Request::new(&mut headers);
        if let httparse::Status::Complete(head) = parsed.parse(buffer).map_err(invalid)? {
            let text = |header: &httparse::Header<'_>| {
                (header.name.to_lowercase(), String::from_utf8_lossy(header.value).into_owned())
            };
            let request = Request {
                method: parsed.method.unwrap_or_default().to_owned(),
                target: parsed.path.unwrap_or_default().to_owned(),
                headers: parsed.headers.iter().map(text).collect(),
            };
            buffer.advance(head);
            return Ok(Some(request));
        }
        if buffer.len() > LIMIT || stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}
