//! A server that says what a test wants, byte by byte, over TLS or plain TCP.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it had been read.
    pub at: Instant,
    /// Request line and headers.
    pub head: String,
    pub body: String,
}

impl Asked {
    /// Its method.
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// Its path and query.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// What is done in answer to a request, one after the other.
#[derive(Clone, Debug)]
pub enum Step {
    /// Bytes, flushed: a record of their own.
    Say(Bytes),
    /// Bytes one by one, with a pause before each.
    Drip(Bytes, Duration),
    /// The same again and again, until the client goes.
    Forever(Bytes),
    /// The same again and again with a pause before each, until the client goes.
    Trickle(Bytes, Duration),
    /// Nothing, until the client goes.
    Hang,
    /// An orderly end.
    Close,
    /// The end of TCP alone.
    Abrupt,
    /// An end in one direction: nothing more comes, and what the client says is still read.
    HalfClose,
    /// A reset.
    Reset,
    /// Half a record of TLS with these bytes, then a reset.
    TornRecord(Bytes),
}

/// An answer with a body of known length.
pub fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Bytes {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat().into()
}

/// A running server, which ends with this handle.
pub struct Wire {
    pub address: SocketAddr,
    scheme: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Script = Arc<dyn Fn(&Asked) -> Vec<Step> + Send + Sync>;

impl Wire {
    /// Answers each request as `script` says, over TLS.
    pub async fn over_tls(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let chain = CertificateDer::pem_file_iter(fixture("server.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(fixture("server.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::start(Some(TlsAcceptor::from(Arc::new(config))), Arc::new(script)).await
    }

    /// Answers each request as `script` says, over plain TCP.
    pub async fn plain(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(script)).await
    }

    async fn start(door: Option<TlsAcceptor>, script: Script) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let scheme = if door.is_some() { "https" } else { "http" };
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (door, script, seen) = (door.clone(), Arc::clone(&script), Arc::clone(&seen));
                connections.spawn(async move {
                    // A client that goes away is no event.
                    let _ = match door {
                        Some(door) => converse(door.accept(stream).await?, &script, &seen).await,
                        None => converse(stream, &script, &seen).await,
                    };
                    std::io::Result::Ok(())
                });
            }
        });
        Self { address, scheme, asked, task }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// The authority of the certificate that is shown.
pub fn authority() -> PathBuf {
    fixture("ca.pem")
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/identity").join(name)
}

trait Line: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;

    /// `bytes` as they would stand on the wire.
    fn sealed(&mut self, bytes: &[u8]) -> Vec<u8>;
}

impl Line for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn sealed(&mut self, bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }
}

impl Line for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn sealed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let tls = self.get_mut().1;
        tls.writer().write_all(bytes).unwrap();
        let mut wire = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut wire).unwrap();
        }
        wire
    }
}

async fn converse<S: Line>(mut stream: S, script: &Script, seen: &Mutex<Vec<Asked>>) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    while let Some(asked) = read(&mut stream, &mut buffer).await? {
        let steps = script(&asked);
        seen.lock().unwrap().push(asked);
        for step in steps {
            if !play(&mut stream, step).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Answers whether the connection goes on.
async fn play<S: Line>(stream: &mut S, step: Step) -> std::io::Result<bool> {
    match step {
        Step::Say(bytes) => say(stream, &bytes).await?,
        Step::Drip(bytes, pause) => {
            for byte in bytes {
                sleep(pause).await;
                say(stream, &[byte]).await?;
            }
        }
        Step::Forever(bytes) => loop {
            say(stream, &bytes).await?;
        },
        Step::Trickle(bytes, pause) => loop {
            sleep(pause).await;
            say(stream, &bytes).await?;
        },
        Step::Hang => {
            wait_for_end(stream).await?;
            return Ok(false);
        }
        Step::Close => {
            stream.shutdown().await?;
            return Ok(false);
        }
        Step::Abrupt => return Ok(false),
        Step::HalfClose => {
            stream.shutdown().await?;
            wait_for_end(stream).await?;
            return Ok(false);
        }
        Step::Reset => {
            stream.tcp().set_zero_linger()?;
            return Ok(false);
        }
        Step::TornRecord(bytes) => {
            let wire = stream.sealed(&bytes);
            let mut half = &wire[..wire.len() / 2];
            while !half.is_empty() {
                stream.tcp().writable().await?;
                match stream.tcp().try_write(half) {
                    Ok(count) => half = &half[count..],
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            stream.tcp().set_zero_linger()?;
            return Ok(false);
        }
    }
    Ok(true)
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn wait_for_end(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// Reads a request with its body; `None` at the end of the connection.
async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> std::io::Result<Option<Asked>> {
    let mut piece = [0; 4096];
    loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            let whole = end + 4 + length.unwrap_or(0);
            if buffer.len() >= whole {
                let body = String::from_utf8_lossy(&buffer[end + 4..whole]).into_owned();
                buffer.drain(..whole);
                return Ok(Some(Asked { at: Instant::now(), head, body }));
            }
        }
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(None);
        }
        buffer.extend_from_slice(&piece[..count]);
    }
}
