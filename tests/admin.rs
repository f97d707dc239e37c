//! `[admin] listen`: the page, metrics and health of the real daemon, as a browser and a monitoring system see them.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::browse::{ask, exchange, get, wait_for};
use common::{Daemon, PATIENCE, SIREN, Town};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

/// Has `town` listen at a port of its own besides what it is told; answers once the daemon runs.
async fn open(town: &Town) -> (Daemon, String) {
    listen(town, "127.0.0.1:0");
    let daemon = town.start().await;
    let address = daemon.wait_event("admin.opened").await["listen"].as_str().unwrap().to_owned();
    (daemon, address)
}

/// Writes or exchanges `[admin] listen`.
fn listen(town: &Town, at: &str) {
    let text = std::fs::read_to_string(town.config()).unwrap();
    let rest = text.split("[admin]\n").next().unwrap();
    let accounts = text.find("[[fast.accounts]]").map_or("", |at| &text[at..]);
    let before = &rest[..rest.find("[[fast.accounts]]").unwrap_or(rest.len())];
    std::fs::write(town.config(), format!("{before}[admin]\nlisten = \"{at}\"\n{accounts}")).unwrap();
}

/// The value of a series, by its name and labels as they are written.
fn series(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit_once(' ')?.1.parse().ok()
}

const DELIVERED: &str = "SELECT count(*) FROM documents WHERE state = 'delivered'";

#[tokio::test]
async fn what_was_collected_is_on_the_page_in_the_status_and_counted_whatever_the_log_shows() {
    let town = Town::with_interval("30m").await;
    // Polls that found nothing are debug events.
    let quiet = std::fs::read_to_string(town.config()).unwrap().replace("\"debug\"", "\"info\"");
    std::fs::write(town.config(), quiet).unwrap();
    town.put_many(Kind::Chorus, 1, 4, 2000);
    let (daemon, address) = open(&town).await;
    town.wait_value(DELIVERED, "4").await;
    town.wait_value("SELECT count(*) FROM polls WHERE outcome = 'ok'", "3").await;

    let page = wait_for(&address, "/", &["3 feeds, 3 well", "4 came in the last 30 days"]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for words in ["Nothing needs anybody.", "fast/mairie/chorus", "Next poll", "fast/mairie", "certificate", "inbox"] {
        assert!(page.body.contains(words), "{words}: {}", page.body);
    }
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    assert!(!page.body.contains("<script") && !page.body.contains("style=\""), "{}", page.body);
    assert!(page.header("set-cookie").is_none());

    let status: Value = serde_json::from_str(&get(&address, "/status").await.body).unwrap();
    let (printed, _) = town.status().await;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&status), names(&printed), "what `status --json` prints");
    assert_eq!(status["feeds"].as_array().unwrap().len(), 3);
    assert_eq!(names(&status["feeds"][0]), names(&printed["feeds"][0]));

    let metrics = get(&address, "/metrics").await;
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let value = |name: &str| series(&metrics.body, name).unwrap_or_else(|| panic!("no {name}: {}", metrics.body));
    assert_eq!(value("vaguemestre_polls_total{platform=\"fast\",outcome=\"ok\"}"), 3.0);
    assert_eq!(value("vaguemestre_documents_stored_total{platform=\"fast\"}"), 4.0);
    let bytes: f64 = town.value("SELECT sum(size) FROM documents").await.parse().unwrap();
    assert_eq!(value("vaguemestre_documents_stored_bytes_total{platform=\"fast\"}"), bytes);
    assert_eq!(value("vaguemestre_deliveries_total{target=\"inbox\",outcome=\"done\"}"), 4.0);
    assert_eq!(value("vaguemestre_feeds{platform=\"fast\",health=\"well\"}"), 3.0);
    assert_eq!(value("vaguemestre_documents{platform=\"fast\",state=\"held\"}"), 4.0);
    assert_eq!(value("vaguemestre_events_total{event=\"poll.finished\",level=\"debug\"}"), 2.0);
    assert!(daemon.events("poll.finished").len() == 1, "the log itself shows those alone that found something");
    assert!(value("vaguemestre_disk_free_bytes") > 0.0 && value("process_resident_memory_bytes") > 1e6);
    let end = "vaguemestre_credential_expiry_timestamp_seconds{platform=\"fast\",credential=\"certificate\"}";
    assert!(value(end) > value("process_start_time_seconds"));
    assert_eq!((value("vaguemestre_ready"), get(&address, "/readyz").await.status), (1.0, 200));
    assert_eq!(get(&address, "/livez").await.body, "alive\n");
}

#[tokio::test]
async fn the_page_speaks_the_language_that_the_browser_asks_for() {
    let town = Town::with_interval("10s").await;
    let listing = Matcher::listing(SIREN, Kind::PesRetour);
    town.platform.set_fault(listing, Fault::Status(403, "".into(), Vec::new()), Times::Always);
    let (daemon, address) = open(&town).await;
    let page = wait_for(&address, "/", &["fast/mairie/pes-retour fails: FAST denies access"]).await;
    assert_eq!((page.header("content-language"), page.header("vary")), (Some("en"), Some("accept-language")));
    assert!(page.body.contains("<html lang=\"en\">") && page.body.contains("What needs someone"), "{}", page.body);

    let request = |language: &str| {
        format!("GET / HTTP/1.1\r\nHost: {address}\r\nAccept-Language: {language}\r\nConnection: close\r\n\r\n")
    };
    let french = ask(&address, &request("fr-FR,fr;q=0.9,en;q=0.8")).await;
    assert_eq!((french.header("content-language"), french.status), (Some("fr"), 200));
    let said = french.body.replace('\u{a0}', " ");
    for words in [
        "<html lang=\"fr\">",
        "<title>vaguemestre : 1 problème</title>",
        "en marche (processus ",
        "Ce qui demande quelqu’un",
        "fast/mairie/pes-retour est en échec : FAST refuse l’accès à ce SIREN ou à ce flux (statut 403) : demandez à",
        "Que faire : là où un remède est indiqué, appliquez-le ; sinon un nouvel essai a lieu tout seul. <code>vaguemestre check --online</code> essaie",
        "Prochaine relève",
        "Jours restants",
        "Aucun n’est arrivé ces 30 derniers jours.",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    for words in ["denies", "What to do", "Next poll", "running", "failing", "Health"] {
        assert!(!said.contains(words), "{words}: {said}");
    }
    let other = ask(&address, &request("de, en;q=0.5")).await;
    assert_eq!(other.header("content-language"), Some("en"));
    drop(daemon);
}

#[tokio::test]
async fn what_needs_someone_is_on_the_page_and_in_the_metrics_with_what_to_do() {
    let town = Town::bare().await;
    let tables =
        town.account("a-denied", SIREN, Standing::Valid) + &town.account("b-shut", "213400036", Standing::Expired);
    town.configure("1s", "", &tables);
    let listing = Matcher::listing(SIREN, Kind::PesRetour);
    town.platform.set_fault(listing, Fault::Status(403, "".into(), Vec::new()), Times::Always);
    let (_daemon, address) = open(&town).await;
    let page =
        wait_for(&address, "/", &["4 failing", "1 account cannot work", "account fast/b-shut cannot work"]).await;
    assert!(page.body.contains("What to do:") && page.body.contains("someone must act"), "{}", page.body);
    assert!(!page.body.contains("Nothing needs anybody."));
    assert!(!page.body.contains("<script"), "{}", page.body);
    let first = |name: &str| page.body.find(&format!("<td role=\"cell\">{name}")).unwrap_or_else(|| panic!("{name}"));
    assert!(first("fast/b-shut/chorus") < first("fast/a-denied/chorus"), "worst first");

    let metrics = wait_for(&address, "/metrics", &["vaguemestre_accounts_unusable{platform=\"fast\"} 1"]).await.body;
    assert_eq!(series(&metrics, "vaguemestre_problems{kind=\"account_unusable\",severity=\"error\"}"), Some(1.0));
    assert_eq!(series(&metrics, "vaguemestre_feeds{platform=\"fast\",health=\"failing\"}"), Some(4.0));
    assert!(series(&metrics, "vaguemestre_feed_failing_seconds{feed=\"fast/a-denied/pes-retour\"}").unwrap() >= 0.0);
    assert_eq!(series(&metrics, "vaguemestre_feeds_failing_beyond"), Some(0.0));
    // What works has no series of its own.
    assert!(!metrics.contains("fast/a-denied/chorus"), "{metrics}");

    let filtered = get(&address, "/?feed=*%2Facquittements").await.body;
    assert!(
        filtered.contains("fast/a-denied/acquittements") && !filtered.contains("fast/a-denied/chorus<"),
        "{filtered}"
    );
    let hostile = get(&address, "/?feed=%22%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E").await.body;
    assert!(!hostile.contains("<script") && hostile.contains("There is no feed of that name."), "{hostile}");
    assert!(get(&address, "/?feed=%5B").await.body.contains("is not a pattern of feed names"));
}

#[tokio::test]
async fn a_full_disk_is_said_by_readyz_with_what_to_do() {
    let town = Town::with_interval("1s").await;
    let (daemon, address) = open(&town).await;
    wait_for(&address, "/readyz", &["ready"]).await;
    let full = std::fs::read_to_string(town.config()).unwrap().replace("reserve = \"1MiB\"", "reserve = \"900TiB\"");
    std::fs::write(town.config(), full).unwrap();
    daemon.signal("HUP");
    let said = wait_for(&address, "/readyz", &["reserve", "make room on that disk"]).await;
    assert_eq!((said.status, get(&address, "/livez").await.status), (503, 200));
    wait_for(&address, "/", &["make room on that disk"]).await;
    wait_for(&address, "/metrics", &["\nvaguemestre_ready 0"]).await;
}

#[tokio::test]
async fn nothing_can_be_changed_and_strange_requests_are_refused() {
    let town = Town::with_interval("30m").await;
    let (_daemon, address) = open(&town).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let reply =
            ask(&address, &format!("{method} / HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n")).await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{method}");
    }
    let head = ask(&address, &format!("HEAD /metrics HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    for host in ["evil.example", "localhost.evil.example:80", "127.0.0.1.evil.example"] {
        let reply = ask(&address, &format!("GET /status HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(reply.status, 421, "{host}: a page from elsewhere must not read this");
        assert!(!reply.body.contains("feeds"));
    }
    assert_eq!(ask(&address, "GET /livez HTTP/1.0\r\n\r\n").await.status, 200, "simple probes name no host");
    assert_eq!(ask(&address, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.status, 200);
    for path in ["/elsewhere", "/../etc/passwd", "//", "/status/", "/metrics.json"] {
        assert_eq!(get(&address, path).await.status, 404, "{path}");
    }
    let long = ask(&address, &format!("GET /{} HTTP/1.1\r\nHost: {address}\r\n\r\n", "x".repeat(20_000))).await;
    assert!(matches!(long.status, 414 | 431), "{}", long.head);
    assert_eq!(ask(&address, "nonsense\r\n\r\n").await.status, 400);
}

#[tokio::test]
async fn guests_that_say_nothing_keep_nobody_else_waiting_for_long() {
    let town = Town::with_interval("30m").await;
    let (_daemon, address) = open(&town).await;
    let mut mute = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
        mute.push(stream);
    }
    let begun = tokio::time::Instant::now();
    assert_eq!(get(&address, "/livez").await.status, 200);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_socket_is_for_the_group_is_exchanged_by_a_reload_and_goes_with_the_daemon() {
    let town = Town::with_interval("30m").await;
    let [first, second] = ["first.sock", "second.sock"].map(|name| town.folder.path().join(name));
    // What a dead process has left.
    drop(std::os::unix::net::UnixListener::bind(&first).unwrap());
    listen(&town, first.to_str().unwrap());
    let daemon = town.start().await;
    daemon.wait_event("admin.opened").await;
    let request = "GET /livez HTTP/1.1\r\nHost: anything\r\n\r\n";
    assert_eq!(exchange(UnixStream::connect(&first).await.unwrap(), request).await.status, 200);
    assert_eq!(mode(&first), 0o660);

    listen(&town, second.to_str().unwrap());
    daemon.signal("HUP");
    timeout(PATIENCE, async {
        while !second.exists() || first.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the socket is exchanged");
    assert_eq!(exchange(UnixStream::connect(&second).await.unwrap(), request).await.status, 200);
    assert!(daemon.stop().await.success());
    assert!(!second.exists());
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn an_address_that_is_taken_keeps_nothing_from_being_collected_and_is_tried_again() {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 2, 2000);
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    listen(&town, &address);
    let daemon = town.start().await;
    let failed = daemon.wait_event("admin.failed").await;
    let said = failed["message"].as_str().unwrap();
    assert!(said.contains(&address) && said.contains("[admin] listen"), "{said}");
    town.wait_value(DELIVERED, "2").await;
    drop(other);
    daemon.signal("HUP");
    daemon.wait_event("admin.opened").await;
    assert_eq!(get(&address, "/livez").await.status, 200);
    assert_eq!(daemon.events("admin.failed").len(), 1, "said once");
    assert!(daemon.stop().await.success());
}
