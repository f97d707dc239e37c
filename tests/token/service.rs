//! The socket: the same shared token for the other programs of the machine.

use std::path::PathBuf;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use vaguemestre::simulator::oauth::Script;

use super::processes::text;
use super::*;

impl Office {
    fn socket(&self) -> PathBuf {
        self.path("token.sock")
    }

    /// The whole answer to a request given as it is.
    async fn say(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The status of the answer, and its JSON.
    async fn get(&self, path: &str) -> (u16, Value, String) {
        let answer = self.say(&format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap(), head.to_owned())
    }
}

async fn with_socket() -> Office {
    let office = Office::open().await;
    office.configure("", "[token]\nsocket = \"token.sock\"");
    office
}

#[tokio::test]
async fn programs_are_given_the_shared_token_and_its_life() {
    let office = with_socket().await;
    office.server.adjust(|it| it.latency = Duration::from_millis(200));
    let daemon = office.start().await;
    let answers = futures_util::future::join_all((0..20).map(|_| office.get("/token/douane/siege"))).await;
    for (status, body, head) in answers {
        assert_eq!((status, body["access_token"].as_str()), (200, Some("token-1-of-COMPTE-API")), "{head}");
        assert!((250..=300).contains(&body["expires_in"].as_u64().unwrap()), "{body}");
        assert!(head.contains("application/json") && head.contains("no-store"), "{head}");
    }
    assert_eq!(text(&office.run(&["token", ACCOUNT]).await.stdout), "token-1-of-COMPTE-API\n");
    assert_eq!(office.asked(), 1);
    let mode = office.socket().metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o660);
    assert!(daemon.stop().await.success());
    assert!(!office.socket().exists(), "removed at stop");
}

#[tokio::test]
async fn refusals_and_failures_are_told_by_their_status() {
    let office = with_socket().await;
    office.password("wrong");
    let daemon = office.start().await;
    let (status, body, _) = office.get("/token/douane/siege").await;
    assert_eq!(status, 401);
    assert!(body["error"].as_str().unwrap().contains("invalid_grant") && body["remedy"].is_string(), "{body}");
    assert_eq!(office.get("/token/douane/autre").await.0, 404);
    assert_eq!(office.get("/").await.0, 404);
    office.server.adjust(|it| it.always = Some(Script::Answer(503, Vec::new(), String::new())));
    let (status, _, head) = office.get("/token/piste/sne").await;
    assert!(status == 503 && head.contains("Retry-After: "), "{head}");
    let answer = office.say("POST /token/douane/siege HTTP/1.1\r\nContent-Length: 0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("Allow: GET\r\n"), "{answer}");
    assert!(office.say("hello\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert_eq!(office.asked(), 2);
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_socket_left_by_a_dead_daemon_is_replaced_and_nothing_else_is() {
    let office = with_socket().await;
    office.start().await.kill().await;
    assert!(office.socket().exists());
    let daemon = office.start().await;
    assert_eq!(office.get("/token/douane/siege").await.0, 200);
    assert!(daemon.stop().await.success());
    std::fs::write(office.socket(), "a file").unwrap();
    let daemon = office.start().await;
    assert!(daemon.log().iter().any(|line| line["level"] == "ERROR" && line.to_string().contains("token.sock")));
    assert!(daemon.stop().await.success());
    assert_eq!(std::fs::read_to_string(office.socket()).unwrap(), "a file");
}

#[tokio::test]
async fn it_is_off_by_default_and_opened_and_closed_by_a_reload() {
    let office = Office::open().await;
    let daemon = office.start().await;
    assert!(!office.socket().exists());
    office.configure("", "[token]\nsocket = \"token.sock\"");
    daemon.signal("HUP");
    daemon.wait_event("config.reloaded").await;
    assert_eq!(office.get("/token/douane/siege").await.0, 200);
    office.configure("", "");
    let before = daemon.events("config.reloaded").len();
    daemon.signal("HUP");
    while daemon.events("config.reloaded").len() == before {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!office.socket().exists());
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_hanging_platform_does_not_keep_the_daemon_from_stopping() {
    let office = with_socket().await;
    office.server.script(Script::Hang);
    let daemon = office.start().await;
    let mut waiting = UnixStream::connect(office.socket()).await.unwrap();
    waiting.write_all(b"GET /token/douane/siege HTTP/1.1\r\n\r\n").await.unwrap();
    office.server.wait_for(1).await;
    let stopped = tokio::time::timeout(seconds(5), daemon.stop()).await;
    assert!(stopped.unwrap().success());
}
