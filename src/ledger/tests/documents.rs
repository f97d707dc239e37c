//! Documents and their deliveries.

use super::*;

#[tokio::test]
async fn a_clock_set_back_keeps_no_document_from_being_tried_again() {
    let desk = Desk::listing(&["1", "2"]).await;
    desk.set("UPDATE documents SET state = 'failed', next_try_at = '2026-11-22T11:00:00.000Z' WHERE id = 1").await;
    desk.set("UPDATE documents SET state = 'failed', next_try_at = '2026-11-23T11:00:00.000Z' WHERE id = 2").await;
    assert_eq!(desk.open(at("10:00"), at("22:00")).await, ["2"], "a pause is kept, an impossible one is not");
}

#[tokio::test]
async fn a_clock_set_back_keeps_no_delivery_from_being_made() {
    let desk = Desk::listing(&["1", "2", "3"]).await;
    for id in 1..=3 {
        desk.keep(id, "copy", at("16:00")).await;
    }
    for pending in desk.ledger.deliveries_due("inbox", at("16:00"), 2).await.unwrap() {
        let next = if pending.remote_id == "1" { at("10:59") } else { at("16:30") };
        desk.settle(pending, Err(("full".to_owned(), next)), at("16:00")).await;
    }
    assert_eq!(desk.due(at("10:00")).await, ["2", "3"]);
    assert_eq!(desk.due(at("10:59")).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn deliveries_go_out_in_the_order_of_storing_and_those_that_failed_hold_none_back() {
    let desk = Desk::listing(&["1", "2", "3"]).await;
    for id in [2, 3, 1] {
        desk.keep(id, "copy", at("10:00")).await;
    }
    assert_eq!(desk.due(at("10:00")).await, ["2", "3", "1"]);
    let first = desk.ledger.deliveries_due("inbox", at("10:00"), 1).await.unwrap().remove(0);
    desk.settle(first, Err(("full".to_owned(), at("10:01"))), at("10:00")).await;
    assert_eq!(desk.due(at("10:00")).await, ["3", "1"]);
    assert_eq!(desk.due(at("10:01")).await, ["2", "3", "1"]);
    let backlog = desk.ledger.delivery_backlog().await.unwrap();
    let waiting = Backlog { pending: 2, failed: 1, abandoned: 0 };
    assert_eq!((backlog.feeds["fast/mairie/chorus"], backlog.targets["inbox"]), (waiting, waiting));
}

#[tokio::test]
async fn a_copy_downloaded_again_is_delivered_even_while_the_first_is_on_its_way() {
    let desk = Desk::listing(&["1"]).await;
    desk.keep(1, "first", at("10:00")).await;
    let first = desk.ledger.deliveries_due("inbox", at("10:00"), 1).await.unwrap().remove(0);
    desk.keep(1, "second", at("10:01")).await;
    desk.settle(first, Ok(()), at("10:02")).await;
    let second = desk.ledger.deliveries_due("inbox", at("10:02"), 1).await.unwrap().remove(0);
    assert_eq!(second.archive_path, "second");
    assert_eq!(desk.texts("SELECT state FROM documents").await, ["stored"]);
    desk.settle(second, Ok(()), at("10:03")).await;
    assert_eq!(desk.texts("SELECT state FROM documents").await, ["delivered"]);
}

#[tokio::test]
async fn targets_that_are_gone_hold_nothing_back() {
    let desk = Desk::listing(&["1", "2"]).await;
    desk.keep(1, "copy", at("10:00")).await;
    desk.keep(2, "copy", at("10:00")).await;
    let first = desk.ledger.deliveries_due("inbox", at("10:00"), 1).await.unwrap().remove(0);
    desk.settle(first, Err(("full".to_owned(), at("10:01"))), at("10:00")).await;
    assert_eq!(desk.ledger.retire_targets(vec!["inbox".to_owned()]).await.unwrap(), 0);
    assert_eq!(desk.ledger.retire_targets(vec!["other".to_owned()]).await.unwrap(), 2);
    assert_eq!(desk.texts("SELECT state FROM documents").await, ["delivered", "delivered"]);
}

#[tokio::test]
async fn an_order_judged_by_a_state_that_has_passed_changes_nothing() {
    let desk = Desk::listing(&["1"]).await;
    desk.keep(1, "copy", at("10:00")).await;
    assert!(!desk.ledger.reopen(1, DocumentState::Failed, None).await.unwrap());
    assert!(!desk.ledger.dismiss(1, "lost on paper".to_owned()).await.unwrap());
    assert_eq!(desk.texts("SELECT state FROM documents").await, ["stored"]);
    assert!(desk.ledger.reopen(1, DocumentState::Stored, Some("again".to_owned())).await.unwrap());
    assert_eq!(desk.texts("SELECT state FROM documents").await, ["listed"]);
    desk.set("UPDATE documents SET state = 'fetching', claimed_by = 'run'").await;
    assert!(!desk.ledger.reopen(1, DocumentState::Fetching, None).await.unwrap());
    desk.set("UPDATE documents SET state = 'lost'").await;
    assert!(desk.ledger.dismiss(1, "lost on paper".to_owned()).await.unwrap());
    assert_eq!(desk.texts("SELECT state FROM documents").await, ["dismissed"]);
}

#[tokio::test]
async fn a_page_of_documents_is_filtered_and_in_the_order_of_listing() {
    let desk = Desk::listing(&["9", "3", "5"]).await;
    desk.set("UPDATE documents SET state = 'lost' WHERE remote_id <> '3'").await;
    let shown = async |filter: Filter| {
        let mut shown = Vec::new();
        let each = |row: DocumentRow| {
            shown.push(row.remote_id);
            Ok::<_, LedgerError>(())
        };
        desk.ledger.documents("fast/mairie/chorus", &filter, each).await.unwrap();
        shown
    };
    assert_eq!(shown(Filter::default()).await, ["9", "3", "5"]);
    assert_eq!(
        shown(Filter { state: Some(DocumentState::Lost), since: Some(at("08:00")), ..Filter::default() }).await,
        ["9", "5"]
    );
    assert!(shown(Filter { state: None, since: Some(at("08:01")), ..Filter::default() }).await.is_empty());
}

#[tokio::test]
async fn claims_asked_for_at_the_same_time_are_each_answered() {
    let ids: Vec<String> = (1..=20).map(|id| id.to_string()).collect();
    let desk = Desk::listing(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let claim = |id: i64| desk.ledger.claim_document(id, "run", format!("stem of {id}"), at("08:10"));
    // As many as there can be connections; most of these documents there are not.
    let claims = futures_util::future::join_all((1..=4096).map(claim)).await;
    for (id, claimed) in (1..).zip(claims) {
        let stem = claimed.unwrap().map(|document| (document.id, document.remote_id, document.stem));
        assert_eq!(stem, (id <= 20).then(|| (id, id.to_string(), format!("stem of {id}"))));
    }
    assert!(claim(1).await.unwrap().is_none(), "it is claimed");
    desk.ledger.close().await;
    let refused = tokio::time::timeout(std::time::Duration::from_secs(10), claim(2)).await;
    assert!(matches!(refused, Ok(Err(LedgerError::Closed))), "nobody waits for a ledger that is closed");
}

#[tokio::test]
async fn the_same_bytes_twice_in_a_batch_are_recognised_once() {
    let desk = Desk::listing(&["1", "2", "3"]).await;
    desk.set("UPDATE documents SET remote_path = 'PES/1' WHERE id = 1").await;
    desk.keep(1, "copy 1", at("08:10")).await;
    let twins = desk.ledger.keep(vec![kept(2, "copy 2"), kept(3, "copy 3")], at("08:20")).await.unwrap();
    assert_eq!(twins, [Some("1".to_owned()), None], "the second is another document");
    assert_eq!(desk.due(at("08:30")).await, ["1", "3"]);
}
