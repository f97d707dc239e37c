//! What can be wrong with the ledger, told by what the operator does about it.

use std::path::PathBuf;

/// A failure of the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file is no SQLite database, or a damaged one. It is left as it is.
    #[error("the ledger {} is damaged: {detail}", path.display())]
    Corrupt {
        /// The ledger's file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// A later version of vaguemestre has written it.
    #[error("the ledger {} was written by a newer version of vaguemestre (its schema is {found}, this program knows {known})", path.display())]
    Newer {
        /// The ledger's file.
        path: PathBuf,
        /// Number of the last migration applied to it.
        found: i64,
        /// Number of the last migration this program has.
        known: i64,
    },
    /// It needs a migration, which a reading command does not make.
    #[error("the ledger {} is of an older version (schema {found}, this program needs {known})", path.display())]
    Older {
        /// The ledger's file.
        path: PathBuf,
        /// Number of the last migration applied to it.
        found: i64,
        /// Number of the last migration this program has.
        known: i64,
    },
    /// There is none yet.
    #[error("there is no ledger at {}", .0.display())]
    Missing(PathBuf),
    /// There is none, yet the archive holds documents: a new one would forget what was collected.
    #[error("the ledger {} is missing or empty, but the archive beside it holds documents", .0.display())]
    Vanished(PathBuf),
    /// The file or its folder cannot be written.
    #[error("the ledger {} cannot be written: {detail}", path.display())]
    ReadOnly {
        /// The ledger's file.
        path: PathBuf,
        /// What SQLite or the system says.
        detail: String,
    },
    /// The disk is full.
    #[error("the disk of the ledger {} is full", .0.display())]
    Full(PathBuf),
    /// Another program has held it locked for too long.
    #[error("the ledger {} is locked by another program", .0.display())]
    Busy(PathBuf),
    /// Anything else SQLite says.
    #[error("the ledger {} failed: {source}", path.display())]
    Other {
        /// The ledger's file.
        path: PathBuf,
        /// The error beneath.
        source: sqlx::Error,
    },
    /// The transaction that held this work, together with other work, failed; nothing of it has happened.
    #[error(transparent)]
    Batch(std::sync::Arc<LedgerError>),
    /// The task that writes has ended (the daemon is stopping).
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    /// One stable word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "ledger_corrupt",
            Self::Newer { .. } => "ledger_newer",
            Self::Older { .. } => "ledger_older",
            Self::Missing(_) => "ledger_missing",
            Self::Vanished(_) => "ledger_vanished",
            Self::ReadOnly { .. } => "ledger_read_only",
            Self::Full(_) => "ledger_full",
            Self::Busy(_) => "ledger_busy",
            Self::Other { .. } => "ledger_failed",
            Self::Batch(error) => error.kind(),
            Self::Closed => "ledger_closed",
        }
    }

    /// What the operator does about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => {
                "nothing was overwritten: stop the daemon, keep a copy of the whole state directory, then put a daily copy \
                 back with `vaguemestre restore FILE` (they lie in [state] backup)"
            }
            Self::Newer { .. } => {
                "run the newer version again, or put back the copy of the ledger made before its migration"
            }
            Self::Older { .. } => {
                "start the daemon of this version once: it migrates the ledger, after copying it aside"
            }
            Self::Missing(_) => "start the daemon, or `vaguemestre poll`, once: it makes the ledger",
            Self::Vanished(_) => {
                "put a daily copy back with `vaguemestre restore FILE` (they lie in [state] backup); only to begin anew, \
                 forgetting what was collected, move the folder archive/ away first"
            }
            Self::ReadOnly { .. } => {
                "check that the file system is mounted read-write, and that the state directory and ledger.sqlite* \
                 belong to the daemon's user"
            }
            Self::Full(_) => "make room on that disk; everything goes on by itself then, nothing is lost",
            Self::Busy(_) => {
                "close the program that holds it open (an interactive sqlite3 with a transaction, a backup)"
            }
            Self::Other { .. } => "look at what is said there; `vaguemestre check` examines the state directory",
            Self::Batch(error) => error.remedy(),
            Self::Closed => "start the daemon again",
        }
    }

    /// Classifies what SQLite said about the ledger at `path`.
    #[must_use]
    pub fn from_sqlx(path: PathBuf, error: sqlx::Error) -> Self {
        // Primary result codes: https://sqlite.org/rescode.html
        let code = match &error {
            sqlx::Error::Database(inner) => inner.code().and_then(|code| code.parse::<u32>().ok()),
            _ => None,
        };
        let detail = error.to_string();
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy(path),
            Some(8 | 14) => Self::ReadOnly { path, detail },
            Some(11 | 26) => Self::Corrupt { path, detail },
            Some(13) => Self::Full(path),
            _ => Self::Other { path, source: error },
        }
    }
}
