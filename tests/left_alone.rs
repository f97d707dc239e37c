//! A platform that asks to be left alone is left alone, also by a daemon started anew and by hand.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{SIREN, Town};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Fault, Matcher, Times};

const PLANNED: &str = "SELECT feed, next_poll_at FROM feeds ORDER BY feed";

#[tokio::test]
async fn a_wish_to_be_left_alone_outlives_the_daemon() {
    let town = Town::with_interval("1s").await;
    town.put_many(Kind::Chorus, 1, 3, 500);
    // Listed well, but no document for two hours: they stay `listed`.
    town.platform.set_fault(Matcher::downloads(), Fault::RetryAfter(503, 7200), Times::Always);
    town.platform.set_fault(Matcher::listing(SIREN, Kind::Acquittements), Fault::RetryAfter(429, 7200), Times::Always);
    let daemon = town.start().await;
    let asked = "SELECT count(*) FROM feeds WHERE not_before > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 hour')";
    town.wait_value(asked, "2").await;
    assert!(daemon.stop().await.success());
    let planned = town.query(&format!("{PLANNED} LIMIT 2")).await;
    let requests = town.platform.requests().len();

    let daemon = town.start().await;
    // The third feed goes on, and says how long the others were left alone.
    town.wait_value("SELECT count(DISTINCT run) FROM polls WHERE outcome = 'ok'", "2").await;
    let by_hand = town.run(&["poll", "fast/mairie/chorus"]).await;
    assert!(common::told(&by_hand).contains("may not be listed before"), "{}", common::told(&by_hand));
    assert!(daemon.stop().await.success());
    assert_eq!(town.query(&format!("{PLANNED} LIMIT 2")).await, planned);
    let since = &town.platform.requests()[requests..];
    assert!(since.iter().all(|request| request.kind == Some(Kind::PesRetour)), "{since:#?}");
}
