//! Links and other things planted where files of ours belong: nothing is written, emptied or removed through them, what
//! stands in the way is said, and what was collected comes once it is taken away. And an inbox on another file system.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use common::by_hand::mode;
use common::{Town, files};
use nix::sys::stat::Mode;

/// A folder beside the town's with a file in it, which nothing may touch.
struct Outside(PathBuf);

impl Outside {
    fn of(town: &Town) -> Self {
        let folder = town.folder.path().join("outside");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("treasure"), "untouched").unwrap();
        Self(folder)
    }

    fn treasure(&self) -> PathBuf {
        self.0.join("treasure")
    }

    fn assert_untouched(&self, context: &str) {
        assert_eq!(files(&self.0), [PathBuf::from("treasure")], "{context}");
        assert_eq!(std::fs::read_to_string(self.treasure()).unwrap(), "untouched", "{context}");
    }
}

async fn let_the_pause_pass(town: &Town) {
    town.query("UPDATE deliveries SET next_try_at = '2026-01-01T00:00:00.000Z' WHERE state = 'failed'").await;
}

#[tokio::test]
async fn a_link_in_place_of_any_folder_of_an_inbox_leads_nothing_elsewhere_and_holds_back_no_other_inbox() {
    for place in [".vaguemestre", "fast", "fast/mairie", "fast/mairie/acquittements"] {
        let target =
            |name: &str| format!("[[delivery.targets]]\nname = \"{name}\"\nfeeds = [\"fast/*\"]\ninbox = \"{name}\"\n");
        let town = Town::by_hand("", "", &(target("trapped") + &target("other"))).await;
        let outside = Outside::of(&town);
        let planted = town.folder.path().join("trapped").join(place);
        std::fs::create_dir_all(planted.parent().unwrap()).unwrap();
        symlink(&outside.0, &planted).unwrap();
        let bytes = town.put(1);
        assert_eq!(town.poll().await.code, 0, "the poll itself went well");
        outside.assert_untouched(place);
        let error = town.value("SELECT error FROM deliveries WHERE target = 'trapped'").await;
        assert!(error.contains("is not a folder"), "{place}: {error}");
        let path = "fast/mairie/acquittements/1-PES1.xml";
        assert_eq!(std::fs::read(town.folder.path().join("other").join(path)).unwrap(), bytes);

        std::fs::remove_file(&planted).unwrap();
        let_the_pause_pass(&town).await;
        town.poll().await;
        assert_eq!(std::fs::read(town.folder.path().join("trapped").join(path)).unwrap(), bytes, "{place}");
        outside.assert_untouched(place);
    }
}

#[tokio::test]
async fn whatever_lies_where_a_document_goes_is_left_alone_until_it_is_moved_away() {
    let plant: [fn(&Outside, &Path); 6] = [
        |outside, place| symlink(outside.treasure(), place).unwrap(),
        |outside, place| symlink(outside.0.join("nothing"), place).unwrap(),
        |outside, place| symlink(&outside.0, place).unwrap(),
        |_, place| symlink(place, place).unwrap(),
        |_, place| std::fs::create_dir(place).unwrap(),
        |_, place| nix::unistd::mkfifo(place, Mode::from_bits_truncate(0o666)).unwrap(),
    ];
    for (number, plant) in plant.into_iter().enumerate() {
        let town = Town::by_hand("", "", "").await;
        let outside = Outside::of(&town);
        let bytes = town.put(1);
        let place = town.in_inbox(1);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        plant(&outside, &place);
        town.poll().await;
        outside.assert_untouched(&number.to_string());
        assert_eq!(town.state_of(1).await, "stored", "{number}");
        let error = town.value("SELECT error FROM deliveries").await;
        assert!(error.contains("move that file away"), "{number}: {error}");
        std::fs::rename(&place, town.folder.path().join("moved")).unwrap();
        let_the_pause_pass(&town).await;
        town.poll().await;
        assert_eq!(std::fs::read(&place).unwrap(), bytes, "{number}");
        outside.assert_untouched(&number.to_string());
    }
}

#[tokio::test]
async fn the_same_bytes_behind_a_link_are_no_delivery() {
    let town = Town::by_hand("", "", "").await;
    let bytes = town.put(1);
    let elsewhere = town.folder.path().join("same.xml");
    std::fs::write(&elsewhere, bytes).unwrap();
    std::fs::create_dir_all(town.in_inbox(1).parent().unwrap()).unwrap();
    symlink(&elsewhere, town.in_inbox(1)).unwrap();
    town.poll().await;
    assert_eq!(town.state_of(1).await, "stored");
    assert!(elsewhere.exists());
}

#[tokio::test]
async fn a_link_in_place_of_the_file_that_is_written_first_is_taken_away_and_not_followed() {
    for dangling in [false, true] {
        let town = Town::with_interval("1s").await;
        let outside = Outside::of(&town);
        let daemon = town.start().await;
        let hidden = town.inbox().join(".vaguemestre");
        std::fs::create_dir_all(&hidden).unwrap();
        let target = if dangling { outside.0.join("nothing") } else { outside.treasure() };
        for id in 1..5 {
            symlink(&target, hidden.join(format!("{}.{id}.part", daemon.id()))).unwrap();
        }
        let bytes = town.put(1);
        town.wait_value("SELECT state FROM documents", "delivered").await;
        assert_eq!(std::fs::read(town.in_inbox(1)).unwrap(), bytes);
        assert!(!town.in_inbox(1).is_symlink());
        assert_eq!(town.value("SELECT attempts FROM deliveries").await, "1", "at the first try");
        outside.assert_untouched(&format!("dangling: {dangling}"));
        assert!(daemon.stop().await.success());
    }
}

#[tokio::test]
async fn an_archive_that_is_a_link_is_not_written_through_and_said_at_start() {
    for place in ["archive", "archive/.incoming", "archive/quarantine"] {
        let town = Town::by_hand("", "", "").await;
        let outside = Outside::of(&town);
        town.poll().await;
        let (planted, asked) = (town.state().join(place), town.platform.requests().len());
        std::fs::rename(&planted, town.folder.path().join("before")).unwrap();
        symlink(&outside.0, &planted).unwrap();
        town.put(1);
        let said = town.poll().await;
        assert_eq!(said.code, 1, "{place}: {said:?}");
        assert!(said.err.contains("is not a folder") && said.err.contains("remedy:"), "{place}: {said:?}");
        assert_eq!(town.platform.requests().len(), asked, "{place}");
        outside.assert_untouched(place);
    }
}

#[tokio::test]
async fn a_link_in_the_archives_tree_keeps_documents_safe_and_waiting() {
    let town = Town::with_interval("1s").await;
    let outside = Outside::of(&town);
    let daemon = town.start().await;
    symlink(&outside.0, town.state().join("archive/fast")).unwrap();
    let bytes = town.put(1);
    daemon.wait_event("disk.low").await;
    outside.assert_untouched("archive/fast");
    assert_eq!(town.state_of(1).await, "fetching");
    std::fs::remove_file(town.state().join("archive/fast")).unwrap();
    town.wait_value("SELECT state FROM documents", "delivered").await;
    assert_eq!(std::fs::read(town.in_inbox(1)).unwrap(), bytes);
    assert_eq!(town.downloads(), 1);
    outside.assert_untouched("archive/fast");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_link_in_place_of_a_copy_makes_the_copy_bear_another_name() {
    let town = Town::by_hand("", "", "").await;
    let outside = Outside::of(&town);
    town.poll().await;
    let day = town.value("SELECT strftime('%Y/%m/%d', 'now')").await;
    let folder = town.state().join("archive/fast/mairie/acquittements").join(day);
    std::fs::create_dir_all(&folder).unwrap();
    symlink(outside.treasure(), folder.join("1.xml")).unwrap();
    symlink(outside.0.join("nothing"), folder.join("2.xml")).unwrap();
    let kept = [town.put(1), town.put(2)];
    assert_eq!(town.poll().await.code, 0);
    for (id, bytes) in kept.iter().enumerate() {
        let path = town.about(id + 1, "archive_path").await;
        assert!(!path.ends_with(&format!("/{}.xml", id + 1)), "{path}");
        assert_eq!(&std::fs::read(town.state().join(path)).unwrap(), bytes);
        assert_eq!(town.state_of(id + 1).await, "delivered");
    }
    outside.assert_untouched("a copy's name");
}

#[tokio::test]
async fn a_link_in_place_of_a_file_that_arrives_is_not_written_through() {
    let town = Town::by_hand("", "", "").await;
    let outside = Outside::of(&town);
    town.poll().await;
    let incoming = town.state().join("archive/.incoming");
    let bytes = town.put(1);
    // A listing that fails to download gives the rows their numbers.
    town.platform.set_fault(
        vaguemestre::simulator::Matcher::downloads(),
        vaguemestre::simulator::Fault::Status(503, "".into(), Vec::new()),
        vaguemestre::simulator::Times::Always,
    );
    town.poll().await;
    town.platform.clear_faults();
    let row = town.value("SELECT id FROM documents").await;
    symlink(outside.treasure(), incoming.join(format!("{row}.part"))).unwrap();
    town.poll().await;
    outside.assert_untouched("incoming");
    assert_eq!(town.state_of(1).await, "delivered", "{:?}", town.about(1, "error").await);
    assert_eq!(std::fs::read(town.in_inbox(1)).unwrap(), bytes);
}

#[tokio::test]
async fn a_lock_that_is_a_link_empties_no_file() {
    for dangling in [false, true] {
        let town = Town::by_hand("", "", "").await;
        let outside = Outside::of(&town);
        std::fs::create_dir(town.state()).unwrap();
        let target = if dangling { outside.0.join("nothing") } else { outside.treasure() };
        symlink(target, town.state().join("lock")).unwrap();
        let said = town.poll().await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("lock") && said.err.contains("remedy:"), "{said:?}");
        outside.assert_untouched("lock");
    }
}

#[tokio::test]
async fn an_inbox_on_another_file_system_is_filled_by_whole_files() {
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let inbox = elsewhere.path().join("inbox");
    let target =
        format!("[[delivery.targets]]\nname = \"shm\"\nfeeds = [\"fast/*\"]\ninbox = \"{}\"\n", inbox.display());
    let town = Town::by_hand("", "", &target).await;
    let device = |path: &Path| std::os::unix::fs::MetadataExt::dev(&path.metadata().unwrap());
    assert_ne!(device(elsewhere.path()), device(town.folder.path()), "no other file system here");
    let bytes = town.put(1);
    assert_eq!(town.poll().await.code, 0);
    let place = inbox.join("fast/mairie/acquittements/1-PES1.xml");
    assert_eq!((std::fs::read(&place).unwrap(), mode(&place)), (bytes, 0o640));
    assert_eq!(town.state_of(1).await, "delivered");
    assert_eq!(std::fs::read_dir(inbox.join(".vaguemestre")).unwrap().count(), 0);
}
