//! A gateway that speaks plain HTTP to us and TLS to the simulated platform: what leaves can be read off the socket.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use vaguemestre::simulator::keys::Standing;

use super::Town;

/// Ends with its handle.
pub struct Gateway {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Gateway {
    /// Opens one to the platform of `town`, with a certificate of its own.
    pub async fn open(town: &Town) -> Self {
        let issued = town.keys.client("gateway", Standing::Valid).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(town.keys.authority().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(issued.chain(), issued.key())
            .unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, platform) = (listener.local_addr().unwrap(), town.platform.address());
        let task = tokio::spawn(async move {
            loop {
                let (mut inside, _) = listener.accept().await.unwrap();
                let connector = connector.clone();
                tokio::spawn(async move {
                    let outside = TcpStream::connect(platform).await?;
                    let name = ServerName::try_from("localhost").unwrap();
                    let mut outside = connector.connect(name, outside).await?;
                    // A side that ends without a farewell is no event here.
                    let _ = copy_bidirectional(&mut inside, &mut outside).await;
                    std::io::Result::Ok(())
                });
            }
        });
        Self { address, task }
    }

    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}
