//! F3: no bursts, and nothing new once a stop was asked for, with more feeds than a second takes.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::time::Duration;

use common::{Daemon, PATIENCE, Town};
use tokio::time::{Instant, timeout};
use vaguemestre::simulator::Call;
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

/// Waits until the daemon has said `words`.
async fn wait_words(daemon: &Daemon, words: &str) {
    let said = || daemon.log().iter().any(|line| line["message"].as_str().unwrap_or_default().contains(words));
    let heard = timeout(PATIENCE, async {
        while !said() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(heard.await.is_ok(), "never said: {words}");
}

/// That `FEEDS` feeds overdue after `since` were listed over the seconds that so many need.
async fn is_spread(town: &Town, since: usize) {
    town.platform.wait_for(|records| records.len() >= since + FEEDS).await;
    let records = town.platform.requests();
    let starts: Vec<_> = records[since..since + FEEDS].iter().map(|record| record.at).collect();
    assert!(records.iter().all(|record| record.call == Some(Call::List)));
    let first = starts.iter().min().unwrap();
    let at_once = starts.iter().filter(|start| start.duration_since(*first).as_millis() < 1500).count();
    assert!(at_once < FEEDS * 2 / 3, "{at_once} of {FEEDS} started at once: {starts:?}");
}

#[tokio::test]
async fn what_is_overdue_when_the_ledger_works_again_is_spread() {
    let town = many("6s").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", &FEEDS.to_string()).await;
    let listed = town.platform.requests().len();
    town.query("ALTER TABLE feeds RENAME TO feeds_elsewhere").await;
    wait_words(&daemon, "nothing can be polled").await;
    let due = "SELECT count(*) FROM feeds_elsewhere WHERE next_poll_at < strftime('%Y-%m-%dT%H:%M:%fZ')";
    town.wait_value(due, &FEEDS.to_string()).await;
    town.query("ALTER TABLE feeds_elsewhere RENAME TO feeds").await;
    is_spread(&town, listed).await;
}
