//! What runs often, or over much, follows an index: it costs what it answers, not what the ledger holds.

use super::super::{
    accounts, catalogue, deliveries, documents, dossier, feeds, files, harvest, incidents, keeping, listing, replaying,
    retention, subjects, versions,
};
use super::*;

#[tokio::test]
async fn ids_of_a_listing_are_looked_up_one_by_one() {
    let desk = Desk::new().await;
    let plan = desk.plan(listing::known(&feed(), &["1", "2"].map(RemoteDocument::of_id)).sql().as_ref()).await;
    assert!(plan.contains("(feed=? AND remote_id=?)"), "{plan}");
}

#[tokio::test]
async fn documents_to_fetch_come_off_their_queue() {
    let plan = Desk::new().await.plan(documents::OPEN).await;
    assert!(plan.contains("documents_queue") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test]
async fn claims_are_looked_for_in_each_feed() {
    let plan = Desk::new().await.plan(documents::CLAIMS).await;
    assert!(plan.contains("documents_state (feed=? AND state=?)") && !plan.contains("SCAN documents"), "{plan}");
}

#[tokio::test]
async fn a_page_of_documents_is_read_in_order() {
    let desk = Desk::new().await;
    for (state, index) in [(None, "documents_listed"), (Some(DocumentState::Lost), "documents_state")] {
        let filter = Filter { state, since: Some(at("08:00")), ..Filter::default() };
        let plan = desk.plan(catalogue::page("fast/mairie/chorus", &filter, 0).sql().as_ref()).await;
        assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn a_batch_of_deliveries_is_taken_from_the_front() {
    let plan = Desk::new().await.plan(deliveries::DUE).await;
    for part in ["pending (target=?)", "failed (target=? AND next_try_at<?)", "failed (target=? AND next_try_at>?)"] {
        // Nothing is sorted before the limit has cut it: sorts come after the scan of the subquery.
        let taken = format!("SEARCH deliveries USING COVERING INDEX deliveries_{part}\nSCAN (subquery");
        assert!(plan.contains(&taken), "{plan}");
    }
}

#[tokio::test]
async fn the_backlog_is_counted_among_what_waits() {
    let plan = Desk::new().await.plan(deliveries::BACKLOG).await;
    for index in ["deliveries_pending", "deliveries_failed", "deliveries_abandoned"] {
        assert!(plan.contains(index), "{plan}");
    }
}

#[tokio::test]
async fn what_is_held_is_replayed_page_by_page_in_order() {
    let plan = Desk::new().await.plan(replaying::HELD).await;
    assert!(plan.contains("documents_listed (feed=? AND id>?)") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test]
async fn what_went_wrong_lately_is_counted_among_that_alone() {
    let desk = Desk::new().await;
    for (query, index) in [
        (incidents::REJECTED, "documents_rejected (stored_at>?)"),
        (incidents::GONE, "documents_gone (requested_at>?)"),
        (incidents::STUCK, "deliveries_failed"),
    ] {
        let plan = desk.plan(query).await;
        assert!(plan.contains(index), "{plan}");
    }
}

#[tokio::test]
async fn an_account_is_looked_up_among_feeds_by_its_name() {
    let plan = Desk::new().await.plan(accounts::POLLED).await;
    assert!(plan.contains("(feed>? AND feed<?)"), "{plan}");
}

#[tokio::test]
async fn feeds_that_are_due_are_found_by_their_times() {
    let plan = Desk::new().await.plan(feeds::DUE).await;
    for index in ["feeds_next (platform=? AND next_poll_at<?)", "feeds_resume (platform=? AND resume_at<?)"] {
        // What is sorted is what is answered, and not what is due.
        let taken = format!("SEARCH feeds USING INDEX {index}\nSCAN ");
        assert!(plan.contains(&taken), "{plan}");
    }
    assert_eq!(plan.matches("TEMP B-TREE").count(), 1, "{plan}");
}

#[tokio::test]
async fn a_tick_follows_an_index_to_each_thing_that_may_be_to_do() {
    let platforms = ["fast", "piste"].map(str::to_owned).into();
    let plan = Desk::new().await.plan(feeds::to_do(&platforms, at("09:00")).sql().as_ref()).await;
    let times = ["feeds_next (platform=? AND next_poll_at<?)", "feeds_resume (platform=? AND resume_at<?)"];
    for index in times.into_iter().chain(["requests_pending"]) {
        assert!(plan.contains(&format!("INDEX {index}")), "{plan}");
    }
    assert!(!plan.contains("SCAN feeds"), "{plan}");
}

#[tokio::test]
async fn versions_and_subjects_are_found_without_walking_all_there_are() {
    let desk = Desk::new().await;
    for (query, index) in [
        (versions::LATEST, "documents_versions (feed=? AND subject=?)"),
        (versions::UNKEPT, "documents_state (feed=? AND state=?)"),
        (versions::ALL_UNKEPT, "documents_state (feed=? AND state=?)"),
        (subjects::DUE, "subjects_next (feed=? AND next_at<?)"),
    ] {
        let plan = desk.plan(query).await;
        assert!(plan.contains(index) && !plan.contains("SCAN documents"), "{plan}");
    }
}

#[tokio::test]
async fn files_to_be_removed_and_the_same_bytes_are_found_without_walking_all_that_is_held() {
    let desk = Desk::new().await;
    for (query, index) in [
        (files::RELEASES, "documents_release (feed=? AND id>?)"),
        (files::UNRELEASED, "SCAN documents USING INDEX documents_release"),
        (files::OTHER_INTERFACE, "documents_state (feed=? AND state=?)"),
        (files::PASSED_OVER, "documents_state (feed=? AND state=?)"),
        (files::OLDEST_FILES, "documents_place (feed=?"),
        (dossier::WANTED, "(feed=? AND remote_id=?)"),
        (dossier::WANTED, "documents_name (name=?)"),
    ] {
        let plan = desk.plan(query).await;
        let walks = plan.contains("SCAN documents") && !plan.contains("SCAN documents USING INDEX documents_release");
        assert!(plan.contains(index) && !walks, "{query}: {plan}");
    }
}

#[tokio::test]
async fn what_is_done_for_many_documents_at_once_looks_up_each() {
    let desk = Desk::new().await;
    let wanted = [1, 2].map(|id| documents::Wanted { id, stem: String::new(), run: String::new(), now: String::new() });
    let kept = [1, 2].map(|id| kept(id, "copy"));
    let settled = [1, 2].map(|id| Settled {
        id,
        created_at: String::new(),
        feed: feed(),
        remote_id: id.to_string(),
        outcome: Ok(()),
    });
    let made: Vec<&Settled> = settled.iter().collect();
    for (query, index) in [
        (documents::claim(&wanted), "SEARCH documents USING INTEGER PRIMARY KEY (rowid=?)"),
        (keeping::twins(&kept), "SEARCH held USING INDEX documents_bytes (feed=? AND sha256=?)"),
        (keeping::record(&kept, &[None, None], ""), "SEARCH documents USING INTEGER PRIMARY KEY (rowid=?)"),
        (deliveries::delivered(&made, ""), "SEARCH deliveries USING INTEGER PRIMARY KEY (rowid=?)"),
        (
            deliveries::documents_delivered(&made),
            "SEARCH documents USING INDEX sqlite_autoindex_documents_1 (feed=? AND remote_id=?)",
        ),
        (
            deliveries::released(&made, ""),
            "SEARCH documents USING INDEX sqlite_autoindex_documents_1 (feed=? AND remote_id=?)",
        ),
    ] {
        let plan = desk.plan(query.sql().as_ref()).await;
        let walks =
            ["SCAN documents", "SCAN deliveries", "SCAN held", "SCAN it", "SCAN feeds"].map(|walk| plan.contains(walk));
        assert!(plan.contains(index) && walks == [false; 5], "{plan}");
    }
}

#[tokio::test]
async fn what_came_lately_is_counted_along_its_index() {
    let plan = Desk::new().await.plan(harvest::KEPT).await;
    assert!(plan.contains("INDEX documents_kept (stored_at>?)"), "{plan}");
}

#[tokio::test]
async fn what_is_kept_no_longer_is_found_by_its_age_and_page_by_page() {
    let desk = Desk::new().await;
    let plan = desk.plan(retention::OLD).await;
    let parts = [
        "SEARCH documents USING INDEX documents_kept (stored_at",
        "SEARCH deliveries USING INDEX sqlite_autoindex_deliveries_1 (feed=? AND remote_id=?)",
        "SEARCH newer USING INDEX documents_versions (feed=? AND subject=? AND id>?)",
    ];
    for part in parts {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN documents"), "{plan}");
    let plan = desk.plan(retention::PURGING).await;
    assert!(plan.contains("documents_purging (id>?)") && !plan.contains("TEMP B-TREE"), "{plan}");
    let plan = desk.plan(retention::WANTED).await;
    assert!(plan.contains("documents_quarantine (quarantine_path=?)"), "{plan}");
}
