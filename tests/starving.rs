//! A document that ends every poll it meets (F7): the others come all the same, poll by poll.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{SIREN, Town};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

#[tokio::test]
async fn a_document_answered_by_a_refusal_of_access_keeps_its_neighbours_waiting_for_one_poll_only() {
    let town = Town::bare().await;
    town.configure("1s", "concurrency = 1", &town.account("mairie", SIREN, Standing::Valid));
    town.platform.set_fault(Matcher::download(1), Fault::Status(403, "".into(), Vec::new()), Times::Always);
    town.put_many(Kind::Chorus, 1, 4, 800);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "3").await;
    assert_eq!(town.value("SELECT attempts FROM documents WHERE remote_id = '1'").await, "0", "nothing counts");
    assert!(daemon.stop().await.success());
}
