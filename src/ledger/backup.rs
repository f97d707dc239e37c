//! Copies of the ledger: a whole one a day, consistent, durable, without tokens, for the day on which the disk fails.
//!
//! On disk: `ledger-<UTC time>.sqlite` in the folder of backups, 0600; the last seven are kept.

use std::io;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sqlx::{ConnectOptions as _, Connection as _};

use super::open::{copy_whole, examine, options};
use super::{Ledger, LedgerError};
use crate::archive::write;

/// Copies that are kept.
const KEPT: usize = 7;
/// Pause between two copies: a little less than a day, for it is looked at once an hour.
const PAUSE: SignedDuration = SignedDuration::from_mins(23 * 60 + 30);
/// How a copy is called, by its time in UTC.
const NAME: &str = "ledger-%Y%m%dT%H%M%SZ.sqlite";

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder of backups.
    #[error("the ledger cannot be copied to {}", path.display())]
    Folder {
        /// What could not be written.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl BackupError {
    /// What the operator does about it.
    #[must_use]
    pub fn remedy(&self) -> &str {
        match self {
            Self::Folder { .. } => "give the daemon's user write access to [state] backup, and make room there",
            Self::Ledger(error) => error.remedy(),
        }
    }
}

impl Ledger {
    /// Copies the ledger into `folder`, which is made if it is missing, if the last copy there is a day old; forgets the
    /// oldest. Answers the copy, where one was due. `reserve` bytes stay free beside it.
    ///
    /// # Errors
    /// Why there is none; earlier copies stay.
    pub async fn back_up(&self, folder: &Path, reserve: u64, now: Timestamp) -> Result<Option<PathBuf>, BackupError> {
        let failed = |source| BackupError::Folder { path: folder.to_owned(), source };
        if !folder.exists() {
            let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
                return Err(failed(io::Error::new(io::ErrorKind::NotFound, "it has no parent folder")));
            };
            write::make_folders(parent, Path::new(name), 0o700).map_err(failed)?;
        }
        let copies = copies(folder).map_err(failed)?;
        // One from the future was made by a clock that has been set back since.
        let recent = |(at, _): &(Timestamp, PathBuf)| *at <= now && now.duration_since(*at) < PAUSE;
        if copies.iter().any(recent) {
            return Ok(None);
        }
        let path = folder.join(now.to_zoned(TimeZone::UTC).strftime(NAME).to_string());
        let unfinished = folder.join(".ledger.unfinished");
        for file in remains(&unfinished) {
            match std::fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        let size = self.path().metadata().map_or(0, |facts| facts.len());
        if crate::state::free_space(folder).map_err(failed)? < size.saturating_add(reserve) {
            return Err(failed(io::ErrorKind::StorageFull.into()));
        }
        // A connection of its own: while it reads, the writer goes on.
        let broken = |error| LedgerError::from_sqlx(self.path().to_owned(), error);
        let unwritten = |error| LedgerError::from_sqlx(unfinished.clone(), error);
        let mut connection = options(self.path()).connect().await.map_err(broken)?;
        let copied = copy_whole(&mut connection, &unfinished).await;
        connection.close().await.map_err(broken)?;
        copied.map_err(unwritten)?;
        examine(&unfinished).await?;
        std::fs::rename(&unfinished, &path).and_then(|()| write::sync_folder(folder)).map_err(failed)?;
        let old = copies.len().saturating_sub(KEPT - 1);
        for (_, path) in copies.into_iter().take(old) {
            std::fs::remove_file(path).map_err(failed)?;
        }
        Ok(Some(path))
    }
}

/// What a copy that broke off may have left.
fn remains(unfinished: &Path) -> [PathBuf; 4] {
    ["", "-journal", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", unfinished.display())))
}

/// The copies in `folder`, oldest first.
fn copies(folder: &Path) -> io::Result<Vec<(Timestamp, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(at) = jiff::civil::DateTime::strptime(NAME, &name).ok().and_then(|at| at.in_tz("UTC").ok()) {
            found.push((at.timestamp(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether the file at `path` is a ledger that this version can take: whole, and not of a newer one.
///
/// # Errors
/// What is wrong with it.
pub async fn judge_copy(path: &Path) -> Result<(), LedgerError> {
    match examine(path).await? {
        0 => Err(LedgerError::Corrupt { path: path.to_owned(), detail: "it is no ledger".to_owned() }),
        _ => Ok(()),
    }
}
