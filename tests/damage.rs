//! More that can befall a ledger: other kinds of damage, readers and writers that do not let go, clocks off by years.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "what cannot run here says so")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{SIREN, Town};
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use vaguemestre::clock::{Clock as _, SystemClock};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;

const DELIVERED: &str = "SELECT count(*) FROM documents WHERE state = 'delivered'";
/// Longer than the ledger's patience with another program (10 s).
const TOO_LONG: Duration = Duration::from_secs(12);

/// A town whose daemon has collected ten documents and was killed: what it knows lies in the write-ahead log as well.
async fn killed() -> Town {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 10, 2000);
    let daemon = town.start().await;
    town.wait_value(DELIVERED, "10").await;
    daemon.kill().await;
    town
}

/// The same, stopped: all lies in the ledger's file.
async fn stopped() -> Town {
    let town = killed().await;
    let daemon = town.start().await;
    assert!(daemon.stop().await.success());
    town
}

fn ledger(town: &Town) -> PathBuf {
    town.state().join("ledger.sqlite")
}

async fn open(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

/// The ledger's files, but for what SQLite's processes share.
fn bytes(town: &Town) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = ["ledger.sqlite", "ledger.sqlite-wal"].map(|name| town.state().join(name));
    files.into_iter().map(|file| (file.clone(), std::fs::read(file).unwrap_or_default())).collect()
}

/// `run` and `poll` say that the ledger is damaged, ask for nothing, and leave every byte of it where it was.
async fn assert_refused(town: &Town) {
    let (before, asked) = (bytes(town), town.platform.requests().len());
    for command in ["run", "poll"] {
        let output = town.run(&[command]).await;
        let text = common::complained(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {text}");
        assert!(text.contains("is damaged") && text.contains("vaguemestre restore"), "{command}: {text}");
        assert!(bytes(town) == before, "{command} changed the ledger");
    }
    assert_eq!(town.platform.requests().len(), asked);
}

#[tokio::test]
async fn a_damaged_header_is_refused() {
    let town = stopped().await;
    let mut bytes = std::fs::read(ledger(&town)).unwrap();
    bytes[..100].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(ledger(&town), bytes).unwrap();
    assert_refused(&town).await;
}

#[tokio::test]
async fn zeroes_in_place_of_pages_are_refused() {
    let town = stopped().await;
    let mut bytes = std::fs::read(ledger(&town)).unwrap();
    let half = bytes.len() / 2 / 4096 * 4096;
    bytes[half..].fill(0);
    std::fs::write(ledger(&town), bytes).unwrap();
    assert_refused(&town).await;
}

#[tokio::test]
async fn a_log_that_does_not_begin_as_one_is_refused() {
    let town = killed().await;
    let log = town.state().join("ledger.sqlite-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[..32].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&log, bytes).unwrap();
    assert_refused(&town).await;
}

#[tokio::test]
async fn a_ledger_whose_whole_knowledge_lay_in_a_damaged_log_is_not_begun_anew() {
    let town = killed().await;
    let log = town.state().join("ledger.sqlite-wal");
    let mut log_bytes = std::fs::read(&log).unwrap();
    log_bytes[32..].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(&log, log_bytes).unwrap();
    let (before, asked) = (bytes(&town), town.platform.requests().len());
    for command in ["run", "poll"] {
        let output = town.run(&[command]).await;
        let text = common::complained(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {text}");
        assert!(text.contains("is missing or empty, but the archive"), "{command}: {text}");
        assert!(bytes(&town) == before, "{command} changed the ledger");
    }
    assert_eq!(town.platform.requests().len(), asked);
}

#[tokio::test]
async fn what_a_power_cut_left_behind_the_last_commit_of_the_log_harms_nothing() {
    let town = killed().await;
    let log = town.state().join("ledger.sqlite-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend((0..10_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()));
    std::fs::write(&log, bytes).unwrap();
    let daemon = town.start().await;
    assert_eq!(town.value(DELIVERED).await, "10");
    assert!(daemon.stop().await.success());
    assert_eq!((1..=10).map(|id| town.platform.downloads_of(id)).max(), Some(1));
}

#[tokio::test]
async fn a_reader_that_does_not_let_go_holds_nothing_up() {
    let town = Town::with_interval("1s").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    let mut reader = open(&ledger(&town)).await;
    reader.execute("BEGIN").await.unwrap();
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM documents").fetch_one(&mut reader).await.unwrap();
    assert_eq!(count, 0);
    town.put_many(Kind::Chorus, 1, 40, 2000);
    town.wait_value(DELIVERED, "40").await;
    // It still sees what it saw.
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM documents").fetch_one(&mut reader).await.unwrap();
    assert_eq!(count, 0);
    reader.execute("ROLLBACK").await.unwrap();
    reader.close().await.unwrap();
    assert!(daemon.events("ledger.failed").is_empty());
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_ledger_locked_for_too_long_is_said_and_all_comes_once_it_is_free() {
    let town = Town::with_interval("1s").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    let mut other = open(&ledger(&town)).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    town.put_many(Kind::Chorus, 1, 20, 2000);
    let before = (1..=20).map(|id| town.platform.downloads_of(id)).sum::<usize>();
    tokio::time::sleep(TOO_LONG).await;
    assert_eq!((1..=20).map(|id| town.platform.downloads_of(id)).sum::<usize>(), before, "asked for without a claim");
    let failed = daemon.wait_event("ledger.failed").await;
    assert!(failed["message"].as_str().unwrap().contains("is locked by another program"), "{failed}");
    assert!(failed["remedy"].as_str().unwrap().contains("close the program that holds it open"), "{failed}");
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    town.wait_value(DELIVERED, "20").await;
    assert!(daemon.stop().await.success());
    assert_eq!(town.value("SELECT max(attempts) FROM documents").await, "0");
    assert_eq!((1..=20).map(|id| town.platform.downloads_of(id)).max(), Some(1));
}

/// libfaketime, where Debian or a build from source puts it.
fn libfaketime() -> Option<PathBuf> {
    let places =
        ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/local/lib/faketime"];
    let found = places.iter().map(|folder| Path::new(folder).join("libfaketimeMT.so.1")).find(|file| file.exists());
    if found.is_none() {
        common::skip("libfaketime is not installed (Debian: package faketime)");
    }
    found
}

#[tokio::test]
async fn a_clock_off_by_years_for_a_while_costs_an_interval_at_most() {
    let Some(library) = libfaketime() else { return };
    for shift in ["+800d", "-3650d", "+5h", "-5h"] {
        let town = Town::bare().await;
        let mairie = town.account("mairie", SIREN, Standing::Valid);
        town.configure("30m", "", &format!("{mairie}feeds = [\"chorus\"]\n"));
        town.put_many(Kind::Chorus, 1, 5, 2000);
        assert_eq!(town.poll().await.code, 0);
        assert_eq!(town.value(DELIVERED).await, "5");
        town.put_many(Kind::Chorus, 6, 5, 2000);
        let mut command = town.command(&["poll", "fast/*"]);
        command.env("LD_PRELOAD", &library).env("FAKETIME", shift).env("NO_FAKE_STAT", "1");
        // The wall clock is set, and no time has passed.
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        let output = tokio::process::Command::from(command).output().await.unwrap();
        let text = format!("{shift}: {}{}", common::told(&output), common::complained(&output));
        assert!(matches!(output.status.code(), Some(0 | 75)), "{text}");
        // Not an interval has really passed.
        assert_eq!(town.listings(), 1, "{text}");
        assert_eq!(town.poll().await.code, 0, "{text}");
        let planned: Timestamp =
            town.value("SELECT next_poll_at FROM feeds WHERE kind = 'chorus'").await.parse().unwrap();
        let wait = planned.duration_since(SystemClock::new().now());
        assert!(wait <= SignedDuration::from_mins(31), "{shift}: the next poll is {wait} away");
        assert_eq!(town.listings(), 1, "{text}");
        assert_eq!(town.value(DELIVERED).await, "5");
    }
}
