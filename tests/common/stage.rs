//! A pass that is struck at its n-th system call, for any n, and what must be there in the end all the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use vaguemestre::feed::Kind;
use vaguemestre::simulator::Call as Asked;
use vaguemestre::simulator::keys::Standing;

use super::strace::{self, Call};
use super::{SIREN, Town, files, sample};

/// Documents that never leave memory before they have ended, and documents that spill.
const SIZES: [usize; 4] = [2_000, 90_000, 3_000, 200_000];
/// Calls that are counted together.
pub const SETS: [&str; 5] =
    ["fsync,fdatasync", "rename,renameat,renameat2,link,linkat", "write,pwrite64", "unlink,unlinkat", "mkdir,mkdirat"];

/// A moment of a pass: before the n-th call of a set that one thread makes, of all or of those on a path (relative to the
/// state directory).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    pub set: &'static str,
    pub path: Option<PathBuf>,
    pub nth: usize,
}

/// A new installation, and its platform with all documents.
pub struct Stage {
    pub town: Town,
    pub connector: &'static str,
}

impl Stage {
    pub async fn set(connector: &'static str) -> Self {
        let town = Town::bare().await;
        let mairie = town.account("mairie", SIREN, Standing::Valid);
        let feeds = format!("{mairie}feeds = [\"acquittements\"]\n");
        town.configure("1ms", &format!("connector = \"{connector}\"\nconcurrency = 2\n"), &feeds);
        for (number, bytes) in bodies() {
            match connector {
                "webdav" => town.platform.put_file(SIREN, &format!("PES/{number}.xml"), bytes),
                _ => town.platform.put(SIREN, Kind::Acquittements, number, bytes),
            }
        }
        Self { town, connector }
    }

    /// Every moment of a whole pass.
    pub async fn moments(&self) -> Vec<Moment> {
        let record = self.town.folder.path().join("record");
        let poll = strace::on_one_processor(&self.town.command(&["poll", "fast/*"]));
        let output = strace::run(strace::under(&strace::recording(&record), &poll)).await;
        assert_eq!(output.status.code(), Some(0), "{}", super::complained(&output));
        self.check("undisturbed", BTreeSet::new(), 0).await;
        let calls = strace::parse(&String::from_utf8_lossy(&std::fs::read(&record).unwrap()));
        let mut counts: BTreeMap<(&'static str, Option<PathBuf>), HashMap<u32, usize>> = BTreeMap::new();
        for call in calls.iter().filter(|call| call.done) {
            let Some(set) = SETS.into_iter().find(|set| set.split(',').any(|name| name == call.name)) else { continue };
            for path in self.paths(call).into_iter().map(Some).chain([None]) {
                *counts.entry((set, path)).or_default().entry(call.thread).or_default() += 1;
            }
        }
        let moments = counts.into_iter().flat_map(|((set, path), threads)| {
            let most = threads.into_values().max().unwrap_or(0);
            (1..=most).map(move |nth| Moment { set, path: path.clone(), nth })
        });
        moments.collect()
    }

    /// Paths of ours by which a call is known in another run.
    fn paths(&self, call: &Call) -> Vec<PathBuf> {
        let state = self.town.state();
        let paths = call.paths().into_iter().filter_map(|path| path.strip_prefix(&state).ok().map(PathBuf::from));
        // Copies on their way bear the mark of their installation.
        paths.filter(|path| !path.starts_with("inbox/.vaguemestre")).collect()
    }

    /// A pass that dies at `moment`, if it comes to it; then the end is what it always is. Answers whether it
    /// came to it.
    pub async fn die(&self, moment: &Moment) -> bool {
        let path = moment.path.as_ref().map(|path| self.town.state().join(path));
        let options = strace::injecting(moment.set, "signal=KILL", &moment.nth.to_string(), path.as_deref());
        let poll = strace::on_one_processor(&self.town.command(&["poll", "fast/*"]));
        let output = strace::run(strace::under(&options, &poll)).await;
        let killed = output.status.signal() == Some(9) || output.status.code() == Some(137);
        assert!(killed || output.status.code() == Some(0), "{moment:?}: {}", super::complained(&output));
        let what = format!("{} {moment:?}", self.connector);
        self.assert_whole(&what);
        let held = self.held().await;
        let after = self.town.platform.requests().len();
        for _ in 0..2 {
            let said = self.town.poll().await;
            assert_eq!(said.code, 0, "{what}: {said:?}");
        }
        self.check(&what, held, after).await;
        killed
    }

    /// A pass that is told `error` at `moment`, if it comes to it; then the end is what it always is.
    pub async fn suffer(&self, moment: &Moment, error: &str) -> bool {
        let path = moment.path.as_ref().map(|path| self.town.state().join(path));
        let (what, nth) = (format!("error={error}"), moment.nth.to_string());
        let options = strace::injecting(moment.set, &what, &nth, path.as_deref());
        let poll = strace::on_one_processor(&self.town.command(&["poll", "fast/*"]));
        let output = strace::run(strace::under(&options, &poll)).await;
        let complaint = super::complained(&output);
        let what = format!("{} {error} {moment:?}: {complaint}", self.connector);
        assert!(matches!(output.status.code(), Some(0 | 1 | 75)), "{what}");
        self.assert_whole(&what);
        let held = self.held().await;
        let after = self.town.platform.requests().len();
        for _ in 0..3 {
            self.forget_pauses().await;
            let said = self.town.poll().await;
            assert_eq!(said.code, 0, "{what}: {said:?}");
        }
        self.check(&what, held, after).await;
        complaint.contains("os error") || output.status.code() != Some(0)
    }

    /// Deliveries that failed are due now.
    async fn forget_pauses(&self) {
        if self.town.state().join("ledger.sqlite").exists() {
            let tables = self.town.query("SELECT 1 FROM sqlite_schema WHERE name = 'deliveries'").await;
            if !tables.is_empty() {
                self.town.query("UPDATE deliveries SET next_try_at = created_at WHERE state = 'failed'").await;
            }
        }
    }

    /// Everything that shows in the inbox is whole.
    pub fn assert_whole(&self, what: &str) {
        let whole: BTreeSet<Vec<u8>> = bodies().map(|(_, bytes)| bytes).collect();
        for file in self.town.inbox_files() {
            let bytes = std::fs::read(self.town.inbox().join(&file)).unwrap();
            assert!(whole.contains(&bytes), "{what}: {} has {} bytes", file.display(), bytes.len());
        }
    }

    /// Documents that are recorded, or lie sealed: never to be asked for again. Read from a copy of the ledger, for what the
    /// dead process left is for the next one to recover.
    pub async fn held(&self) -> BTreeSet<String> {
        let (state, copy) = (self.town.state(), tempfile::tempdir().unwrap());
        for file in ["ledger.sqlite", "ledger.sqlite-wal"] {
            if state.join(file).exists() {
                std::fs::copy(state.join(file), copy.path().join(file)).unwrap();
            }
        }
        if !copy.path().join("ledger.sqlite").exists() {
            return BTreeSet::new();
        }
        let tables = super::query_at(copy.path(), "SELECT 1 FROM sqlite_schema WHERE name = 'documents'").await;
        if tables.is_empty() {
            return BTreeSet::new();
        }
        let arriving = files_of(&state.join("archive/.incoming"));
        let rows = super::query_at(copy.path(), "SELECT id, remote_id, state FROM documents").await;
        let held = rows.into_iter().filter(|row| {
            let sealed = |name: &String| name.starts_with(&format!("{}.", row[0])) && name.ends_with(".sealed");
            matches!(row[2].as_str(), "stored" | "delivered") || arriving.iter().any(sealed)
        });
        held.map(|row| row[1].split('@').next().unwrap().to_owned()).collect()
    }

    /// Every document lies in archive and inbox, byte for byte, and nowhere else; what was `held` was not asked for `after`
    /// that; another pass does nothing.
    pub async fn check(&self, what: &str, held: BTreeSet<String>, after: usize) {
        let mut bytes: Vec<Vec<u8>> = bodies().map(|(_, bytes)| bytes).collect();
        bytes.sort();
        for folder in [self.town.inbox(), self.town.state().join("archive/fast")] {
            let mut found: Vec<Vec<u8>> =
                files(&folder).iter().map(|file| std::fs::read(folder.join(file)).unwrap()).collect();
            found.sort();
            assert!(found == bytes, "{what}: {} holds {:?}", folder.display(), files(&folder));
        }
        assert_eq!(files_of(&self.town.state().join("archive/.incoming")), Vec::<String>::new(), "{what}");
        assert_eq!(files_of(&self.town.inbox().join(".vaguemestre")), Vec::<String>::new(), "{what}");
        let states = self.town.query("SELECT DISTINCT state, attempts FROM documents").await;
        assert_eq!(states, [["delivered", "0"]], "{what}");
        assert_eq!(self.town.platform.files(SIREN), Vec::<String>::new(), "{what}");
        let done = self.town.platform.requests().len();
        for record in &self.town.platform.requests()[after..] {
            let id = record.id.clone().unwrap_or_default();
            assert!(
                record.call != Some(Asked::Download) || !held.contains(&id),
                "{what}: {id} was held, and asked for again"
            );
        }
        let said = self.town.poll().await;
        assert_eq!(said.code, 0, "{what}: {said:?}");
        let idle = |call| matches!(call, Some(Asked::List));
        assert!(self.town.platform.requests()[done..].iter().all(|record| idle(record.call)), "{what}");
    }
}

fn bodies() -> impl Iterator<Item = (u64, Vec<u8>)> {
    (1..).zip(SIZES).map(|(number, size)| (number, sample(Kind::Acquittements, number, size)))
}

/// Names of what lies in a folder.
fn files_of(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Of `moments` some of each set, or with `EXHAUSTIVE=1` all.
pub fn choose(moments: &[Moment], some: usize) -> Vec<&Moment> {
    let exhaustive = std::env::var_os("EXHAUSTIVE").is_some();
    // Writes are many, and of the rarer sets as many are tried.
    let chosen = SETS.into_iter().flat_map(|set| {
        let of: Vec<&Moment> = moments.iter().filter(|moment| moment.set == set).collect();
        let step = if exhaustive { 1 } else { of.len().div_ceil(some).max(1) };
        of.into_iter().step_by(step).collect::<Vec<_>>()
    });
    chosen.collect()
}
