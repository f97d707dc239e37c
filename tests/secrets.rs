//! T5: no password, token, private key or JWT in what is said at trace level, in errors, in the ledger's tables and copies, in
//! `Debug`, in a core dump, or in a file that others can read; certificate and token reach their own origin, and nobody on the
//! way.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::wire::{Step, Wire, answer};
use common::{Daemon, SIREN, Town};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use vaguemestre::feed::Kind;
use vaguemestre::http::verifier::ServerVerifier;
use vaguemestre::http::{Carried, Client, Route};
use vaguemestre::identity::Identity;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::oauth::{Script, Tokens};
use vaguemestre::simulator::{Entreprise, Fault, Gateway, Matcher, Reply, Times};

const PASSWORD: &str = "p4ssw0rd+de&siège";
const CLIENT_SECRET: &str = "s3cr3t-of-the-application";
const KEY_PASSWORD: &str = "motdepasse";
const JWT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjQxMDI0NDQ4MDB9.s3cr3ts1gn4tur3";
/// The start of every token that the simulator gives.
const TOKEN: &str = "-of-COMPTE-API";
const OTHER_TOKEN: &str = "-of-application";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/identity").join(name)
}

/// A town where everything has a secret, and everybody who is told one repeats it in an error.
struct Gossip {
    town: Town,
    _tokens: Arc<Tokens>,
    _gateway: Gateway,
    entreprise: Entreprise,
    /// A line of the account's private key.
    key: String,
}

impl Gossip {
    async fn open() -> Self {
        let town = Town::bare().await;
        let tokens = Arc::new(Tokens::start().await.unwrap());
        tokens.know("COMPTE-API", PASSWORD);
        tokens.know("application", CLIENT_SECRET);
        let gateway = Gateway::start(Arc::clone(&tokens)).await.unwrap();
        let entreprise = Entreprise::start(JWT).await.unwrap();
        let secret = |name: &str, bytes: &[u8]| {
            let path = town.folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        secret("password", PASSWORD.as_bytes());
        secret("client_secret", CLIENT_SECRET.as_bytes());
        secret("key_password", KEY_PASSWORD.as_bytes());
        secret("jwt", JWT.as_bytes());
        secret("protected.p12", &std::fs::read(fixture("modern.p12")).unwrap());
        let mairie = town.account("mairie", SIREN, Standing::Valid);
        let pem = std::fs::read_to_string(town.folder.path().join("mairie")).unwrap();
        let key = pem.split("PRIVATE KEY-----").nth(1).unwrap().lines().nth(1).unwrap().to_owned();
        town.platform.open("213400010");
        let (token_url, piste_url, api) = (tokens.douane_url(), tokens.piste_url(), gateway.url());
        let resource = |platform: &str, account: &str, path: &str| {
            format!(
                "[[{platform}.resources]]\nname = \"suivi\"\naccount = \"{account}\"\npath = \"{path}\"\nevery = \"1s\"\n"
            )
        };
        let tables = [
            mairie,
            "[[fast.accounts]]\nname = \"other\"\nsiren = \"213400010\"\ncertificate = \"protected.p12\"\n\
             certificate_password = { file = \"key_password\" }\n"
                .to_owned(),
            format!(
                "[douane]\ntoken_url = \"{token_url}\"\napi_url = \"{api}\"\n[[douane.accounts]]\nname = \"siege\"\n\
                 username = \"COMPTE-API\"\npassword = {{ file = \"password\" }}\n[piste]\ntoken_url = \"{piste_url}\"\n\
                 api_url = \"{api}\"\n[[piste.accounts]]\nname = \"sne\"\nclient_id = \"application\"\n\
                 client_secret = {{ file = \"client_secret\" }}\n"
            ),
            resource("douane", "siege", "/a"),
            format!(
                "[entreprise]\nbase_url = \"{}\"\n[[entreprise.accounts]]\nname = \"marches\"\ntoken = {{ file = \"jwt\" }}\n\
                 context = \"c\"\nrecipient = \"55203253400646\"\nobject = \"o\"\n[[entreprise.watches]]\nname = \"ul\"\n\
                 account = \"marches\"\npath = \"/v3/insee/sirene/unites_legales/{{siren}}\"\npace = \"fast\"\n\
                 subjects = [\"552032534\", \"732829320\"]\nhours = \"00:00-24:00\"\n[token]\nsocket = \"token.sock\"\n",
                entreprise.url()
            ),
        ];
        town.configure("1s", "", &tables.concat());
        let text = std::fs::read_to_string(town.config()).unwrap();
        std::fs::write(town.config(), text.replace("level = \"debug\"", "level = \"trace\"")).unwrap();
        let echo = |status: u16, token: String| {
            Reply::json(
                status,
                &serde_json::json!({ "message": format!("the token {token} may not do this"), "code": "X" }),
            )
            .with(format!(
                "WWW-Authenticate: Bearer error=\"insufficient_scope\", error_description=\"not with {token}\""
            ))
        };
        let refusal =
            serde_json::json!({ "error": "server_error", "error_description": format!("not with {PASSWORD}") });
        tokens.script(Script::Answer(503, Vec::new(), refusal.to_string()));
        gateway.put("/a", "application/json", "{\"n\":1}");
        for status in [500, 403, 200] {
            gateway.script(echo(status, "token-1-of-COMPTE-API".to_owned()));
        }
        for status in [500, 502, 200] {
            let errors =
                serde_json::json!({ "errors": [{ "code": "01", "title": format!("no: {JWT}"), "detail": JWT }] });
            entreprise.script("/v3", Reply::json(status, &errors));
            entreprise.script("/v3", Reply::new(status, "text/plain", format!("Authorization: Bearer {JWT}")));
        }
        town.put_many(Kind::Chorus, 1, 6, 2000);
        for (id, fault) in
            [Fault::Reset, Fault::HtmlWith200, Fault::Status(500, "x".into(), Vec::new())].into_iter().enumerate()
        {
            town.platform.set_fault(Matcher::download(id + 1), fault, Times::Once);
        }
        Self { town, _tokens: tokens, _gateway: gateway, entreprise, key }
    }

    /// Fails if `said` holds a secret, as it is or as forms write it.
    fn assert_silent(&self, said: &[u8], place: &str) {
        let forms = [
            "p4ssw0rd%2Bde%26",
            "p4ssw0rd",
            CLIENT_SECRET,
            KEY_PASSWORD,
            JWT,
            "s3cr3ts1gn4tur3",
            TOKEN,
            OTHER_TOKEN,
            &self.key,
            "PRIVATE KEY",
        ];
        for secret in forms {
            let found = said.windows(secret.len()).position(|window| window == secret.as_bytes());
            if let Some(at) = found {
                let around = &said[at.saturating_sub(150)..(at + 60).min(said.len())];
                panic!("{place} holds {secret}: {}", String::from_utf8_lossy(around));
            }
        }
    }
}

/// The daemon started by a script that cares about nothing: umask 0000, cores of any size.
fn carelessly(town: &Town) -> Daemon {
    let program = town.command(&["-vv", "run"]);
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0000; ulimit -c unlimited 2>/dev/null; cd \"$0\"; exec \"$@\""]).arg(town.folder.path());
    command
        .arg(program.get_program())
        .args(program.get_args())
        .env_remove("NOTIFY_SOCKET")
        .env_remove("JOURNAL_STREAM");
    Daemon::spawn(command, town.folder.path())
}

#[tokio::test]
async fn no_secret_is_said_at_trace_level_by_any_fault_nor_lies_where_others_can_read() {
    let gossip = Gossip::open().await;
    let town = &gossip.town;
    let before: Vec<PathBuf> =
        std::fs::read_dir(town.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let daemon = carelessly(town);
    daemon.wait_event("daemon.ready").await;
    town.wait_value("SELECT count(*) FROM documents WHERE feed = 'fast/mairie/chorus' AND state = 'delivered'", "6")
        .await;
    town.wait_value("SELECT count(*) FROM documents WHERE feed LIKE 'douane/%'", "1").await;
    town.wait_value(
        "SELECT count(*) FROM calls WHERE status IS NOT NULL",
        &gossip.entreprise.calls().len().to_string(),
    )
    .await;
    assert!(!gossip.entreprise.calls().is_empty());
    for arguments in [
        &["-vv", "status"][..],
        &["status", "--json"],
        &["config"],
        &["-vv", "check", "--online"],
        &["-vv", "documents", "--json"],
        &["-vv", "poll"],
        &["-vv", "show", "1"],
        &["token", "douane/nobody"],
        &["token", "piste/nobody"],
    ] {
        let output = town.run(arguments).await;
        gossip.assert_silent(&output.stdout, &format!("{arguments:?}"));
        gossip.assert_silent(&output.stderr, &format!("{arguments:?}"));
    }
    for table in [
        "accounts",
        "feeds",
        "polls",
        "documents",
        "tries",
        "subjects",
        "calls",
        "requests",
        "operator_actions",
        "deliveries",
    ] {
        let rows = town.query(&format!("SELECT * FROM {table}")).await;
        gossip.assert_silent(format!("{rows:?}").as_bytes(), table);
    }
    for line in daemon.log() {
        gossip.assert_silent(line.to_string().as_bytes(), "the log");
    }
    let others = modes(town.folder.path(), &before);
    assert!(others.is_empty(), "others may read or write {others:?}");
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&town.state()), mode(&town.state().join("archive"))), (0o750, 0o700));
    for path in town.every_file("archive") {
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
    for path in
        std::fs::read_dir(town.state()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let wanted = if path.ends_with("lock") { 0o640 } else { 0o600 };
        assert_eq!(mode(&path), wanted, "{path:?}");
    }
    for path in town.inbox_files() {
        assert_eq!(mode(&town.inbox().join(path)), 0o640);
    }
    assert!(daemon.stop().await.success());
    // What lies there once it has stopped: no secret but in the ledger itself, which is for its owner.
    for path in town.every_file("").into_iter().filter(|path| !path.to_string_lossy().contains("ledger.sqlite")) {
        gossip.assert_silent(&std::fs::read(&path).unwrap(), &path.display().to_string());
    }
}

/// Files and folders below `root`, less those of `except`, that others may read or write.
fn modes(root: &Path, except: &[PathBuf]) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap().map(Result::unwrap) {
        let (path, facts) = (entry.path(), entry.metadata().unwrap());
        let own = !except.contains(&path) && path.extension().is_none_or(|extension| extension != "log");
        if own && facts.permissions().mode() & 0o007 != 0 {
            found.push((path.clone(), facts.permissions().mode() & 0o7777));
        }
        if facts.is_dir() {
            found.extend(modes(&path, except));
        }
    }
    found
}

#[tokio::test]
async fn a_process_that_dies_leaves_no_core() {
    let town = Town::with_interval("30m").await;
    let mut daemon = carelessly(&town);
    daemon.wait_event("daemon.ready").await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{line}");
    daemon.signal("ABRT");
    let status = daemon.wait().await;
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

#[test]
fn debugging_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("modern.p12");
    std::fs::copy(fixture("modern.p12"), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let identity = Identity::load(&path, None, Some(&SecretString::from(KEY_PASSWORD))).unwrap();
    let verifier = ServerVerifier::new(Some(&fixture("ca.pem"))).unwrap();
    let tls = identity.client_config(verifier).unwrap();
    let client = Client::new(tls.clone(), &route(443, None)).unwrap();
    let token = SecretString::from(JWT);
    let carried = Carried { bearer: Some(&token), ..Carried::default() };
    let text = format!("{identity:?} {tls:?} {client:?} {carried:?} {token:?}");
    assert!(!text.contains(KEY_PASSWORD) && !text.contains("s3cr3t"), "{text}");
    // The key's own bytes, as the fixtures have it in PEM, decoded or not.
    let pem = std::fs::read_to_string(fixture("mairie.pem")).unwrap();
    let key = pem.split("PRIVATE KEY-----").nth(1).unwrap().lines().nth(1).unwrap();
    assert!(!text.contains(key), "{text}");
}

fn route(port: u16, proxy: Option<String>) -> Route {
    Route {
        origin: format!("https://localhost:{port}"),
        loopback: false,
        proxy,
        timeout: Duration::from_secs(5),
        keep_alive: 1,
        ..Route::default()
    }
}

/// A proxy that makes way to `port` on this machine, whatever is asked for; answers its address, and where to read all that it
/// was told in the clear or passed on.
async fn proxy(port: u16) -> (String, Arc<std::sync::Mutex<(String, Vec<u8>)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let heard = Arc::new(std::sync::Mutex::new((String::new(), Vec::new())));
    let ears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let ears = Arc::clone(&ears);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                ears.lock().unwrap().0 += &String::from_utf8_lossy(&head);
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                let mut server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.split(), server.split());
                let back = tokio::io::copy(&mut from_server, &mut to_client);
                let forth = async {
                    let mut piece = [0; 4096];
                    while let Ok(count @ 1..) = from_client.read(&mut piece).await {
                        ears.lock().unwrap().1.extend_from_slice(&piece[..count]);
                        to_server.write_all(&piece[..count]).await.unwrap();
                    }
                };
                tokio::join!(back, forth)
            });
        }
    });
    (address, heard)
}

#[tokio::test]
async fn a_proxy_on_the_way_hears_the_hosts_name_and_nothing_else() {
    let wire = Wire::over_tls(|_| vec![Step::Say(answer("200 OK", "", "hello"))]).await;
    let (address, heard) = proxy(wire.address.port()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("modern.p12");
    std::fs::copy(fixture("modern.p12"), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let identity = Identity::load(&path, None, Some(&SecretString::from(KEY_PASSWORD))).unwrap();
    let verifier = ServerVerifier::new(Some(&fixture("ca.pem"))).unwrap();
    let route = route(wire.address.port(), Some(address));
    let client = Client::new(identity.client_config(verifier).unwrap(), &route).unwrap();
    let token = SecretString::from(JWT);
    let carried = Carried { bearer: Some(&token), ..Carried::default() };
    let answer = client.get_with(&format!("{}/secret-path", route.origin), "*/*", &carried).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(wire.asked()[0].head.contains(JWT), "the platform itself gets it");
    let (clear, passed) = heard.lock().unwrap().clone();
    assert!(clear.starts_with(&format!("CONNECT localhost:{} HTTP/1.1\r\n", wire.address.port())), "{clear}");
    assert!(!clear.to_lowercase().contains("authorization") && !clear.contains("secret-path"), "{clear}");
    let contains = |words: &[u8]| passed.windows(words.len()).any(|window| window == words);
    assert!(!contains(b"secret-path") && !contains(JWT.as_bytes()));
    assert!(identity.chain.iter().all(|certificate| !contains(certificate)), "nor the certificate, in TLS 1.3");

    // Nor does a token or a certificate go to anybody but its origin.
    for url in [
        "https://elsewhere.invalid/x".to_owned(),
        format!("https://localhost:{}@elsewhere.invalid/", wire.address.port()),
    ] {
        let refused = client.get_with(&url, "*/*", &carried).await.unwrap_err().to_string();
        assert!(refused.contains("nothing was sent"), "{refused}");
    }
}

#[tokio::test]
async fn a_proxy_that_opens_tls_itself_sees_neither_token_nor_certificate() {
    let spy = Wire::over_tls(|_| vec![Step::Say(answer("200 OK", "", "hello"))]).await;
    let (address, _) = proxy(spy.address.port()).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("modern.p12");
    std::fs::copy(fixture("modern.p12"), &path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let identity = Identity::load(&path, None, Some(&SecretString::from(KEY_PASSWORD))).unwrap();
    // It trusts others than the authority of the spy.
    let verifier = ServerVerifier::new(Some(&fixture("self-signed.pem"))).unwrap();
    let client = Client::new(identity.client_config(verifier).unwrap(), &route(443, Some(address))).unwrap();
    let token = SecretString::from(JWT);
    let carried = Carried { bearer: Some(&token), ..Carried::default() };
    let error = client.get_with("https://localhost:443/x", "*/*", &carried).await.unwrap_err();
    assert!(matches!(error, vaguemestre::http::HttpError::UntrustedServer { .. }), "{error:?}");
    assert!(spy.asked().is_empty());
}

#[test]
fn the_unit_allows_no_core_and_no_file_for_others() {
    let unit =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/vaguemestre.service")).unwrap();
    for line in ["LimitCORE=0", "UMask=0007"] {
        assert!(unit.lines().any(|it| it == line), "{line}");
    }
}
