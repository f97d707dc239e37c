//! The order in which things become durable, judged by a recording of system calls: what a power cut at any moment may
//! leave. Names stand for files, and follow them through their renames.

use std::collections::HashMap;
use std::path::Path;

use super::strace::Call;

/// A document, as the ledger knows it in the end.
#[derive(Clone, Debug)]
pub struct Document {
    pub feed: String,
    pub remote_id: String,
    /// What a request for it holds in its first line.
    pub asked: String,
    /// Relative to the state directory, less the extension.
    pub stem: String,
    pub archive_path: Option<String>,
    pub quarantine_path: Option<String>,
    /// Its copy, for the target `inbox`.
    pub copy: Option<String>,
    /// It was removed from its platform.
    pub released: bool,
}

/// One file of the recording.
#[derive(Debug, Default)]
struct File {
    /// Ends of its writes.
    written: Vec<usize>,
    /// Beginnings and ends of its syncs.
    synced: Vec<(usize, usize)>,
    /// New names: beginning, end, name.
    named: Vec<(usize, usize, String)>,
}

/// What a recording holds.
pub struct Order<'a> {
    calls: &'a [Call],
    state: String,
    files: Vec<File>,
    complaints: Vec<String>,
}

/// What is wrong with `calls`, which collected `documents` into `state`.
pub fn complaints(calls: &[Call], state: &Path, documents: &[Document]) -> Vec<String> {
    let mut order = Order { calls, state: state.display().to_string(), files: files(calls), complaints: Vec::new() };
    order.ledger_is_named();
    for document in documents {
        order.judge(document);
    }
    order.complaints
}

fn files(calls: &[Call]) -> Vec<File> {
    let (mut files, mut names) = (Vec::<File>::new(), HashMap::<String, usize>::new());
    for call in calls.iter().filter(|call| call.done) {
        let mut of = |name: &str| {
            *names.entry(name.to_owned()).or_insert_with(|| {
                files.push(File::default());
                files.len() - 1
            })
        };
        if call.renames() {
            let [from, to] = call.strings()[..] else { continue };
            let file = of(from);
            names.remove(from);
            names.insert(to.to_owned(), file);
            files[file].named.push((call.begin, call.end, to.to_owned()));
        } else if call.unlinks() {
            names.remove(call.path().unwrap_or_default());
        } else if let Some(name) = call.file().filter(|name| name.starts_with('/')) {
            let file = of(name);
            if call.writes() {
                files[file].written.push(call.end);
            } else if call.syncs() {
                files[file].synced.push((call.begin, call.end));
            }
        }
    }
    files
}

impl Order<'_> {
    fn complain(&mut self, what: impl Into<String>) {
        self.complaints.push(what.into());
    }

    /// The end of a sync of `folder` that began after `from` and ended before `until`.
    fn folder_synced(&self, folder: &str, from: usize, until: usize) -> Option<usize> {
        let synced = |call: &&Call| call.done && call.syncs() && call.file() == Some(folder);
        let mut syncs = self.calls.iter().filter(synced).filter(|call| call.begin > from && call.end < until);
        syncs.next().map(|call| call.end)
    }

    /// Beginning of the first write to the ledger's log that holds `text`, and the end of the sync that made it durable.
    fn committed(&self, text: &str) -> Option<(usize, usize)> {
        let log = format!("{}/ledger.sqlite-wal", self.state);
        let mut ours = self.calls.iter().filter(|call| call.done && call.file() == Some(&log));
        let written = ours.find(|call| call.writes() && call.arguments.contains(text))?;
        let mut syncs = ours.filter(|call| call.syncs() && call.begin > written.end);
        syncs.next().map(|sync| (written.begin, sync.end))
    }

    /// When a request with `line` left first.
    fn sent(&self, line: &str) -> Option<usize> {
        let mut sends = self.calls.iter().filter(|call| call.sends());
        sends
            .find(|call| {
                call.strings().iter().any(|text| text.split("HTTP/1.1").next().is_some_and(|it| it.contains(line)))
            })
            .map(|call| call.begin)
    }

    /// The ledger's log has its name durably before anything is asked for.
    fn ledger_is_named(&mut self) {
        let log = format!("{}/ledger.sqlite-wal", self.state);
        let makes =
            |call: &&Call| call.name == "openat" && call.path() == Some(&log) && call.arguments.contains("O_CREAT");
        let Some(made) = self.calls.iter().find(makes).map(|call| call.end) else {
            return self.complain("the ledger was not made");
        };
        let first = self.sent("GET ").or_else(|| self.sent("PROPFIND ")).unwrap_or(usize::MAX);
        if self.folder_synced(&self.state, made, first).is_none() {
            self.complain("a request left before the ledger's log had its name durably");
        }
    }

    fn judge(&mut self, document: &Document) {
        let id = document.remote_id.as_str();
        let claimed = self.committed(&document.stem);
        match (claimed, self.sent(&format!("GET {}", document.asked))) {
            (Some((_, claimed)), Some(sent)) if claimed < sent => {}
            (_, None) => self.complain(format!("{id} was never asked for")),
            _ => self.complain(format!("{id} was asked for before its claim was durable")),
        }
        if let Some(path) = &document.quarantine_path {
            let known = self.committed(path).map_or(usize::MAX, |(begin, _)| begin);
            self.placed(id, path, known);
        }
        let Some(path) = &document.archive_path else { return };
        let Some((written, durable)) = self.committed(path) else {
            return self.complain(format!("{id} was never recorded durably"));
        };
        self.placed(id, path, written);
        if document.released && self.sent(&format!("DELETE {}", document.asked)).is_none_or(|sent| sent < durable) {
            self.complain(format!("{id} was removed before its record was durable"));
        }
        if let Some(copy) = &document.copy {
            let done = self.committed(&format!("{}{id}inboxdelivered", document.feed)).map(|(begin, _)| begin);
            if done.is_none() {
                self.complain(format!("the delivery of {id} was never recorded durably"));
            }
            let named = self.placed(id, copy, done.unwrap_or(usize::MAX));
            if named.is_some_and(|named| named < durable) {
                self.complain(format!("{id} was delivered before its record was durable"));
            }
        }
    }

    /// The file at `path`, relative to the state directory, was synced before it was so named, the folder (and every new one
    /// above it) after, all before `recorded`. Answers when it was named.
    fn placed(&mut self, id: &str, path: &str, recorded: usize) -> Option<usize> {
        let full = format!("{}/{path}", self.state);
        let found = self.files.iter().find_map(|file| {
            let (begin, end, _) = file.named.iter().find(|(_, _, name)| *name == full)?;
            let last = file.written.iter().copied().filter(|at| at < begin).max();
            let later = file.written.iter().any(|at| at > begin);
            let synced = last.is_some_and(|last| file.synced.iter().any(|sync| sync.0 > last && sync.1 < *begin));
            Some((*begin, *end, synced, later))
        });
        let Some((begin, end, synced, later)) = found else {
            self.complain(format!("{path} of {id} never got its name"));
            return None;
        };
        if !synced {
            self.complain(format!("{path} of {id} was not synced before its rename"));
        }
        if later {
            self.complain(format!("{path} of {id} was written after its rename"));
        }
        let folder = full.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        if self.folder_synced(&folder, end, recorded).is_none() {
            self.complain(format!("the folder of {path} of {id} was not synced between its rename and its record"));
        }
        let made = self.calls.iter().filter(|call| call.done && call.makes_folder());
        let above = |call: &&Call| call.path().is_some_and(|made| full.starts_with(&format!("{made}/")));
        let unsynced: Vec<String> = made
            .filter(above)
            .filter_map(|call| {
                let made = call.path()?;
                let (parent, _) = made.rsplit_once('/')?;
                self.folder_synced(parent, call.end, recorded).is_none().then(|| made.to_owned())
            })
            .collect();
        for folder in unsynced {
            self.complain(format!("the new folder {folder} above {path} of {id} was not synced into its parent"));
        }
        Some(begin)
    }
}
