//! The real ledger and archive, and what is done to them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use vaguemestre::archive::layout::{self, stem};
use vaguemestre::clock::{Clock as _, SetClock, stamp};
use vaguemestre::config::{Handover, Inbox, Patterns, Release, Target};
use vaguemestre::feed::{DocumentState, FeedName, RemoteDocument, RemoteFile};
use vaguemestre::intake::{Intake, Sealed, Verdict, adopt};
use vaguemestre::ledger::{
    Claimed, Condition, FeedIdentity, Filter, Ledger, LedgerError, ListingTerms, OpenTerms, Pending, Refusal, Setback,
    Settled,
};
use vaguemestre_fuzz::Choices;

mod fetching;
mod handing;
mod judging;

use crate::model::{Delivery, Document, LATEST_TRY};

/// Documents a feed may have.
const MANY: usize = 5;
const FEEDS: [&str; 2] = ["fast/mairie/chorus", "fast/mairie/pes-retour"];
/// The feed whose documents are files.
const FILES: usize = 1;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| vaguemestre_fuzz::folder("ledger"));
/// A ledger that knows the feeds, to begin with.
static FRESH: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = FOLDER.join("fresh");
    fs::create_dir_all(&folder).expect("a folder");
    let identity = |number: usize| FeedIdentity {
        feed: feed(number),
        origin: "https://fast.example".to_owned(),
        siren: "111111111".to_owned(),
        led_by: None,
        files: number == FILES,
    };
    runtime().block_on(async {
        let ledger = Ledger::open(&folder, begin()).await.expect("a ledger");
        ledger.register((0..FEEDS.len()).map(identity).collect(), begin()).await.expect("known feeds");
        ledger.close().await;
    });
    folder
});

fn begin() -> Timestamp {
    "2026-11-22T08:00:00Z".parse().expect("a time")
}

fn feed(number: usize) -> FeedName {
    FEEDS[number].parse().expect("a name")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn target(number: usize) -> Target {
    let feeds = ["fast/*", "*/chorus"][number];
    Target {
        name: format!("target-{number}"),
        feeds: Patterns::parse(vec![feeds.to_owned()]).expect("a pattern"),
        handover: Handover::Inbox(Inbox {
            inbox: PathBuf::from("/nowhere"),
            file_mode: 0o640,
            inbox_stale: Duration::ZERO,
        }),
    }
}

/// A body that has passed its checks and is not kept yet.
struct Arrived {
    sealed: Sealed,
    bytes: Vec<u8>,
}

pub struct World {
    folder: PathBuf,
    runtime: Runtime,
    clock: Arc<SetClock>,
    ledger: Ledger,
    intake: Intake,
    /// Held, so that the intake goes on.
    _stop: watch::Sender<bool>,
    runs: usize,
    targets: Vec<Target>,
    release: Release,
    /// By row.
    documents: BTreeMap<i64, Document>,
    arrived: BTreeMap<i64, Arrived>,
    /// A target, and its deliveries that were taken out and not settled.
    taken: (String, Vec<Pending>),
    /// All that was ever archived.
    archived: BTreeMap<String, Vec<u8>>,
    stems: usize,
}

impl World {
    pub fn new(choices: &mut Choices<'_>) -> Self {
        let folder = FOLDER.join("0");
        drop(fs::remove_dir_all(&folder));
        copy(&FRESH, &folder);
        let targets = vec![target(0), target(1)];
        let release = choices.of(&[Release::Stored, Release::Delivered]);
        let clock = Arc::new(SetClock::at(begin()));
        let (runtime, ledger, intake, stop) = open(&folder, &clock, &targets);
        Self {
            folder,
            runtime,
            clock,
            ledger,
            intake,
            _stop: stop,
            runs: 0,
            targets,
            release,
            documents: BTreeMap::new(),
            arrived: BTreeMap::new(),
            taken: Default::default(),
            archived: BTreeMap::new(),
            stems: 0,
        }
    }

    /// One act of any kind.
    pub fn act(&mut self, choices: &mut Choices<'_>) {
        self.clock.advance(Duration::from_millis(1));
        match choices.byte() % 20 {
            0 | 1 => self.list(choices),
            2 => self.open_and_claim(choices),
            3 => self.claim(choices),
            4..=6 => self.receive(choices),
            7 => self.break_off(choices),
            8 | 9 => self.keep(choices),
            10 => self.refuse(choices),
            11 => self.reopen(choices),
            12 => self.dismiss(choices),
            13 => self.accept(choices),
            14 => self.take_deliveries(choices),
            15 => self.settle_deliveries(choices),
            16 => self.change_targets(choices),
            17 => self.release(choices),
            18 => self.clock.advance(Duration::from_secs(u64::from(choices.byte()) * 60)),
            _ => self.die(choices),
        }
    }

    fn run(&self) -> String {
        format!("run-{}", self.runs)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A document, whatever its state.
    fn any(&self, choices: &mut Choices<'_>) -> Option<i64> {
        let number = choices.below(self.documents.len());
        self.documents.keys().nth(number).copied()
    }

    /// One that this run fetches, and whose body has not arrived.
    fn fetching(&self, choices: &mut Choices<'_>) -> Option<i64> {
        let run = self.run();
        let fetching = |(id, document): (&i64, &Document)| {
            let ours = document.state == DocumentState::Fetching && document.claimed_by == run;
            (ours && !self.arrived.contains_key(id)).then_some(*id)
        };
        let all: Vec<i64> = self.documents.iter().filter_map(fetching).collect();
        all.get(choices.below(all.len())).copied()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn open(folder: &Path, clock: &Arc<SetClock>, targets: &[Target]) -> (Runtime, Ledger, Intake, watch::Sender<bool>) {
    let runtime = runtime();
    let (stop, stopping) = watch::channel(false);
    let (ledger, intake) = runtime.block_on(async {
        let ledger = Ledger::open(folder, clock.now()).await.expect("a ledger that opens");
        let clock = Arc::clone(clock) as Arc<dyn vaguemestre::clock::Clock>;
        let intake = Intake::start(folder, ledger.clone(), clock, targets.to_vec(), watch::channel(()).0, stopping);
        (ledger, intake.expect("an archive"))
    });
    (runtime, ledger, intake, stop)
}

/// Copies a state directory as a dead process leaves it: SQLite makes the shared memory of its log anew.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let place = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            copy(&entry.path(), &place);
        } else if !entry.file_name().to_string_lossy().ends_with("-shm") {
            fs::copy(entry.path(), &place).expect("a copy");
            for attribute in xattr::list(entry.path()).into_iter().flatten() {
                if let Ok(Some(value)) = xattr::get(entry.path(), &attribute) {
                    xattr::set(&place, &attribute, &value).expect("an attribute");
                }
            }
        }
    }
}
