//! What the keeper promises to those whom a poll leaves behind.

use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::*;
use crate::clock::{Clock as _, SystemClock};
use crate::feed::{FeedName, Kind, RemoteDocument};
use crate::ledger::{FeedIdentity, ListingTerms};

#[tokio::test]
async fn once_all_is_settled_what_had_arrived_is_stored_though_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SystemClock::new());
    let now = clock.now();
    let ledger = Ledger::open(folder.path(), now).await.unwrap();
    let feed = FeedName::fast("mairie", Kind::Chorus);
    let (origin, siren) = ("https://fast.example".to_owned(), "111111111".to_owned());
    let identity = FeedIdentity { feed: feed.clone(), origin, siren, led_by: None, files: false };
    ledger.register(vec![identity], now).await.unwrap();
    ledger.record_listing(&feed, &[RemoteDocument::of_id("1")], ListingTerms::at(now)).await.unwrap();
    let claimed = ledger.claim_document(1, "run", layout::stem(&feed, "1", now), now).await.unwrap().unwrap();
    let (stored, _couriers) = watch::channel(());
    let (_stop, stopping) = watch::channel(false);
    let intake = Intake::start(folder.path(), ledger.clone(), clock, Vec::new(), stored, stopping).unwrap();
    let mut reception = intake.receive(&claimed, 1000);
    reception.push(b"<a/>").await.unwrap();
    let Verdict::Return(sealed) = reception.finish().await.unwrap() else { panic!("it is XML") };
    // The poll breaks off.
    assert!(intake.keep(*sealed, None).now_or_never().is_none());
    intake.settled().await;
    assert!(ledger.claim_of(1).await.unwrap().is_none(), "it would be let go, and asked for again");
    assert_eq!(std::fs::read(folder.path().join(format!("{}.xml", claimed.stem))).unwrap(), b"<a/>");
}
