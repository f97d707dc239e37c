//! A ledger that is damaged, too new, gone, read-only or locked: said clearly, with the remedy; nothing overwritten.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Town;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _};
use vaguemestre::feed::Kind;

/// A town that has collected ten documents, its daemon stopped cleanly.
async fn settled() -> Town {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 10, 2000);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "10").await;
    assert!(daemon.stop().await.success());
    town
}

/// The same, but killed: what it knows lies in the write-ahead log as well.
async fn killed() -> Town {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 10, 2000);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "10").await;
    daemon.kill().await;
    assert!(town.state().join("ledger.sqlite-wal").metadata().unwrap().len() > 0);
    town
}

/// Every file of the state directory with its bytes, but for the lock and the shared memory of SQLite's processes.
fn bytes(state: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                walk(&path, found);
            } else if name != "lock" && !name.ends_with("-shm") {
                let bytes = std::fs::read(&path).unwrap();
                // SQLite makes its write-ahead log as soon as it looks.
                if !(name.ends_with("-wal") && bytes.is_empty()) {
                    found.insert(path.clone(), bytes);
                }
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(state, &mut found);
    found
}

/// `run` and `poll` fail with 1, say `what` and `remedy`, ask the platform for nothing and change no file.
async fn assert_refused(town: &Town, what: &str, remedy: &str) {
    let (before, asked) = (bytes(&town.state()), town.platform.requests().len());
    for command in [["run"].as_slice(), &["poll"]] {
        let output = town.run(command).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {text}");
        assert!(text.contains(what), "{command:?}: {text}");
        assert!(text.split("remedy:").nth(1).is_some_and(|text| text.contains(remedy)), "{command:?}: {text}");
        for (path, bytes) in bytes(&town.state()) {
            assert!(before.get(&path) == Some(&bytes), "{command:?} changed {}", path.display());
        }
        let lost = before.keys().find(|path| !path.exists());
        assert_eq!(lost, None, "{command:?} removed it");
    }
    assert_eq!(town.platform.requests().len(), asked);
}

fn ledger(town: &Town) -> PathBuf {
    town.state().join("ledger.sqlite")
}

#[tokio::test]
async fn garbage_is_not_overwritten() {
    let town = settled().await;
    std::fs::write(ledger(&town), "this is no database, but somebody's notes\n".repeat(200)).unwrap();
    assert_refused(&town, "is damaged", "vaguemestre restore").await;
}

#[tokio::test]
async fn a_truncated_ledger_is_refused() {
    let town = settled().await;
    let whole = std::fs::read(ledger(&town)).unwrap();
    std::fs::write(ledger(&town), &whole[..whole.len() / 2]).unwrap();
    assert_refused(&town, "is damaged", "vaguemestre restore").await;
    // The remedy works.
    std::fs::write(ledger(&town), whole).unwrap();
    let daemon = town.start().await;
    assert!(daemon.stop().await.success());
    assert_eq!((1..=10).map(|id| town.platform.downloads_of(id)).max(), Some(1));
}

#[tokio::test]
async fn a_damaged_page_is_found_before_anything_is_written() {
    let town = settled().await;
    let root: usize = town.value("SELECT rootpage FROM sqlite_schema WHERE name = 'documents'").await.parse().unwrap();
    let mut bytes = std::fs::read(ledger(&town)).unwrap();
    bytes[(root - 1) * 4096..root * 4096].iter_mut().for_each(|byte| *byte ^= 0x5a);
    std::fs::write(ledger(&town), bytes).unwrap();
    assert_refused(&town, "is damaged", "vaguemestre restore").await;
}

#[tokio::test]
async fn a_ledger_of_a_newer_version_is_left_to_it() {
    for town in [settled().await, killed().await] {
        let mut connection = open(&ledger(&town)).await;
        let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (9999, 'from the future', 1, x'00', 0)";
        connection.execute(newer).await.unwrap();
        // Left in the write-ahead log, as a newer daemon that was killed leaves it.
        std::fs::copy(ledger(&town), town.folder.path().join("ledger")).unwrap();
        let wal = town.state().join("ledger.sqlite-wal");
        std::fs::copy(&wal, town.folder.path().join("wal")).unwrap();
        connection.close().await.unwrap();
        std::fs::copy(town.folder.path().join("ledger"), ledger(&town)).unwrap();
        std::fs::copy(town.folder.path().join("wal"), wal).unwrap();
        assert_refused(&town, "newer version of vaguemestre (its schema is 9999", "run the newer version again").await;
    }
}

#[tokio::test]
async fn a_ledger_that_has_vanished_is_not_begun_anew_while_the_archive_holds_documents() {
    let town = settled().await;
    std::fs::remove_file(ledger(&town)).unwrap();
    assert_refused(&town, "is missing or empty, but the archive", "vaguemestre restore").await;
    assert!(!ledger(&town).exists());
    std::fs::write(ledger(&town), "").unwrap();
    assert_refused(&town, "is missing or empty, but the archive", "vaguemestre restore").await;
    // The other remedy: to begin anew, with the archive moved away.
    std::fs::rename(town.state().join("archive"), town.folder.path().join("old")).unwrap();
    let daemon = town.start().await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_folder_in_the_ledgers_place_is_said() {
    let town = Town::with_interval("30m").await;
    std::fs::create_dir_all(ledger(&town)).unwrap();
    assert_refused(&town, "ledger.sqlite cannot be written", "belong to the daemon's user").await;
}

#[tokio::test]
async fn a_ledger_that_may_not_be_written_is_said() {
    for file_mode in [0o400, 0o600] {
        let town = settled().await;
        // Root may write everywhere, but becomes the owner of the state directory before it opens anything.
        if nix::unistd::Uid::effective().is_root() {
            give_away(town.folder.path());
        }
        let mode = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        mode(&ledger(&town), file_mode);
        // With a closed folder no write-ahead log can be made.
        mode(&town.state(), if file_mode == 0o600 { 0o550 } else { 0o750 });
        assert_refused(&town, "ledger.sqlite cannot be written", "belong to the daemon's user").await;
        mode(&town.state(), 0o750);
    }
}

/// Gives a folder and all in it to the user `nobody`.
fn give_away(path: &Path) {
    nix::unistd::chown(path, Some(nix::unistd::Uid::from_raw(65534)), Some(nix::unistd::Gid::from_raw(65534))).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}

#[tokio::test]
async fn a_ledger_locked_for_some_seconds_delays_and_loses_nothing() {
    let town = Town::with_interval("1s").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    town.put_many(Kind::Chorus, 1, 20, 2000);
    let mut other = open(&ledger(&town)).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!((1..=20).map(|id| town.platform.downloads_of(id)).sum::<usize>(), 0, "asked for without a claim");
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "20").await;
    assert!(daemon.stop().await.success());
    assert_eq!((1..=20).map(|id| town.platform.downloads_of(id)).max(), Some(1));
}

#[tokio::test]
async fn a_start_waits_for_a_program_that_holds_the_ledger() {
    let town = settled().await;
    let mut other = open(&ledger(&town)).await;
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let daemon = town.spawn();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(daemon.events("daemon.ready").is_empty());
    other.execute("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    daemon.wait_event("daemon.ready").await;
    assert!(daemon.stop().await.success());
}

async fn open(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}
