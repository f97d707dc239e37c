//! The main job: each document once, byte for byte, in the archive, the ledger and the inbox.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::by_hand::mode;
use common::{SIREN, Town, sample};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::Call;

#[tokio::test]
async fn six_hundred_documents_in_three_feeds_are_each_downloaded_once_and_kept_identical() {
    let town = Town::with_interval("1s").await;
    for kind in Kind::USUAL {
        town.put_many(kind, 1000 * (kind as u64 + 1), 200, 2000);
    }
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "600").await;
    assert!(daemon.stop().await.success());
    for kind in Kind::USUAL {
        for number in 1000 * (kind as u64 + 1)..1000 * (kind as u64 + 1) + 200 {
            assert_eq!(town.platform.downloads_of(number), 1);
            let file = town.inbox().join(common::inbox_path(kind, number));
            assert_eq!(std::fs::read(file).unwrap(), sample(kind, number, 2000));
        }
    }
    assert_eq!(town.inbox_files().len(), 600);
}

#[tokio::test]
async fn a_second_run_downloads_nothing_though_the_list_goes_on_showing_everything() {
    let town = Town::with_interval("1s").await;
    town.platform.adjust(|it| it.keep_listing = true);
    for kind in Kind::USUAL {
        town.put_many(kind, 1000 * (kind as u64 + 1), 20, 2000);
    }
    let all = "SELECT count(*) FROM documents WHERE state = 'delivered'";
    let daemon = town.start().await;
    town.wait_value(all, "60").await;
    assert!(daemon.stop().await.success());
    let before = town.query("SELECT * FROM documents ORDER BY id").await;

    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE still_listed = 20", "3").await;
    let listings = town.listings();
    // The business software has taken its copies away: that is no reason to fetch them again.
    std::fs::remove_dir_all(town.inbox().join("fast")).unwrap();
    town.platform
        .wait_for(|records| records.iter().filter(|it| it.call == Some(Call::List)).count() >= listings + 3)
        .await;
    let status = town.say(&["status"]).await;
    assert!(status.code == 0 && status.out.contains("20 held already, and still listed"), "{status:?}");
    assert!(daemon.stop().await.success());
    assert_eq!(town.downloads(), 60);
    assert_eq!(town.query("SELECT * FROM documents ORDER BY id").await, before, "nothing changes");
    assert_eq!(town.inbox_files().len(), 0);
}

#[tokio::test]
async fn ids_are_numbers_or_strings_count_once_and_what_is_no_id_is_left_alone() {
    let town = Town::by_hand("", "", "").await;
    for number in 1..=5 {
        town.put(number);
    }
    let long = "9".repeat(200);
    let listing = format!(r#"["../x", 1, "2", 2, -3, {long}, "{long}", null, {{"id": 4}}, 3, 3, "3", 4.5, "é", "5 "]"#);
    town.platform.listing_body(SIREN, Kind::Acquittements, listing);
    let said = town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("../x"), "a refused entry is said: {said:?}");
    let rows = town.query("SELECT remote_id, state FROM documents ORDER BY remote_id").await;
    assert_eq!(rows, [["1", "delivered"], ["2", "delivered"], ["3", "delivered"]]);
    assert_eq!(town.downloads(), 3);
    assert_eq!(town.value("SELECT listed || ' ' || fetched || ' ' || failed FROM polls").await, "3 3 0");
    assert_eq!(town.feed_status().await["refused_entries"], 9);

    town.platform.adjust(|it| it.ids_as_strings = true);
    town.platform.clear_listing_body(SIREN, Kind::Acquittements);
    town.poll().await;
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "5");
    assert_eq!(town.downloads(), 5, "1 and \"1\" are the same document");
}

#[tokio::test]
async fn listings_of_every_small_length_are_lists() {
    let town = Town::by_hand("", "", "").await;
    for count in 0..6 {
        assert_eq!(town.poll().await.code, 0, "{count} documents");
        for number in 0..count {
            town.put(100 * (count + 1) + number);
        }
    }
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.downloads(), 15);
    assert_eq!(town.value("SELECT group_concat(listed) FROM polls").await, "0,0,1,2,3,4,5");
}

#[tokio::test]
async fn what_is_no_list_fails_the_poll_and_says_what_came() {
    let town = Town::by_hand("", "", "").await;
    town.put(1);
    town.poll().await;
    for (body, words) in [
        ("<html><title>Connexion</title></html>", "no JSON array"),
        ("", "no JSON array"),
        ("[1, 2", "no JSON array"),
        (r#"{"ids": [2]}"#, "no JSON array"),
        (r#"{"developerMessage": "Down", "errorCode": 1}"#, "Down"),
    ] {
        town.platform.listing_body(SIREN, Kind::Acquittements, body);
        let said = town.poll().await;
        assert!(said.code == 75 && said.out.contains(words), "{body}: {said:?}");
    }
    assert_eq!(town.value("SELECT count(*) FROM documents").await, "1");
}

#[tokio::test]
async fn a_listing_of_a_hundred_thousand_ids_is_taken_in_its_stride() {
    let town = Town::by_hand("", "first_poll = \"skip\"\n", "").await;
    let ids: Vec<u64> = (300_000_000..300_100_000).collect();
    let listing = |ids: &[u64]| serde_json::to_vec(ids).unwrap();
    town.platform.listing_body(SIREN, Kind::Acquittements, listing(&ids));
    let begin = Instant::now();
    let said = town.poll().await;
    assert!(said.code == 0 && said.out.contains("100000 listed, 0 fetched"), "{said:?}");
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'skipped'").await, "100000");

    let bytes = town.put(7);
    town.platform.listing_body(SIREN, Kind::Acquittements, listing(&[&ids[..50_000], &[7], &ids[50_000..]].concat()));
    assert_eq!(town.poll().await.code, 0);
    assert_eq!((std::fs::read(town.in_inbox(7)).unwrap(), town.downloads()), (bytes, 1));
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn what_is_kept_is_recorded_with_its_size_hash_and_place_and_closed_to_others() {
    let town = Town::by_hand("", "", "").await;
    let xml = town.put(1);
    let pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n".to_vec();
    let zip = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let binary = vec![0_u8, 1, 2, 3, 250];
    let large = sample(Kind::Acquittements, 5, 3_000_000);
    let documents = [(1, "xml", xml), (2, "pdf", pdf), (3, "zip", zip), (4, "bin", binary), (5, "xml", large)];
    for (number, _, bytes) in &documents {
        town.platform.put(SIREN, Kind::Acquittements, number, bytes.clone());
    }
    assert_eq!(town.poll().await.code, 0);
    for (number, extension, bytes) in &documents {
        let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(town.about(number, "state, size, sha256").await, format!("delivered {} {sha256}", bytes.len()));
        let day = town.about(number, "replace(substr(requested_at, 1, 10), '-', '/')").await;
        let path = town.about(number, "archive_path").await;
        assert_eq!(path, format!("archive/fast/mairie/acquittements/{day}/{number}.{extension}"));
        assert_eq!(&std::fs::read(town.state().join(&path)).unwrap(), bytes);
        assert_eq!(mode(&town.state().join(&path)), 0o600);
        let name = town.about(number, "coalesce('-' || name, '')").await;
        let copy = town.inbox().join(format!("fast/mairie/acquittements/{number}{name}.{extension}"));
        assert_eq!((&std::fs::read(&copy).unwrap(), mode(&copy)), (bytes, 0o640));
        assert!(!same_file(&copy, &town.state().join(&path)), "copies, never links");
    }
    assert_eq!(town.every_file("archive").len(), 5, "nothing else lies there");
    let kept = town.query("SELECT media_type FROM documents ORDER BY id").await.concat();
    let types =
        ["application/xml", "application/pdf", "application/zip", "application/octet-stream", "application/xml"];
    assert_eq!(kept, types);

    assert_eq!(mode(&town.state()), 0o750);
    for folder in ["archive", "archive/quarantine", "archive/fast", "archive/fast/mairie/acquittements"] {
        assert_eq!(mode(&town.state().join(folder)), 0o700, "{folder}");
    }
    for folder in ["inbox", "inbox/fast", "inbox/fast/mairie/acquittements"] {
        assert_eq!(mode(&town.state().join(folder)), 0o770, "{folder}");
    }
}

#[tokio::test]
async fn the_ledger_is_its_owners_alone_while_the_daemon_runs_and_after() {
    let town = Town::with_interval("1s").await;
    town.put(1);
    let daemon = town.start().await;
    town.wait_value("SELECT state FROM documents", "delivered").await;
    let ledgers = || {
        let entries = std::fs::read_dir(town.state()).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_string_lossy().contains("ledger.sqlite")).collect::<Vec<_>>()
    };
    assert!(ledgers().len() >= 2, "{:?}", ledgers());
    assert!(ledgers().iter().all(|path| mode(path) == 0o600));
    assert!(daemon.stop().await.success());
    assert!(ledgers().iter().all(|path| mode(path) == 0o600));
}

#[tokio::test]
async fn hundreds_of_documents_are_asked_for_side_by_side_but_no_more_than_allowed() {
    let town = Town::by_hand("concurrency = 3\n", "", "").await;
    town.platform.adjust(|it| it.latency = Duration::from_millis(20));
    town.put_many(Kind::Acquittements, 1, 60, 2000);
    assert_eq!(town.poll().await.code, 0);
    let records: Vec<_> = town.platform.requests().into_iter().filter(|it| it.call == Some(Call::Download)).collect();
    let at_a_time = |at: Instant| {
        records.iter().filter(|it| it.started_at <= at && it.finished_at.is_none_or(|end| end > at)).count()
    };
    let most = records.iter().map(|it| at_a_time(it.started_at)).max().unwrap();
    assert_eq!((records.len(), most), (60, 3));
    assert!(records.iter().map(|it| it.connection).collect::<HashSet<_>>().len() <= 3, "connections are used again");
}

fn same_file(a: &std::path::Path, b: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(a).unwrap().ino() == std::fs::metadata(b).unwrap().ino()
}
