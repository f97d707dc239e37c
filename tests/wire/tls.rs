//! TLS that does not come about: alerts, versions that are not safe, servers that answer in another protocol, names that lead
//! nowhere.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;
use vaguemestre::connector::ConnectorError;
use vaguemestre::http::handshake::shake_hands;
use vaguemestre::http::verifier::ServerVerifier;
use vaguemestre::http::{Client, HttpError, Route, anonymous_tls};
use vaguemestre::simulator::keys::Standing;

use super::common::wire::authority;
use super::common::{SIREN, Town};

/// A server that answers whatever it is sent by `bytes`, and closes or (`hang`) stays.
async fn server(bytes: &'static [u8], hang: bool) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(bytes).await;
                if hang {
                    while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
                }
                // What is unread would turn the end into a reset.
                let _ = stream.shutdown().await;
                let _ = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut [0; 64])).await;
            });
        }
    });
    address
}

fn route(origin: String) -> Route {
    Route { origin, loopback: false, timeout: Duration::from_secs(1), keep_alive: 1, ..Route::default() }
}

fn tls() -> rustls::ClientConfig {
    anonymous_tls(Some(ServerVerifier::new(Some(&authority())).unwrap())).unwrap()
}

/// How a request to `origin` fails, and how the handshake of `check --online` does.
async fn failures(origin: &str) -> [HttpError; 2] {
    let client = Client::new(tls(), &route(origin.to_owned())).unwrap();
    let began = Instant::now();
    let asked = client.get(&format!("{origin}/x"), "*/*").await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2), "{origin} took {:?}", began.elapsed());
    let shaken = shake_hands(tls(), &route(origin.to_owned())).await.unwrap_err();
    [asked, shaken]
}

/// A ServerHello of this version, with a cipher that it had.
macro_rules! hello_of {
    ($version:literal) => {{
        const HELLO: [u8; 47] = {
            let mut hello = [7; 47];
            let head = [22, 3, $version, 0, 42, 2, 0, 0, 38, 3, $version];
            let mut at = 0;
            while at < head.len() {
                hello[at] = head[at];
                at += 1;
            }
            // After 32 random bytes: no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
            let tail = [0, 0, 0x2f, 0];
            at = 0;
            while at < tail.len() {
                hello[43 + at] = tail[at];
                at += 1;
            }
            hello
        };
        &HELLO
    }};
}

macro_rules! alert {
    ($number:literal) => {
        &[21, 3, 3, 0, 2, 2, $number]
    };
}

#[tokio::test]
async fn each_way_of_refusing_tls_has_its_kind_and_its_remedy() {
    let cases: &[(&'static [u8], &str, &str)] = &[
        (alert!(45), "certificate_expired", "install a valid certificate"),
        (alert!(44), "certificate_revoked", "order a new certificate"),
        (alert!(48), "certificate_unknown_authority", "an authority that FAST accepts"),
        (alert!(116), "certificate_not_seen", "exempted from TLS inspection"),
        (alert!(42), "certificate_refused", "ask FAST support"),
        (alert!(43), "certificate_refused", "ask FAST support"),
        (alert!(46), "certificate_refused", "ask FAST support"),
        (alert!(49), "certificate_refused", "ask FAST support"),
        (alert!(40), "tls", "check --online"),
        (alert!(71), "tls", "check --online"),
        (alert!(80), "tls", "check --online"),
        (alert!(112), "tls", "check --online"),
        (alert!(70), "no_tls", "only versions of TLS before 1.2"),
        (hello_of!(1), "no_tls", "only versions of TLS before 1.2"),
        (hello_of!(2), "no_tls", "only versions of TLS before 1.2"),
        (
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>The plain HTTP request",
            "no_tls",
            "another protocol",
        ),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "no_tls", "another protocol"),
        (&[22, 3, 3, 0xff, 0xff, 1, 2, 3], "no_tls", "another protocol"),
        // SSL 2 and 3.
        (&[0x80, 0x2e, 4, 0, 1, 0, 2, 0, 0, 0, 0, 0], "no_tls", "another protocol"),
        (&[21, 3, 0, 0, 2, 2, 70], "no_tls", "only versions of TLS before 1.2"),
        (b"", "network", "port 443 outwards"),
        (&[22], "network", "port 443 outwards"),
    ];
    for (bytes, kind, remedy) in cases {
        let address = server(bytes, false).await;
        for error in failures(&format!("https://localhost:{}", address.port())).await {
            let error = ConnectorError::from(error);
            assert_eq!(error.kind(), *kind, "{bytes:?}: {error}");
            assert!(error.to_string().contains(remedy), "{bytes:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_never_finishes_the_handshake_is_given_up_in_time() {
    for bytes in [b"".as_slice(), &[22], &[22, 3, 3, 0, 100, 2, 0]] {
        let origin = format!("https://localhost:{}", server(bytes, true).await.port());
        let client = Client::new(tls(), &route(origin.clone())).unwrap();
        let began = Instant::now();
        let error = ConnectorError::from(client.get(&format!("{origin}/x"), "*/*").await.unwrap_err());
        assert!(began.elapsed() < Duration::from_secs(2), "{bytes:?} took {:?}", began.elapsed());
        assert_eq!(error.kind(), "network", "{error}");
    }
}

#[tokio::test]
async fn names_that_lead_nowhere_and_ports_where_nobody_listens_are_the_networks() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap();
    for origin in ["https://no-such-name.invalid".to_owned(), format!("https://localhost:{}", nobody.port())] {
        for error in failures(&origin).await {
            assert!(error.never_left(), "{error:?}");
            let error = ConnectorError::from(error);
            assert_eq!(error.kind(), "network", "{error}");
            assert!(error.to_string().contains("name server"), "{error}");
        }
    }
}

/// The OpenSSL of this machine as a server of one version of TLS, at the lowest level of its security.
async fn openssl(version: &str, folder: &Path) -> (tokio::process::Child, u16) {
    let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/identity/server.pem");
    let mut command = tokio::process::Command::new("openssl");
    command.args(["s_server", "-www", "-cipher", "ALL:@SECLEVEL=0", version, "-accept", &port.to_string(), "-cert"]);
    let log = std::fs::File::create(folder.join("openssl.log")).unwrap();
    command
        .arg(&pem)
        .arg("-cert_chain")
        .arg(&pem)
        .arg("-key")
        .arg(&pem)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true);
    let child = command.spawn().unwrap();
    while tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (child, port)
}

#[tokio::test]
async fn a_real_server_of_tls_before_1_2_is_refused_and_one_of_1_2_or_1_3_is_not() {
    let folder = tempfile::tempdir().unwrap();
    for (version, kind) in
        [("-tls1", Some("no_tls")), ("-tls1_1", Some("no_tls")), ("-tls1_2", None), ("-tls1_3", None)]
    {
        let (_child, port) = openssl(version, folder.path()).await;
        let origin = format!("https://localhost:{port}");
        let client = Client::new(tls(), &route(origin.clone())).unwrap();
        let answer = client.get(&format!("{origin}/x"), "*/*").await;
        let failed = answer.map(|answer| answer.status).map_err(|error| ConnectorError::from(error).kind());
        assert_eq!(failed, kind.map_or(Ok(200), Err), "{version}");
    }
}

#[tokio::test]
async fn a_platform_of_an_old_tls_is_told_as_that_and_gets_no_request() {
    let town = Town::bare().await;
    let old = server(hello_of!(1), false).await;
    town.configure("30m", "", &(town.account("mairie", SIREN, Standing::Valid) + "feeds = [\"chorus\"]\n"));
    let text = std::fs::read_to_string(town.config()).unwrap();
    let text = text.replace(&town.platform.base_url(), &format!("https://localhost:{}", old.port()));
    std::fs::write(town.config(), text).unwrap();
    let said = town.say(&["poll"]).await;
    assert_eq!(said.code, 75, "{said:?}");
    let error = town.value("SELECT last_error FROM feeds").await;
    assert!(error.contains("no safe connection can be made") && error.contains("before 1.2"), "{error}");
    let checked = town.say(&["check", "--online"]).await;
    assert!(checked.out.contains("no TLS with localhost") && checked.out.contains("before 1.2"), "{checked:?}");
}

#[test]
fn no_version_before_1_2_is_offered() {
    let config = Arc::new(tls());
    let mut client = rustls::ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    // The extension supported_versions (43) names 1.3 and 1.2, and nothing else (RFC 8446, §4.2.1).
    let versions = [0, 43, 0, 5, 4, 3, 4, 3, 3];
    assert!(hello.windows(versions.len()).any(|window| window == versions), "{hello:?}");
}
