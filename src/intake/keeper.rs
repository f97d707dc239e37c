//! Keeps sealed documents: final names and the commit, for all that are synced meanwhile.
//!
//! Durability costs per batch: while one is recorded, the next gathers.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::place::Unplaced;
use super::syncing::{Synced, Syncing};
use super::trust::Trust;
use super::{IntakeError, place};
use crate::archive::write::Folders;
use crate::clock::Clock;
use crate::config::Target;
use crate::content::MediaType;
use crate::content::summary::Summary;
use crate::ledger::{Claimed, Kept, Ledger};
use crate::log::event;

/// Documents kept together at most.
const BATCH: usize = 64;
/// How long the first of a batch waits for others: nobody waits for it, and a batch costs what one document does.
const GATHERING: Duration = Duration::from_millis(20);
/// Sealed documents that may wait to be synced; then downloads wait too.
const QUEUE: usize = 64;
/// Labels of a refusal that the log shows.
const LABELS: usize = 20;
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
    /// What they say, as far as that is read.
    pub summary: Option<Summary>,
    /// Its sync.
    pub syncing: Syncing,
}

type Reply = oneshot::Sender<Result<(), IntakeError>>;

/// What the task is sent.
#[derive(Debug)]
enum Message {
    Keep(Box<Waiting>),
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
        trust: Arc<Trust>,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        targets: Arc<RwLock<Vec<Target>>>,
        stored: watch::Sender<()>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let folders = Arc::new(Folders::default());
        let desk = Desk { root, folders, trust, ledger, clock, targets, stored, stopping };
        tokio::spawn(desk.work(waiting));
        Self { queue }
    }

    pub(super) async fn keep(&self, sealed: Sealed, poll: Option<i64>) -> Result<(), IntakeError> {
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Message::Keep(Box::new(Waiting { sealed, poll, reply })))
            .await
            .map_err(|_| IntakeError::Stopping)?;
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
    folders: Arc<Folders>,
    trust: Arc<Trust>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    targets: Arc<RwLock<Vec<Target>>>,
    /// Tells the couriers.
    stored: watch::Sender<()>,
    stopping: watch::Receiver<bool>,
}

impl Desk {
    async fn work(mut self, mut queue: mpsc::Receiver<Message>) {
        let (mut syncing, mut batch) = (FuturesUnordered::new(), Vec::with_capacity(BATCH));
        let (mut open, mut due, mut asking) = (true, None, Vec::new());
        loop {
            // Nothing more belongs to this batch: it is full, or nobody is to wait for more.
            let settled = syncing.is_empty() && (!open || !asking.is_empty());
            if settled || batch.len() >= BATCH {
                self.keep(std::mem::take(&mut batch)).await;
                due = None;
            }
            if settled {
                for reply in asking.drain(..) {
                    // Nobody waits any more when the daemon stops.
                    let _: Result<(), ()> = oneshot::Sender::send(reply, ());
                }
                if !open {
                    return;
                }
            }
            // Whoever asks whether all is settled is answered before anything else comes in.
            let receives = open && asking.is_empty() && syncing.len() < QUEUE;
            tokio::select! {
                biased;
                message = queue.recv(), if receives => match message {
                    Some(Message::Keep(waiting)) => syncing.push(synced(*waiting)),
                    Some(Message::Settled(reply)) => asking.push(reply),
                    None => open = false,
                },
                Some(next) = syncing.next() => {
                    batch.push(next);
                    due.get_or_insert_with(|| Instant::now() + GATHERING);
                }
                () = reached(due) => {
                    self.keep(std::mem::take(&mut batch)).await;
                    due = None;
                }
            }
        }
    }

    /// One batch. A file that could not be synced counts as lost, and fails alone. What is synced is safe: where it cannot
    /// get its final name or its row, all intake waits and it is tried again, until the daemon stops.
    async fn keep(&mut self, batch: Vec<(Waiting, io::Result<Synced>)>) {
        let mut safe = Vec::with_capacity(batch.len());
        for (waiting, synced) in batch {
            match synced {
                Ok(synced) => safe.push((waiting, synced)),
                Err(source) => self.give_up(waiting.sealed, source, waiting.reply).await,
            }
        }
        let mut pause = PAUSE;
        while !safe.is_empty() {
            safe = self.place_and_record(safe).await;
            if safe.is_empty() || !self.wait(&mut pause).await {
                break;
            }
        }
        safe.into_iter().for_each(|(waiting, _)| answer(waiting.reply, Err(IntakeError::Stopping)));
    }

    /// Gives synced files their final names and records them. Answers those that could not be placed.
    async fn place_and_record(&mut self, batch: Vec<(Waiting, Synced)>) -> Vec<(Waiting, Synced)> {
        let (root, folders) = (Arc::clone(&self.root), Arc::clone(&self.folders));
        let (sealed, others): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|(waiting, synced)| ((waiting.sealed, synced), (waiting.poll, waiting.reply)))
            .unzip();
        let Some(placed) = blocking(move || place::place_all(&root, &folders, sealed)).await else {
            return Vec::new();
        };
        let (mut kept, mut rejected, mut replies, mut left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for ((sealed, synced, placed), (poll, reply)) in placed.into_iter().zip(others) {
            match placed {
                Ok(archive_path) => {
                    rejected.push(sealed.summary.as_ref().and_then(|summary| summary.rejected.clone()));
                    kept.push(self.record(sealed, archive_path, poll));
                    replies.push(reply);
                }
                Err(Unplaced::Lost(source)) => self.give_up(sealed, source, reply).await,
                Err(Unplaced::Again(error)) => {
                    tracing::error!(event = event::DISK_LOW, feed = %sealed.document.feed, %error,
                        "{} of {} is safe, and cannot be placed in the archive: {error}; make room or mend the disk, it \
                         is tried again", sealed.document.remote_id, sealed.document.feed);
                    left.push((Waiting { sealed, poll, reply }, synced));
                }
            }
        }
        if kept.is_empty() {
            return left;
        }
        if let Some(twins) = self.commit(&kept).await {
            for ((kept, rejected), twin) in kept.iter().zip(&rejected).zip(&twins) {
                announce(kept, rejected.as_deref(), twin.as_deref());
            }
            self.stored.send_replace(());
            replies.into_iter().for_each(|reply| answer(reply, Ok(())));
        } else {
            replies.into_iter().for_each(|reply| answer(reply, Err(IntakeError::Stopping)));
        }
        left
    }

    /// A sync failed: it is never tried again, and nothing is collected before the disk has proved itself.
    async fn give_up(&self, sealed: Sealed, source: io::Error, reply: Reply) {
        self.trust.doubt(&source);
        let root = Arc::clone(&self.root);
        if let Some(error) = blocking(move || place::condemn(&root, sealed, source)).await {
            answer(reply, Err(error));
        }
    }

    /// Pauses before another try; false when the daemon stops.
    async fn wait(&mut self, pause: &mut Duration) -> bool {
        tokio::select! {
            () = tokio::time::sleep(*pause) => {
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                true
            }
            _ = self.stopping.wait_for(|stopping| *stopping) => false,
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
            name: sealed.summary.as_ref().and_then(|summary| summary.nom_fic.clone()),
            summary: sealed.summary.map(|summary| summary.json.to_string()),
            targets,
        }
    }

    /// Commits; while the ledger fails, holds the documents (their files are safe) and with them all intake, and tries
    /// again. Answers what it knew of each; `None` when the daemon stops first: the next start adopts them.
    async fn commit(&mut self, kept: &[Kept]) -> Option<Vec<Option<String>>> {
        let mut pause = PAUSE;
        loop {
            match self.ledger.keep(kept.to_vec(), self.clock.now()).await {
                Ok(twins) => return Some(twins),
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
            if !self.wait(&mut pause).await {
                return None;
            }
        }
    }
}

/// `waiting`, once its sync has ended.
async fn synced(mut waiting: Waiting) -> (Waiting, io::Result<Synced>) {
    let outcome = waiting.sealed.syncing.outcome().await;
    (waiting, outcome)
}

async fn reached(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = spawn_blocking(work).await;
    // It panicked, or the runtime ends: whoever waits sees its sender dropped.
    done.inspect_err(|error| tracing::error!(event = event::DAEMON_FAULT, %error, "keeping documents was cut short; they are adopted at next start"))
        .ok()
}

/// Says what was stored; `rejected` are the labels of an acknowledgement that refuses a deposit, `twin` the id under which
/// the same bytes had come over another interface.
fn announce(kept: &Kept, rejected: Option<&[String]>, twin: Option<&str>) {
    let Kept { feed, remote_id, size, sha256, .. } = kept;
    let name = kept.name.as_deref().unwrap_or(remote_id);
    if let Some(twin) = twin {
        tracing::info!(event = event::DOCUMENT_STORED, feed = %feed, remote_id, size, sha256, same_as = twin,
            "stored {remote_id} of {feed}: the same as {twin}, which came over another interface; it is not delivered again");
        return;
    }
    tracing::info!(event = event::DOCUMENT_STORED, feed = %feed, remote_id, size, sha256, "stored {remote_id} of {feed}");
    if let Some(labels) = rejected {
        let labels = joined(labels);
        tracing::warn!(event = event::DOCUMENT_REJECTED, feed = %feed, remote_id, nom_fic = kept.name, labels,
            "Hélios refuses {name} ({remote_id} of {feed}): {labels}");
    }
}

/// The labels of a refusal as the log has them: there may be thousands.
fn joined(labels: &[String]) -> String {
    match labels.split_at_checked(LABELS) {
        None if labels.is_empty() => "without saying why".to_owned(),
        Some((first, rest)) if !rest.is_empty() => format!("{}; … and {} more", first.join("; "), rest.len()),
        _ => labels.join("; "),
    }
}

fn answer(reply: Reply, outcome: Result<(), IntakeError>) {
    // Nobody waits any more when the poll was cut short; what was done stands.
    let _ = reply.send(outcome);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_shows_some_labels_of_a_refusal_and_how_many_there_are() {
        let labels: Vec<String> = (1..=25).map(|number| number.to_string()).collect();
        assert_eq!(joined(&[]), "without saying why");
        assert_eq!(joined(&labels[..2]), "1; 2");
        assert!(joined(&labels[..20]).ends_with("; 19; 20"));
        assert!(joined(&labels).ends_with("; 19; 20; … and 5 more"));
    }
}
