//! Handing over: whole files under stable names, copies for every target that wants them, and what stands in the way.
#![cfg(feature = "simulator")]

mod common;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::by_hand::mode;
use common::{SIREN, Town, files, sample};
use vaguemestre::feed::Kind;

/// A target with an inbox in the town's folder.
fn target(name: &str, feeds: &str, more: &str) -> String {
    format!("[[delivery.targets]]\nname = \"{name}\"\nfeeds = [\"{feeds}\"]\ninbox = \"{name}\"\n{more}\n")
}

/// As if the pause after a failed delivery had passed.
async fn let_the_pause_pass(town: &Town) {
    town.query("UPDATE deliveries SET next_try_at = '2026-01-01T00:00:00.000Z' WHERE state = 'failed'").await;
}

/// The name of the PES-Retour that these tests put there.
const PES_RETOUR: &str = "fast/mairie/pes-retour/2-PESRT_21340017200018_00000002.xml";

#[tokio::test]
async fn each_target_gets_the_feeds_its_globs_name_with_its_own_file_mode() {
    let town = Town::bare().await;
    let tables = [
        town.account("mairie", SIREN, vaguemestre::simulator::keys::Standing::Valid),
        target("tout", "fast/*", "file_mode = \"0600\""),
        target("retours", "*/pes-retour", "file_mode = \"0664\""),
        target("rien", "fast/ecole", ""),
    ];
    town.configure("1ms", "", &tables.concat());
    for (kind, number) in Kind::USUAL.into_iter().zip(1..) {
        town.platform.put(SIREN, kind, number, sample(kind, number, 2000));
    }
    assert_eq!(town.poll().await.code, 0);
    let below = |name: &str| files(&town.folder.path().join(name));
    let all = ["fast/mairie/acquittements/1-PES1.xml", "fast/mairie/chorus/3.xml", PES_RETOUR];
    assert_eq!(below("tout"), all.map(PathBuf::from));
    assert_eq!(below("retours"), [PathBuf::from(PES_RETOUR)]);
    assert_eq!(below("rien"), Vec::<PathBuf>::new());
    assert!(!town.inbox().exists(), "the inbox of the state directory is for those who name no other");
    assert_eq!(mode(&town.folder.path().join("tout").join(PES_RETOUR)), 0o600);
    assert_eq!(mode(&town.folder.path().join("retours").join(PES_RETOUR)), 0o664);
    let rows = town.query("SELECT remote_id, target, state, attempts FROM deliveries ORDER BY remote_id, target").await;
    let expected = [
        ["1", "tout", "delivered", "1"],
        ["2", "retours", "delivered", "1"],
        ["2", "tout", "delivered", "1"],
        ["3", "tout", "delivered", "1"],
    ];
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_document_that_no_target_wants_is_delivered_at_once() {
    let town = Town::by_hand("", "", &target("retours", "*/pes-retour", "")).await;
    town.put(1);
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.state_of(1).await, "delivered");
    assert_eq!(town.value("SELECT count(*) FROM deliveries").await, "0");
}

#[tokio::test]
async fn nothing_unfinished_is_ever_visible_in_an_inbox() {
    let town = Town::with_interval("1s").await;
    let mut whole = HashMap::new();
    for number in 1..=60 {
        let bytes = sample(Kind::Chorus, number, 700_000);
        town.platform.put(SIREN, Kind::Chorus, number, bytes.clone());
        whole.insert(format!("fast/mairie/chorus/{number}.xml"), bytes);
    }
    let over = Arc::new(AtomicBool::new(false));
    let watch = {
        let (inbox, over) = (town.inbox(), Arc::clone(&over));
        std::thread::spawn(move || {
            let mut seen = HashMap::<String, u32>::new();
            loop {
                let last = over.load(Ordering::Relaxed);
                for path in files(&inbox) {
                    let name = path.to_string_lossy().into_owned();
                    if last || seen.get(&name).is_none_or(|looks| *looks < 3) {
                        assert_eq!(Some(&std::fs::read(inbox.join(path)).unwrap()), whole.get(&name), "{name}");
                        *seen.entry(name).or_default() += 1;
                    }
                }
                if last {
                    return seen.len();
                }
            }
        })
    };
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "60").await;
    over.store(true, Ordering::Relaxed);
    let seen = tokio::task::spawn_blocking(|| watch.join()).await.unwrap();
    assert_eq!(seen.unwrap(), 60);
    assert!(daemon.stop().await.success());
    assert_eq!(town.every_file("inbox").len(), 60, "nothing is left in the hidden folder either");
}

#[tokio::test]
async fn a_file_with_other_bytes_is_never_replaced_and_the_document_comes_once_it_is_moved_away() {
    let town = Town::by_hand("", "", "").await;
    let bytes = town.put(1);
    town.put(2);
    std::fs::create_dir_all(town.in_inbox(1).parent().unwrap()).unwrap();
    std::fs::write(town.in_inbox(1), b"something else").unwrap();
    let said = town.poll().await;
    assert_eq!(std::fs::read(town.in_inbox(1)).unwrap(), b"something else");
    assert_eq!((town.state_of(1).await, town.state_of(2).await), ("stored".into(), "delivered".into()));
    let error = town.value("SELECT error FROM deliveries WHERE state = 'failed'").await;
    assert!(error.contains("1.xml exists and holds other bytes; move that file away"), "{error}");
    assert!(said.err.contains("delivery.failed"), "{said:?}");
    assert_eq!(town.feed_status().await["failed_deliveries"], 1);
    assert_eq!(files(&town.inbox().join(".vaguemestre")), Vec::<PathBuf>::new());

    std::fs::rename(town.in_inbox(1), town.folder.path().join("elsewhere")).unwrap();
    town.poll().await;
    assert!(!town.in_inbox(1).exists(), "not before the pause has passed");
    let_the_pause_pass(&town).await;
    town.poll().await;
    assert_eq!(std::fs::read(town.in_inbox(1)).unwrap(), bytes);
    assert_eq!(town.state_of(1).await, "delivered");
    let row = town.query("SELECT state, attempts, error IS NULL FROM deliveries WHERE remote_id = '1'").await;
    assert_eq!(row, [["delivered", "2", "1"]]);
    assert_eq!(town.platform.downloads_of(1), 1);
}

#[tokio::test]
async fn the_same_bytes_already_there_are_a_delivery() {
    let town = Town::by_hand("", "", "").await;
    let bytes = town.put(1);
    std::fs::create_dir_all(town.in_inbox(1).parent().unwrap()).unwrap();
    std::fs::write(town.in_inbox(1), bytes).unwrap();
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.state_of(1).await, "delivered");
}

#[tokio::test]
async fn a_link_planted_in_an_inbox_leads_nothing_elsewhere() {
    let town = Town::by_hand("", "", "").await;
    town.put(1);
    let outside = town.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::create_dir_all(town.inbox()).unwrap();
    std::os::unix::fs::symlink(&outside, town.inbox().join("fast")).unwrap();
    town.poll().await;
    assert_eq!(files(&outside), Vec::<PathBuf>::new());
    assert_eq!(town.state_of(1).await, "stored");
    let error = town.value("SELECT error FROM deliveries").await;
    assert!(error.contains("is not a folder"), "{error}");
}

#[tokio::test]
async fn an_inbox_that_disappears_holds_back_no_other_and_is_filled_when_it_comes_back() {
    let share = "[[delivery.targets]]\nname = \"partage\"\nfeeds = [\"fast/*\"]\ninbox = \"montage/retours\"\n";
    let town = Town::by_hand("", "", &format!("{share}{}", target("local", "fast/*", ""))).await;
    let mounted = town.folder.path().join("montage");
    std::fs::create_dir(&mounted).unwrap();
    town.put(1);
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.state_of(1).await, "delivered");

    let away = town.folder.path().join("away");
    std::fs::rename(&mounted, &away).unwrap();
    let bytes = town.put(2);
    town.put(3);
    let said = town.poll().await;
    assert_eq!(said.code, 0, "the poll itself went well: {said:?}");
    assert!(!mounted.exists(), "an unmounted share is not to be buried under a folder of its name");
    let rows = town.query("SELECT remote_id, target, state FROM deliveries WHERE remote_id > '1' ORDER BY 1, 2").await;
    let expected = [
        ["2", "local", "delivered"],
        ["2", "partage", "failed"],
        ["3", "local", "delivered"],
        ["3", "partage", "failed"],
    ];
    assert_eq!(rows, expected);
    assert_eq!(town.state_of(2).await, "stored");
    let error = town.value("SELECT error FROM deliveries WHERE state = 'failed'").await;
    assert!(error.contains("montage/retours cannot be used"), "{error}");

    std::fs::rename(&away, &mounted).unwrap();
    let_the_pause_pass(&town).await;
    town.poll().await;
    assert_eq!(std::fs::read(mounted.join("retours/fast/mairie/acquittements/2-PES2.xml")).unwrap(), bytes);
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "3");
    assert_eq!(town.downloads(), 3);
}

#[tokio::test]
async fn an_inbox_emptied_with_all_its_folders_is_made_again() {
    let town = Town::by_hand("", "", "").await;
    town.put(1);
    town.poll().await;
    std::fs::remove_dir_all(town.inbox()).unwrap();
    let bytes = town.put(2);
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(
        town.inbox_files(),
        [PathBuf::from("fast/mairie/acquittements/2-PES2.xml")],
        "and the first does not return"
    );
    assert_eq!(std::fs::read(town.in_inbox(2)).unwrap(), bytes);
}

#[tokio::test]
async fn a_target_taken_out_of_the_configuration_holds_nothing_back() {
    let share = "[[delivery.targets]]\nname = \"partage\"\nfeeds = [\"fast/*\"]\ninbox = \"nowhere/retours\"\n";
    let local = target("local", "fast/*", "");
    let town = Town::by_hand("", "", &format!("{share}{local}")).await;
    town.put(1);
    town.poll().await;
    assert_eq!(town.state_of(1).await, "stored");
    let config = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), config.replace(share, "")).unwrap();
    town.poll().await;
    assert_eq!(town.state_of(1).await, "delivered");
}

#[tokio::test]
async fn a_copy_that_no_longer_holds_what_was_stored_is_not_handed_over() {
    let share = "[[delivery.targets]]\nname = \"partage\"\nfeeds = [\"fast/*\"]\ninbox = \"montage/retours\"\n";
    let town = Town::by_hand("", "", share).await;
    town.put(1);
    town.poll().await;
    std::fs::write(town.state().join(town.about(1, "archive_path").await), "<rotten/>").unwrap();
    std::fs::create_dir(town.folder.path().join("montage")).unwrap();
    let_the_pause_pass(&town).await;
    town.poll().await;
    assert_eq!(files(&town.folder.path().join("montage")), Vec::<PathBuf>::new());
    let error = town.value("SELECT error FROM deliveries").await;
    assert!(error.contains("no longer holds the bytes that were stored"), "{error}");
}
