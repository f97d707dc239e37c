//! The command `token`, with a daemon and without: never two requests.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use common::{Daemon, PATIENCE};

use vaguemestre::simulator::oauth::Script;

use super::*;

impl Office {
    fn config(&self) -> PathBuf {
        self.path("vaguemestre.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vaguemestre"));
        command.arg("--config").arg(self.config()).args(arguments);
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").stdin(Stdio::null());
        command
    }

    pub(super) async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(self.command(arguments));
        tokio::time::timeout(PATIENCE, command.output()).await.unwrap().unwrap()
    }

    pub(super) async fn start(&self) -> Daemon {
        let daemon = Daemon::spawn(self.command(&["run"]), self.folder.path());
        daemon.wait_event("daemon.ready").await;
        daemon
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn processes_that_ask_at_once_make_one_request() {
    let office = Office::open().await;
    office.server.adjust(|it| it.latency = Duration::from_millis(300));
    let outputs = futures_util::future::join_all((0..6).map(|_| office.run(&["token", ACCOUNT]))).await;
    for output in outputs {
        assert_eq!(text(&output.stdout), "token-1-of-COMPTE-API\n", "{}", text(&output.stderr));
        assert!(output.status.success() && output.stderr.is_empty());
    }
    assert_eq!(office.asked(), 1);
}

#[tokio::test]
async fn the_daemon_asks_for_commands_and_its_token_outlives_it() {
    let office = Office::open().await;
    let daemon = office.start().await;
    let outputs = futures_util::future::join_all((0..3).map(|_| office.run(&["token", ACCOUNT]))).await;
    assert!(outputs.iter().all(|output| text(&output.stdout) == "token-1-of-COMPTE-API\n"), "{outputs:?}");
    assert_eq!(daemon.events("token.obtained").len(), 1);
    assert!(daemon.stop().await.success());
    assert_eq!(text(&office.run(&["token", ACCOUNT]).await.stdout), "token-1-of-COMPTE-API\n");
    assert_eq!(office.asked(), 1);
    let kept = office.path("state/ledger.sqlite").metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(kept, 0o600);
}

#[tokio::test]
async fn a_refused_password_is_said_with_its_remedy_tried_once_and_taken_up_when_corrected() {
    let office = Office::open().await;
    office.password("wrong");
    for _ in 0..2 {
        let output = office.run(&["token", ACCOUNT]).await;
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(output.stdout.is_empty() && said.contains("invalid_grant") && said.contains("remedy: "), "{said}");
    }
    let daemon = office.start().await;
    let output = office.run(&["token", ACCOUNT]).await;
    assert!(text(&output.stderr).contains("invalid_grant"), "{}", text(&output.stderr));
    assert_eq!(office.asked(), 1, "restart included");
    let status = text(&office.run(&["status"]).await.stdout);
    assert!(status.contains("account douane/siege") && status.contains("invalid_grant"), "{status}");
    office.password(PASSWORD);
    daemon.signal("HUP");
    daemon.wait_event("config.reloaded").await;
    assert_eq!(text(&office.run(&["token", ACCOUNT]).await.stdout), "token-1-of-COMPTE-API\n");
    assert_eq!(office.asked(), 2);
    let status = office.run(&["status"]).await;
    assert!(status.status.success(), "{}", text(&status.stdout));
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_failing_server_is_a_temporary_failure_and_asked_once_per_pause() {
    let office = Office::open().await;
    office
        .server
        .adjust(|it| it.always = Some(Script::Answer(503, vec!["Retry-After: 600".to_owned()], String::new())));
    for _ in 0..3 {
        let output = office.run(&["token", ACCOUNT]).await;
        assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("503"), "{}", text(&output.stderr));
    }
    assert_eq!(office.asked(), 1);
}

#[tokio::test]
async fn an_account_that_does_not_exist_is_an_error_with_a_remedy() {
    let office = Office::open().await;
    let output = office.run(&["token", "douane/autre"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("remedy: ") && output.stdout.is_empty(), "{}", text(&output.stderr));
    assert_eq!(office.asked(), 0);
}

#[tokio::test]
async fn check_judges_secrets_and_online_holds_or_obtains_each_token() {
    let office = Office::open().await;
    let output = office.run(&["check"]).await;
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert_eq!(office.asked(), 0, "nobody is called without --online");
    let daemon = office.start().await;
    for _ in 0..2 {
        let output = office.run(&["check", "--online"]).await;
        assert!(output.status.success(), "{}", text(&output.stdout));
        assert!(text(&output.stdout).contains("account piste/sne"), "{}", text(&output.stdout));
    }
    assert_eq!(office.asked(), 2, "one for each account");
    assert!(daemon.stop().await.success());
    std::fs::set_permissions(office.path("password"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = office.run(&["check"]).await;
    assert_eq!(output.status.code(), Some(78), "no account can work");
    let said = text(&output.stdout);
    assert!(said.contains("account douane/siege password: ") && said.contains("readable by others"), "{said}");
    office.password("wrong");
    let output = office.run(&["check", "--online"]).await;
    assert!(output.status.success(), "a token that is held needs no password: {}", text(&output.stdout));
}

#[tokio::test]
async fn status_tells_the_life_left_and_never_the_token() {
    let office = Office::open().await;
    let daemon = office.start().await;
    office.run(&["token", ACCOUNT]).await;
    let output = office.run(&["status", "--json"]).await;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let account = said["accounts"].as_array().unwrap().iter().find(|it| it["account"] == ACCOUNT).unwrap();
    let left = account["token_seconds"].as_i64().unwrap();
    assert!((200..=300).contains(&left), "{left}");
    let human = text(&office.run(&["status"]).await.stdout);
    assert!(human.contains("account douane/siege: its token lives for"), "{human}");
    assert!(human.contains("account piste/sne: holds no token"), "{human}");
    assert!(!human.contains("token-1") && !text(&output.stdout).contains("token-1"));
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_clock_that_differs_from_the_platform_s_is_said_once_and_names_ntp() {
    let office = Office::open().await;
    office.server.adjust(|it| {
        it.expires_in = 1;
        it.date = Some("Sun, 22 Nov 2015 10:00:00 GMT".to_owned());
    });
    let daemon = office.start().await;
    office.run(&["token", ACCOUNT]).await;
    office.run(&["token", "piste/sne"]).await;
    let said = daemon.events("clock.skew");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0]["message"].as_str().unwrap().contains("NTP"), "{said:?}");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_token_of_a_short_life_is_given_and_renewed_once_per_life() {
    let office = Office::open().await;
    office.server.adjust(|it| it.expires_in = 6);
    let daemon = office.start().await;
    let first = text(&office.run(&["token", ACCOUNT]).await.stdout);
    assert_eq!(first, "token-1-of-COMPTE-API\n");
    assert_eq!(text(&office.run(&["token", ACCOUNT]).await.stdout), first);
    tokio::time::sleep(seconds(6)).await;
    assert_eq!(text(&office.run(&["token", ACCOUNT]).await.stdout), "token-2-of-COMPTE-API\n");
    assert_eq!(office.asked(), 2);
    assert!(daemon.stop().await.success());
}
