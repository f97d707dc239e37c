//! Distance: a relay of TCP that holds every byte for a while, both ways, as a far server would seem to.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Bytes read at a time.
const CHUNK: usize = 16 << 10;
/// Chunks on their way at most: more than any connection here has under way.
const UNDER_WAY: usize = 256;

/// A relay, which ends with this handle.
#[derive(Debug)]
pub struct Relay {
    /// Where it listens.
    pub port: u16,
    task: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    /// Relays to `port` of this machine; a question and its answer take `round_trip` longer.
    pub async fn start(port: u16, round_trip: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let own = listener.local_addr()?.port();
        let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    // Whoever hangs up ends both ways.
                    let _ = relay(client, server, round_trip / 2).await;
                });
            }
        });
        Ok(Self { port: own, task })
    }
}

async fn relay(client: TcpStream, server: SocketAddr, delay: Duration) -> std::io::Result<()> {
    // The connection itself takes a round trip to open.
    let server = async {
        tokio::time::sleep(delay * 2).await;
        TcpStream::connect(server).await
    };
    let server = server.await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(carry(from_client, to_server, delay), carry(from_server, to_client, delay))?;
    Ok(())
}

async fn carry(
    mut from: impl AsyncReadExt + Unpin + Send + 'static,
    mut to: impl AsyncWriteExt + Unpin,
    delay: Duration,
) -> std::io::Result<()> {
    let (road, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let reading = async move {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            if from.read_buf(&mut chunk).await? == 0 || road.send((Instant::now() + delay, chunk)).await.is_err() {
                return std::io::Result::Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, chunk)) = arriving.recv().await {
            sleep_until(due).await;
            to.write_all(&chunk).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing)?;
    Ok(())
}
