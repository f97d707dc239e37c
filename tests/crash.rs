//! `kill -9` at any moment: nothing lost, nothing asked for twice that the ledger held, nothing unfinished shown.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{Daemon, PATIENCE, Town, files, held_at_death};
use tokio::time::timeout;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::Call;

const KILLS: u64 = 80;
/// Documents that arrive on the platform in each daemon's life, over its three feeds.
const PER_LIFE: u64 = 6;
const ALL: u64 = KILLS * PER_LIFE;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eighty_kills_lose_nothing_repeat_nothing_held_and_show_nothing_unfinished() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    println!("SEED={seed}");
    let mut chance = Chance(seed);
    let town = Arc::new(Town::with_interval("1s").await);
    town.platform.adjust(|it| it.latency = Duration::from_millis(5));
    let mut all = HashMap::new();
    for life in 0..KILLS {
        for (index, kind) in Kind::USUAL.into_iter().enumerate() {
            // Small ones stay in memory until they have ended; large ones go through their temporary file.
            let size = if index == 0 { 100_000 } else { 2_000 };
            let first = 10_000 * (index as u64 + 1) + life * PER_LIFE;
            all.extend(expected(kind, first, PER_LIFE / 3, size));
        }
    }
    let watch = Watch::start(town.inbox(), all.clone());
    let mut progress = BTreeSet::new();
    for life in 0..KILLS {
        for (index, kind) in Kind::USUAL.into_iter().enumerate() {
            let size = if index == 0 { 100_000 } else { 2_000 };
            town.put_many(kind, 10_000 * (index as u64 + 1) + life * PER_LIFE, PER_LIFE / 3, size);
        }
        let daemon = town.spawn();
        await_moment(&town, &mut chance).await;
        daemon.kill().await;
        let after = town.platform.requests().len();
        let held = held_at_death(&town).await;
        progress.insert(held.len());
        // What the ledger held, and what had arrived whole, is not asked for in the next life, nor ever after.
        watch.forbid(held, after);
    }
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", &ALL.to_string()).await;
    assert!(daemon.stop().await.success());
    assert!(progress.len() > KILLS as usize / 8, "the kills came at the same few moments: {progress:?}");
    watch.end(&town).await;
    assert_eq!(town.value("SELECT count(*) FROM documents").await, ALL.to_string());
    assert_eq!(town.inbox_files().len() as u64, ALL);
    assert_eq!(files(&town.state().join("archive/fast")).len() as u64, ALL);
    for (path, bytes) in &all {
        assert_eq!(&std::fs::read(town.inbox().join(path)).unwrap(), bytes, "{}", path.display());
    }
}

fn expected(kind: Kind, first: u64, count: u64, size: usize) -> impl Iterator<Item = (PathBuf, Vec<u8>)> {
    (first..first + count).map(move |number| (common::inbox_path(kind, number), common::sample(kind, number, size)))
}

/// Some moment of a daemon's life: soon after its birth, or soon after some request of it.
async fn await_moment(town: &Town, chance: &mut Chance) {
    let requests = chance.below(18) as usize;
    if requests > 0 {
        let wanted = town.platform.requests().len() + requests;
        // It may have nothing to ask for so often.
        let _ = timeout(Duration::from_millis(1500), town.platform.wait_for(|records| records.len() >= wanted)).await;
    }
    tokio::time::sleep(Duration::from_micros(chance.below(30_000))).await;
}

/// Looks at every file of the inbox, over and over, and remembers what may not be asked for any more.
struct Watch {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
    forbidden: std::cell::RefCell<Vec<(BTreeSet<String>, usize)>>,
}

impl Watch {
    fn start(inbox: PathBuf, all: HashMap<PathBuf, Vec<u8>>) -> Self {
        let (stop, looks) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&looks));
        let task = tokio::task::spawn_blocking(move || {
            while !stopped.load(Ordering::Relaxed) {
                for path in files(&inbox) {
                    let bytes = std::fs::read(inbox.join(&path)).unwrap();
                    let whole = all.get(&path).unwrap_or_else(|| panic!("{} in the inbox", path.display()));
                    assert!(&bytes == whole, "{} is not whole: {} bytes", path.display(), bytes.len());
                }
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, looks, task, forbidden: std::cell::RefCell::default() }
    }

    fn forbid(&self, ids: BTreeSet<String>, after: usize) {
        self.forbidden.borrow_mut().push((ids, after));
    }

    async fn end(self, town: &Town) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        assert!(self.looks.load(Ordering::Relaxed) > 50, "the inbox was hardly watched");
        let requests = town.platform.requests();
        for (ids, after) in self.forbidden.into_inner() {
            for record in requests[after..].iter().filter(|record| record.call == Some(Call::Download)) {
                let id = record.id.as_ref().unwrap();
                assert!(!ids.contains(id), "{id} was held, and asked for again");
            }
        }
    }
}

#[tokio::test]
async fn what_was_listed_is_fetched_after_a_crash_without_a_listing_before_its_time() {
    let town = Town::with_interval("30m").await;
    town.put_many(Kind::Chorus, 1, 120, 2000);
    town.platform.adjust(|it| it.latency = Duration::from_millis(20));
    let daemon = town.start().await;
    let calls = |records: &[vaguemestre::simulator::Record], call| {
        records.iter().filter(|record| record.call == Some(call)).count()
    };
    // A listing that is claimed and has not left is not made up for before its time: all three are to have left.
    let amid = |records: &[_]| calls(records, Call::Download) >= 20 && calls(records, Call::List) == 3;
    timeout(PATIENCE, town.platform.wait_for(amid)).await.unwrap();
    daemon.kill().await;
    assert!(calls(&town.platform.requests(), Call::Download) < 120);
    let daemon: Daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "120").await;
    assert!(daemon.stop().await.success());
    assert_eq!(calls(&town.platform.requests(), Call::List), 3);
    assert_eq!(town.value("SELECT max(interruptions) <= 1 FROM documents").await, "1");
    assert_eq!(
        town.value("SELECT outcome FROM polls WHERE listed IS NULL AND feed LIKE '%chorus' ORDER BY id").await,
        "interrupted"
    );
}
