//! The daemon as a process: its lock, what it tells systemd, how it stops, what it leaves on disk.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use common::{Daemon, PATIENCE, Town, strace};
use tokio::net::UnixDatagram;
use tokio::time::{Instant, timeout};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Call, Fault, Matcher, Record, Times};

/// Within this an idle daemon is to stop.
const IDLE_STOP: Duration = Duration::from_secs(2);

/// Slow enough that signals come in the middle, and soon over: about a second for 2000 bytes.
fn drip() -> Fault {
    Fault::Drip { bytes: 100, every: Duration::from_millis(50) }
}

/// Waits until the platform has been asked `count` times for `call`.
async fn wait_calls(town: &Town, call: Call, count: usize) {
    let asked = |records: &[Record]| records.iter().filter(|record| record.call == Some(call)).count();
    timeout(PATIENCE, town.platform.wait_for(|records| asked(records) >= count)).await.unwrap();
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_told_who_holds_the_directory() {
    let town = Town::with_interval("30m").await;
    let daemon = town.start().await;
    let second = town.run(&["run"]).await;
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{text}");
    assert!(text.contains(&format!("process {}", daemon.id())), "{text}");
    assert!(text.contains("remedy: stop that one first"), "{text}");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn status_works_beside_a_daemon_and_says_that_it_runs() {
    let town = Town::with_interval("30m").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    let status = town.run(&["status"]).await;
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert_eq!(status.status.code(), Some(0), "{text}");
    assert!(text.contains(&format!("running (process {}", daemon.id())), "{text}");
    assert!(daemon.stop().await.success());
    let status = town.run(&["status"]).await;
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stdout).contains("NOT RUNNING"));
}

#[tokio::test]
async fn systemd_is_told_of_the_start_of_work_and_of_the_end() {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 1, 2000);
    town.platform.set_fault(Matcher::downloads(), drip(), Times::Always);
    let path = town.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = town.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path);
    let mut daemon = Daemon::spawn(command, town.folder.path());
    let mut told = Vec::new();
    hear(&socket, &mut told, |line| line == "READY=1").await;
    hear(&socket, &mut told, |line| line.starts_with("STATUS=")).await;
    wait_calls(&town, Call::Download, 1).await;
    daemon.signal("TERM");
    hear(&socket, &mut told, |line| line == "STOPPING=1").await;
    hear(&socket, &mut told, |line| {
        line.strip_prefix("EXTEND_TIMEOUT_USEC=").is_some_and(|more| more.parse::<u64>().unwrap() >= 10_000_000)
    })
    .await;
    assert!(daemon.wait().await.success());
}

/// Listens until a line satisfies `wanted`.
async fn hear(socket: &UnixDatagram, told: &mut Vec<String>, wanted: impl Fn(&str) -> bool) {
    let mut buffer = [0; 4096];
    while !told.iter().any(|line| wanted(line)) {
        let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap_or_else(|_| panic!("{told:?}")).unwrap();
        told.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
    }
}

#[tokio::test]
async fn both_signals_let_running_downloads_finish_and_begin_nothing_new() {
    for signal in ["TERM", "INT"] {
        let town = Town::with_interval("30m").await;
        town.put_many(Kind::Chorus, 1, 20, 2000);
        town.platform.set_fault(Matcher::downloads(), drip(), Times::Always);
        let mut daemon = town.start().await;
        wait_calls(&town, Call::Download, 4).await;
        daemon.signal(signal);
        daemon.wait_event("daemon.stopping").await;
        let asked = || (1..=20).filter(|&id| town.platform.downloads_of(id) > 0).count();
        let running = asked();
        assert!(daemon.wait().await.success(), "{signal}: {:#?}", daemon.log());
        // Those that ran are kept; no other was asked for.
        assert_eq!(asked(), running, "{signal}");
        let states =
            "SELECT group_concat(state || ' ' || count) FROM (SELECT CASE WHEN state IN ('stored', 'delivered')
            THEN 'held' ELSE state END AS state, count(*) AS count FROM documents GROUP BY 1 ORDER BY 1)";
        assert_eq!(town.value(states).await, format!("held {running},listed {}", 20 - running), "{signal}");
        assert_eq!(town.value("SELECT sum(interruptions) FROM documents").await, "0", "{signal}");
    }
}

#[tokio::test]
async fn an_idle_daemon_stops_within_two_seconds() {
    let town = Town::with_interval("30m").await;
    let mut daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    let asked = Instant::now();
    daemon.signal("TERM");
    assert!(daemon.wait().await.success());
    assert!(asked.elapsed() < IDLE_STOP, "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_second_signal_stops_at_once_and_the_document_is_collected_after_the_next_start() {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 1, 2000);
    town.platform.set_fault(Matcher::download(1), Fault::Hang, Times::Once);
    let mut daemon = town.start().await;
    // Every feed has been listed: none is due again before the interval is over.
    wait_calls(&town, Call::List, 3).await;
    wait_calls(&town, Call::Download, 1).await;
    daemon.signal("TERM");
    daemon.wait_event("daemon.stopping").await;
    let asked = Instant::now();
    daemon.signal("TERM");
    assert!(daemon.wait().await.success());
    assert!(asked.elapsed() < IDLE_STOP, "{:?}", asked.elapsed());
    let daemon = town.start().await;
    town.wait_value("SELECT state || interruptions FROM documents", "delivered1").await;
    assert!(daemon.stop().await.success());
    // Collected without another listing, which the interval forbids.
    let listings = |record: &&Record| record.call == Some(Call::List);
    assert_eq!(town.platform.requests().iter().filter(listings).count(), 3);
}

#[tokio::test]
async fn hanging_up_kills_nothing() {
    let town = Town::with_interval("1s").await;
    let daemon = town.start().await;
    daemon.signal("HUP");
    daemon.wait_event("config.reloaded").await;
    town.put_many(Kind::Chorus, 1, 1, 500);
    town.wait_value("SELECT state FROM documents", "delivered").await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn the_state_directory_is_made_closed_to_others_whatever_the_umask() {
    for umask in ["000", "077"] {
        let town = Town::with_interval("30m").await;
        town.put_many(Kind::Chorus, 1, 1, 500);
        let program = town.command(&["run"]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "umask \"$0\"; exec \"$@\"", umask]).arg(program.get_program()).args(program.get_args());
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM");
        let daemon = Daemon::spawn(command, town.folder.path());
        daemon.wait_event("daemon.ready").await;
        town.wait_value("SELECT state FROM documents", "delivered").await;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        let state = town.state();
        assert_eq!(mode(&state), 0o750);
        for file in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
            assert_eq!(mode(&state.join(file)), 0o600, "{file} under umask {umask}");
        }
        assert_eq!(mode(&state.join("archive")), 0o700);
        assert_eq!(mode(&state.join("archive/quarantine")), 0o700);
        let archived = state.join(town.value("SELECT archive_path FROM documents").await);
        assert_eq!(mode(&archived), 0o600);
        assert_eq!(mode(archived.parent().unwrap()), 0o700);
        assert_eq!(mode(&town.inbox()), 0o770, "under umask {umask}");
        let file = town.inbox().join("fast/mairie/chorus/1.xml");
        assert_eq!(mode(file.parent().unwrap()), 0o770, "under umask {umask}");
        assert_eq!(mode(&file), 0o640, "under umask {umask}");
        assert!(daemon.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_goes_on_in_the_background_and_leaves_a_ledger_that_is_closed() {
    if !strace::is_here() {
        return;
    }
    let town = Town::with_interval("1h").await;
    let unfinished = town.state().join("backup/.ledger.unfinished");
    let delay = strace::injecting("pwrite64", "delay_enter=1500000", "1", Some(&unfinished));
    let mut daemon = Daemon::spawn(strace::under(&delay, &town.command(&["run"])), town.folder.path());
    daemon.wait_event("daemon.ready").await;
    let (status, _) = town.status().await;
    let process = status["daemon"].as_str().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    // The copy has begun, and lasts.
    timeout(PATIENCE, async {
        while !unfinished.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    assert!(std::process::Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    assert!(daemon.wait().await.success());
    assert!(!town.state().join("ledger.sqlite-wal").exists(), "its last connection has closed it");
    assert!(!unfinished.exists(), "and the copy is whole");
}

#[test]
fn threads_share_one_arena_of_memory_which_gives_back_what_nobody_uses() {
    // The allocator says what it was built to do: without it, thousands of feeds cost twice the memory.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vaguemestre"));
    let output = command.arg("--version").env("_RJEM_MALLOC_CONF", "confirm_conf:true").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    for value in ["narenas:1", "dirty_decay_ms:10000", "muzzy_decay_ms:0", "oversize_threshold:1048576"] {
        assert!(said.lines().any(|line| line.ends_with(&format!("Set conf value: {value}"))), "{value}: {said}");
    }
}
