//! The ledger's verbs on the migrated schema: those that no other test meets on its way.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use vaguemestre::clock::BootTime;
use vaguemestre::feed::{DocumentState, FeedName, RemoteDocument};
use vaguemestre::ledger::{
    CertificateFacts, ClaimTerms, Condition, Conflict, FeedIdentity, HealthChange, Kept, Ledger, LedgerError,
    ListingTerms, Outcome, PollEnd, Refusal, RequestState, Setback, Settled,
};

const FEED: &str = "fast/mairie/chorus";
const RUN: &str = "run-1";

struct Shelf {
    _folder: TempDir,
    ledger: Ledger,
    now: Timestamp,
}

impl Shelf {
    /// A ledger with one feed of SIREN 111.
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let ledger = Ledger::open(folder.path(), now).await.unwrap();
        ledger.register(vec![identity(FEED, "111")], now).await.unwrap();
        Self { _folder: folder, ledger, now }
    }

    /// Claims the feed's listing; answers the poll.
    async fn claim(&self, at: Timestamp) -> Option<i64> {
        let due = self.ledger.feed(&FEED.parse().unwrap()).await.unwrap()?;
        let boot = BootTime { id: "boot".to_owned(), elapsed: std::time::Duration::from_secs(60) };
        let next = at + SignedDuration::from_mins(30);
        self.ledger.claim_listing(&due, ClaimTerms { run: RUN.to_owned(), now: at, boot, next }).await.unwrap()
    }

    async fn end(&self, poll: i64, at: Timestamp, outcome: Outcome) -> HealthChange {
        let end = PollEnd {
            poll,
            feed: FEED.parse().unwrap(),
            finished_at: at,
            outcome,
            listed: (outcome != Outcome::Failed).then_some(0),
            fetched: 0,
            failed: 0,
            error: None,
            still_listed: 0,
            refused_entries: 0,
            note: None,
            resume_at: None,
            not_before: None,
            next: None,
        };
        self.ledger.finish_poll(end).await.unwrap()
    }

    async fn state(&self, remote_id: &str) -> String {
        self.ledger.document(&FEED.parse().unwrap(), remote_id).await.unwrap().unwrap().1.state
    }

    /// Row and state of documents 1, 2, 3 as listed.
    async fn listed(&self) -> Vec<i64> {
        let ids = ["1", "2", "3"].map(RemoteDocument::of_id);
        self.ledger.record_listing(&feed(FEED), &ids, ListingTerms::at(self.now)).await.unwrap();
        let latest = self.now + SignedDuration::from_hours(12);
        let terms = vaguemestre::ledger::OpenTerms { now: self.now, latest, files: false };
        let open = self.ledger.open_documents(&feed(FEED), RUN, terms, (-1, -1), 10).await.unwrap();
        open.into_iter().map(|open| open.id).collect()
    }
}

fn feed(name: &str) -> FeedName {
    name.parse().unwrap()
}

fn identity(name: &str, siren: &str) -> FeedIdentity {
    FeedIdentity {
        feed: feed(name),
        origin: "https://localhost".to_owned(),
        siren: siren.to_owned(),
        led_by: None,
        files: false,
    }
}

fn kept(id: i64, targets: &[&str]) -> Kept {
    Kept {
        id,
        feed: feed(FEED),
        remote_id: id.to_string(),
        poll: None,
        size: 3,
        sha256: "ab".repeat(32),
        media_type: "application/xml",
        name: None,
        summary: None,
        archive_path: format!("archive/{id}.xml"),
        targets: targets.iter().map(|&target| target.to_owned()).collect(),
    }
}

#[tokio::test]
async fn two_accounts_may_exchange_their_names_and_keep_their_documents() {
    let shelf = Shelf::new().await;
    let ledger = &shelf.ledger;
    ledger.register(vec![identity(FEED, "111"), identity("fast/ccas/chorus", "222")], shelf.now).await.unwrap();
    ledger.record_listing(&feed(FEED), &[RemoteDocument::of_id("a")], ListingTerms::at(shelf.now)).await.unwrap();
    let swapped = vec![identity(FEED, "222"), identity("fast/ccas/chorus", "111")];
    let registration = ledger.register(swapped, shelf.now).await.unwrap();
    assert_eq!((registration.renamed.len(), registration.conflicts.len()), (2, 0));
    assert!(ledger.document(&feed("fast/ccas/chorus"), "a").await.unwrap().is_some());
    assert!(ledger.document(&feed(FEED), "a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_name_that_belongs_to_another_siren_is_a_conflict_and_changes_nothing() {
    let shelf = Shelf::new().await;
    let registration = shelf.ledger.register(vec![identity(FEED, "999")], shelf.now).await.unwrap();
    let (origin, siren) = ("https://localhost".to_owned(), "111".to_owned());
    assert_eq!(registration.conflicts, [Conflict { feed: feed(FEED), origin, siren }]);
    assert!(!shelf.ledger.feeds().await.unwrap()[0].configured);
}

#[tokio::test]
async fn a_listing_is_claimed_once_until_its_poll_ends_or_its_run_is_known_dead() {
    let shelf = Shelf::new().await;
    let due = shelf.ledger.feed(&feed(FEED)).await.unwrap().unwrap();
    assert!(shelf.claim(shelf.now).await.is_some());
    assert!(shelf.claim(shelf.now).await.is_none());
    assert!(shelf.ledger.claim_resumption(&feed(FEED), RUN.to_owned(), shelf.now).await.unwrap().is_none());
    assert!(shelf.ledger.due("fast", shelf.now + SignedDuration::from_hours(9), 10).await.unwrap().is_empty());
    // Another plan, while it is claimed, changes nothing.
    shelf.ledger.plan_anew(vec![(due, shelf.now)]).await.unwrap();
    assert_eq!(shelf.ledger.release_dead_claims(shelf.now).await.unwrap(), 1);
    let row = &shelf.ledger.feeds().await.unwrap()[0];
    assert_eq!(row.next_poll_at, Some(shelf.now + SignedDuration::from_mins(30)));
    assert!(shelf.ledger.claim_resumption(&feed(FEED), RUN.to_owned(), shelf.now).await.unwrap().is_some());
}

#[tokio::test]
async fn failures_are_said_at_first_once_a_day_and_at_recovery() {
    let shelf = Shelf::new().await;
    let mut said = Vec::new();
    for (hours, outcome) in [(0, Outcome::Failed), (1, Outcome::Failed), (25, Outcome::Failed), (26, Outcome::Ok)] {
        let at = shelf.now + SignedDuration::from_hours(hours);
        let poll = shelf.claim(at).await.unwrap();
        said.push(shelf.end(poll, at, outcome).await);
    }
    use HealthChange::{Failing, None, Recovered, StillFailing};
    assert_eq!(said, [Failing, None, StillFailing, Recovered]);
}

#[tokio::test]
async fn polls_that_found_nothing_are_kept_a_week_and_failures_a_quarter() {
    let shelf = Shelf::new().await;
    for (minutes, outcome) in [(0, Outcome::Ok), (30, Outcome::Failed)] {
        let at = shelf.now + SignedDuration::from_mins(minutes);
        let poll = shelf.claim(at).await.unwrap();
        shelf.end(poll, at, outcome).await;
    }
    let after = |days: i64| shelf.now + SignedDuration::from_hours(24 * days + 1);
    assert_eq!(shelf.ledger.shrink_polls(after(6)).await.unwrap(), 0);
    assert_eq!(shelf.ledger.shrink_polls(after(7)).await.unwrap(), 1);
    assert_eq!(shelf.ledger.shrink_polls(after(91)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_document_is_delivered_when_every_target_that_still_exists_has_it() {
    let shelf = Shelf::new().await;
    let ids = shelf.listed().await;
    for &id in &ids {
        shelf.ledger.claim_document(id, RUN, "stem".to_owned(), shelf.now).await.unwrap().unwrap();
    }
    let batch = vec![kept(ids[0], &["a", "b"]), kept(ids[1], &["b"]), kept(ids[2], &[])];
    shelf.ledger.keep(batch, shelf.now).await.unwrap();
    assert_eq!(
        [shelf.state("1").await, shelf.state("2").await, shelf.state("3").await],
        ["stored", "stored", "delivered"]
    );
    let due = shelf.ledger.deliveries_due("a", shelf.now, 10).await.unwrap();
    let settled = |outcome| Settled {
        id: due[0].id,
        created_at: due[0].created_at.clone(),
        feed: feed(FEED),
        remote_id: "1".to_owned(),
        outcome,
    };
    let later = shelf.now + SignedDuration::from_mins(5);
    let setback = Setback { error: "no room".to_owned(), next: Some(later) };
    shelf.ledger.settle_deliveries(vec![settled(Err(setback))], shelf.now).await.unwrap();
    assert!(shelf.ledger.deliveries_due("a", shelf.now, 10).await.unwrap().is_empty());
    let backlog = shelf.ledger.delivery_backlog().await.unwrap().feeds[FEED];
    assert_eq!((backlog.pending, backlog.failed), (2, 1));
    shelf.ledger.settle_deliveries(vec![settled(Ok(()))], later).await.unwrap();
    assert_eq!(shelf.state("1").await, "stored", "b does not have it yet");
    assert_eq!(shelf.ledger.retire_targets(vec!["a".to_owned()]).await.unwrap(), 2);
    assert_eq!([shelf.state("1").await, shelf.state("2").await], ["delivered", "delivered"]);
}

#[tokio::test]
async fn a_claim_of_a_dead_run_is_taken_over_and_counts_as_an_interruption() {
    let shelf = Shelf::new().await;
    let id = shelf.listed().await[0];
    let claim =
        async |run: &str| shelf.ledger.claim_document(id, run, format!("stem of {run}"), shelf.now).await.unwrap();
    assert_eq!(claim(RUN).await.unwrap().interruptions, 0);
    assert!(claim(RUN).await.is_none(), "its own claim");
    let taken = claim("run-2").await.unwrap();
    assert_eq!((taken.interruptions, taken.stem.as_str()), (1, "stem of run-1"), "the place of its copy stays");
    let refusal = Refusal { id, condition: Condition::Abandoned, in_doubt: true, error: None, quarantine: None };
    shelf.ledger.refuse(refusal).await.unwrap();
    assert!(claim("run-3").await.is_none());
    assert!(shelf.ledger.reopen(id, DocumentState::Abandoned, None).await.unwrap());
    assert_eq!(claim("run-3").await.unwrap().attempts, 0);
}

#[tokio::test]
async fn problems_of_accounts_are_news_once_and_go_with_the_account() {
    let shelf = Shelf::new().await;
    let (ledger, now) = (&shelf.ledger, shelf.now);
    let facts = CertificateFacts { subject: "CN=mairie".to_owned(), serial: "0a".to_owned(), not_after: now };
    let problem = |text: &str| Some(text.to_owned());
    assert!(ledger.judge_account("fast/mairie", None, problem("expired"), now).await.unwrap());
    assert!(!ledger.judge_account("fast/mairie", Some(facts.clone()), problem("expired"), now).await.unwrap());
    assert!(!ledger.judge_account("fast/mairie", None, None, now).await.unwrap());
    assert_eq!(ledger.accounts().await.unwrap()["fast/mairie"].certificate, Some(facts), "facts outlive a failed look");
    let barred = vec![("fast/gone".to_owned(), "no file".to_owned())];
    assert_eq!(ledger.bar_accounts(barred.clone(), now).await.unwrap(), barred);
    ledger.retire_accounts(vec!["fast/gone".to_owned()]).await.unwrap();
    assert_eq!(ledger.accounts().await.unwrap().len(), 2);
    ledger.retire_accounts(Vec::new()).await.unwrap();
    assert!(ledger.accounts().await.unwrap().keys().eq(["fast/mairie"]));
}

#[tokio::test]
async fn requests_are_answered_once_and_those_of_a_dead_daemon_are_closed() {
    let shelf = Shelf::new().await;
    let (ledger, now) = (&shelf.ledger, shelf.now);
    let waits = async || ledger.to_do(&BTreeSet::new(), now).await.unwrap().requests;
    assert!(!waits().await);
    let first = ledger.ask("anne", "poll", "{}".to_owned(), now).await.unwrap();
    assert!(waits().await);
    assert_eq!(ledger.take_requests().await.unwrap().len(), 1);
    assert!(!waits().await);
    assert!(ledger.take_requests().await.unwrap().is_empty());
    ledger.answer(first, "done".to_owned(), 75).await.unwrap();
    let done = RequestState::Done { answer: "done".to_owned(), exit_code: 75 };
    assert_eq!(ledger.request_state(first).await.unwrap(), Some(done));
    let second = ledger.ask("anne", "poll", "{}".to_owned(), now + SignedDuration::from_hours(20)).await.unwrap();
    ledger.tidy_requests(now + SignedDuration::from_hours(30)).await.unwrap();
    assert_eq!(ledger.request_state(first).await.unwrap(), None, "a day old");
    assert!(matches!(ledger.request_state(second).await.unwrap(), Some(RequestState::Done { exit_code: 1, .. })));
}

#[tokio::test]
async fn a_ledger_opened_for_reading_does_not_write() {
    let shelf = Shelf::new().await;
    let reading = Ledger::open_reading(shelf.ledger.path().parent().unwrap()).await.unwrap();
    assert_eq!(reading.seed(), shelf.ledger.seed());
    assert!(matches!(reading.tidy_requests(shelf.now).await, Err(LedgerError::ReadOnly { .. })));
    let elsewhere = tempfile::tempdir().unwrap();
    assert!(matches!(Ledger::open_reading(elsewhere.path()).await, Err(LedgerError::Missing(_))));
}
