//! A target that hangs, as a network share does whose server is away, keeps nothing else waiting: no collecting, no other
//! target, no stop.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::time::Duration;

use common::{SIREN, Town, sample};
use nix::sys::stat::Mode;
use tokio::time::Instant;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;

/// More than the threads that are shared for files and certificates.
const HANGING: usize = 12;

/// Document 1 waits for many targets. A pipe in the place of its archived copy hangs whoever hands it over: it opens only
/// when someone writes.
async fn town_with_targets_that_hang() -> Town {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    let target = |number| {
        format!(
            "[[delivery.targets]]\nname = \"share{number}\"\nfeeds = [\"*/acquittements\"]\ninbox = \"away/{number}\"\n"
        )
    };
    let local = "[[delivery.targets]]\nname = \"local\"\nfeeds = [\"*/chorus\"]\ninbox = \"local\"\n".to_owned();
    let targets: String = (0..HANGING).map(target).chain([local]).collect();
    town.configure("1ms", "", &format!("{mairie}feeds = [\"acquittements\", \"chorus\"]\n{targets}"));
    town.put(1);
    town.poll().await;
    assert_eq!(town.value("SELECT count(*) FROM deliveries WHERE state = 'failed'").await, HANGING.to_string());
    let archived = town.state().join(town.value("SELECT archive_path FROM documents").await);
    std::fs::remove_file(&archived).unwrap();
    nix::unistd::mkfifo(&archived, Mode::from_bits_truncate(0o600)).unwrap();
    std::fs::create_dir(town.folder.path().join("away")).unwrap();
    town.query("UPDATE deliveries SET next_try_at = '2020-01-01T00:00:00.000Z'").await;
    town
}

#[tokio::test]
async fn targets_that_hang_keep_neither_collecting_nor_another_target_nor_a_second_signal_waiting() {
    let town = town_with_targets_that_hang().await;
    let mut daemon = town.start().await;
    town.platform.put(SIREN, Kind::Chorus, 2, sample(Kind::Chorus, 2, 2000));
    town.wait_value("SELECT state FROM documents WHERE remote_id = '2'", "delivered").await;
    let hanging = "SELECT count(*) FROM deliveries WHERE state = 'failed' AND attempts = 1";
    assert_eq!(town.value(hanging).await, HANGING.to_string(), "they hang still");

    daemon.signal("TERM");
    daemon.wait_event("daemon.stopping").await;
    let asked = Instant::now();
    daemon.signal("TERM");
    assert!(daemon.wait().await.success());
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_stop_waits_for_a_target_that_hangs_but_not_for_ever() {
    let town = town_with_targets_that_hang().await;
    let mut daemon = town.start().await;
    town.platform.put(SIREN, Kind::Chorus, 2, sample(Kind::Chorus, 2, 2000));
    town.wait_value("SELECT state FROM documents WHERE remote_id = '2'", "delivered").await;
    daemon.signal("TERM");
    assert!(daemon.wait().await.success());
    let text = format!("{:?}", daemon.log());
    assert!(text.contains(&format!("{HANGING} deliveries hang")), "{text}");
}
