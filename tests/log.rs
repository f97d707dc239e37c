//! The log: one event a line, with the names scripts match, quiet about what is usual, and never a secret.
#![cfg(feature = "simulator")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use common::{Daemon, SIREN, Town, complained, files, told};
use jiff::Timestamp;
use serde_json::Value;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

const DELIVERED: &str = "SELECT count(*) FROM documents WHERE state = 'delivered'";

/// Sets the level and the format of the log.
fn log_as(town: &Town, format: &str, level: &str) {
    let text = std::fs::read_to_string(town.config()).unwrap();
    let text = text.replace("format = \"json\"", &format!("format = \"{format}\""));
    std::fs::write(town.config(), text.replace("level = \"debug\"", &format!("level = \"{level}\""))).unwrap();
}

#[tokio::test]
async fn every_line_is_an_event_with_its_time_level_name_and_sentence() {
    let town = Town::bare().await;
    let tables =
        town.account("mairie", SIREN, Standing::Valid) + &town.account("ended", "213400010", Standing::Expired);
    town.configure("1s", "", &tables);
    log_as(&town, "json", "trace");
    let documents = town.put_many(Kind::Chorus, 1, 6, 2000);
    town.platform.listing_body(SIREN, Kind::Acquittements, "[null, \"../x\"]");
    town.platform.set_fault(Matcher::download(2), Fault::HtmlWith200, Times::N(1));
    town.platform.set_fault(Matcher::download(3), Fault::Status(404, "".into(), Vec::new()), Times::Always);
    let listing = Matcher::listing(SIREN, Kind::PesRetour);
    town.platform.set_fault(listing, Fault::Status(500, "one\ntwo".into(), Vec::new()), Times::N(3));
    let daemon = town.start().await;
    town.wait_value(DELIVERED, "5").await;
    daemon.wait_event("feed.recovered").await;
    daemon.signal("HUP");
    daemon.wait_event("config.reloaded").await;
    assert_eq!(town.run(&["poll", "fast/mairie"]).await.status.code(), Some(0));
    daemon.signal("TERM");
    daemon.wait_event("daemon.stopping").await;
    let lines = daemon.log();
    let mut seen = std::collections::BTreeSet::new();
    for line in &lines {
        assert!(line.is_object(), "one JSON object a line: {line}");
        let time = line["timestamp"].as_str().unwrap();
        assert!(time.parse::<Timestamp>().is_ok() && time.len() == "2026-11-22T10:00:00.000Z".len(), "{line}");
        assert!(["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["event"].as_str().is_some_and(|name| name.contains('.')), "no event: {line}");
        assert!(line["message"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        seen.insert(line["event"].as_str().unwrap().to_owned());
    }
    for event in [
        "daemon.ready",
        "daemon.stopping",
        "poll.started",
        "poll.finished",
        "feed.failing",
        "feed.recovered",
        "account.unusable",
        "document.stored",
        "document.failed",
        "document.gone",
        "delivery.done",
        "operator.command",
        "config.reloaded",
    ] {
        assert!(seen.contains(event), "{event} is missing from {seen:?}");
    }
    let find = |name: &str| lines.iter().find(|line| line["event"] == name).unwrap();
    let stored = find("document.stored");
    let bytes = &documents.iter().find(|(id, _)| stored["remote_id"] == id.as_str()).unwrap().1;
    assert_eq!((stored["size"].as_u64(), stored["sha256"].as_str().unwrap().len()), (Some(bytes.len() as u64), 64));
    let finished =
        lines.iter().find(|line| line["event"] == "poll.finished" && line["fetched"].as_u64() > Some(0)).unwrap();
    for key in ["listed", "fetched", "failed", "duration_ms"] {
        assert!(finished[key].is_u64(), "{key}: {finished}");
    }
    assert_eq!(finished["level"], "INFO");
    let usual =
        lines.iter().filter(|line| line["event"] == "poll.finished" && line["fetched"] == 0 && line["failed"] == 0);
    assert!(usual.clone().count() > 0 && usual.clone().all(|line| line["level"] == "DEBUG"));
    assert!(lines.iter().filter(|line| line["event"] == "poll.started").all(|line| line["level"] == "DEBUG"));
}

#[tokio::test]
async fn at_level_info_polls_that_find_nothing_say_nothing() {
    let town = Town::with_interval("1s").await;
    log_as(&town, "json", "info");
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) >= 9 FROM polls WHERE outcome = 'ok'", "1").await;
    let events: Vec<Value> = daemon.log().into_iter().map(|mut line| line["event"].take()).collect();
    let once = ["daemon.ready", "config.finding", "backup.done"];
    assert!(events.iter().all(|event| once.iter().any(|one| event == one)), "{events:?}");
}

#[tokio::test]
async fn as_text_an_event_is_one_line_whatever_the_platform_writes() {
    let town = Town::with_interval("1s").await;
    log_as(&town, "text", "debug");
    let listing = |kind| Matcher::listing(SIREN, kind);
    let nasty = "one\ntwo\r\n\u{1b}[31mred";
    town.platform.set_fault(listing(Kind::Chorus), Fault::Status(500, nasty.into(), Vec::new()), Times::Always);
    town.platform.set_fault(listing(Kind::PesRetour), Fault::JsonErrorWith200(nasty.to_owned()), Times::Always);
    town.platform.listing_body(SIREN, Kind::Acquittements, "[\"a\u{1b}[31m\", {\"b\":\n\n1}]");
    let mut command = town.command(&["run"]);
    let log = town.folder.path().join("text.log");
    command.stderr(std::fs::File::create(&log).unwrap());
    let mut child = command.spawn().unwrap();
    town.wait_value("SELECT count(*) >= 6 FROM polls WHERE finished_at IS NOT NULL", "1").await;
    child.kill().unwrap();
    child.wait().unwrap();
    let text = std::fs::read_to_string(log).unwrap();
    for line in text.lines() {
        let time = line.split(' ').next().unwrap();
        assert!(time.parse::<Timestamp>().is_ok(), "{line:?}");
        assert!(!line.contains('\u{1b}'), "no escape reaches a terminal: {line:?}");
    }
    assert!(text.contains("feed.failing"), "{text}");
    let status = told(&town.run(&["status"]).await);
    assert!(!status.contains('\u{1b}'), "{status:?}");
}

#[tokio::test]
async fn no_secret_reaches_any_output_at_any_level() {
    let town = Town::bare().await;
    let fixture = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/identity").join(name);
    let put = |name: &str, bytes: Vec<u8>| {
        let path = town.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    put("modern.p12", std::fs::read(fixture("modern.p12")).unwrap());
    put("word", b"motdepasse\n".to_vec());
    put("wrong", b"sesame-ouvre-toi\n".to_vec());
    let locked = |name: &str, siren: &str, secret: &str| {
        format!(
            "[[fast.accounts]]\nname = \"{name}\"\nsiren = \"{siren}\"\ncertificate = \"modern.p12\"\n\
             certificate_password = {secret}\n"
        )
    };
    let tables = town.account("mairie", SIREN, Standing::Valid)
        + &locked("right", "213400010", "{ file = \"word\" }")
        + &locked("wrong", "213400028", "{ file = \"wrong\" }")
        + &locked("inline", "213400036", "\"hunter2-hunter2\"")
        + &locked("variable", "213400044", "{ env = \"VAGUEMESTRE_TEST_WORD\" }");
    town.configure("1s", "", &tables);
    town.put_many(Kind::Chorus, 1, 4, 2000);
    let mut command = town.command(&["-vv", "run"]);
    command.env("VAGUEMESTRE_TEST_WORD", "abracadabra-42");
    let daemon = Daemon::spawn(command, town.folder.path());
    daemon.wait_event("daemon.ready").await;
    town.wait_value(DELIVERED, "4").await;
    town.wait_value("SELECT count(*) FROM feeds WHERE consecutive_failures >= 2", "9").await;
    let log: String = daemon.log().iter().map(|line| format!("{line}\n")).collect();
    let mut outputs = vec![("log", log)];
    for arguments in [
        &["-vv", "check", "--online"][..],
        &["-vv", "config"],
        &["-vv", "status"],
        &["-vv", "status", "--json"],
        &["-vv", "documents", "--json"],
        &["-vv", "plan", "--json", "--for", "10s"],
        &["-vv", "poll"],
    ] {
        let mut command = town.command(arguments);
        command.env("VAGUEMESTRE_TEST_WORD", "abracadabra-42");
        let output = tokio::process::Command::from(command).output().await.unwrap();
        outputs.push((arguments[1], told(&output) + &complained(&output)));
    }
    drop(daemon);
    for path in files(&town.state()).into_iter().filter(|path| path.to_string_lossy().contains("ledger")) {
        outputs
            .push(("ledger", String::from_utf8_lossy(&std::fs::read(town.state().join(path)).unwrap()).into_owned()));
    }
    let pem = std::fs::read_to_string(town.folder.path().join("mairie")).unwrap();
    let key = pem.split("PRIVATE KEY-----").nth(1).unwrap().lines().find(|line| line.len() > 40).unwrap().to_owned();
    for secret in ["motdepasse", "sesame-ouvre-toi", "hunter2", "abracadabra", "PRIVATE KEY", &key[..40]] {
        for (name, text) in &outputs {
            assert!(!text.contains(secret), "{name} shows {secret}:\n{text}");
        }
    }
}
