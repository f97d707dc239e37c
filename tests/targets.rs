//! Handing over to programs and webhooks: each document at least once, one at a time, and what stands in the way.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::time::{Duration, SystemTime};

use common::hook::Hook;
use common::{Town, told};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use vaguemestre::clock::{Clock as _, SystemClock};

/// What is known of deliveries, in the order of storing.
const DELIVERIES: &str = "SELECT remote_id, state, attempts FROM deliveries ORDER BY id";

#[tokio::test]
async fn a_program_is_given_the_facts_in_arguments_and_environment_and_nothing_else() {
    let town = Town::bare().await;
    town.program("integrer", "printf '%s\\n' \"$@\" > arguments; env > environment; cat > input; cp \"$2\" copy");
    town.hand_to(&town.calling(
        "integrer",
        ", \"--de={feed}\", \"{path}\", \"{remote_id} {name}; $(touch hacked)\"",
        "",
    ));
    let bytes = town.put(1);
    let mut command = town.command(&["poll", "fast/*"]);
    command.env("LEAK", "1").env("TZ", "Europe/Paris");
    assert!(tokio::process::Command::from(command).output().await.unwrap().status.success());
    assert_eq!(town.state_of(1).await, "delivered");
    let path = town.state().join(town.about(1, "archive_path").await);
    let arguments = format!("--de=fast/mairie/acquittements\n{}\n1 PES1; $(touch hacked)\n", path.display());
    assert_eq!(town.read("arguments"), arguments);
    assert_eq!(std::fs::read(town.shared("copy")).unwrap(), bytes);
    assert_eq!(town.read("input"), "");
    assert!(!town.shared("hacked").exists(), "no shell reads the arguments");
    let environment = town.read("environment");
    let has = |line: String| assert!(environment.lines().any(|given| given == line), "{line} in {environment}");
    has(format!("VAGUEMESTRE_PATH={}", path.display()));
    has("VAGUEMESTRE_FEED=fast/mairie/acquittements".to_owned());
    has("VAGUEMESTRE_REMOTE_ID=1".to_owned());
    has("VAGUEMESTRE_NAME=PES1".to_owned());
    has(format!("VAGUEMESTRE_SHA256={}", town.about(1, "sha256").await));
    has(format!("VAGUEMESTRE_SIZE={}", bytes.len()));
    has("VAGUEMESTRE_MEDIA_TYPE=application/xml".to_owned());
    has("VAGUEMESTRE_CIRCUIT=".to_owned());
    has("VAGUEMESTRE_LABEL=".to_owned());
    has("TZ=Europe/Paris".to_owned());
    assert!(environment.contains("PATH=") && !environment.contains("LEAK"), "{environment}");
}

#[tokio::test]
async fn a_program_is_called_for_one_document_at_a_time_in_the_order_of_storing() {
    let town = Town::bare().await;
    let script = "mkdir busy || echo both >> log; echo $VAGUEMESTRE_REMOTE_ID >> log; sleep 0.02; rmdir busy";
    town.program("integrer", script);
    town.hand_to(&town.calling("integrer", "", ""));
    for number in 1..=20 {
        town.put(number);
    }
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "20").await;
    assert!(daemon.stop().await.success());
    let stored = town.query("SELECT remote_id FROM deliveries ORDER BY id").await.concat();
    assert_eq!(town.read("log").lines().collect::<Vec<_>>(), stored);
}

#[tokio::test]
async fn a_program_that_fails_is_told_by_its_last_words_and_holds_no_other_back() {
    let town = Town::bare().await;
    let refuses = "[ $VAGUEMESTRE_REMOTE_ID = 2 ] || exit 0; head -c 100000 /dev/zero | tr '\\0' x; \
                   printf '\\n\\033[31mclient  inconnu\\n' >&2; exit 3";
    town.program("integrer", refuses);
    town.hand_to(&town.calling("integrer", "", ""));
    for number in 1..=3 {
        town.put(number);
    }
    let said = town.poll().await;
    assert!(said.err.contains("delivery.failed"), "{said:?}");
    let rows = town.query("SELECT remote_id, state FROM deliveries ORDER BY remote_id").await;
    assert_eq!(rows, [["1", "delivered"], ["2", "failed"], ["3", "delivered"]]);
    let error = town.value("SELECT error FROM deliveries WHERE state = 'failed'").await;
    assert!(error.contains("integrer failed with exit code 3: …") && error.contains("client inconnu"), "{error}");
    assert!(error.len() < 500 && !error.contains('\u{1b}'), "{error}");
    town.program("integrer", "exit 0");
    town.let_the_pause_pass().await;
    town.poll().await;
    assert_eq!(town.query("SELECT state, attempts FROM deliveries WHERE remote_id = '2'").await, [["delivered", "2"]]);
    assert_eq!(town.state_of(2).await, "delivered");
}

#[tokio::test]
async fn what_a_program_says_last_is_told_in_the_order_in_which_it_said_it() {
    let town = Town::bare().await;
    let chatters = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo error $i >&2; echo result $i; done; exit 3";
    town.program("integrer", chatters);
    town.hand_to(&town.calling("integrer", "", ""));
    town.put(1);
    town.poll().await;
    let error = town.value("SELECT error FROM deliveries").await;
    let last: Vec<String> = (293..=300).map(|number| format!("error {number} result {number}")).collect();
    assert!(error.ends_with(&last.join(" ")), "{error}");
}

#[tokio::test]
async fn a_program_that_lasts_too_long_is_ended_with_all_that_it_has_started() {
    let town = Town::bare().await;
    town.program("integrer", "trap '' TERM; sleep 600 & echo $! > child; echo waiting; wait; wait");
    town.hand_to(&town.calling("integrer", "", "timeout = \"500ms\""));
    town.put(1);
    town.poll().await;
    let error = town.value("SELECT error FROM deliveries").await;
    assert!(error.contains("did not end within 0.5 s and was stopped: waiting"), "{error}");
    let child = town.read("child");
    let status = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    assert!(status.is_empty() || status.contains(") Z "), "{status}");
}

#[tokio::test]
async fn a_call_that_a_crash_cuts_off_is_made_again() {
    let town = Town::bare().await;
    town.program("integrer", "echo $VAGUEMESTRE_REMOTE_ID >> log; while [ ! -e go ]; do sleep 0.02; done");
    town.hand_to(&town.calling("integrer", "", ""));
    town.put(1);
    let daemon = town.start().await;
    tokio::time::timeout(common::PATIENCE, async {
        while town.read("log").is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    daemon.kill().await;
    std::fs::write(town.shared("go"), "").unwrap();
    let daemon = town.start().await;
    town.wait_value("SELECT state FROM documents", "delivered").await;
    assert!(daemon.stop().await.success());
    assert_eq!(town.read("log"), "1\n1\n");
}

#[tokio::test]
async fn documents_wait_while_a_program_is_missing_and_status_and_check_say_so() {
    let town = Town::bare().await;
    town.hand_to(&town.calling("integrer", "", ""));
    town.put(1);
    let said = town.poll().await;
    assert!(said.err.contains("target.unusable"), "{said:?}");
    assert_eq!(town.query(DELIVERIES).await, [["1", "pending", "0"]]);
    let daemon = town.start().await;
    let (status, code) = town.status().await;
    assert_eq!((code, &status["healthy"]), (Some(1), &false.into()));
    let target = &status["targets"][0];
    assert_eq!(
        (&target["target"], &target["way"], &target["waiting"]),
        (&"integrer".into(), &"command".into(), &1.into())
    );
    assert!(target["problem"].as_str().unwrap().contains("cannot be called"), "{target}");
    let shown = told(&town.run(&["status"]).await);
    assert!(shown.contains("nothing can be delivered to integrer, 1 waiting"), "{shown}");
    let check = town.say(&["check"]).await;
    assert!(check.code == 1 && check.out.contains("problem: delivery.targets \"integrer\".command: "), "{check:?}");
    assert!(daemon.stop().await.success());

    town.program("integrer", "exit 0");
    let said = town.poll().await;
    assert!(!said.err.contains("target.unusable"), "{said:?}");
    assert_eq!(town.query(DELIVERIES).await, [["1", "delivered", "1"]]);
    assert_eq!(town.status().await.0["targets"][0]["problem"], serde_json::Value::Null);
    assert_eq!(town.say(&["check"]).await.code, 0);
}

#[tokio::test]
async fn what_fails_for_a_week_is_abandoned_in_plain_sight_until_it_is_replayed() {
    let town = Town::bare().await;
    town.program("integrer", "exit 1");
    town.hand_to(&town.calling("integrer", "", ""));
    town.put(1);
    town.poll().await;
    town.query("UPDATE deliveries SET failing_since = '2026-01-01T00:00:00.000Z'").await;
    town.let_the_pause_pass().await;
    let said = town.poll().await;
    assert!(said.err.contains("delivery.abandoned"), "{said:?}");
    assert_eq!(town.query(DELIVERIES).await, [["1", "abandoned", "2"]]);
    town.let_the_pause_pass().await;
    town.poll().await;
    assert_eq!(town.query(DELIVERIES).await, [["1", "abandoned", "2"]], "it is tried no more");
    assert_eq!(town.state_of(1).await, "stored", "it counts as delivered to nobody");
    town.list_once_an_hour();
    let daemon = town.start().await;
    let (status, code) = town.status().await;
    assert_eq!((code, &status["feeds"][0]["health"]), (Some(1), &"attention".into()));
    assert_eq!(status["feeds"][0]["abandoned_deliveries"], 1);
    let shown = told(&town.run(&["status"]).await);
    assert!(shown.contains("1 delivery to integrer given up after a week") && shown.contains("replay"), "{shown}");
    assert!(daemon.stop().await.success());

    town.program("integrer", "exit 0");
    let dry = town.say(&["replay", "fast/mairie/acquittements", "--abandoned", "--dry-run"]).await;
    assert!(dry.out.contains("1 document would be delivered again to integrer"), "{dry:?}");
    let said = town.say(&["replay", "fast/mairie/acquittements", "--abandoned", "--target", "integrer"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(town.query(DELIVERIES).await, [["1", "delivered", "1"]]);
    assert_eq!(town.state_of(1).await, "delivered");
}

#[tokio::test]
async fn an_abandoned_delivery_to_a_target_taken_out_of_the_configuration_counts_no_more() {
    let town = Town::bare().await;
    town.program("integrer", "exit 1");
    let inbox = "[[delivery.targets]]\nname = \"local\"\nfeeds = [\"*\"]\ninbox = \"local\"\n";
    town.hand_to(&format!("{}{inbox}", town.calling("integrer", "", "")));
    town.put(1);
    town.poll().await;
    town.query("UPDATE deliveries SET state = 'abandoned' WHERE target = 'integrer'").await;
    town.hand_to(inbox);
    town.poll().await;
    assert_eq!(town.state_of(1).await, "delivered");
    assert_eq!(town.query("SELECT target, state FROM deliveries").await, [["local", "delivered"]]);
}

#[tokio::test]
async fn a_webhook_is_told_the_facts_signed_and_under_one_key_however_often_it_must_be_told() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    let secret = town.shared("secret");
    std::fs::write(&secret, "s3same\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, mode).unwrap();
    town.hand_to(&hook.target("metier", "secret = { file = \"secret\" }"));
    let bytes = town.put(1);
    hook.answer("500 Oh", "", "<b>base\n occupée</b>");
    town.poll().await;
    let error = town.value("SELECT error FROM deliveries").await;
    assert!(error.contains("answered 500: <b>base occupée</b>"), "{error}");
    town.let_the_pause_pass().await;
    town.poll().await;
    assert_eq!(town.query(DELIVERIES).await, [["1", "delivered", "2"]]);
    let [first, second] = &hook.told()[..] else { panic!("{:?}", hook.told()) };
    assert_eq!(first.line, "POST /documents HTTP/1.1");
    assert_eq!(first.body, second.body, "a key that stands for two bodies would be refused");
    assert_eq!(first.headers["idempotency-key"], second.headers["idempotency-key"]);
    let facts = second.json();
    let known = [
        ("feed", "fast/mairie/acquittements".into()),
        ("remote_id", "1".into()),
        ("name", "PES1".into()),
        ("sha256", town.about(1, "sha256").await.into()),
        ("size", bytes.len().into()),
        ("media_type", "application/xml".into()),
        ("circuit", serde_json::Value::Null),
        ("label", serde_json::Value::Null),
        ("stored_at", town.about(1, "stored_at").await.into()),
        ("delivery", second.headers["idempotency-key"].clone().into()),
    ];
    for (name, value) in known {
        assert_eq!(facts[name], value, "{name}");
    }
    assert_eq!(facts["summary"]["accepted"], true);
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3same").unwrap();
    mac.update(second.headers["x-vaguemestre-timestamp"].as_bytes());
    mac.update(b".");
    mac.update(&second.body);
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(second.headers["x-vaguemestre-signature"], format!("sha256={signature}"));
}

#[tokio::test]
async fn a_webhook_that_asks_for_time_is_given_it_for_an_hour_at_most() {
    for (asked, from, to) in [("600", 590, 601), ("86400", 3590, 3601)] {
        let town = Town::bare().await;
        let hook = Hook::open().await;
        town.hand_to(&hook.target("metier", ""));
        town.put(1);
        town.put(2);
        hook.answer("429 Too Many Requests", &format!("retry-after: {asked}\r\n"), "");
        town.poll().await;
        assert_eq!(hook.told().len(), 1, "the others wait as well");
        let rows = town.query("SELECT state, attempts FROM deliveries ORDER BY attempts").await;
        assert_eq!(rows, [["pending", "0"], ["failed", "1"]]);
        let pause = "SELECT CAST(round((julianday(next_try_at) - julianday('now')) * 86400) AS INTEGER) FROM deliveries \
                     WHERE state = 'failed'";
        let pause: i64 = town.value(pause).await.parse().unwrap();
        assert!((from..=to).contains(&pause), "{pause} s");
    }
}

#[tokio::test]
async fn a_webhook_s_redirect_is_not_followed() {
    let town = Town::bare().await;
    let (hook, elsewhere) = (Hook::open().await, Hook::open().await);
    town.hand_to(&hook.target("metier", ""));
    town.put(1);
    hook.answer("307 Temporary Redirect", &format!("location: {}\r\n", elsewhere.url), "");
    town.poll().await;
    assert_eq!(elsewhere.told(), []);
    let error = town.value("SELECT error FROM deliveries").await;
    assert!(error.contains("answered 307 and points to") && error.contains("no redirect is followed"), "{error}");
}

#[tokio::test]
async fn a_webhook_whose_secret_is_missing_is_told_nothing_and_check_says_so() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    town.hand_to(&hook.target("metier", "secret = { file = \"secret\" }"));
    town.put(1);
    town.poll().await;
    assert_eq!(hook.told(), []);
    assert_eq!(town.query(DELIVERIES).await, [["1", "pending", "0"]]);
    let check = town.say(&["check"]).await;
    assert!(check.code == 1 && check.out.contains("problem: delivery.targets \"metier\".secret: "), "{check:?}");
    assert!(town.status().await.0["targets"][0]["problem"].as_str().unwrap().contains("secret"));
}

#[tokio::test]
async fn a_webhook_that_is_away_holds_no_other_target_back_and_is_told_once_it_is_back() {
    let town = Town::bare().await;
    let inbox = "[[delivery.targets]]\nname = \"local\"\nfeeds = [\"*\"]\ninbox = \"local\"\n";
    let away = "[[delivery.targets]]\nname = \"metier\"\nfeeds = [\"*\"]\nwebhook = \"http://127.0.0.1:9/\"\n";
    town.hand_to(&format!("{away}{inbox}"));
    town.put(1);
    town.put(2);
    town.poll().await;
    assert_eq!(common::files(&town.shared("local")).len(), 2);
    let failed = "SELECT count(*) FROM deliveries WHERE target = 'metier' AND state = 'failed'";
    assert_eq!(town.value(failed).await, "1", "one that cannot be reached is not asked for each document in turn");
    let hook = Hook::open().await;
    town.hand_to(&format!("{}{inbox}", hook.target("metier", "")));
    town.let_the_pause_pass().await;
    town.poll().await;
    assert_eq!(hook.ids().len(), 2);
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "2");
}

#[tokio::test]
async fn an_inbox_that_nobody_empties_is_told_of_once_a_day_and_shown_by_status() {
    let town = Town::bare().await;
    let inbox = |name: &str, more: &str| {
        format!("[[delivery.targets]]\nname = \"{name}\"\nfeeds = [\"*\"]\ninbox = \"{name}\"\n{more}\n")
    };
    let tables = [inbox("a", ""), inbox("b", "inbox_stale = \"3d\""), inbox("c", "inbox_stale = \"0s\"")].concat();
    town.hand_to(&tables);
    town.put(1);
    town.poll().await;
    let file = "fast/mairie/acquittements/1-PES1.xml";
    let age = |name: &str, days: u64| {
        let at = SystemTime::from(SystemClock::new().now()) - Duration::from_secs(days * 86_400);
        std::fs::File::options().write(true).open(town.shared(name).join(file)).unwrap().set_modified(at).unwrap();
    };
    for name in ["a", "b", "c"] {
        age(name, 2);
    }
    let daemon = town.start().await;
    let event = daemon.wait_event("inbox.stale").await;
    assert_eq!((&event["target_name"], &event["file"]), (&"a".into(), &file.into()));
    assert!(event["message"].as_str().unwrap().contains("lies there for 2 days"), "{event}");
    let (status, _) = town.status().await;
    assert_eq!(status["targets"][0]["stale_file"], file);
    assert_eq!(status["targets"][1]["stale_file"], serde_json::Value::Null);
    let shown = told(&town.run(&["status"]).await);
    assert!(shown.contains(&format!("nobody empties the inbox of a: {file} lies there for 2 days")), "{shown}");
    town.wait_value("SELECT count(*) FROM targets WHERE stale_told_at IS NOT NULL", "1").await;
    assert!(daemon.stop().await.success());

    // The inboxes are looked into in their order: when `b` has been told, `a` would have been.
    age("b", 4);
    let daemon = town.start().await;
    assert_eq!(daemon.wait_event("inbox.stale").await["target_name"], "b");
    assert_eq!(daemon.events("inbox.stale").len(), 1);
    town.wait_value("SELECT count(*) FROM targets WHERE stale_told_at IS NOT NULL", "2").await;
    assert!(daemon.stop().await.success());
    std::fs::remove_file(town.shared("a").join(file)).unwrap();
    let daemon = town.start().await;
    town.wait_value("SELECT group_concat(target) FROM targets WHERE stale_told_at IS NOT NULL", "b").await;
    assert!(daemon.stop().await.success());
}
