//! Commands of an operator, beside the daemon and without it; the interval between listings, whoever asks.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::process::Output;
use std::time::Duration;

use common::{PATIENCE, SIREN, Town, sample};
use jiff::Timestamp;
use tokio::time::timeout;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Call, Fault, Matcher, Record, Times};

const FEED: &str = "fast/mairie/chorus";

fn text(output: &Output) -> (Option<i32>, String) {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output.status.code(), String::from_utf8_lossy(&both).into_owned())
}

fn listings(town: &Town) -> Vec<Record> {
    let listing = |record: &Record| record.call == Some(Call::List) && record.kind == Some(Kind::Chorus);
    town.platform.requests().into_iter().filter(listing).collect()
}

async fn wait_listings(town: &Town, count: usize) {
    let reached = timeout(
        PATIENCE,
        town.platform.wait_for(|records| {
            let listing = |record: &&Record| record.call == Some(Call::List) && record.kind == Some(Kind::Chorus);
            records.iter().filter(listing).count() >= count
        }),
    );
    reached.await.unwrap();
}

/// A town whose documents 1 and 2 are login pages: abandoned, for the same bytes came twice.
async fn with_abandoned() -> Town {
    let town = Town::with_interval("1s").await;
    town.put_many(Kind::Chorus, 1, 3, 1000);
    for id in [1, 2] {
        town.platform.set_fault(Matcher::download(id), Fault::HtmlWith200, Times::Always);
    }
    town
}

#[tokio::test]
async fn retry_and_dismiss_are_carried_out_by_the_daemon_and_recorded() {
    let town = with_abandoned().await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'abandoned'", "2").await;
    let (code, answer) = text(&town.run(&["status"]).await);
    assert_eq!(code, Some(1), "{answer}");

    let (code, answer) = text(&town.run(&["dismiss", FEED, "1", "--reason", "seen with FAST"]).await);
    assert_eq!((code, answer.contains("dismissed")), (Some(0), true), "{answer}");
    town.platform.clear_faults();
    let (code, answer) = text(&town.run(&["retry", FEED, "2"]).await);
    assert_eq!((code, answer.contains("will be fetched")), (Some(0), true), "{answer}");
    town.wait_value("SELECT state FROM documents WHERE remote_id = '2'", "delivered").await;
    assert_eq!(
        town.value("SELECT state || ': ' || error FROM documents WHERE remote_id = '1'").await,
        "dismissed: dismissed: seen with FAST"
    );

    for (command, refusal) in [
        (vec!["retry", FEED, "3"], "held already"),
        (vec!["retry", FEED, "77"], "knows no such document"),
        (vec!["dismiss", FEED, "3", "--reason", "x"], "only abandoned and lost"),
        (vec!["retry", "nonsense", "3"], "nonsense"),
    ] {
        let (code, answer) = text(&town.run(&command).await);
        assert_eq!(code, Some(1), "{answer}");
        assert!(answer.contains(refusal), "{answer}");
    }
    let actions = town.query("SELECT command, actor <> '', at, detail FROM operator_actions ORDER BY id").await;
    let commands: Vec<&str> = actions.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(commands, ["dismiss", "retry", "retry", "retry", "dismiss", "retry"]);
    assert!(actions.iter().all(|row| row[1] == "1" && row[2].parse::<Timestamp>().is_ok()));
    assert!(actions[0][3].contains("seen with FAST"), "{actions:?}");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn quarantined_bytes_are_accepted_as_the_document() {
    let town = with_abandoned().await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'abandoned'", "2").await;
    let asked = town.platform.downloads_of(1);
    let path = town.state().join(town.value("SELECT quarantine_path FROM documents WHERE remote_id = '1'").await);
    let bytes = std::fs::read(path).unwrap();
    let (code, answer) = text(&town.run(&["retry", FEED, "1", "--accept"]).await);
    assert_eq!(code, Some(0), "{answer}");
    town.wait_value("SELECT state FROM documents WHERE remote_id = '1'", "delivered").await;
    let files = town.inbox_files();
    let file = files.iter().find(|path| path.file_stem().is_some_and(|stem| stem == "1")).unwrap();
    assert_eq!(std::fs::read(town.inbox().join(file)).unwrap(), bytes);
    assert_eq!(town.platform.downloads_of(1), asked);
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn poll_beside_the_daemon_obeys_the_interval_and_says_when() {
    let town = Town::with_interval("30m").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    let (code, answer) = text(&town.run(&["poll", FEED]).await);
    assert_eq!(code, Some(0), "{answer}");
    assert!(answer.contains("may not be listed before"), "{answer}");
    let (code, answer) = text(&town.run(&["poll", "fast/other"]).await);
    assert_eq!((code, answer.contains("no feed of the configuration matches")), (Some(1), true), "{answer}");
    let (code, answer) = text(&town.run(&["poll"]).await);
    assert_eq!((code, answer.contains("no feed is due")), (Some(0), true), "{answer}");
    assert_eq!(listings(&town).len(), 1);
    assert_eq!(town.value("SELECT count(*) FROM operator_actions WHERE command = 'poll'").await, "3");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn poll_without_a_daemon_collects_delivers_and_ends() {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 5, 1000);
    let (code, answer) = text(&town.run(&["poll"]).await);
    assert_eq!(code, Some(0), "{answer}");
    assert!(answer.contains("fast/mairie/chorus: ok, 5 listed, 5 fetched, 0 failed"), "{answer}");
    assert_eq!(town.inbox_files().len(), 5);
    let (code, answer) = text(&town.run(&["poll", FEED]).await);
    assert_eq!((code, answer.contains("may not be listed before")), (Some(0), true), "{answer}");
    assert_eq!(listings(&town).len(), 1);
}

#[tokio::test]
async fn poll_exits_75_when_a_feed_fails_and_the_failure_does_not_shorten_the_interval() {
    let town = Town::with_interval("30m").await;
    town.platform.set_fault(Matcher::listings(), Fault::Status(503, "".into(), Vec::new()), Times::Always);
    let (code, answer) = text(&town.run(&["poll", FEED]).await);
    assert_eq!((code, answer.contains("failed")), (Some(75), true), "{answer}");
    town.platform.clear_faults();
    let (_, answer) = text(&town.run(&["poll", FEED]).await);
    assert!(answer.contains("may not be listed before"), "{answer}");
    assert_eq!(listings(&town).len(), 1);
}

#[tokio::test]
async fn poll_without_a_daemon_takes_up_what_a_killed_one_left() {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 6, 1000);
    town.platform.set_fault(Matcher::downloads(), Fault::Hang, Times::Always);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'fetching'", "4").await;
    daemon.kill().await;
    town.platform.clear_faults();
    let (code, answer) = text(&town.run(&["poll"]).await);
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(town.inbox_files().len(), 6, "{answer}");
    assert_eq!(listings(&town).len(), 1);
    assert_eq!(std::fs::read(town.inbox().join("fast/mairie/chorus/1.xml")).unwrap(), sample(Kind::Chorus, 1, 1000));
}

#[tokio::test]
async fn a_command_whose_daemon_dies_says_so_and_is_not_carried_out_later() {
    let town = Town::with_interval("1s").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    daemon.signal("STOP");
    let (answer, ()) = tokio::join!(town.run(&["dismiss", FEED, "1", "--reason", "x"]), async {
        town.wait_value("SELECT state FROM requests", "pending").await;
        daemon.kill().await;
    });
    let (code, answer) = text(&answer);
    assert_eq!(code, Some(1), "{answer}");
    assert!(answer.contains("the daemon stopped before it could answer"), "{answer}");
    assert!(answer.contains("remedy: start it again, and give the command again"), "{answer}");
    let daemon = town.start().await;
    assert_eq!(town.value("SELECT state FROM requests").await, "done");
    assert_eq!(town.value("SELECT count(*) FROM operator_actions").await, "0");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_listing_is_recorded_with_the_next_one_before_it_leaves() {
    let town = Town::with_interval("30m").await;
    town.platform.set_fault(Matcher::listing(SIREN, Kind::Chorus), Fault::Hang, Times::Always);
    let daemon = town.start().await;
    wait_listings(&town, 1).await;
    daemon.kill().await;
    let row = town.query("SELECT last_listed_at, next_poll_at FROM feeds WHERE feed = 'fast/mairie/chorus'").await;
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let (listed, next) = (time(&row[0][0]), time(&row[0][1]));
    assert!(listed <= listings(&town)[0].at);
    assert!(next.duration_since(listed) >= jiff::SignedDuration::from_mins(30), "{row:?}");
    // Neither the next daemon nor an operator may list before then.
    town.platform.clear_faults();
    let daemon = town.start().await;
    let (_, answer) = text(&town.run(&["poll", FEED]).await);
    assert!(answer.contains("may not be listed before"), "{answer}");
    assert!(daemon.stop().await.success());
    let (_, answer) = text(&town.run(&["poll", FEED]).await);
    assert!(answer.contains("may not be listed before"), "{answer}");
    assert_eq!(listings(&town).len(), 1);
}

#[tokio::test]
async fn listings_stay_an_interval_apart_across_kills_commands_and_failures() {
    let town = Town::with_interval("2s").await;
    town.platform.set_fault(Matcher::listings(), Fault::Status(500, "".into(), Vec::new()), Times::N(3));
    for kill in [true, false, true] {
        let daemon = town.start().await;
        let seen = listings(&town).len();
        town.run(&["poll"]).await;
        town.run(&["poll", FEED]).await;
        wait_listings(&town, seen + 1).await;
        if kill {
            daemon.kill().await
        } else {
            assert!(daemon.stop().await.success())
        }
        town.run(&["poll", FEED]).await;
    }
    let listings = listings(&town);
    assert!(listings.len() >= 3);
    for pair in listings.windows(2) {
        let apart = pair[1].at.duration_since(pair[0].at);
        // The start is what counts, and was recorded before the request travelled.
        assert!(apart.as_millis() + 250 >= Duration::from_secs(2).as_millis() as i128, "{apart}");
    }
}
