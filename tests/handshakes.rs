//! Handshakes: the client's certificate is presented, and a server of an unknown authority is called by its issuer's
//! name, since it is most often a proxy that opens TLS.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking; the exemption does not reach helpers")]

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConnection, DistinguishedName, RootCertStore, ServerConfig, ServerConnection};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;
use tempfile::TempDir;
use vaguemestre::connector::{Cause, ConnectorError};
use vaguemestre::http::verifier::{ServerVerifier, TrustError, UnknownServerIssuer, server_issuer};
use vaguemestre::http::{Client, HttpError, Route};
use vaguemestre::identity::Identity;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/identity").join(name)
}

/// The identity in a fixture, whose mode git does not keep.
fn identity(name: &str, password: &str) -> Identity {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    fs::copy(fixture(name), &path).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    Identity::load(&path, None, Some(&SecretString::from(password))).unwrap()
}

/// A server with the fixture's certificate that wants one from its clients, and names authorities nobody has.
fn server(certificate: &str, version: &'static rustls::SupportedProtocolVersion) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture("ca.pem")).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
        .clear_root_hint_subjects()
        .add_root_hint_subjects([DistinguishedName::in_sequence(b"\x31\x0a\x30\x08\x06\x03\x55\x04\x03\x0c\x01\x58")])
        .build()
        .unwrap();
    let chain = CertificateDer::pem_file_iter(fixture(certificate)).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(fixture(certificate)).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

/// Shakes hands in memory; the server's side of it, or the error of whoever refused.
fn shake_hands(
    identity: &Identity,
    verifier: Arc<ServerVerifier>,
    server: Arc<ServerConfig>,
) -> Result<ServerConnection, rustls::Error> {
    let config = identity.client_config(verifier).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let mut server = ServerConnection::new(server).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        let mut unread = &wire[..];
        while !unread.is_empty() {
            server.read_tls(&mut unread).unwrap();
            server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        server.write_tls(&mut wire).unwrap();
        let mut unread = &wire[..];
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    Ok(server)
}

const VERSIONS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

#[test]
fn the_certificate_is_presented_with_its_chain_whatever_authorities_the_server_names() {
    let verifier = ServerVerifier::new(Some(&fixture("ca.pem"))).unwrap();
    for version in VERSIONS {
        for (name, password) in [("modern.p12", "motdepasse"), ("legacy.p12", "motdepassé")] {
            let identity = identity(name, password);
            let server = shake_hands(&identity, Arc::clone(&verifier), server("server.pem", version)).unwrap();
            assert_eq!(server.peer_certificates().unwrap(), identity.chain);
        }
    }
}

#[test]
fn a_server_of_an_unknown_authority_is_refused_by_its_issuers_name() {
    let identity = identity("mairie.pem", "");
    for version in VERSIONS {
        let verifier = ServerVerifier::new(Some(&fixture("self-signed.pem"))).unwrap();
        let error = shake_hands(&identity, verifier, server("server.pem", version)).unwrap_err();
        assert_eq!(server_issuer(&error), Some("C=FR, O=Autorité d'essai, CN=Autorité d'essai"));

        let verifier = ServerVerifier::new(Some(&fixture("ca.pem"))).unwrap();
        let error = shake_hands(&identity, verifier, server("self-signed.pem", version)).unwrap_err();
        assert_eq!(server_issuer(&error), Some("O=Boîtier d'essai, CN=inspection"));
        let wrapped = std::io::Error::other(std::io::Error::other(error));
        assert_eq!(server_issuer(&wrapped), Some("O=Boîtier d'essai, CN=inspection"), "as HTTP clients wrap it");
    }
    assert_eq!(server_issuer(&rustls::Error::HandshakeNotComplete), None);
    assert_eq!(server_issuer(&UnknownServerIssuer { issuer: String::new() }), None, "only where rustls put it");
}

#[test]
fn additional_authorities_that_cannot_be_used_say_why() {
    let folder = TempDir::new().unwrap();
    let error = |path: &Path| ServerVerifier::new(Some(path)).unwrap_err();
    assert!(matches!(error(&folder.path().join("absent.pem")), TrustError::Unreadable { .. }));
    assert!(matches!(error(folder.path()), TrustError::Unreadable { .. }));
    assert!(matches!(error(&fixture("mairie-sec1.key")), TrustError::NoCertificate { .. }));
    assert!(matches!(error(&fixture("mairie-leaf.cer")), TrustError::NoCertificate { .. }));
    let text = fs::read_to_string(fixture("ca.pem")).unwrap();
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for damaged in [text.replace("MII", "M!!"), text + nonsense] {
        let path = folder.path().join("damaged.pem");
        fs::write(&path, damaged).unwrap();
        assert!(matches!(error(&path), TrustError::Damaged { .. }));
    }
}

fn route(port: u16, proxy: Option<String>) -> Route {
    Route {
        origin: format!("https://localhost:{port}"),
        loopback: proxy.is_none(),
        proxy,
        no_proxy: Vec::new(),
        timeout: Duration::from_secs(10),
        keep_alive: 1,
        public_only: false,
        clocks: None,
    }
}

/// A client of `https://localhost:port`, which trusts the fixtures' authority.
fn client(port: u16, proxy: Option<String>) -> Client {
    let verifier = ServerVerifier::new(Some(&fixture("ca.pem"))).unwrap();
    let tls = identity("modern.p12", "motdepasse").client_config(verifier).unwrap();
    Client::new(tls, &route(port, proxy)).unwrap()
}

/// Answers one request with the start of a document of `bytes`, then with the alert that nonsense from the client causes.
/// The alert leaves once the client says that it has `heard` the start.
fn break_off_by_an_alert(bytes: &[u8], heard: Receiver<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let begun = format!("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{}", String::from_utf8_lossy(bytes));
    std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut tls = ServerConnection::new(server("server.pem", &rustls::version::TLS13)).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut socket);
        let request = stream.read(&mut [0; 4096]).unwrap();
        assert!(request > 0);
        stream.write_all(begun.as_bytes()).unwrap();
        stream.flush().unwrap();
        heard.recv().unwrap();
        let record = [[23, 3, 3, 0, 32].as_slice(), &[0; 32]].concat();
        tls.read_tls(&mut record.as_slice()).unwrap();
        tls.process_new_packets().unwrap_err();
        while tls.wants_write() {
            tls.write_tls(&mut socket).unwrap();
        }
        // Until the client has read it all.
        let _ = socket.read(&mut [0; 4096]);
    });
    port
}

#[tokio::test]
async fn an_alert_in_the_middle_of_a_document_is_a_broken_transfer_and_no_refusal_of_the_certificate() {
    let (hear, heard) = channel();
    let port = break_off_by_an_alert(b"<a>", heard);
    let mut answer = client(port, None).get(&format!("https://localhost:{port}/x"), "*/*").await.unwrap();
    hear.send(()).unwrap();
    let error = loop {
        match answer.body.next().await {
            Ok(chunk) => assert!(chunk.is_some(), "the body has no end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, HttpError::Broken { bytes: 3, .. }), "{error:?}");
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    assert_eq!(ConnectorError::from(error).kind(), "broken");
}

/// A proxy that answers each CONNECT with `line`, on its own.
fn proxy(line: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            assert!(socket.read(&mut [0; 4096]).unwrap() > 0);
            socket.write_all(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n").as_bytes()).unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_proxy_that_makes_no_way_is_named_and_not_the_network() {
    let verifier = ServerVerifier::new(Some(&fixture("ca.pem"))).unwrap();
    for (line, words) in
        [("407 Proxy Authentication Required", "authorization required"), ("403 Forbidden", "unsuccess")]
    {
        let proxy = proxy(line);
        let error = client(443, Some(proxy.clone())).get("https://localhost:443/x", "*/*").await.unwrap_err();
        assert!(matches!(error, HttpError::Proxy { .. }) && !error.never_left(), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        let ConnectorError::Access(access) = error.into() else { panic!("no error of access") };
        assert_eq!(access.cause, Cause::Proxy);
        assert!(access.to_string().starts_with("the proxy refuses ("), "{access}");

        let tls = identity("modern.p12", "motdepasse").client_config(verifier.clone()).unwrap();
        let error = vaguemestre::http::handshake::shake_hands(tls, &route(443, Some(proxy))).await.unwrap_err();
        assert!(matches!(error, HttpError::Proxy { .. }) && error.to_string().contains(line), "{error}");
    }
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = client(443, Some(format!("http://{nobody}"))).get("https://localhost:443/x", "*/*").await.unwrap_err();
    assert!(matches!(error, HttpError::Unreachable { .. }), "a proxy that is not there is the network's: {error:?}");
}
