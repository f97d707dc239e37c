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

    fn list(&mut self, choices: &mut Choices<'_>) {
        let (number, shown, version) = (choices.below(FEEDS.len()), choices.byte(), choices.byte());
        let skip = choices.byte() % 16 == 1;
        let numbers = (0..MANY).filter(|bit| shown >> bit & 1 == 1);
        let remote: Vec<RemoteDocument> = numbers.map(|it| remote(number, it, version >> it & 1)).collect();
        let terms = ListingTerms { skip, release: self.release, ..ListingTerms::at(self.now()) };
        let recorded =
            self.runtime.block_on(self.ledger.record_listing(&feed(number), &remote, terms)).expect("recorded");

        let known = |documents: &BTreeMap<i64, Document>, remote_id: &str| {
            documents.iter().find(|(_, it)| it.feed == number && it.remote_id == remote_id).map(|(id, _)| *id)
        };
        let held =
            remote.iter().filter_map(|it| known(&self.documents, &it.id)).filter(|id| self.documents[id].is_held());
        assert_eq!(recorded.held, held.count() as u64);
        for it in &remote {
            let Some(file) = &it.file else { continue };
            let rows: Vec<i64> = self.documents.keys().copied().collect();
            for row in rows {
                let exists = known(&self.documents, &it.id).is_some();
                if let Some(document) = self.documents.get_mut(&row)
                    && document.feed == number
                    && document.path.as_ref() == Some(&file.path)
                    && document.remote_id != it.id
                {
                    document.is_replaced(&it.id, exists);
                }
            }
            // There again, though it had been removed, or seemed to be.
            if let Some(document) = known(&self.documents, &it.id).and_then(|row| self.documents.get_mut(&row)) {
                document.released = false;
                if matches!(document.state, DocumentState::Gone | DocumentState::Lost) {
                    document.state = DocumentState::Listed;
                }
            }
        }
        let state = if skip { DocumentState::Skipped } else { DocumentState::Listed };
        let mut new = 0;
        for it in remote {
            if known(&self.documents, &it.id).is_none() {
                new += 1;
                let row = self.row(number, &it.id).expect("a row for what is new");
                self.documents.insert(row, Document::new(number, &it.id, it.file.map(|file| file.path), state));
            }
        }
        assert_eq!(recorded.new, new);
    }

    fn row(&self, number: usize, remote_id: &str) -> Option<i64> {
        self.runtime.block_on(self.ledger.document(&feed(number), remote_id)).expect("an answer").map(|(id, ..)| id)
    }

    /// What may be fetched is what the model says, in its order; some of it is claimed.
    fn open_and_claim(&mut self, choices: &mut Choices<'_>) {
        let number = choices.below(FEEDS.len());
        let (run, now) = (self.run(), self.now());
        let terms = OpenTerms { now, latest: now + LATEST_TRY, files: number == FILES };
        let name = feed(number);
        let open = self.ledger.open_documents(&name, &run, terms, (-1, -1), 100);
        let open: Vec<i64> = self.runtime.block_on(open).expect("an answer").iter().map(|it| it.id).collect();
        let wanted = self.documents.iter().filter(|(_, it)| it.feed == number && it.is_open(&run, now));
        let mut wanted: Vec<(i64, i64)> = wanted.map(|(id, it)| (it.setbacks, *id)).collect();
        wanted.sort_unstable();
        assert_eq!(open, wanted.iter().map(|(_, id)| *id).collect::<Vec<_>>());
        assert!(open.iter().all(|id| !self.documents[id].is_held()), "a document held is open");
        for id in open.into_iter().take(choices.below(MANY + 1)) {
            assert!(self.claim_row(id).is_some());
        }
    }

    fn claim(&mut self, choices: &mut Choices<'_>) {
        if let Some(id) = self.any(choices) {
            let may = self.documents[&id].may_be_claimed(&self.run());
            assert_eq!(self.claim_row(id).is_some(), may);
        }
    }

    fn claim_row(&mut self, id: i64) -> Option<Claimed> {
        let (run, now) = (self.run(), self.now());
        let document = self.documents.get_mut(&id)?;
        let stem = stem(&feed(document.feed), &document.remote_id, now);
        let claimed = self.runtime.block_on(self.ledger.claim_document(id, &run, stem, now)).expect("an answer")?;
        document.claim(&run);
        assert_eq!((claimed.attempts, claimed.interruptions), (document.attempts, document.interruptions));
        Some(claimed)
    }

    fn claimed(&self, id: i64) -> Claimed {
        self.runtime.block_on(self.ledger.claim_of(id)).expect("an answer").expect("a claim that stands")
    }

    /// A body arrives whole.
    fn receive(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.fetching(choices) else { return };
        let bytes = body(id, choices);
        let claimed = self.claimed(id);
        let verdict = self.runtime.block_on(async {
            let mut reception = self.intake.receive(&claimed, 1 << 20);
            for piece in bytes.chunks(40_000) {
                reception.push(piece).await.expect("room");
            }
            reception.finish().await.expect("a verdict")
        });
        match verdict {
            Verdict::Return(sealed) => drop(self.arrived.insert(id, Arrived { sealed: *sealed, bytes })),
            Verdict::Refused { path, sha256, .. } => {
                assert_eq!(fs::read(self.folder.join(&path)).expect("set aside"), bytes);
                let again = self.documents[&id].quarantine.as_ref().is_some_and(|(_, known)| *known == sha256);
                let later = self.now() + SignedDuration::from_mins(30);
                let condition = if again { Condition::Abandoned } else { Condition::Failed(later) };
                self.refuse_row(id, condition, false, Some((path, sha256)));
            }
        }
    }

    /// A body breaks off, or stays on its way until a crash.
    fn break_off(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.fetching(choices) else { return };
        let claimed = self.claimed(id);
        let (large, on_its_way) = (choices.byte() & 1 == 1, choices.byte() & 1 == 1);
        let bytes = vec![b'<'; if large { 70_000 } else { 70 }];
        self.runtime.block_on(async {
            let mut reception = self.intake.receive(&claimed, 1 << 20);
            reception.push(&bytes).await.expect("room");
            if !on_its_way {
                reception.abandon().await.expect("set aside");
            }
        });
        if !on_its_way {
            let later = self.now() + SignedDuration::from_mins(30);
            let condition = choices.below(2);
            self.refuse_row(id, [Condition::Open, Condition::Failed(later)][condition].clone(), true, None);
        }
    }

    fn refuse(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.fetching(choices) else { return };
        let later = self.now() + SignedDuration::from_mins(i64::from(choices.byte()) * 10);
        let all = [Condition::Open, Condition::Failed(later), Condition::Abandoned, Condition::Gone, Condition::Lost];
        let condition = all[choices.below(all.len())].clone();
        let in_doubt = choices.byte() & 1 == 1;
        self.refuse_row(id, condition, in_doubt, None);
    }

    fn refuse_row(&mut self, id: i64, condition: Condition, in_doubt: bool, quarantine: Option<(String, String)>) {
        let error = Some("no luck".to_owned());
        let refusal = Refusal { id, condition: condition.clone(), in_doubt, error, quarantine: quarantine.clone() };
        self.runtime.block_on(self.ledger.refuse(refusal)).expect("recorded");
        if let Some(document) = self.documents.get_mut(&id) {
            document.refuse(&condition, in_doubt, quarantine);
        }
    }

    /// Keeps some of what has arrived, together.
    fn keep(&mut self, choices: &mut Choices<'_>) {
        let chosen = choices.byte();
        let rows: Vec<i64> = self
            .arrived
            .keys()
            .copied()
            .enumerate()
            .filter(|(at, _)| chosen >> at & 1 == 0)
            .map(|(_, id)| id)
            .collect();
        let mut kept = Vec::new();
        let mut waiting = Vec::new();
        for id in rows {
            let Some(Arrived { sealed, bytes }) = self.arrived.remove(&id) else { continue };
            let intake = self.intake.clone();
            waiting.push(self.runtime.spawn(async move { intake.keep(sealed, None).await }));
            kept.push((id, bytes));
        }
        self.runtime.block_on(async {
            for one in waiting {
                one.await.expect("no panic").expect("kept");
            }
        });
        kept.into_iter().for_each(|(id, bytes)| self.is_kept(id, bytes));
    }

    /// The ledger and the archive must hold a document now.
    fn is_kept(&mut self, id: i64, bytes: Vec<u8>) {
        let now = self.now();
        let Some(document) = self.documents.get_mut(&id) else { return };
        let name = feed(document.feed);
        let row = self.runtime.block_on(self.ledger.document(&name, &document.remote_id)).expect("an answer");
        let copy = row.and_then(|(_, row, _)| row.archive_path).expect("the place of a copy");
        assert_eq!(fs::read(self.folder.join(&copy)).expect("a copy"), bytes);
        let targets: Vec<String> = self.targets.iter().filter(|it| it.wants(&name)).map(|it| it.name.clone()).collect();
        document.keep(copy.clone(), &targets, now);
        if let Some(before) = self.archived.insert(copy, bytes.clone()) {
            assert_eq!(before, bytes, "a copy was replaced");
        }
    }

    fn reopen(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.any(choices) else { return };
        self.stems += 1;
        let Some(document) = self.documents.get_mut(&id) else { return };
        let seen = if choices.byte() % 4 == 1 { choices.of(&DocumentState::ALL) } else { document.state };
        // One held must not meet its first copy.
        let again = format!("{}~{}", stem(&feed(document.feed), &document.remote_id, begin()), self.stems);
        let reopened = self.ledger.reopen(id, seen, document.copy.is_some().then_some(again));
        let expected = seen == document.state && seen != DocumentState::Fetching;
        assert_eq!(self.runtime.block_on(reopened).expect("an answer"), expected);
        if expected {
            document.reopen();
        }
    }

    fn dismiss(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.any(choices) else { return };
        let Some(document) = self.documents.get_mut(&id) else { return };
        let dismissed = self.runtime.block_on(self.ledger.dismiss(id, "by hand".to_owned())).expect("an answer");
        assert_eq!(dismissed, matches!(document.state, DocumentState::Abandoned | DocumentState::Lost));
        if dismissed {
            document.state = DocumentState::Dismissed;
        }
    }

    /// An operator takes bytes that were set aside.
    fn accept(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.any(choices) else { return };
        let (run, now) = (self.run(), self.now());
        let Some(document) = self.documents.get_mut(&id) else { return };
        let Some((path, _)) = document.quarantine.clone() else { return };
        let stem = stem(&feed(document.feed), &document.remote_id, now);
        let claimed = self.ledger.claim_accepted(id, document.state, &run, stem);
        let claimed = self.runtime.block_on(claimed).expect("an answer");
        assert_eq!(claimed.is_some(), document.state != DocumentState::Fetching);
        let Some(claimed) = claimed else { return };
        let bytes = fs::read(self.folder.join(&path)).expect("bytes set aside");
        self.runtime.block_on(self.intake.accept(&claimed, &path)).expect("accepted");
        self.is_kept(id, bytes);
    }

    /// What is due to a target is what the model says, once each, oldest order first.
    fn take_deliveries(&mut self, choices: &mut Choices<'_>) {
        let (target, now) = (target(choices.below(2)).name, self.now());
        let due = self.runtime.block_on(self.ledger.deliveries_due(&target, now, 100)).expect("an answer");
        let found: BTreeSet<(String, String)> =
            due.iter().map(|it| (it.feed.to_string(), it.remote_id.clone())).collect();
        assert_eq!(found.len(), due.len(), "a delivery is due twice");
        let wanted = self.documents.values().filter(|it| it.deliveries.get(&target).is_some_and(|it| it.is_due(now)));
        let wanted: BTreeSet<_> = wanted.map(|it| (FEEDS[it.feed].to_owned(), it.remote_id.clone())).collect();
        assert_eq!(found, wanted);
        for pending in &due {
            let bytes = fs::read(self.folder.join(&pending.archive_path)).expect("a copy to deliver");
            assert_eq!(self.archived.get(&pending.archive_path), Some(&bytes));
        }
        self.taken = (target, due);
    }

    fn settle_deliveries(&mut self, choices: &mut Choices<'_>) {
        let (now, made) = (self.now(), choices.byte());
        let later = now + SignedDuration::from_mins(i64::from(choices.byte()));
        let mut settled = Vec::new();
        let (target, taken) = std::mem::take(&mut self.taken);
        for (at, pending) in taken.into_iter().enumerate() {
            let Pending { id, created_at, feed: name, remote_id, archive_path, .. } = pending;
            let setback = || Setback { error: "full".to_owned(), next: Some(later) };
            let outcome = if made >> (at % 8) & 1 == 0 { Ok(()) } else { Err(setback()) };
            let of = |it: &&mut Document| FEEDS[it.feed] == name.as_str() && it.remote_id == remote_id;
            if let Some(document) = self.documents.values_mut().find(of) {
                // One ordered again since is another delivery; one retired since is none.
                let same = |it: &&mut Delivery| stamp(it.ordered) == created_at;
                if let Some(delivery) = document.deliveries.get_mut(&target).filter(same) {
                    match &outcome {
                        Ok(()) => (delivery.made, delivery.next) = (true, None),
                        Err(Setback { next, .. }) => delivery.next = *next,
                    }
                }
                let whole = document.deliveries.values().all(|delivery| delivery.made);
                if outcome.is_ok() && document.state == DocumentState::Stored && whole {
                    document.state = DocumentState::Delivered;
                }
            }
            assert!(self.archived.contains_key(&archive_path));
            settled.push(Settled { id, created_at, feed: name, remote_id, outcome });
        }
        self.runtime.block_on(self.ledger.settle_deliveries(settled, now)).expect("recorded");
    }

    fn change_targets(&mut self, choices: &mut Choices<'_>) {
        let chosen = choices.byte();
        self.targets = (0..2).filter(|bit| chosen >> bit & 1 == 0).map(target).collect();
        self.intake.deliver_to(self.targets.clone());
        let names: Vec<String> = self.targets.iter().map(|it| it.name.clone()).collect();
        let retired = self.runtime.block_on(self.ledger.retire_targets(names.clone())).expect("recorded");
        let mut gone = 0;
        for document in self.documents.values_mut() {
            let before = document.deliveries.len();
            document.deliveries.retain(|target, delivery| delivery.made || names.contains(target));
            gone += before - document.deliveries.len();
        }
        assert_eq!(retired, gone as u64);
        if gone > 0 {
            self.documents.values_mut().filter(|it| it.state == DocumentState::Stored).for_each(Document::settle);
        }
    }

    fn release(&mut self, choices: &mut Choices<'_>) {
        let (stubborn, gone, now) = (choices.byte() & 1 == 1, choices.byte(), self.now());
        let name = feed(FILES);
        let due = self.ledger.releases_due(&name, stubborn, 0, 100);
        let due: Vec<i64> = self.runtime.block_on(due).expect("an answer").iter().map(|it| it.id).collect();
        let release = self.release;
        let wanted = |it: &Document| it.is_to_be_released(release) && it.release_failed == stubborn;
        let wanted: Vec<i64> = self.documents.iter().filter(|(_, it)| wanted(it)).map(|(id, _)| *id).collect();
        assert_eq!(due, wanted);
        for (at, id) in due.into_iter().enumerate() {
            let released = gone >> (at % 8) & 1 == 0;
            let error = (!released).then(|| "locked".to_owned());
            self.runtime.block_on(self.ledger.settle_release(id, released, error, now)).expect("recorded");
            if let Some(document) = self.documents.get_mut(&id) {
                (document.released, document.release_failed) = (released, !released);
            }
        }
    }

    /// A crash, maybe while a file had its final name and no row.
    fn die(&mut self, choices: &mut Choices<'_>) {
        if choices.byte() & 1 == 1 {
            for Arrived { sealed, .. } in self.arrived.values() {
                let place = self.folder.join(format!("{}.{}", sealed.document.stem, sealed.media_type.extension()));
                if !place.exists() {
                    fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
                    fs::rename(&sealed.path, place).expect("a name");
                }
            }
        }
        self.crash();
    }

    /// The process dies as it is: the next one finds its files, and takes up what had arrived.
    pub fn crash(&mut self) {
        self.runs += 1;
        self.clock.advance(Duration::from_millis(1));
        let folder = FOLDER.join(self.runs.to_string());
        drop(fs::remove_dir_all(&folder));
        copy(&self.folder, &folder);
        let (runtime, ledger, intake, stop) = open(&folder, &self.clock, &self.targets);
        std::mem::replace(&mut self.runtime, runtime).shutdown_background();
        drop(fs::remove_dir_all(std::mem::replace(&mut self.folder, folder)));
        (self.ledger, self.intake, self._stop) = (ledger, intake, stop);
        self.taken = Default::default();
        let adopted = self.runtime.block_on(adopt(&self.intake, &self.ledger)).expect("taken up");
        assert_eq!(adopted.documents, self.arrived.len(), "what had arrived is taken up");
        for (id, Arrived { bytes, .. }) in std::mem::take(&mut self.arrived) {
            self.is_kept(id, bytes);
        }
        let incoming = fs::read_dir(self.folder.join(layout::INCOMING)).expect("a folder");
        assert_eq!(incoming.count(), 0, "something is left behind");
    }

    /// The ledger says what the model says.
    pub fn agree(&self) {
        for number in 0..FEEDS.len() {
            let mut rows = BTreeMap::new();
            let each = |row: vaguemestre::ledger::DocumentRow| {
                rows.insert(row.remote_id.clone(), row);
                Ok::<_, LedgerError>(())
            };
            self.runtime.block_on(self.ledger.documents(FEEDS[number], &Filter::default(), each)).expect("an answer");
            let ours = self.documents.values().filter(|it| it.feed == number);
            assert_eq!(rows.len(), ours.clone().count());
            for document in ours {
                let row = rows.get(&document.remote_id).unwrap_or_else(|| panic!("no row for {document:?}"));
                assert_eq!(row.state, document.state.as_str(), "{document:?}");
                assert_eq!(
                    (row.attempts, row.interruptions),
                    (document.attempts, document.interruptions),
                    "{document:?}"
                );
                assert_eq!(row.archive_path, document.copy, "{document:?}");
                assert!(!document.is_held() || row.archive_path.is_some(), "held, and no copy: {document:?}");
                assert_eq!(row.released_at.is_some(), document.released, "{document:?}");
            }
        }
        let counts = self.runtime.block_on(self.ledger.count_documents()).expect("an answer");
        let total: i64 = counts.iter().map(|it| it.count).sum();
        assert_eq!(usize::try_from(total), Ok(self.documents.len()));
        for count in counts {
            let ours = self.documents.values().filter(|it| FEEDS[it.feed] == count.feed && it.state == count.state);
            assert_eq!(usize::try_from(count.count), Ok(ours.count()), "{count:?}");
        }
    }

    /// Every copy that was ever made is there, as it was.
    pub fn nothing_is_missing(&self) {
        for (path, bytes) in &self.archived {
            assert_eq!(fs::read(self.folder.join(path)).ok().as_ref(), Some(bytes), "{path}");
        }
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

/// A document of the platform: of files, the `version` that lies in its place.
fn remote(number: usize, it: usize, version: u8) -> RemoteDocument {
    if number != FILES {
        return RemoteDocument::of_id(format!("{it}"));
    }
    let file =
        RemoteFile { path: format!("PES/{it}.xml"), etag: Some(format!("\"{version}\"")), ..RemoteFile::default() };
    RemoteDocument {
        circuit: Some("PES".to_owned()),
        file: Some(file),
        ..RemoteDocument::of_id(format!("PES/{it}.xml {version}"))
    }
}

/// What a platform may send: returns, small and large, the same again or not, and what is none.
fn body(id: i64, choices: &mut Choices<'_>) -> Vec<u8> {
    let kind = choices.byte();
    let text = match kind % 8 {
        0..=2 => format!("<retour id='{id}' serial='{}'/>", kind / 8 % 4),
        3 => format!("<retour id='{id}'>{}</retour>", "x".repeat(70_000)),
        4 => "%PDF-1.4 %%EOF".to_owned(),
        5 => "<html><title>maintenance</title></html>".to_owned(),
        6 => format!("<retour id='{id}'>"),
        _ => String::new(),
    };
    text.into_bytes()
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
