//! The main job: each document once, byte for byte, in the archive, the ledger and the inbox.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{Town, sample};
use vaguemestre::feed::Kind;

#[tokio::test]
async fn six_hundred_documents_in_three_feeds_are_each_downloaded_once_and_kept_identical() {
    let town = Town::with_interval("1s").await;
    for kind in Kind::ALL {
        town.put_many(kind, 1000 * (kind as u64 + 1), 200, 2000);
    }
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "600").await;
    assert!(daemon.stop().await.success());
    for kind in Kind::ALL {
        for number in 1000 * (kind as u64 + 1)..1000 * (kind as u64 + 1) + 200 {
            assert_eq!(town.platform.downloads_of(number), 1);
            let file = town.inbox().join(format!("fast/mairie/{kind}/{number}.xml"));
            assert_eq!(std::fs::read(file).unwrap(), sample(kind, number, 2000));
        }
    }
    assert_eq!(town.inbox_files().len(), 600);
}
