//! Torn states, built by hand: what an earlier run left in the archive is taken up, or set aside, never thrown away.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::{PATIENCE, Town, sample};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Call, Fault, Matcher, Record, Times};

/// A daemon killed with four downloads in the air, its interval far from over: only resumption brings the rest.
struct Torn {
    town: Town,
    /// Rows by remote id: number and stem.
    rows: BTreeMap<String, (String, String)>,
}

impl Torn {
    async fn new() -> Self {
        let town = Town::with_interval("30m").await;
        town.put_many(Kind::Chorus, 1, 4, 2000);
        town.platform.set_fault(Matcher::downloads(), Fault::Hang, Times::Always);
        let daemon = town.start().await;
        let four =
            timeout(PATIENCE / 4, town.platform.wait_for(|records| downloads(records) == 4 && records.len() == 7))
                .await;
        assert!(four.is_ok(), "{:#?} {:#?}", town.platform.requests(), daemon.log());
        daemon.kill().await;
        town.platform.clear_faults();
        let rows = town.query("SELECT remote_id, id, stem FROM documents WHERE state = 'fetching'").await;
        let rows: BTreeMap<_, _> =
            rows.into_iter().map(|row| (row[0].clone(), (row[1].clone(), row[2].clone()))).collect();
        assert_eq!(rows.len(), 4, "all four are in the air");
        Self { town, rows }
    }

    fn incoming(&self) -> PathBuf {
        self.town.state().join("archive/.incoming")
    }

    /// A file named for the document `id` and the content `named`, with the content `bytes`.
    fn seal(&self, id: &str, named: &[u8], bytes: &[u8]) {
        let hash: String = Sha256::digest(named).iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{}.{}.{hash}.sealed", self.rows[id].0, named.len());
        std::fs::write(self.incoming().join(name), bytes).unwrap();
    }

    /// Starts again, until all four are delivered; answers how often each was asked for, in all.
    async fn heal(&self) -> [usize; 4] {
        let daemon = self.town.start().await;
        self.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "4").await;
        assert!(daemon.stop().await.success());
        assert_eq!(self.town.platform.requests().iter().filter(|record| record.call == Some(Call::List)).count(), 3);
        assert_eq!(std::fs::read_dir(self.incoming()).unwrap().count(), 0, "nothing stays behind");
        for id in 1..=4 {
            let file = self.town.inbox().join(format!("fast/mairie/chorus/{id}.xml"));
            assert_eq!(std::fs::read(file).unwrap(), sample(Kind::Chorus, id, 2000));
        }
        [1, 2, 3, 4].map(|id| self.town.platform.downloads_of(id))
    }

    /// What lies in the quarantine.
    fn quarantine(&self) -> Vec<Vec<u8>> {
        let entries = std::fs::read_dir(self.town.state().join("archive/quarantine")).unwrap();
        entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
    }
}

fn downloads(records: &[Record]) -> usize {
    records.iter().filter(|record| record.call == Some(Call::Download)).count()
}

#[tokio::test]
async fn a_sealed_file_that_holds_what_its_name_says_is_the_document_and_is_not_asked_for() {
    let torn = Torn::new().await;
    let bytes = sample(Kind::Chorus, 1, 2000);
    torn.seal("1", &bytes, &bytes);
    assert_eq!(torn.heal().await, [1, 2, 2, 2]);
    assert!(torn.quarantine().is_empty());
    assert_eq!(torn.town.value("SELECT interruptions FROM documents WHERE remote_id = '1'").await, "0");
    assert_eq!(torn.town.value("SELECT interruptions FROM documents WHERE remote_id = '2'").await, "1");
}

#[tokio::test]
async fn a_sealed_file_with_other_bytes_than_its_name_says_is_set_aside_and_the_document_fetched() {
    let torn = Torn::new().await;
    let mut bytes = sample(Kind::Chorus, 1, 2000);
    let whole = bytes.clone();
    bytes.truncate(1000);
    torn.seal("1", &whole, &bytes);
    assert_eq!(torn.heal().await, [2, 2, 2, 2]);
    assert_eq!(torn.quarantine(), [bytes]);
}

#[tokio::test]
async fn a_sealed_file_that_is_no_return_is_set_aside() {
    let torn = Torn::new().await;
    let page = b"<html><body>Connexion</body>".as_slice();
    torn.seal("1", page, page);
    assert_eq!(torn.heal().await, [2, 2, 2, 2]);
    assert_eq!(torn.quarantine(), [page]);
}

#[tokio::test]
async fn a_file_that_was_still_arriving_is_set_aside_and_the_document_fetched() {
    let torn = Torn::new().await;
    let part = &sample(Kind::Chorus, 1, 2000)[..700];
    std::fs::write(torn.incoming().join(format!("{}.part", torn.rows["1"].0)), part).unwrap();
    assert_eq!(torn.heal().await, [2, 2, 2, 2]);
    assert_eq!(torn.quarantine(), [part]);
}

#[tokio::test]
async fn a_file_with_its_final_name_and_no_commit_is_adopted_where_it_lies() {
    let torn = Torn::new().await;
    let path = torn.town.state().join(format!("{}.xml", torn.rows["1"].1));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let bytes = sample(Kind::Chorus, 1, 2000);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(torn.heal().await, [1, 2, 2, 2]);
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "the archive's copy is still there");
    let recorded = torn.town.value("SELECT archive_path FROM documents WHERE remote_id = '1'").await;
    assert_eq!(torn.town.state().join(recorded), path);
}

#[tokio::test]
async fn both_a_sealed_file_and_its_final_name_are_one_document() {
    let torn = Torn::new().await;
    let bytes = sample(Kind::Chorus, 1, 2000);
    let path = torn.town.state().join(format!("{}.xml", torn.rows["1"].1));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    torn.seal("1", &bytes, &bytes);
    assert_eq!(torn.heal().await, [1, 2, 2, 2]);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn files_that_no_row_knows_are_set_aside() {
    let torn = Torn::new().await;
    let bytes = sample(Kind::Chorus, 99, 2000);
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(torn.incoming().join(format!("9999.{}.{hash}.sealed", bytes.len())), &bytes).unwrap();
    std::fs::write(torn.incoming().join("left by hand"), "a note").unwrap();
    assert_eq!(torn.heal().await, [2, 2, 2, 2]);
    let mut quarantine = torn.quarantine();
    quarantine.sort();
    assert_eq!(quarantine, [bytes, b"a note".to_vec()]);
}
