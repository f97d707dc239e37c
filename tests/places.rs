//! A document that hangs keeps no other waiting, not of its own feed and not of its account's other feeds.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::time::Duration;

use common::{SIREN, Town};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

/// A town whose account fetches two documents at a time; document 1 hangs, and the listing of `late` takes a while.
async fn two_places(late: Kind) -> Town {
    let town = Town::bare().await;
    town.configure("30m", "concurrency = 2", &town.account("mairie", SIREN, Standing::Valid));
    town.platform.set_fault(Matcher::download(1), Fault::Hang, Times::Always);
    town.platform.set_fault(Matcher::listing(SIREN, late), Fault::SlowHeaders(Duration::from_millis(4)), Times::Always);
    town
}

fn hangs_still(town: &Town) -> bool {
    town.platform.requests().iter().any(|record| record.id.as_deref() == Some("1") && record.finished_at.is_none())
}

#[tokio::test]
async fn places_a_feed_no_longer_needs_serve_the_other_feeds() {
    let town = two_places(Kind::Acquittements).await;
    town.put_many(Kind::Chorus, 1, 2, 2000);
    town.put_many(Kind::Acquittements, 10, 1, 2000);
    let _daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "2").await;
    assert!(hangs_still(&town), "the others waited for the one that hangs");
}

#[tokio::test]
async fn places_that_come_free_are_taken_while_a_document_hangs() {
    let town = two_places(Kind::Chorus).await;
    town.put_many(Kind::Chorus, 1, 5, 2000);
    town.put_many(Kind::Acquittements, 10, 2, 2000);
    for (id, pause) in [(10, 75), (11, 120)] {
        let drip = Fault::Drip { bytes: 100, every: Duration::from_millis(pause) };
        town.platform.set_fault(Matcher::download(id), drip, Times::Always);
    }
    let _daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "6").await;
    assert!(hangs_still(&town), "the others waited for the one that hangs");
}
