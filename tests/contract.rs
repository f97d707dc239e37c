//! One contract for all interfaces of FAST-Parapheur: what REST promises, SOAP and WebDAV promise as well.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::sample;
use common::shop::{Print, Shop, Way};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Call, Fault, Matcher, Times};

macro_rules! contract {
    ($($promise:ident),* $(,)?) => {
        mod rest { $(#[tokio::test(flavor = "multi_thread")] async fn $promise() { super::$promise(super::Way::Rest).await; })* }
        mod soap { $(#[tokio::test(flavor = "multi_thread")] async fn $promise() { super::$promise(super::Way::Soap).await; })* }
        mod webdav { $(#[tokio::test(flavor = "multi_thread")] async fn $promise() { super::$promise(super::Way::Webdav).await; })* }
    };
}

contract!(
    all_is_collected_once_byte_for_byte,
    the_claim_comes_before_the_request_and_the_record_before_the_release,
    no_fault_of_one_document_harms_another_or_leaves_a_false_copy,
    a_listing_that_fails_collects_nothing_and_loses_nothing,
    a_document_that_someone_else_took_is_gone,
    kills_at_any_moment_lose_nothing_and_remove_nothing_that_is_not_safe,
);

async fn all_is_collected_once_byte_for_byte(way: Way) {
    let shop = Shop::open(way, "1ms", "").await;
    let mut expected = BTreeMap::new();
    for (index, kind) in Kind::USUAL.into_iter().enumerate() {
        for number in 0..6 {
            let number = 100 * (index as u64 + 1) + number;
            expected.insert(shop.name(kind, number), shop.put(kind, number, 1000 + 40_000 * (number as usize % 3)));
        }
    }
    let said = shop.town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(shop.kept().await, expected);
    assert_eq!(shop.left(), Vec::<String>::new());
    assert_eq!(shop.town.inbox_files().len(), 18);
    let said = shop.town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(shop.requests(Call::Download).len(), 18, "each is asked for once");
    assert_eq!(shop.requests(Call::Release).len(), if way == Way::Webdav { 18 } else { 0 });
    let released = shop.town.value("SELECT count(released_at) FROM documents WHERE state = 'delivered'").await;
    assert_eq!(released, if way == Way::Webdav { "18" } else { "0" });
}

async fn the_claim_comes_before_the_request_and_the_record_before_the_release(way: Way) {
    let shop = Shop::open(way, "1ms", "").await;
    for number in 1..=8 {
        shop.put(Kind::Acquittements, number, 2000);
    }
    assert_eq!(shop.town.poll().await.code, 0);
    let rows =
        shop.town.query("SELECT remote_id, listed_at, requested_at, stored_at, released_at FROM documents").await;
    assert_eq!(rows.len(), 8);
    let at = |text: &String| text.parse::<jiff::Timestamp>().unwrap();
    // The ledger's times have milliseconds.
    let just = jiff::SignedDuration::from_millis(1);
    for row in rows {
        let name = row[0].split('@').next().unwrap();
        let of = |call| shop.requests(call).into_iter().find(|record| record.id.as_deref() == Some(name)).unwrap();
        let asked = of(Call::Download).at;
        assert!(at(&row[1]) <= at(&row[2]) && at(&row[2]) <= asked + just, "{row:?} {asked}");
        assert!(at(&row[3]) + just >= asked, "{row:?}");
        if way == Way::Webdav {
            let told = of(Call::Release).at;
            assert!(at(&row[3]) <= told + just && told <= at(&row[4]) + just, "{row:?} {told}");
        }
    }
    let listed = shop.town.value("SELECT last_listed_at FROM feeds WHERE kind = 'acquittements'").await;
    let last = shop.requests(Call::List).into_iter().rfind(|it| it.kind == Some(Kind::Acquittements));
    let last = last.unwrap().at;
    let gap = last.duration_since(at(&listed)).abs();
    assert!(gap < jiff::SignedDuration::from_millis(200), "the last listing is what counts: {gap:?}");
}

async fn no_fault_of_one_document_harms_another_or_leaves_a_false_copy(way: Way) {
    let shop = Shop::open(way, "1ms", "timeout = \"700ms\"\nconcurrency = 3\n").await;
    let faults = [
        Fault::HtmlWith200,
        Fault::JsonErrorWith200("Internal error: something else".to_owned()),
        Fault::Empty200,
        Fault::DoctypeXml,
        Fault::CutWithLength(700),
        Fault::CutWithoutLength(700),
        Fault::CutChunked(700),
        Fault::TruncatedTls(700),
        Fault::WrongLength(700_000),
        Fault::Reset,
        Fault::ResetAfter(300),
        Fault::HangAfter(300),
        Fault::GzipNonsense,
        Fault::Status(400, "what?".into(), Vec::new()),
        Fault::Endless { with_length: false },
        Fault::Status(502, "Bad Gateway".into(), Vec::new()),
    ];
    let count = faults.len() as u64;
    let mut expected = BTreeMap::new();
    let mut struck = BTreeSet::new();
    for (index, fault) in faults.into_iter().enumerate() {
        let number = 10 + 2 * index as u64;
        let name = shop.name(Kind::Chorus, number);
        shop.put(Kind::Chorus, number, 3000);
        shop.town.platform.set_fault(Matcher::download(&name), fault, Times::Always);
        struck.insert(name);
        expected.insert(shop.name(Kind::Chorus, number + 1), shop.put(Kind::Chorus, number + 1, 3000));
    }
    let said = shop.town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    assert_eq!(shop.kept().await, expected, "{said:?}");
    let removed: BTreeSet<String> = shop.requests(Call::Release).into_iter().filter_map(|record| record.id).collect();
    assert!(removed.is_disjoint(&struck), "{removed:?}");
    if way == Way::Soap {
        // It may not be given again: what came in a coding that was not asked for is set aside.
        let coded = "SELECT count(quarantine_path) FROM documents WHERE error LIKE '%content coding%'";
        assert_eq!(shop.town.value(coded).await, "1");
    }
    // Once the platform behaves, all comes in the end.
    shop.town.platform.clear_faults();
    for number in (10..10 + 2 * count).step_by(2) {
        expected.insert(shop.name(Kind::Chorus, number), Print(sample(Kind::Chorus, number, 3000)));
    }
    let open = shop.town.query("SELECT remote_id FROM documents WHERE state IN ('failed', 'abandoned')").await;
    for row in open {
        let said = shop.town.say(&["retry", "fast/mairie/chorus", &row[0]]).await;
        assert_eq!(said.code, 0, "{said:?}");
    }
    let said = shop.town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(shop.kept().await, expected);
    assert_eq!(shop.left(), Vec::<String>::new());
}

async fn a_listing_that_fails_collects_nothing_and_loses_nothing(way: Way) {
    let shop = Shop::open(way, "1ms", "timeout = \"500ms\"\n").await;
    let expected = BTreeMap::from([(shop.name(Kind::Acquittements, 1), shop.put(Kind::Acquittements, 1, 900))]);
    let faults = [
        Fault::HtmlWith200,
        Fault::JsonErrorWith200("Unauthorized".to_owned()),
        Fault::Empty200,
        Fault::DoctypeXml,
        Fault::Replace("<a><b/></a>".into()),
        Fault::CutWithLength(2),
        Fault::CutChunked(2),
        Fault::Reset,
        Fault::Hang,
        Fault::GzipNonsense,
        Fault::Status(403, "no".into(), Vec::new()),
        Fault::Status(500, "<p>no</p>".into(), Vec::new()),
        Fault::Redirect("https://localhost:1/".to_owned()),
    ];
    for fault in faults {
        shop.town.platform.set_fault(Matcher::listings(), fault.clone(), Times::Always);
        let said = shop.town.say(&["poll", "fast/mairie/acquittements"]).await;
        assert_eq!(said.code, 75, "{fault:?}: {said:?}");
        shop.town.platform.clear_faults();
    }
    assert_eq!(shop.town.value("SELECT count(*) FROM documents").await, "0");
    assert_eq!(shop.town.poll().await.code, 0);
    assert_eq!(shop.kept().await, expected);
}

async fn a_document_that_someone_else_took_is_gone(way: Way) {
    let shop = Shop::open(way, "1ms", "").await;
    shop.put(Kind::Acquittements, 1, 900);
    let name = shop.name(Kind::Acquittements, 1);
    let busy = Fault::Status(503, "busy".into(), Vec::new());
    shop.town.platform.set_fault(Matcher::download(&name), busy, Times::Once);
    shop.town.poll().await;
    shop.remove(Kind::Acquittements, 1);
    shop.town.poll().await;
    assert_eq!(shop.town.value("SELECT state || ' ' || attempts FROM documents").await, "gone 2");
}

/// Chance that can be repeated: xorshift64*.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

/// Kills over each interface; with those of `tests/crash.rs` they are two hundred.
const KILLS: u64 = 40;

/// `SEED=n` chooses other moments.
async fn kills_at_any_moment_lose_nothing_and_remove_nothing_that_is_not_safe(way: Way) {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    let mut chance = Chance(seed);
    let shop = Shop::open(way, "1s", "").await;
    shop.town.platform.adjust(|it| it.latency = Duration::from_millis(4));
    let mut expected = BTreeMap::new();
    for life in 0..KILLS {
        for (index, kind) in Kind::USUAL.into_iter().enumerate() {
            for number in 0..2 {
                let number = 1000 * (index as u64 + 1) + 10 * life + number;
                expected.insert(shop.name(kind, number), shop.put(kind, number, [900, 90_000][index % 2]));
            }
        }
        let daemon = shop.town.spawn();
        let wanted = shop.town.platform.requests().len() + chance.below(24) as usize;
        let reached = shop.town.platform.wait_for(|records| records.len() >= wanted);
        // It may have nothing to ask for so often.
        let _ = tokio::time::timeout(Duration::from_millis(1200), reached).await;
        tokio::time::sleep(Duration::from_micros(chance.below(20_000))).await;
        daemon.kill().await;
        if way == Way::Webdav {
            removed_is_safe(&shop, &expected).await;
        }
    }
    let daemon = shop.town.start().await;
    let all = (KILLS * 6).to_string();
    shop.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", &all).await;
    if way == Way::Webdav {
        shop.town.wait_value("SELECT count(*) FROM documents WHERE released_at IS NOT NULL", &all).await;
    }
    assert!(daemon.stop().await.success());
    assert_eq!(shop.kept().await, expected);
    assert_eq!(shop.left(), Vec::<String>::new());
    assert_eq!(shop.town.inbox_files().len().to_string(), all);
}

/// Whatever is no longer on the platform lies whole in the archive, recorded.
async fn removed_is_safe(shop: &Shop, expected: &BTreeMap<String, Print>) {
    let left: BTreeSet<String> = shop.left().into_iter().collect();
    let copy = tempfile::tempdir().unwrap();
    for file in ["ledger.sqlite", "ledger.sqlite-wal"] {
        if shop.town.state().join(file).exists() {
            std::fs::copy(shop.town.state().join(file), copy.path().join(file)).unwrap();
        }
    }
    let removed: Vec<&String> = expected.keys().filter(|name| !left.contains(*name)).collect();
    if removed.is_empty() {
        return;
    }
    let sql = "SELECT remote_id, archive_path FROM documents WHERE state IN ('stored', 'delivered')";
    let rows = common::query_at(copy.path(), sql).await;
    for name in removed {
        let row =
            rows.iter().find(|row| row[0].split('@').next() == Some(name)).unwrap_or_else(|| panic!("{name} is lost"));
        assert_eq!(Print(std::fs::read(shop.town.state().join(&row[1])).unwrap()), expected[name], "{name}");
    }
}
