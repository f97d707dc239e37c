//! A TLS connection opened and closed, without a request: what `check --online` does.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{HttpError, Route};
use crate::words::plain;

/// For the connection with its handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// In TLS 1.3 a server refuses our certificate only after the handshake: silence for this long is consent.
const CONSENT: Duration = Duration::from_secs(2);
/// Bytes of a proxy's answer that are read.
const PROXY_ANSWER: usize = 4096;

/// Opens a connection to `route.origin`, through its proxy if there is one, shows the certificate in `tls`, and closes.
///
/// # Errors
/// As for a request: how far it came.
pub async fn shake_hands(tls: rustls::ClientConfig, route: &Route) -> Result<(), HttpError> {
    let (plain, authority) = match route.origin.split_once("://") {
        Some(("http", authority)) => (true, authority),
        Some((_, authority)) => (false, authority),
        None => return Err(HttpError::Setup(format!("{} is no address", route.origin))),
    };
    let unreachable = |error: std::io::Error| HttpError::from_io(authority, error);
    let late = |_| HttpError::NoAnswer { host: authority.to_owned(), seconds: PATIENCE.as_secs() };
    let host = host(authority);
    let port = if plain { 80 } else { 443 };
    let target = if has_port(authority) { authority.to_owned() } else { format!("{authority}:{port}") };
    let stream = timeout(PATIENCE, connect(route, &host, &target)).await.map_err(late)??;
    if plain {
        return Ok(());
    }
    let name = ServerName::try_from(host.clone()).map_err(|error| HttpError::Setup(format!("{host}: {error}")))?;
    let connector = TlsConnector::from(Arc::new(tls));
    let mut stream = timeout(PATIENCE, connector.connect(name, stream)).await.map_err(late)?.map_err(unreachable)?;
    let mut byte = [0];
    match timeout(CONSENT, stream.read(&mut byte)).await {
        Ok(Err(error)) => Err(HttpError::from_io(authority, error)),
        Err(_) | Ok(Ok(_)) => {
            // The server hears that we go; whether it does changes nothing.
            let _ = timeout(CONSENT, stream.shutdown()).await;
            Ok(())
        }
    }
}

async fn connect(route: &Route, host: &str, target: &str) -> Result<TcpStream, HttpError> {
    let unreachable = |error: std::io::Error| HttpError::from_io(target, error);
    let Some(proxy) = route.proxy_for(host) else {
        return TcpStream::connect(target).await.map_err(unreachable);
    };
    let address = proxy.split_once("://").map_or(proxy, |(_, address)| address).trim_end_matches('/');
    let address = if has_port(address) { address.to_owned() } else { format!("{address}:80") };
    let mut stream = TcpStream::connect(&address).await.map_err(unreachable)?;
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < PROXY_ANSWER {
        answer.push(stream.read_u8().await.map_err(unreachable)?);
    }
    let line = String::from_utf8_lossy(&answer);
    let line = plain(line.lines().next().unwrap_or_default());
    if line.split(' ').nth(1) == Some("200") {
        Ok(stream)
    } else {
        Err(HttpError::Proxy { host: host.to_owned(), detail: format!("{address} answers «{line}»") })
    }
}

fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn host(authority: &str) -> String {
    let host =
        if has_port(authority) { authority.rsplit_once(':').map_or(authority, |(host, _)| host) } else { authority };
    host.trim_start_matches('[').trim_end_matches(']').to_owned()
}
