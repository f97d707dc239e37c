//! `replay`: what the archive holds is handed over again, and no platform is asked.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::hook::Hook;
use common::{Town, told};

const FEED: &str = "fast/mairie/acquittements";

fn inbox(name: &str) -> String {
    format!("[[delivery.targets]]\nname = \"{name}\"\nfeeds = [\"*\"]\ninbox = \"{name}\"\n")
}

/// Documents 1 to 3 collected and delivered to the inbox `local`, whose files the business software has taken since.
async fn collected() -> Town {
    let town = Town::bare().await;
    town.hand_to(&inbox("local"));
    for number in 1..=3 {
        town.put(number);
    }
    assert_eq!(town.poll().await.code, 0);
    std::fs::remove_dir_all(town.shared("local")).unwrap();
    town
}

#[tokio::test]
async fn named_documents_are_delivered_again_and_no_platform_is_asked() {
    let town = collected().await;
    let asked = town.platform.requests().len();
    let dry = town.say(&["replay", FEED, "1", "2", "--dry-run"]).await;
    assert_eq!(
        (dry.code, dry.out.as_str()),
        (0, "fast/mairie/acquittements: 2 documents would be delivered again to local\n")
    );
    assert_eq!(common::files(&town.shared("local")).len(), 0);
    assert_eq!(
        town.value("SELECT count(*) FROM operator_actions WHERE command = 'replay'").await,
        "0",
        "a question is no act"
    );
    let said = town.say(&["replay", FEED, "1", "2"]).await;
    assert_eq!(
        (said.code, said.out.as_str()),
        (0, "fast/mairie/acquittements: 2 documents to be delivered again to local\n")
    );
    assert_eq!(common::files(&town.shared("local")).len(), 2);
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "3");
    assert_eq!(town.value("SELECT command FROM operator_actions ORDER BY id DESC").await, "replay");
    assert_eq!(town.platform.requests().len(), asked);
}

#[tokio::test]
async fn a_new_target_is_given_what_comes_after_it_and_by_replay_what_came_before() {
    let town = collected().await;
    let hook = Hook::open().await;
    town.hand_to(&format!("{}{}", inbox("local"), hook.target("metier", "")));
    town.put(4);
    town.poll().await;
    assert_eq!(hook.ids(), ["4"]);
    std::fs::remove_dir_all(town.shared("local")).unwrap();
    let daemon = town.start().await;
    let said = town.say(&["replay", FEED, "--all", "--target", "metier"]).await;
    assert!(said.out.contains("4 documents to be delivered again to metier"), "{said:?}");
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "4").await;
    assert!(daemon.stop().await.success());
    let mut ids = hook.ids();
    ids.sort();
    assert_eq!(ids, ["1", "2", "3", "4", "4"]);
    assert!(!town.shared("local").exists(), "the other target is given nothing");
}

#[tokio::test]
async fn documents_stored_since_a_time_are_delivered_again() {
    let town = collected().await;
    town.query("UPDATE documents SET stored_at = '2026-01-01T00:00:00.000Z' WHERE remote_id = '1'").await;
    let said = town.say(&["replay", FEED, "--since", "2026-01-02"]).await;
    assert!(said.out.contains("2 documents to be delivered again"), "{said:?}");
    let names: Vec<String> =
        common::files(&town.shared("local")).iter().map(|path| path.display().to_string()).collect();
    assert_eq!(names, [2, 3].map(|id| format!("{FEED}/{id}-PES{id}.xml")));
}

#[tokio::test]
async fn what_has_no_copy_any_more_is_told_and_the_others_are_delivered() {
    let town = collected().await;
    std::fs::remove_file(town.state().join(town.about(2, "archive_path").await)).unwrap();
    let all = town.say(&["replay", FEED, "--all"]).await;
    assert_eq!(all.code, 0);
    assert!(all.out.contains("2 documents to be") && all.out.contains("1 without a copy in the archive"), "{all:?}");
    assert_eq!(town.state_of(2).await, "delivered", "nothing is ordered that cannot be done");
    assert_eq!(town.say(&["replay", FEED, "2"]).await.code, 1);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_refused_in_words() {
    let town = collected().await;
    town.query("UPDATE documents SET state = 'abandoned', archive_path = NULL WHERE remote_id = '3'").await;
    for (arguments, words) in [
        (&["replay", FEED, "3"][..], "is abandoned: only what is held can be delivered"),
        (&["replay", FEED, "9"], "the ledger knows no such document"),
        (&["replay", FEED, "1", "--target", "metier"], "there is no target metier; the configuration has local"),
        (&["replay", "fast/mairie", "1"], "fast/mairie"),
    ] {
        let said = town.say(arguments).await;
        assert!(said.code == 1 && said.out.contains(words), "{said:?}");
    }
    for arguments in [&["replay", FEED][..], &["replay", FEED, "1", "--all"]] {
        assert_eq!(town.say(arguments).await.code, 2, "{arguments:?}");
    }
    assert!(told(&town.run(&["replay", "--help"]).await).contains("--dry-run"));
}
