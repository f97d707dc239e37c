//! Keeps sealed documents: syncs, final names and the commit, for all that finish together.
//!
//! Durability costs per batch: while one is synced, the next gathers.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;

use super::IntakeError;
use crate::archive::write;
use crate::clock::Clock;
use crate::config::Target;
use crate::content::MediaType;
use crate::ledger::{Claimed, Kept, Ledger};
use crate::log::event;

/// Documents kept together at most.
const BATCH: usize = 32;
/// Threads that sync one batch: more gained nothing on ext4.
const SYNCERS: usize = 4;
/// Sealed documents that may wait; then downloads wait too.
const QUEUE: usize = 64;
/// Pause before a failed commit is tried again, doubling.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A body that has ended and passed its checks.
#[derive(Debug)]
pub struct Sealed {
    /// Whose it is.
    pub document: Claimed,
    /// Its file, named for its content.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// What the bytes are.
    pub media_type: MediaType,
}

type Reply = oneshot::Sender<Result<(), IntakeError>>;

/// What the task is sent.
#[derive(Debug)]
enum Message {
    Keep(Waiting),
    /// Answered when everything sent before has been dealt with.
    Settled(oneshot::Sender<()>),
}

struct Waiting {
    sealed: Sealed,
    poll: Option<i64>,
    reply: Reply,
}

/// The way to the task that keeps. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    queue: mpsc::Sender<Message>,
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

impl Keeper {
    pub(super) fn start(
        root: Arc<PathBuf>,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        targets: Arc<RwLock<Vec<Target>>>,
        stored: watch::Sender<()>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let desk = Desk { root, ledger, clock, targets, stored, stopping };
        tokio::spawn(desk.work(waiting));
        Self { queue }
    }

    pub(super) async fn keep(&self, sealed: Sealed, poll: Option<i64>) -> Result<(), IntakeError> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Message::Keep(Waiting { sealed, poll, reply })).await.map_err(|_| IntakeError::Stopping)?;
        answer.await.map_err(|_| IntakeError::Stopping)?
    }

    /// Returns when everything sent before has been kept, or has failed.
    pub(super) async fn settled(&self) {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Message::Settled(reply)).await.is_ok() {
            // The task has ended: nothing is left to be dealt with.
            let _ = answer.await;
        }
    }
}

struct Desk {
    root: Arc<PathBuf>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    targets: Arc<RwLock<Vec<Target>>>,
    /// Tells the couriers.
    stored: watch::Sender<()>,
    stopping: watch::Receiver<bool>,
}

impl Desk {
    async fn work(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut messages = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut messages, BATCH).await > 0 {
            let (mut batch, mut asking) = (Vec::with_capacity(messages.len()), Vec::new());
            for message in messages.drain(..) {
                match message {
                    Message::Keep(waiting) => batch.push(waiting),
                    Message::Settled(reply) => asking.push(reply),
                }
            }
            if !batch.is_empty() {
                self.keep(batch).await;
            }
            for reply in asking {
                // Nobody waits any more when the daemon stops.
                let _ = reply.send(());
            }
        }
    }

    /// One batch. A file that cannot be synced or placed fails alone; the others go on.
    async fn keep(&mut self, batch: Vec<Waiting>) {
        let root = Arc::clone(&self.root);
        let (sealed, others): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.sealed, (waiting.poll, waiting.reply))).unzip();
        let placed = match spawn_blocking(move || place_all(&root, sealed)).await {
            Ok(placed) => placed,
            // The blocking task panicked or the runtime ends: whoever waits sees its sender dropped.
            Err(error) => {
                return tracing::error!(%error, "keeping documents was cut short; they are adopted at next start");
            }
        };
        let mut kept = Vec::with_capacity(placed.len());
        let mut replies: Vec<Reply> = Vec::with_capacity(placed.len());
        for ((sealed, placed), (poll, reply)) in placed.into_iter().zip(others) {
            match placed {
                Ok(archive_path) => {
                    kept.push(self.record(sealed, archive_path, poll));
                    replies.push(reply);
                }
                Err(source) => answer(reply, Err(IntakeError::Disk { path: sealed.path, source })),
            }
        }
        if kept.is_empty() {
            return;
        }
        if self.commit(&kept).await {
            kept.iter().for_each(announce);
            self.stored.send_replace(());
            replies.into_iter().for_each(|reply| answer(reply, Ok(())));
        } else {
            replies.into_iter().for_each(|reply| answer(reply, Err(IntakeError::Stopping)));
        }
    }

    fn record(&self, sealed: Sealed, archive_path: String, poll: Option<i64>) -> Kept {
        let feed = sealed.document.feed;
        let targets = self.targets.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let targets = targets.iter().filter(|target| target.wants(&feed)).map(|target| target.name.clone()).collect();
        Kept {
            id: sealed.document.id,
            feed,
            remote_id: sealed.document.remote_id,
            poll,
            size: i64::try_from(sealed.size).unwrap_or(i64::MAX),
            sha256: sealed.sha256,
            media_type: sealed.media_type.as_str(),
            archive_path,
            targets,
        }
    }

    /// Commits; while the ledger fails, holds the documents (their files are safe) and with them all intake, and tries
    /// again. Answers false when the daemon stops first: the next start adopts them.
    async fn commit(&mut self, kept: &[Kept]) -> bool {
        let mut pause = PAUSE;
        loop {
            match self.ledger.keep(kept.to_vec(), self.clock.now()).await {
                Ok(()) => return true,
                Err(error) => {
                    tracing::error!(
                        event = event::DISK_LOW,
                        kind = error.kind(),
                        documents = kept.len(),
                        remedy = error.remedy(),
                        "documents are safe in the archive but cannot be recorded: {error}"
                    );
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                _ = self.stopping.wait_for(|stopping| *stopping) => return false,
            }
        }
    }
}

fn announce(kept: &Kept) {
    tracing::info!(event = event::DOCUMENT_STORED, feed = %kept.feed, remote_id = kept.remote_id, size = kept.size,
        sha256 = kept.sha256, "stored {} of {}", kept.remote_id, kept.feed);
}

fn answer(reply: Reply, outcome: Result<(), IntakeError>) {
    // Nobody waits any more when the poll was cut short; what was done stands.
    let _ = reply.send(outcome);
}

type Placed = (Sealed, io::Result<String>);

/// Syncs every file, renames each to its stem, syncs each folder once: in that order.
fn place_all(root: &Path, batch: Vec<Sealed>) -> Vec<Placed> {
    let synced = sync_files(&batch);
    let mut folders = BTreeSet::new();
    let mut placed: Vec<Placed> = batch
        .into_iter()
        .zip(synced)
        .map(|(sealed, synced)| {
            let outcome = synced.and_then(|()| place_one(root, &sealed)).inspect(|path| {
                folders.extend(root.join(path).parent().map(Path::to_owned));
            });
            (sealed, outcome)
        })
        .collect();
    for folder in folders {
        if let Err(error) = write::sync_folder(&folder) {
            for (_, outcome) in &mut placed {
                if outcome.as_ref().is_ok_and(|path| root.join(path).parent() == Some(&folder)) {
                    *outcome = Err(io::Error::new(error.kind(), error.to_string()));
                }
            }
        }
    }
    placed
}

fn sync_files(batch: &[Sealed]) -> Vec<io::Result<()>> {
    let share = batch.len().div_ceil(SYNCERS).max(1);
    if batch.len() == 1 {
        return batch.iter().map(|sealed| write::sync_file(&sealed.path)).collect();
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = batch
            .chunks(share)
            .map(|part| scope.spawn(|| part.iter().map(|one| write::sync_file(&one.path)).collect::<Vec<_>>()))
            .collect();
        let shares = batch.chunks(share);
        threads
            .into_iter()
            .zip(shares)
            .flat_map(|(thread, part)| {
                let lost = || part.iter().map(|_| Err(io::Error::other("the syncing thread died"))).collect();
                thread.join().unwrap_or_else(|_| lost())
            })
            .collect()
    })
}

/// The final name: the stem claimed before the request left, with the extension of what the bytes are.
fn place_one(root: &Path, sealed: &Sealed) -> io::Result<String> {
    let relative = format!("{}.{}", sealed.document.stem, sealed.media_type.extension());
    let path = Path::new(&relative);
    if let Some(folder) = path.parent() {
        write::make_folders(root, folder, 0o700)?;
    }
    write::place(&sealed.path, &root.join(path))?;
    Ok(relative)
}
