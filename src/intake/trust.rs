//! Whether the disk can be trusted. After a sync that failed the system may call a file clean that never reached the disk:
//! asking again would be told a lie. So, after any failure of the archive's disk, nothing is collected until a probe file
//! could be written, synced and removed.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use crate::archive::{layout, write};
use crate::log::event;

/// The probe's name, among what is arriving.
pub(super) const PROBE: &str = ".probe";
/// As much as most documents hold: a quota may leave room for less.
const PROBE_BYTES: usize = 64 << 10;
/// A disk that failed is probed this often at most.
const PAUSE: Duration = Duration::from_secs(5);

/// The disk of the archive, as far as it is trusted.
#[derive(Debug)]
pub(super) struct Trust {
    folder: PathBuf,
    doubt: Mutex<Option<Doubt>>,
}

#[derive(Debug)]
struct Doubt {
    /// No probe before.
    next: Instant,
    /// One is being made; a disk that hangs keeps it for long.
    probing: bool,
}

impl Trust {
    /// The disk of the state directory `root`, probed at once: a command started by a timer would else lose a document, and
    /// the next one another. This blocks.
    pub(super) fn begin(root: &Path) -> Arc<Self> {
        let trust = Arc::new(Self { folder: root.join(layout::INCOMING), doubt: Mutex::new(None) });
        if let Err(error) = probe(&trust.folder) {
            trust.doubt(&error);
        }
        trust
    }

    /// The disk has failed: nothing is to be collected. Said once.
    pub(super) fn doubt(&self, error: &dyn std::fmt::Display) {
        let next = Instant::now() + PAUSE;
        let mut doubt = self.lock();
        if doubt.is_none() {
            let folder = self.folder.display();
            tracing::error!(event = event::DISK_FAILED, path = %folder, %error,
                "the disk of {folder} fails: {error}; nothing is collected until a file can be written and synced there: look \
                 at the system's log (dmesg), the disk's health, how it is mounted, and quotas");
        }
        let probing = doubt.as_ref().is_some_and(|doubt| doubt.probing);
        *doubt = Some(Doubt { next, probing });
    }

    /// Whether anything may be collected. A disk that has failed is probed in the background, every few seconds at most.
    pub(super) fn is_sound(self: &Arc<Self>) -> bool {
        let mut doubt = self.lock();
        let Some(present) = doubt.as_mut() else { return true };
        if !present.probing && Instant::now() >= present.next {
            present.probing = true;
            let trust = Arc::clone(self);
            spawn_blocking(move || {
                let outcome = probe(&trust.folder);
                trust.judge(outcome);
            });
        }
        false
    }

    fn judge(&self, outcome: io::Result<()>) {
        let mut doubt = self.lock();
        match outcome {
            Ok(()) => {
                *doubt = None;
                tracing::info!(event = event::DISK_RECOVERED, "the disk takes files again: collecting goes on");
            }
            Err(error) => {
                *doubt = Some(Doubt { next: Instant::now() + PAUSE, probing: false });
                tracing::debug!(event = event::DISK_FAILED, %error, "the disk still fails: {error}");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Doubt>> {
        self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes, syncs and removes a new file: the sync of an old one proves nothing.
fn probe(folder: &Path) -> io::Result<()> {
    let path = folder.join(PROBE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // One left behind by a process that died.
        _ => {}
    }
    let mut file = write::create(&path)?;
    let written = file.write_all(&[b'.'; PROBE_BYTES]).and_then(|()| file.sync_all());
    let removed = std::fs::remove_file(&path);
    written.and(removed).and_then(|()| write::sync_folder(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_failed_is_trusted_again_only_after_a_probe() {
        let root = tempfile::tempdir().unwrap();
        let incoming = root.path().join(layout::INCOMING);
        std::fs::create_dir_all(&incoming).unwrap();
        let trust = Trust::begin(root.path());
        assert!(trust.is_sound());
        // In the probe's way stands what cannot be removed as a file.
        std::fs::create_dir(incoming.join(PROBE)).unwrap();
        trust.doubt(&"it failed");
        assert!(!trust.is_sound(), "not asked yet");
        tokio::time::advance(PAUSE).await;
        assert!(!trust.is_sound());
        while trust.lock().as_ref().is_some_and(|doubt| doubt.probing) {
            tokio::task::yield_now().await;
        }
        assert!(!trust.is_sound(), "the probe failed");
        std::fs::remove_dir(incoming.join(PROBE)).unwrap();
        assert!(!trust.is_sound(), "not asked again so soon");
        tokio::time::advance(PAUSE).await;
        assert!(!trust.is_sound());
        while trust.lock().is_some() {
            tokio::task::yield_now().await;
        }
        assert!(trust.is_sound());
        assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0, "the probe is removed");
    }
}
