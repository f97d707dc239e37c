//! F3: no bursts, and nothing new once a stop was asked for, with more feeds than a second takes.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::time::Duration;

use common::Town;
use tokio::time::Instant;
use vaguemestre::simulator::keys::Standing;

const ACCOUNTS: usize = 14;
/// Three for each account: they are started over more than four seconds.
const FEEDS: usize = 42;

/// A town of many accounts, whose feeds are due again after `interval`.
async fn many(interval: &str) -> Town {
    let town = Town::bare().await;
    let table = |number| town.account(&format!("commune{number}"), &format!("2134000{number:02}"), Standing::Valid);
    town.configure(interval, "", &(0..ACCOUNTS).map(table).collect::<String>());
    town
}

#[tokio::test]
async fn a_stop_does_not_wait_for_feeds_that_a_command_has_yet_to_poll_and_none_is_polled_then() {
    let town = many("3s").await;
    let mut daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", &FEEDS.to_string()).await;
    let mut command = tokio::process::Command::from(town.command(&["poll", "fast/*"]));
    let command = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    town.wait_value("SELECT state FROM requests", "running").await;
    let asked = Instant::now();
    daemon.signal("TERM");
    daemon.wait_event("daemon.stopping").await;
    assert!(daemon.wait().await.success());
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    let said = command.wait_with_output().await.unwrap();
    let told = String::from_utf8(said.stdout).unwrap();
    assert!(told.contains("not polled: the daemon stops"), "{told}");
    assert_eq!(said.status.code(), Some(75));
}
