//! Errors of access (F8): each names its cause and its remedy, in the ledger, in `status` and in the log; none stops
//! another account (F7); what heals recovers by itself.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{Daemon, SIREN, Town, sample, told};
use serde_json::Value;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Keys, Matcher, Platform, Times};

const NGINX_400: &str = "<html>\r\n<head><title>400 No required SSL certificate was sent</title></head>\r\n<body>\r\n\
    <center><h1>400 Bad Request</h1></center>\r\n<center>No required SSL certificate was sent</center>\r\n\
    <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
const ONE_FEED: &str = "feeds = [\"chorus\"]\n";

/// Waits until the feed has failed twice in a row.
async fn fails_twice(town: &Town, feed: &str) {
    town.wait_value(&format!("SELECT consecutive_failures >= 2 FROM feeds WHERE feed = '{feed}'"), "1").await;
}

/// Events of that name about that feed.
fn about<'a>(events: &'a [Value], feed: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["feed"] == feed).collect()
}

/// That ledger, `status` and log tell of `feed`'s failure with all of `words`, and the log once.
async fn is_told(town: &Town, daemon: &Daemon, status: &str, feed: &str, words: &[&str]) {
    let error = town.value(&format!("SELECT last_error FROM feeds WHERE feed = '{feed}'")).await;
    let failing = daemon.events("feed.failing");
    let failing = about(&failing, feed);
    assert_eq!(failing.len(), 1, "{feed} is said to fail once: {failing:?}");
    // What is wrong with an account's certificate is said of the account, once.
    let account = format!("account {} cannot work: ", feed.rsplit_once('/').unwrap().0);
    let lines: Vec<&str> = status.lines().collect();
    let own = lines.iter().position(|line| line.contains(&account) || line.contains(&format!("{feed} fails: ")));
    // What several feeds have in common is said of the first; the others are named two lines below.
    let shared = || lines.iter().position(|line| line.contains("the same of ") && line.contains(feed)).map(|it| it - 2);
    let line = own.or_else(shared).map_or("", |place| lines[place]);
    for word in words {
        assert!(error.contains(word), "ledger of {feed} without «{word}»: {error}");
        assert!(line.contains(word), "status of {feed} without «{word}»: {status}");
        assert!(failing[0]["error"].as_str().unwrap().contains(word), "log of {feed} without «{word}»: {failing:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_bad_by_itself_causes_no_connection_and_a_good_one_heals_the_account() {
    let town = Town::bare().await;
    let cases = [
        ("ended", "213400010", Standing::Expired, ["expired on", "install its successor"]),
        ("early", "213400028", Standing::NotYetValid, ["valid only from", "check the machine's clock"]),
        ("server", "213400036", Standing::ServerOnly, ["may not authenticate a client", "client authentication"]),
    ];
    let tables: Vec<String> =
        cases.iter().map(|(name, siren, standing, _)| town.account(name, siren, *standing) + ONE_FEED).collect();
    town.configure("1s", "", &tables.concat());
    town.platform.put("213400010", Kind::Chorus, 1, sample(Kind::Chorus, 1, 2000));
    let daemon = town.start().await;
    for (name, ..) in &cases {
        fails_twice(&town, &format!("fast/{name}/chorus")).await;
    }
    let output = town.run(&["status"]).await;
    assert_eq!(output.status.code(), Some(1));
    for (name, _, _, words) in &cases {
        is_told(&town, &daemon, &told(&output), &format!("fast/{name}/chorus"), words).await;
        assert_eq!(told(&output).matches(words[0]).count(), 1, "said once, of the account: {}", told(&output));
        let problem = town.value(&format!("SELECT problem FROM accounts WHERE account = 'fast/{name}'")).await;
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
        let account = format!("fast/{name}");
        let unusable = daemon.events("account.unusable");
        let unusable: Vec<_> = unusable.iter().filter(|event| event["account"] == account.as_str()).collect();
        assert_eq!((unusable.len(), unusable[0]["level"].as_str()), (1, Some("ERROR")), "{unusable:?}");
    }
    assert_eq!((town.platform.connections(), town.platform.requests().len()), (0, 0));

    let successor = town.keys.client("successor", Standing::Valid).unwrap();
    let written = successor.write(town.folder.path(), "successor").unwrap();
    std::fs::rename(written, town.folder.path().join("ended")).unwrap();
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "1").await;
    assert_eq!(about(&[daemon.wait_event("feed.recovered").await], "fast/ended/chorus").len(), 1);
    town.wait_value("SELECT problem FROM accounts WHERE account = 'fast/ended'", "").await;
    assert_eq!(town.value("SELECT problem_since FROM accounts WHERE account = 'fast/ended'").await, "");
}

#[tokio::test]
async fn each_refusal_of_the_platform_names_its_cause_and_its_remedy_and_stops_nobody_else() {
    let town = Town::bare().await;
    let cases: [(&str, &str, Standing, &[&str]); 8] = [
        ("foreign", "213400010", Standing::Foreign, &["does not know the authority", "authority that FAST accepts"]),
        ("revoked", "213400028", Standing::Revoked, &["is revoked", "order a new certificate"]),
        ("unknown", "213400036", Standing::Valid, &["does not know this SIREN", "111", "correct the account's siren"]),
        ("denied", "213400044", Standing::Valid, &["denies access", "100", "right to this SIREN", "enable this feed"]),
        ("unseen", "213400051", Standing::Valid, &["saw no certificate", "exempted from TLS inspection"]),
        ("nowhere", "213400069", Standing::Valid, &["no such address", "check [fast] base_url"]),
        ("moved", "213400077", Standing::Valid, &["sends us elsewhere", "https://portal.invalid/login", "base_url"]),
        ("page", "213400085", Standing::Valid, &["the listing cannot be read", "no JSON array"]),
    ];
    let tables: Vec<String> =
        cases.iter().map(|(name, siren, standing, _)| town.stranger(name, siren, *standing) + ONE_FEED).collect();
    for siren in ["213400010", "213400028", "213400051", "213400069", "213400077", "213400085"] {
        town.platform.open(siren);
    }
    town.platform.register("213400044", "someone else");
    for (siren, fault) in [
        ("213400051", Fault::Status(400, NGINX_400.into(), Vec::new())),
        ("213400069", Fault::Status(404, "<html><h1>404 Not Found</h1></html>".into(), Vec::new())),
        ("213400077", Fault::Redirect("https://portal.invalid/login".to_owned())),
        ("213400085", Fault::HtmlWith200),
    ] {
        town.platform.set_fault(Matcher::listing(siren, Kind::Chorus), fault, Times::Always);
    }
    town.configure("1s", "", &(tables.concat() + &town.account("mairie", SIREN, Standing::Valid)));
    let documents = town.put_many(Kind::Chorus, 1, 20, 2000);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", &documents.len().to_string()).await;
    for (name, ..) in &cases {
        fails_twice(&town, &format!("fast/{name}/chorus")).await;
    }
    let output = town.run(&["status"]).await;
    for (name, _, _, words) in &cases {
        is_told(&town, &daemon, &told(&output), &format!("fast/{name}/chorus"), words).await;
    }
    let (status, code) = town.status().await;
    assert_eq!((status["healthy"].as_bool(), code), (Some(false), Some(1)));

    town.platform.clear_faults();
    town.platform.open("213400036");
    for name in ["unknown", "unseen", "nowhere", "moved", "page"] {
        town.wait_value(&format!("SELECT last_outcome FROM feeds WHERE feed = 'fast/{name}/chorus'"), "ok").await;
        let (recovered, failing) = (daemon.events("feed.recovered"), daemon.events("feed.failing"));
        let feed = format!("fast/{name}/chorus");
        assert_eq!((about(&recovered, &feed).len(), about(&failing, &feed).len()), (1, 1));
    }
}

#[tokio::test]
async fn a_device_that_inspects_tls_is_named_and_gets_no_request() {
    let keys = Keys::generate().unwrap();
    let inspector = Keys::generate().unwrap();
    let platform = Platform::start(&inspector).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = keys.write_authority(folder.path()).unwrap();
    let town = Town { folder, authority, keys, platform };
    town.configure("1s", "", &(town.account("mairie", SIREN, Standing::Valid) + ONE_FEED));
    let daemon = town.start().await;
    fails_twice(&town, "fast/mairie/chorus").await;
    let status = told(&town.run(&["status"]).await);
    let words =
        ["TLS inspection by", "Autorite de demonstration - certificats de services", "exempted", "ca_certificate"];
    is_told(&town, &daemon, &status, "fast/mairie/chorus", &words).await;
    assert!(town.platform.connections() > 0);
    assert!(town.platform.requests().is_empty());
}

#[tokio::test]
async fn a_network_that_is_down_is_said_once_and_its_return_too() {
    let town = Town::with_interval("1s").await;
    town.platform.stop_accepting().await;
    let documents = town.put_many(Kind::Acquittements, 1, 5, 2000);
    let daemon = town.start().await;
    for kind in Kind::USUAL {
        fails_twice(&town, &format!("fast/mairie/{kind}")).await;
    }
    let status = told(&town.run(&["status"]).await);
    for kind in Kind::USUAL {
        let words = ["network down", "no connection to localhost", "check the network", "port 443"];
        is_told(&town, &daemon, &status, &format!("fast/mairie/{kind}"), &words).await;
    }
    for poll in daemon.events("poll.finished") {
        assert!(poll["message"].as_str().unwrap().contains("network down"), "{poll}");
    }
    assert_eq!(town.value("SELECT count(*) FROM accounts WHERE problem IS NOT NULL").await, "0");
    town.platform.resume().unwrap();
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", &documents.len().to_string()).await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok' AND failing_since IS NULL", "3").await;
    assert_eq!((daemon.events("feed.failing").len(), daemon.events("feed.recovered").len()), (3, 3));
    assert_eq!(town.status().await.1, Some(0));
}

#[tokio::test]
async fn a_network_that_falls_while_documents_come_in_costs_no_try() {
    let town = Town::with_interval("1s").await;
    let documents = town.put_many(Kind::Acquittements, 1, 40, 2000);
    town.platform.adjust(|it| it.latency = std::time::Duration::from_millis(30));
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) >= 5 FROM documents WHERE state IN ('stored', 'delivered')", "1").await;
    town.platform.stop_accepting().await;
    daemon.wait_event("feed.failing").await;
    town.platform.resume().unwrap();
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", &documents.len().to_string()).await;
    let tries = town.value("SELECT max(attempts) <= 1 FROM documents").await;
    assert_eq!(tries, "1", "a transfer that broke with the network counts at most once");
    assert_eq!(town.inbox_files().len(), documents.len());
}
