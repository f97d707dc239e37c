//! Who is due.

use super::*;
use crate::clock::BootTime;

impl Desk {
    /// A listing at nine that the platform answered by asking to be left alone until `until`.
    async fn asked_to_wait(until: Timestamp) -> Self {
        let desk = Self::listing(&["1"]).await;
        let due = desk.ledger.feed(&feed()).await.unwrap().unwrap();
        let boot = BootTime { id: String::new(), elapsed: std::time::Duration::ZERO };
        let terms = ClaimTerms { run: "run".to_owned(), now: at("09:00"), boot, next: at("09:31") };
        let poll = desk.ledger.claim_listing(&due, terms).await.unwrap().unwrap();
        let end = PollEnd {
            poll,
            feed: feed(),
            finished_at: at("09:00"),
            outcome: Outcome::Failed,
            listed: None,
            fetched: 0,
            failed: 0,
            error: None,
            still_listed: 0,
            note: None,
            refused_entries: 0,
            resume_at: None,
            next: None,
            not_before: Some(until),
        };
        desk.ledger.finish_poll(end).await.unwrap();
        desk
    }

    async fn is_due(&self, now: Timestamp) -> bool {
        !self.ledger.due("fast", now, 10).await.unwrap().is_empty()
    }

    async fn claim(&self, now: Timestamp) -> Option<i64> {
        self.ledger.claim_resumption(&feed(), "run".to_owned(), now).await.unwrap()
    }
}

#[tokio::test]
async fn a_platform_that_asked_to_be_left_alone_is_whatever_is_planned_since() {
    let desk = Desk::asked_to_wait(at("13:00")).await;
    // A start, or a clock that was set, plans it as overdue and takes up its documents.
    desk.ledger.resume_feeds(vec![(feed(), at("09:02"))]).await.unwrap();
    let due = desk.ledger.feed(&feed()).await.unwrap().unwrap();
    assert_eq!(due.planned, at("13:00"));
    desk.ledger.plan_anew(vec![(due.clone(), at("09:02"))]).await.unwrap();
    assert_eq!(due.asked_to_wait(at("09:02")), Some(at("13:00")));
    assert!(!desk.is_due(at("12:59")).await);
    assert_eq!(desk.claim(at("12:59")).await, None, "not by hand either");
    assert!(desk.is_due(at("13:00")).await);
    assert!(desk.claim(at("13:00")).await.is_some());
}

#[tokio::test]
async fn a_tick_finds_feeds_that_are_due_or_have_documents_left_and_what_commands_ask() {
    let desk = Desk::listing(&[]).await;
    let found = async |platform: &str, now: &str| {
        let ToDo { requests, polls } = desk.ledger.to_do(&[platform.to_owned()].into(), at(now)).await.unwrap();
        (requests, polls)
    };
    desk.set("UPDATE feeds SET next_poll_at = '2026-11-22T12:00:00.000Z', resume_at = NULL").await;
    assert_eq!(found("fast", "11:59").await, (false, false));
    assert_eq!(found("fast", "12:00").await, (false, true));
    assert_eq!(found("douane", "12:00").await, (false, false), "its feeds are of another platform");
    desk.ledger.resume_feeds(vec![(feed(), at("10:00"))]).await.unwrap();
    assert_eq!(found("fast", "09:59").await, (false, false));
    assert_eq!(found("fast", "10:00").await, (false, true));
    desk.ledger.ask("anne", "poll", "{}".to_owned(), at("09:00")).await.unwrap();
    assert_eq!(found("fast", "09:00").await, (true, false));
}

#[tokio::test]
async fn however_many_feeds_of_a_platform_are_due_those_of_another_are_found_and_the_earliest_first() {
    let desk = Desk::new().await;
    let feeds = |platform: &str, count: usize| -> Vec<FeedIdentity> {
        (0..count).map(|n| identity(&format!("{platform}/account{n}/chorus"), &format!("{platform}{n}"))).collect()
    };
    desk.ledger.register([feeds("fast", 600), feeds("douane", 2)].concat(), at("08:00")).await.unwrap();
    // One that was planned last has documents that have waited for longest.
    desk.set("UPDATE feeds SET next_poll_at = '2026-11-22T08:30:00.000Z' WHERE feed = 'fast/account599/chorus'").await;
    desk.ledger.resume_feeds(vec![("fast/account599/chorus".parse().unwrap(), at("07:00"))]).await.unwrap();
    let due = async |platform: &str, limit: u32| -> Vec<String> {
        let due = desk.ledger.due(platform, at("09:00"), limit).await.unwrap();
        due.iter().map(|due| due.feed.to_string()).collect()
    };
    assert_eq!(due("douane", 10).await.len(), 2);
    let first = due("fast", 64).await;
    assert_eq!((first.len(), first[0].as_str()), (64, "fast/account599/chorus"));
    let mut all = due("fast", 1000).await;
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 600, "each once");
    assert!(due("piste", 10).await.is_empty());
}

#[tokio::test]
async fn no_platform_is_left_alone_for_longer_than_a_day() {
    let desk = Desk::asked_to_wait(at("13:00")).await;
    let earlier: Timestamp = "2026-11-21T12:59:00Z".parse().unwrap();
    let due = desk.ledger.feed(&feed()).await.unwrap().unwrap();
    assert_eq!(due.asked_to_wait(earlier), None, "the clock was set back");
    desk.ledger.resume_feeds(vec![(feed(), earlier)]).await.unwrap();
    assert!(desk.is_due(earlier).await);
    assert!(desk.claim(earlier).await.is_some());
}
