//! Feeds keep their history whatever they are called, and never get another's.

use super::*;

const KINDS: [&str; 2] = ["acquittements", "chorus"];

/// Both feeds of each account, given as name and SIREN.
fn accounts(accounts: &[(&str, &str)]) -> Vec<FeedIdentity> {
    let both = |&(name, siren): &(&str, &str)| KINDS.map(|kind| identity(&format!("fast/{name}/{kind}"), siren));
    accounts.iter().flat_map(both).collect()
}

impl Desk {
    async fn register(&self, now: Timestamp, feeds: &[(&str, &str)]) -> Registration {
        self.ledger.register(accounts(feeds), now).await.unwrap()
    }

    /// Name and SIREN of each feed, and whether it is configured.
    async fn registered(&self) -> Vec<String> {
        self.texts("SELECT feed || ' ' || account || ' ' || siren || ' ' || configured FROM feeds ORDER BY feed").await
    }
}

#[tokio::test]
async fn accounts_may_exchange_their_names_in_a_ring() {
    let desk = Desk::new().await;
    desk.register(at("08:00"), &[("a", "1"), ("b", "2"), ("c", "3")]).await;
    let ids = [RemoteDocument::of_id("7")];
    desk.ledger.record_listing(&"fast/a/chorus".parse().unwrap(), &ids, ListingTerms::at(at("08:00"))).await.unwrap();
    let registration = desk.register(at("09:00"), &[("b", "1"), ("c", "2"), ("a", "3")]).await;
    assert_eq!((registration.renamed.len(), registration.conflicts.len()), (6, 0));
    let chorus = "SELECT feed || ' ' || account || ' ' || siren FROM feeds WHERE kind = 'chorus' ORDER BY siren";
    let expected = ["fast/b/chorus fast/b 1", "fast/c/chorus fast/c 2", "fast/a/chorus fast/a 3"];
    assert_eq!(desk.texts(chorus).await, expected);
    assert_eq!(desk.texts("SELECT feed FROM documents").await, ["fast/b/chorus"]);
}

#[tokio::test]
async fn an_account_with_a_conflict_stays_out_with_all_its_feeds() {
    let desk = Desk::new().await;
    desk.ledger.register(vec![identity("fast/a/chorus", "1")], at("08:00")).await.unwrap();
    // Its other feed has a name that is free, and is known under another one.
    desk.ledger.register(vec![identity("fast/old/acquittements", "2")], at("08:00")).await.unwrap();
    let registration = desk.register(at("09:00"), &[("a", "2"), ("b", "3")]).await;
    let conflict = registration.conflicts.first().unwrap();
    assert_eq!((conflict.feed.as_str(), conflict.siren.as_str()), ("fast/a/chorus", "1"));
    assert_eq!(registration.conflicts.len(), 1);
    assert!(registration.renamed.is_empty());
    let expected = [
        "fast/a/chorus fast/a 1 0",
        "fast/b/acquittements fast/b 3 1",
        "fast/b/chorus fast/b 3 1",
        "fast/old/acquittements fast/old 2 0",
    ];
    assert_eq!(desk.registered().await, expected);
}

#[tokio::test]
async fn a_name_that_a_conflict_keeps_from_moving_is_not_taken_by_another() {
    let desk = Desk::new().await;
    desk.register(at("08:00"), &[("a", "1"), ("b", "2")]).await;
    // `a` is to be called `b`, which stays with SIREN 2, that is retired; so `c` cannot be called `a`.
    let registration = desk.register(at("09:00"), &[("b", "1"), ("a", "3")]).await;
    let taken: Vec<&str> = registration.conflicts.iter().map(|conflict| conflict.feed.account_name()).collect();
    assert_eq!(taken, ["fast/a", "fast/b"]);
    assert_eq!(desk.registered().await.iter().filter(|feed| feed.ends_with(" 0")).count(), 4);
}

#[tokio::test]
async fn a_feed_taken_out_and_put_back_under_another_name_keeps_its_plan() {
    let desk = Desk::new().await;
    desk.register(at("08:00"), &[("a", "1"), ("b", "2")]).await;
    desk.register(at("09:00"), &[("b", "2")]).await;
    assert_eq!(desk.registered().await[..2], ["fast/a/acquittements fast/a 1 0", "fast/a/chorus fast/a 1 0"]);
    desk.register(at("10:00"), &[("c", "1"), ("b", "2")]).await;
    assert_eq!(desk.registered().await[2..], ["fast/c/acquittements fast/c 1 1", "fast/c/chorus fast/c 1 1"]);
    assert_eq!(desk.texts("SELECT DISTINCT next_poll_at FROM feeds").await, ["2026-11-22T08:00:00.000Z"]);
}

#[tokio::test]
async fn registering_what_is_known_writes_nothing() {
    let desk = Desk::new().await;
    desk.register(at("08:00"), &[("a", "1"), ("b", "2")]).await;
    desk.set("CREATE TRIGGER untouched BEFORE UPDATE ON feeds BEGIN SELECT raise(ABORT, 'written'); END").await;
    desk.register(at("09:00"), &[("a", "1"), ("b", "2")]).await;
}

#[tokio::test]
async fn what_bars_an_account_is_not_cleared_by_a_poll_that_was_under_way() {
    let desk = Desk::new().await;
    desk.register(at("08:00"), &[("a", "1")]).await;
    desk.register(at("09:00"), &[("a", "2")]).await;
    let barred = vec![("fast/a".to_owned(), "belongs to another".to_owned())];
    assert_eq!(desk.ledger.bar_accounts(barred.clone(), at("09:00")).await.unwrap(), barred);
    assert!(desk.ledger.bar_accounts(barred, at("09:01")).await.unwrap().is_empty(), "said once");
    desk.ledger.judge_account("fast/a", Some(CertificateFacts::default()), None, at("09:01")).await.unwrap();
    assert_eq!(desk.ledger.accounts().await.unwrap()["fast/a"].problem.as_deref(), Some("belongs to another"));
    // Corrected: the next poll clears it, though it finds what an earlier one had found.
    desk.register(at("10:00"), &[("a", "1")]).await;
    desk.ledger.judge_account("fast/a", Some(CertificateFacts::default()), None, at("10:00")).await.unwrap();
    assert_eq!(desk.ledger.accounts().await.unwrap()["fast/a"].problem, None);
}

#[tokio::test]
async fn a_judgement_that_could_not_be_written_is_written_the_next_time() {
    let desk = Desk::new().await;
    desk.register(at("08:00"), &[("a", "1")]).await;
    let expired = || desk.ledger.judge_account("fast/a", None, Some("expired".to_owned()), at("08:00"));
    desk.set("CREATE TRIGGER full BEFORE INSERT ON accounts BEGIN SELECT raise(ABORT, 'full'); END").await;
    expired().await.unwrap_err();
    desk.set("DROP TRIGGER full").await;
    assert!(expired().await.unwrap(), "news");
    desk.set("CREATE TRIGGER full BEFORE UPDATE ON accounts BEGIN SELECT raise(ABORT, 'written'); END").await;
    assert!(!expired().await.unwrap(), "known already: not written again");
}
