//! `status` and `documents`: facts that monitoring can rely on, whether a daemon runs or not.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::io::Read as _;
use std::process::Stdio;

use common::{SIREN, Town, complained, told};
use serde_json::Value;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

const DELIVERED: &str = "SELECT count(*) FROM documents WHERE state = 'delivered'";

fn feed<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["feeds"].as_array().unwrap().iter().find(|feed| feed["feed"] == name).unwrap()
}

#[tokio::test]
async fn all_is_well_only_while_a_daemon_runs() {
    let town = Town::with_interval("30m").await;
    let before = town.run(&["status"]).await;
    assert_eq!(before.status.code(), Some(1));
    assert!(complained(&before).contains("remedy"), "{}", complained(&before));
    assert!(!town.state().exists(), "looking makes nothing");

    town.put_many(Kind::Chorus, 1, 4, 2000);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM polls WHERE outcome = 'ok'", "3").await;
    town.wait_value(DELIVERED, "4").await;
    let (status, code) = town.status().await;
    assert_eq!((status["healthy"].as_bool(), code), (Some(true), Some(0)), "{status}");
    assert!(status["daemon"].as_str().unwrap().contains(&daemon.id().to_string()));
    assert!(status["summary"].as_str().unwrap().contains("3 feeds, 3 well"), "{status}");
    assert_eq!(status["at"].as_str().unwrap().len(), "2026-11-22T10:00:00.000Z".len(), "{status}");
    let account = &status["accounts"][0];
    assert_eq!((account["account"].as_str(), account["problem"].is_null()), (Some("fast/mairie"), true));
    assert!(account["certificate_days"].as_i64().unwrap() > 1000 && account["certificate_not_after"].is_string());
    let chorus = feed(&status, "fast/mairie/chorus");
    assert_eq!((chorus["health"].as_str(), chorus["last_outcome"].as_str()), (Some("well"), Some("ok")));
    for (key, count) in [("held", 4), ("failed", 0), ("in_doubt", 0), ("waiting_deliveries", 0), ("abandoned", 0)] {
        assert_eq!(chorus[key], count, "{key}: {status}");
    }
    for key in ["last_listed_at", "next_poll_at", "last_success_at", "last_document_at"] {
        let column = town.value(&format!("SELECT {key} FROM feeds WHERE feed = 'fast/mairie/chorus'")).await;
        let [told, held] =
            [chorus[key].as_str().unwrap(), &column].map(|text| text.parse::<jiff::Timestamp>().unwrap());
        assert_eq!(told, held, "{key}");
        assert_eq!(chorus[key], column, "written as in the ledger");
    }
    let text = told(&town.run(&["status"]).await);
    assert!(text.starts_with("vaguemestre: running (") && text.contains("fast/mairie/chorus"), "{text}");

    let (one, _) = (town.run(&["status", "--json", "*/chorus"]).await, ());
    let one: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!(one["feeds"].as_array().unwrap().len(), 1);

    assert!(daemon.stop().await.success());
    let (status, code) = town.status().await;
    assert_eq!((status["healthy"].as_bool(), status["daemon"].is_null(), code), (Some(false), true, Some(1)));
    assert!(told(&town.run(&["status"]).await).starts_with("vaguemestre: NOT RUNNING"));
}

#[tokio::test]
async fn what_needs_someone_comes_first_and_makes_the_exit_code() {
    let town = Town::bare().await;
    let well = town.account("a-well", SIREN, Standing::Valid);
    let rest =
        town.account("b-denied", "213400010", Standing::Valid) + &town.account("c-left", "213400028", Standing::Valid);
    let shut = town.account("d-shut", "213400036", Standing::Expired);
    town.configure("1s", "", &(well + &rest + &shut));
    let listing = Matcher::listing("213400010", Kind::PesRetour);
    town.platform.set_fault(listing, Fault::Status(403, "".into(), Vec::new()), Times::Always);
    town.platform.put("213400028", Kind::Chorus, 7, common::sample(Kind::Chorus, 7, 2000));
    town.platform.set_fault(Matcher::download(7), Fault::HtmlWith200, Times::Always);
    let daemon = town.start().await;
    town.wait_value("SELECT state FROM documents WHERE remote_id = '7'", "abandoned").await;
    town.wait_value("SELECT consecutive_failures >= 2 FROM feeds WHERE feed = 'fast/b-denied/pes-retour'", "1").await;
    town.wait_value("SELECT consecutive_failures >= 2 FROM feeds WHERE feed = 'fast/d-shut/chorus'", "1").await;
    town.wait_value("SELECT last_outcome FROM feeds WHERE feed = 'fast/c-left/chorus'", "ok").await;
    let (status, code) = town.status().await;
    assert_eq!(code, Some(1));
    let health: Vec<&str> =
        status["feeds"].as_array().unwrap().iter().map(|feed| feed["health"].as_str().unwrap()).collect();
    let rank = |word: &str| {
        ["failing", "attention", "troubled", "new", "well", "retired"].iter().position(|it| *it == word).unwrap()
    };
    assert!(health.is_sorted_by_key(|word| rank(word)), "{health:?}");
    assert_eq!(health.iter().filter(|word| **word == "failing").count(), 4, "{health:?}");
    assert_eq!(feed(&status, "fast/c-left/chorus")["health"], "attention");
    assert_eq!(status["accounts"][0]["account"], "fast/d-shut", "{status}");
    for (selector, code) in [("fast/a-well", 0), ("fast/b-denied", 1), ("fast/c-left/*", 1), ("fast/d-shut/chorus", 1)]
    {
        let output = town.run(&["status", selector]).await;
        assert_eq!(output.status.code(), Some(code), "{selector}: {}", told(&output));
    }
    let text = told(&town.run(&["status"]).await);
    assert!(text.contains("`vaguemestre documents fast/c-left/chorus --state abandoned` says why"), "{text}");
    assert!(text.contains("account fast/d-shut cannot work: the certificate expired"), "{text}");

    assert!(town.run(&["dismiss", "fast/c-left/chorus", "7", "--reason", "fetched by hand"]).await.status.success());
    assert_eq!(town.run(&["status", "fast/c-left"]).await.status.code(), Some(0));
    drop(daemon);
}

#[tokio::test]
async fn what_several_feeds_have_in_common_is_told_once() {
    let town = Town::with_interval("10s").await;
    for kind in [Kind::Acquittements, Kind::PesRetour, Kind::Chorus] {
        let fault = Fault::Status(503, "Service Unavailable".into(), Vec::new());
        town.platform.set_fault(Matcher::listing(SIREN, kind), fault, Times::Always);
    }
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE consecutive_failures = 1", "3").await;
    let text = told(&town.run(&["status"]).await);
    assert_eq!(text.matches("fails: the platform answers 503").count(), 1, "{text}");
    assert!(text.contains("the same of 2 more: fast/mairie/"), "{text}");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn documents_are_listed_by_state_and_time_as_one_array() {
    let town = Town::with_interval("30m").await;
    let empty = town.run(&["documents", "--json"]).await;
    assert_eq!(empty.status.code(), Some(1), "no ledger yet");
    town.put_many(Kind::Chorus, 1, 5, 2000);
    town.put_many(Kind::PesRetour, 11, 3, 2000);
    town.platform.set_fault(Matcher::download(3), Fault::HtmlWith200, Times::Always);
    let daemon = town.start().await;
    town.wait_value(DELIVERED, "7").await;
    town.wait_value("SELECT count(*) FROM polls WHERE finished_at IS NOT NULL", "3").await;
    let array = async |arguments: &[&str]| -> Vec<Value> {
        let output = town.run(&[&["documents", "--json"], arguments].concat()).await;
        assert!(output.status.success(), "{}", complained(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(array(&[]).await.len(), 8);
    assert_eq!(array(&["*/chorus"]).await.len(), 5);
    assert_eq!(array(&["--state", "delivered", "fast/mairie/chorus"]).await.len(), 4);
    assert_eq!(array(&["--since", "2020-01-01"]).await.len(), 8);
    assert_eq!(array(&["--since", "2999-01-01T00:00:00+01:00"]).await.len(), 0);
    let failed = &array(&["--state", "failed"]).await[0];
    assert_eq!((failed["feed"].as_str(), failed["remote_id"].as_str()), (Some("fast/mairie/chorus"), Some("3")));
    assert!(failed["error"].as_str().unwrap().contains("HTML"), "{failed}");
    let kept = &array(&["--state", "delivered", "*/pes-retour"]).await[0];
    let bytes = common::sample(Kind::PesRetour, 11, 2000);
    assert_eq!(
        (kept["size"].as_u64(), kept["media_type"].as_str()),
        (Some(bytes.len() as u64), Some("application/xml"))
    );
    let path = town.state().join(kept["archive_path"].as_str().unwrap());
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    for key in ["attempts", "interruptions", "listed_at", "requested_at", "stored_at", "sha256", "poll_id"] {
        assert!(!kept[key].is_null(), "{key}: {kept}");
    }
    let text = told(&town.run(&["documents", "--state", "failed"]).await);
    assert!(text.starts_with("FEED") && text.lines().count() == 2, "{text}");
    assert_eq!(told(&town.run(&["documents", "--state", "lost"]).await), "no documents\n");
    drop(daemon);
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_error() {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 4, 2000);
    let daemon = town.start().await;
    town.wait_value(DELIVERED, "4").await;
    assert!(daemon.stop().await.success());
    // More than a pipe holds.
    let more = "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) \
                INSERT INTO documents (feed, remote_id, state, listed_at) \
                SELECT 'fast/mairie/chorus', i, 'gone', '2026-01-01T00:00:00.000Z' FROM n";
    town.query(more).await;
    for arguments in [&["documents"][..], &["documents", "--json"], &["plan", "--for", "52w"]] {
        let mut command = town.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut output = child.stdout.take().unwrap();
        let mut first = [0; 100];
        output.read_exact(&mut first).unwrap();
        drop(output);
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert!(child.wait().unwrap().success(), "{arguments:?}");
        assert_eq!(complaint, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn nagios_is_told_in_one_line_and_a_code() {
    let town = Town::with_interval("1s").await;
    let nagios = || town.say(&["status", "--nagios"]);
    let said = nagios().await;
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.out.starts_with("VAGUEMESTRE UNKNOWN - ") && said.out.lines().count() == 1, "{said:?}");
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    let said = nagios().await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("VAGUEMESTRE OK - 3 feeds well | feeds=3 failing=0;;0 "), "{said:?}");
    let said = town.say(&["status", "--nagios", "--warn-days", "100000"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("WARNING - credentials end in ") && said.out.contains("credential_days="), "{said:?}");
    let listing = Matcher::listing(common::SIREN, Kind::Chorus);
    town.platform.set_fault(listing, Fault::Status(500, "a|b".into(), Vec::new()), Times::Always);
    town.wait_value("SELECT consecutive_failures >= 2 FROM feeds WHERE kind = 'chorus'", "1").await;
    let said = nagios().await;
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.out.contains("CRITICAL - 1 feed failing") && said.out.matches('|').count() == 1, "{said:?}");
    assert!(daemon.stop().await.success());
    assert!(nagios().await.out.contains("CRITICAL - the daemon is not running"));
}

#[tokio::test]
async fn agents_read_the_status_without_the_ledger_soon_after_it_changes() {
    let town = Town::with_interval("1s").await;
    let runtime = town.folder.path().join("run");
    std::fs::create_dir(&runtime).unwrap();
    let mut command = town.command(&["run"]);
    command.env("RUNTIME_DIRECTORY", &runtime);
    let daemon = common::Daemon::spawn(command, town.folder.path());
    let file = runtime.join("status.json");
    let read = || std::fs::read(&file).ok().map(|text| serde_json::from_slice::<Value>(&text).unwrap());
    let reached = |test: fn(&Value) -> bool| {
        let read = &read;
        async move {
            let found = async {
                while !read().as_ref().is_some_and(test) {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            };
            tokio::time::timeout(common::PATIENCE, found).await.unwrap();
        }
    };
    reached(|status| status["summary"].as_str().unwrap().contains("3 feeds")).await;
    assert_eq!(common::by_hand::mode(&file), 0o640);
    let listing = Matcher::listing(common::SIREN, Kind::Chorus);
    town.platform.set_fault(listing, Fault::Status(500, "oops".into(), Vec::new()), Times::Always);
    reached(|status| status["feeds"][0]["health"] == "failing" && status["healthy"] == false).await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn colours_are_for_terminals_alone() {
    let town = Town::by_hand("", "", "").await;
    town.poll().await;
    assert!(!town.say(&["status"]).await.out.contains('\x1b'));
    let config = town.config();
    let shown = |no_color: &str| {
        let binary = env!("CARGO_BIN_EXE_vaguemestre");
        let line = format!("NO_COLOR={no_color} '{binary}' --config '{}' status", config.display());
        // `script` gives it a terminal.
        let output = std::process::Command::new("script").args(["-qec", &line, "/dev/null"]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    };
    // Due long ago, by its tiny interval.
    assert!(shown("").contains("\x1b[31;1mfailing\x1b[0m"), "{:?}", shown(""));
    assert!(!shown("1").contains('\x1b'));
}
