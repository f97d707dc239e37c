//! A document's states and the edges between them: what ends a document's way, and what an operator may do about it.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{SIREN, Town};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Fault, Matcher, Times};

const FEED: &str = "fast/mairie/acquittements";

#[tokio::test]
async fn a_document_the_platform_denies_is_gone_whatever_the_status() {
    let town = Town::by_hand("", "", "").await;
    for (id, status) in [(301, 200), (302, 404), (303, 500)] {
        town.platform.adjust(|it| it.unknown_status = status);
        town.platform.listing_body(SIREN, Kind::Acquittements, format!("[{id}]"));
        let said = town.poll().await;
        assert_eq!(said.code, 0, "someone else's document is no failure of ours: {said:?}");
        assert_eq!(town.about(id, "state, attempts").await, "gone 1");
        assert!(town.about(id, "error").await.contains("Invalid docId"));
    }
    town.platform.set_fault(
        Matcher::download(304),
        Fault::Status(404, "nothing here".into(), Vec::new()),
        Times::Always,
    );
    town.platform.listing_body(SIREN, Kind::Acquittements, "[304]");
    town.poll().await;
    assert_eq!(town.state_of(304).await, "gone");
    town.poll().await;
    assert_eq!(town.downloads(), 4, "what is gone is not asked for again");
    let status = town.say(&["status"]).await;
    assert!(status.out.contains("4 gone: another client collects this SIREN"), "{status:?}");
}

#[tokio::test]
async fn a_document_denied_after_an_interrupted_download_is_lost() {
    let town = Town::by_hand("", "", "").await;
    town.put(400);
    town.platform.adjust(|it| {
        it.consume_on_start = true;
        it.forget_collected = Some(500);
    });
    town.platform.set_fault(Matcher::download(400), Fault::CutWithLength(1000), Times::Once);
    assert_eq!(town.poll().await.code, 75);
    assert_eq!(town.about(400, "state, attempts, interruptions").await, "listed 0 1");
    let said = town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    assert_eq!(town.about(400, "state, interruptions").await, "lost 1");
    assert!(town.about(400, "error").await.contains("did not arrive whole"));
    assert_eq!(town.downloads(), 2, "tried once more, though it was no longer listed");
    town.poll().await;
    assert_eq!(town.downloads(), 2);
    let status = town.say(&["status"]).await;
    assert!(
        status.code == 1 && status.out.contains("1 document of fast/mairie/acquittements lost: asked for"),
        "{status:?}"
    );

    // Support has put it back.
    town.platform.adjust(|it| it.forget_collected = None);
    let said = town.say(&["retry", FEED, "400"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "fast/mairie/acquittements 400: was lost; will be fetched\n"));
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.state_of(400).await, "delivered");
}

#[tokio::test]
async fn a_lost_or_abandoned_document_is_dismissed_with_a_reason_and_no_other() {
    let town = Town::by_hand("max_document = \"4KiB\"\n", "", "").await;
    town.put(1);
    let large = common::sample(Kind::Acquittements, 2, 9000);
    town.platform.put(SIREN, Kind::Acquittements, 2, large);
    town.poll().await;
    assert_eq!((town.state_of(1).await, town.state_of(2).await), ("delivered".into(), "abandoned".into()));

    let said = town.say(&["dismiss", FEED, "1", "2", "3", "--reason", "on paper"]).await;
    assert_eq!(said.code, 1, "one of them could not be dismissed");
    assert!(said.out.contains(" 1: is delivered: only abandoned and lost documents are dismissed\n"), "{said:?}");
    assert!(said.out.contains(" 2: was abandoned; dismissed\n"), "{said:?}");
    assert!(said.out.contains(" 3: the ledger knows no such document\n"), "{said:?}");
    assert_eq!(town.about(2, "state, error").await, "dismissed dismissed: on paper");
    assert_eq!(town.feed_status().await["abandoned"], 0);

    town.poll().await;
    assert_eq!(town.platform.downloads_of(2), 1, "dismissed is closed, though still listed");
    let noted = town.query("SELECT command, detail FROM operator_actions WHERE command = 'dismiss'").await;
    assert!(noted[0][1].contains("on paper"), "{noted:?}");
}

#[tokio::test]
async fn what_the_first_listing_shows_is_skipped_where_so_configured_and_a_retry_fetches_it() {
    let town = Town::by_hand("", "first_poll = \"skip\"\n", "").await;
    let old = town.put(10);
    town.put(11);
    assert_eq!(town.poll().await.code, 0);
    assert_eq!((town.downloads(), town.state_of(10).await.as_str()), (0, "skipped"));
    town.put(12);
    let said = town.poll().await;
    assert_eq!(town.state_of(12).await, "delivered", "what comes later is collected {said:?}");
    assert_eq!(town.state_of(11).await, "skipped", "though it is still listed");
    assert_eq!(town.feed_status().await["skipped"], 2);

    assert_eq!(town.say(&["retry", FEED, "10"]).await.code, 0);
    town.poll().await;
    assert_eq!(std::fs::read(town.in_inbox(10)).unwrap(), old);
    assert_eq!(town.platform.downloads_of(11), 0);
}

#[tokio::test]
async fn a_first_listing_that_failed_leaves_the_next_to_be_skipped() {
    let town = Town::by_hand("", "first_poll = \"skip\"\n", "").await;
    town.put(10);
    town.platform.set_fault(Matcher::listings(), Fault::HtmlWith200, Times::Once);
    assert_eq!(town.poll().await.code, 75);
    assert_eq!(town.poll().await.code, 0);
    assert_eq!((town.state_of(10).await.as_str(), town.downloads()), ("skipped", 0));
}

#[tokio::test]
async fn a_held_document_is_downloaded_again_only_if_told_so_twice() {
    let town = Town::by_hand("", "", "").await;
    let bytes = town.put(50);
    town.poll().await;
    let said = town.say(&["retry", FEED, "50"]).await;
    assert!(said.code == 1 && said.out.contains("held already; `--again`"), "{said:?}");
    town.poll().await;
    assert_eq!(town.platform.downloads_of(50), 1);

    std::fs::remove_file(town.in_inbox(50)).unwrap();
    let said = town.say(&["retry", FEED, "50", "--again"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(town.poll().await.code, 0);
    assert_eq!((town.platform.downloads_of(50), town.state_of(50).await.as_str()), (2, "delivered"));
    assert_eq!(std::fs::read(town.in_inbox(50)).unwrap(), bytes, "and is handed over again");
    let path = town.about(50, "archive_path").await;
    assert_eq!(std::fs::read(town.state().join(path)).unwrap(), bytes);
}

#[tokio::test]
async fn a_held_document_stays_held_when_the_platform_does_not_give_it_again() {
    let town = Town::by_hand("", "", "").await;
    let bytes = town.put(51);
    town.poll().await;
    town.platform.adjust(|it| it.forget_collected = Some(500));
    town.say(&["retry", FEED, "51", "--again"]).await;
    town.poll().await;
    assert_eq!(town.platform.downloads_of(51), 2);
    assert_eq!(town.state_of(51).await, "delivered");
    assert!(town.about(51, "error").await.contains("Invalid docId"), "and what came of it is said");
    let path = town.about(51, "archive_path").await;
    assert_eq!(std::fs::read(town.state().join(path)).unwrap(), bytes);
}

#[tokio::test]
async fn a_retry_takes_up_what_is_gone_failed_or_abandoned_and_says_what_needs_none() {
    let town = Town::by_hand("", "", "").await;
    town.platform.listing_body(SIREN, Kind::Acquittements, "[60, 61]");
    town.put(61);
    town.platform.set_fault(Matcher::download(61), Fault::HtmlWith200, Times::N(2));
    town.poll().await;
    assert_eq!((town.state_of(60).await, town.state_of(61).await), ("gone".into(), "failed".into()));
    town.poll().await;
    assert_eq!(town.state_of(61).await, "abandoned");
    town.put(60);
    let said = town.say(&["retry", FEED, "60", "61", "62"]).await;
    assert_eq!(said.code, 1);
    assert!(said.out.contains("60: was gone; will be fetched"), "{said:?}");
    assert!(said.out.contains("61: was abandoned; will be fetched"), "{said:?}");
    assert!(said.out.contains("62: the ledger knows no such document"), "{said:?}");
    assert_eq!(town.about(61, "state, attempts").await, "listed 0", "its tries are forgotten");
    assert_eq!(town.poll().await.code, 0);
    assert_eq!((town.state_of(60).await, town.state_of(61).await), ("delivered".into(), "delivered".into()));
}
