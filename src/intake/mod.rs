//! From bytes to a fact: a body is received, checked, kept (or set aside), and recorded with its deliveries.
//!
//! The order, which survives any crash (F5): the temporary file bears the row's number; a body that has ended and
//! passed its checks is renamed at once to a name that holds its size and SHA-256, and synced; then, in batches, files are
//! renamed to their stems, folders synced, and one commit says `stored`. After a crash [`adoption`] takes up every file
//! whose content matches its name.

mod adoption;
mod aside;
mod keeper;
mod place;
mod reception;
mod sorting;
mod syncing;
#[cfg(test)]
mod tests;
mod trust;

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use tokio::sync::watch;
use tokio::task::spawn_blocking;

pub use adoption::{Adopted, Measured, adopt, measure_copy, rescue};
pub use keeper::Sealed;
pub use reception::{Objection, Reception, Verdict, measure};
pub use syncing::Syncing;

use crate::archive::{layout, write};
use crate::clock::Clock;
use crate::config::Target;
use crate::ledger::{Claimed, Ledger, LedgerError};

/// Our own disk or ledger failed: nothing counts against the document, and the poll ends.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The archive could not be written.
    #[error("cannot write {}", path.display())]
    Disk {
        /// What could not be written.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A document, or its name, could not be synced, which is never tried again: it counts as lost.
    #[error("{} could not be synced, and counts as lost{}", path.display(), lies(aside.as_ref()))]
    Unsynced {
        /// Where it lay.
        path: PathBuf,
        /// Where its bytes are set aside, relative to the state directory, and their SHA-256.
        aside: Option<(String, String)>,
        /// What the system says.
        source: std::io::Error,
    },
    /// The ledger could not be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The daemon stops.
    #[error("the daemon is stopping")]
    Stopping,
}

/// Why nothing is collected while the disk is not trusted.
pub const DISTRUST: &str =
    "the disk of the archive has failed: nothing is collected until a file can be written and synced there";

fn lies(aside: Option<&(String, String)>) -> String {
    aside.map_or_else(String::new, |(path, _)| format!(" (its bytes are set aside in {path})"))
}

/// What all downloads share on their way in.
#[derive(Clone, Debug)]
pub struct Intake {
    root: Arc<PathBuf>,
    ledger: Ledger,
    trust: Arc<trust::Trust>,
    keeper: keeper::Keeper,
    targets: Arc<RwLock<Vec<Target>>>,
}

impl Intake {
    /// Makes the archive's own folders below the state directory `root` and starts the task that keeps documents.
    /// `stored` is told of each batch. When `stopping` turns true, a keeper that waits for the ledger gives up (the files are adopted at next start).
    ///
    /// # Errors
    /// When the folders cannot be made.
    pub fn start(
        root: &Path,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        targets: Vec<Target>,
        stored: watch::Sender<()>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, IntakeError> {
        for folder in [layout::INCOMING, layout::QUARANTINE] {
            write::make_folders(root, Path::new(folder), 0o700)
                .map_err(|source| IntakeError::Disk { path: root.join(folder), source })?;
        }
        let trust = trust::Trust::begin(root);
        let root = Arc::new(root.to_owned());
        let targets = Arc::new(RwLock::new(targets));
        let (ours, shared) = (Arc::clone(&trust), Arc::clone(&targets));
        let keeper = keeper::Keeper::start(Arc::clone(&root), ours, ledger.clone(), clock, shared, stored, stopping);
        Ok(Self { root, ledger, trust, keeper, targets })
    }

    /// Whether the archive's disk can be trusted: after a failure, not before it has taken a probe file. Asking has it
    /// probed, every few seconds at most.
    #[must_use]
    pub fn trusts_disk(&self) -> bool {
        self.trust.is_sound()
    }

    /// Takes note of a failure: where it was the disk's, nothing is collected before that has proved itself.
    pub fn heed(&self, error: &IntakeError) {
        match error {
            IntakeError::Disk { source, .. } | IntakeError::Unsynced { source, .. } => self.trust.doubt(source),
            IntakeError::Ledger(_) | IntakeError::Stopping => {}
        }
    }

    /// Documents stored from now on are for these targets.
    pub fn deliver_to(&self, targets: Vec<Target>) {
        *self.targets.write().unwrap_or_else(std::sync::PoisonError::into_inner) = targets;
    }

    /// Begins to receive the body of a claimed document, of at most `limit` bytes.
    #[must_use]
    pub fn receive(&self, document: &Claimed, limit: u64) -> Reception {
        Reception::new(Arc::clone(&self.root), document, limit)
    }

    /// Takes what an operator accepts, though the checks refused it: the file at `path` (relative to the state
    /// directory) becomes the document.
    ///
    /// # Errors
    /// When the file cannot be read or kept.
    pub async fn accept(&self, document: &Claimed, path: &str) -> Result<(), IntakeError> {
        let file = self.root.join(path);
        let sealed = reception::accept(Arc::clone(&self.root), document.clone(), file.clone()).await?;
        self.keep(sealed, None).await?;
        // The archive has these bytes now; what stays here would only be purged later.
        let _ = std::fs::remove_file(file);
        Ok(())
    }

    /// Removes a sealed document that is not to be kept after all: the same is held already.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub async fn discard(&self, sealed: Sealed) -> Result<(), IntakeError> {
        let path = sealed.path;
        let failed = |source| IntakeError::Disk { path: path.clone(), source };
        let removed = spawn_blocking({
            let path = path.clone();
            move || std::fs::remove_file(path)
        });
        removed.await.map_err(|error| failed(error.into()))?.map_err(failed)
    }

    /// The bytes of a document held, whose copy lies at `archive_path` relative to the state directory.
    ///
    /// # Errors
    /// When the copy cannot be read: it may have been purged.
    pub async fn read(&self, archive_path: &str) -> std::io::Result<Vec<u8>> {
        let path = self.root.join(archive_path);
        spawn_blocking(move || std::fs::read(path)).await?
    }

    /// Returns when every document sealed before has been recorded, or has failed.
    pub async fn settled(&self) {
        self.keeper.settled().await;
    }

    /// Makes a sealed document durable and records it; answers once the ledger says `stored`.
    ///
    /// # Errors
    /// When our disk fails, or the daemon stops first.
    pub async fn keep(&self, sealed: Sealed, poll: Option<i64>) -> Result<(), IntakeError> {
        self.keeper.keep(sealed, poll).await
    }
}
