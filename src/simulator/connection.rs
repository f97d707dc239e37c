//! One TCP connection: TLS, then requests one after the other.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::server::TlsStream;

use super::answer::{Answer, Ending};
use super::entry::Entry;
use super::shop::{Request, Service, Shop};
use super::tls::{Doors, Visitor};

/// The longest request head the platform reads.
const HEAD_LIMIT: usize = 64 * 1024;
const HEADERS: usize = 64;

/// Serves a connection until either side ends it.
pub(super) async fn serve(stream: TcpStream, doors: Doors, shop: Arc<Shop>) {
    // A client that goes away is no event: its records say what it got.
    let _ = converse(stream, doors, &shop).await;
}

async fn converse(stream: TcpStream, doors: Doors, shop: &Arc<Shop>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (number, hold, door) = {
        let mut inner = shop.lock();
        inner.connections += 1;
        let lenient = inner.behaviour.plain_400_without_certificate;
        let door = if lenient { doors.lenient.clone() } else { doors.strict.clone() };
        (inner.connections, inner.behaviour.hold_handshakes, door)
    };
    if hold {
        return wait_for_end(stream).await;
    }
    let mut tls = match door.accept(stream).await {
        Ok(tls) => tls,
        Err(refusal) => {
            shop.lock().refusals.push(refusal.to_string());
            shop.changed.notify_waiters();
            return Err(refusal);
        }
    };
    let visitor = doors.visitor(tls.get_ref().1);
    let mut buffer = BytesMut::new();
    while let Some(request) = read_request(&mut tls, &mut buffer).await? {
        if !answer(&mut tls, shop, request, &visitor, number).await? {
            break;
        }
    }
    Ok(())
}

/// Reads a request; `None` at the end of the connection.
async fn read_request(tls: &mut TlsStream<TcpStream>, buffer: &mut BytesMut) -> io::Result<Option<Request>> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let status = parsed.parse(buffer).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if let httparse::Status::Complete(length) = status {
            let text = |header: &httparse::Header<'_>| {
                (header.name.to_lowercase(), String::from_utf8_lossy(header.value).into_owned())
            };
            let mut request = Request {
                method: parsed.method.unwrap_or_default().to_owned(),
                path: parsed.path.unwrap_or_default().to_owned(),
                headers: parsed.headers.iter().map(text).collect(),
                body: Bytes::new(),
            };
            buffer.advance(length);
            let body = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            while buffer.len() < body && body <= HEAD_LIMIT {
                if tls.read_buf(buffer).await? == 0 {
                    return Ok(None);
                }
            }
            request.body = buffer.split_to(body.min(buffer.len())).freeze();
            return Ok(Some(request));
        }
        if buffer.len() > HEAD_LIMIT || tls.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Answers a request; `true` when the connection goes on.
async fn answer(
    tls: &mut TlsStream<TcpStream>,
    shop: &Arc<Shop>,
    request: Request,
    visitor: &Visitor,
    connection: u64,
) -> io::Result<bool> {
    let Service { answer, mut entry, latency, now } = shop.receive(request, visitor, connection);
    if !latency.is_zero() {
        sleep(latency).await;
    }
    let mut out = answer.head(now);
    if let Some(pause) = answer.head_pause {
        for byte in std::mem::take(&mut out) {
            sleep(pause).await;
            tls.write_all(&[byte]).await?;
            tls.flush().await?;
        }
    }
    write_body(tls, &answer, out, &mut entry).await?;
    end(tls, &answer, entry).await
}

/// Writes the body, with whatever is already in `out` before it: a short answer leaves in one write.
async fn write_body(
    tls: &mut TlsStream<TcpStream>,
    answer: &Answer,
    mut out: Vec<u8>,
    entry: &mut Entry,
) -> io::Result<()> {
    let mut rest = answer.body.slice(..answer.written);
    loop {
        if let Some((_, pause)) = answer.pace {
            tls.write_all(&out).await?;
            tls.flush().await?;
            out.clear();
            sleep(pause).await;
        }
        let piece = rest.split_to(answer.piece(rest.len()));
        let last = rest.is_empty();
        answer.frame(&piece, last, &mut out);
        if last && !matches!(answer.ending, Ending::Hang | Ending::Endless) {
            entry.ending(piece.len(), answer.is_whole());
        } else {
            entry.sent(piece.len());
        }
        tls.write_all(&out).await?;
        tls.flush().await?;
        out.clear();
        if last {
            return Ok(());
        }
    }
}

/// Does what comes after the body.
async fn end(tls: &mut TlsStream<TcpStream>, answer: &Answer, mut entry: Entry) -> io::Result<bool> {
    match answer.ending {
        Ending::KeepAlive => {
            entry.ended();
            return Ok(true);
        }
        Ending::Close => {
            entry.ended();
            tls.shutdown().await?;
        }
        // Dropping the stream closes TCP; TLS says farewell only when asked to.
        Ending::Abrupt => entry.ended(),
        Ending::Reset => {
            entry.ended();
            tls.get_ref().0.set_zero_linger()?;
        }
        Ending::Hang => wait_for_end(tls).await?,
        Ending::Endless => loop {
            tls.write_all(&[b'x'; 4096]).await?;
            entry.sent(4096);
        },
    }
    Ok(false)
}

async fn wait_for_end(mut stream: impl tokio::io::AsyncRead + Unpin) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
