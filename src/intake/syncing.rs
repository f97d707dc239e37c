//! A sealed file becomes durable on the thread that wrote it, while its neighbours arrive: many that are synced side by side
//! cost the disk little more than one.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use crate::archive::tag::{self, Tag};
use crate::archive::write;

/// A sync that is under way. Its outcome is final: after an error the system may call the file clean.
#[derive(Debug)]
pub struct Syncing {
    outcome: oneshot::Receiver<io::Result<Synced>>,
}

/// What is known of a file that is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Synced {
    /// It says of itself what it is a copy of; else something beside it has to.
    pub(super) tagged: bool,
}

/// Tells how a sync ended.
pub(super) struct Report(oneshot::Sender<io::Result<Synced>>);

impl Syncing {
    /// One that is about to begin, and what is to tell of its end.
    pub(super) fn awaited() -> (Self, Report) {
        let (report, outcome) = oneshot::channel();
        (Self { outcome }, Report(report))
    }

    /// Has the file at `path` say what it is a copy of, and syncs it, on a thread of its own.
    pub(super) fn begin(path: PathBuf, tag: Tag) -> Self {
        let (syncing, report) = Self::awaited();
        spawn_blocking(move || {
            let file = File::open(&path).and_then(|file| Ok((tag::attach(&file, &tag)?, file)));
            report.of(file);
        });
        syncing
    }

    /// One that has failed.
    pub(super) fn failed(error: io::Error) -> Self {
        let (syncing, Report(report)) = Self::awaited();
        // The other half is in `syncing`.
        let _ = report.send(Err(error));
        syncing
    }

    /// How it ended.
    pub(super) async fn outcome(&mut self) -> io::Result<Synced> {
        (&mut self.outcome).await.unwrap_or_else(|_| Err(io::Error::other("the syncing thread died")))
    }
}

impl Report {
    /// Syncs `file`, which says what it is if that is so, and tells how that went. This blocks.
    pub(super) fn of(self, file: io::Result<(bool, File)>) {
        let outcome = file.and_then(|(tagged, file)| {
            write::sync(&file)?;
            Ok(Synced { tagged })
        });
        // Nobody waits any more where the document is not kept after all, or the daemon has stopped.
        let _ = self.0.send(outcome);
    }
}
