//! The ledger: the SQLite file that remembers; what it says survives any crash.
//!
//! All SQL of the program stands in this folder, one reason per file, behind verbs. One connection writes (see
//! [`writer`]); a small pool reads. On disk: `ledger.sqlite` with its `-wal` and `-shm`, mode 0600. A ledger that is
//! damaged, from a newer version or has vanished is never overwritten: opening it fails with the remedy. Before a
//! migration the old ledger is copied aside as `ledger.sqlite.before-<version>`.

mod accounts;
mod actions;
mod alerts;
mod backup;
mod calls;
mod catalogue;
mod clocks;
mod conditions;
mod deliveries;
mod documents;
mod dossier;
mod error;
mod feeds;
mod files;
mod forgetting;
mod harvest;
mod incidents;
mod keeping;
mod listing;
mod open;
mod polls;
mod pulse;
mod quotas;
mod refusals;
mod register;
mod replaying;
mod requests;
mod restoring;
mod retention;
mod riders;
mod share;
mod subjects;
mod targets;
#[cfg(test)]
mod tests;
mod tokens;
mod versions;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{Stream, StreamExt as _};
use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};
use tokio::sync::Mutex;

pub use accounts::{AccountRow, CertificateFacts, Span};
pub use actions::Action;
pub use alerts::{AlertChanges, AlertRow, AlertTargetRow};
pub use backup::{BackupError, judge_copy};
pub use calls::NewCall;
pub use catalogue::{DocumentRow, FeedRow, Filter, StateCount};
pub use clocks::ClockRow;
pub use conditions::ConditionRow;
pub use deliveries::{Backlog, Backlogs, Pending, Setback, Settled};
pub use documents::{Claimed, Cursor, Open, OpenTerms};
pub use dossier::{DeliveryRow, Dossier, TryRow};
pub use error::LedgerError;
pub use feeds::{Due, ToDo};
pub use files::{Remaining, Unreleased};
pub use forgetting::{Belongings, Departure, Leaving};
pub use incidents::Incidents;
pub use keeping::Kept;
pub use listing::{ListingTerms, Recorded};
pub use polls::{ClaimTerms, HealthChange, Outcome, PollEnd};
pub use pulse::Pulse;
pub use quotas::{BanRow, QuotaRow};
pub use refusals::{Condition, Refusal};
pub use register::{Conflict, FeedIdentity, Registration};
pub use replaying::Held;
pub use requests::{Request, RequestState};
pub use restoring::{Acquaintance, Copy};
pub use retention::{OldCopies, Place, Removal};
pub use subjects::{DueSubject, Enrolment, KnownSubject, SubjectAnswer, Validators};
pub use targets::{Stale, TargetRow};
pub use tokens::{KeptToken, Moment, TokenRow, TokenTrouble};
pub use versions::{NewVersion, Version};

/// The ledger's file name in the state directory.
pub const FILE: &str = "ledger.sqlite";

/// An open ledger. Cheap to clone; all clones share the writer and the readers.
#[derive(Clone)]
pub struct Ledger {
    path: Arc<PathBuf>,
    seed: [u8; 32],
    readers: SqlitePool,
    /// The reader that is asked at every tick: to take one and give it back would cost more than the question.
    asked: Arc<Mutex<Option<PoolConnection<Sqlite>>>>,
    writer: Option<writer::Writer>,
    claims: documents::Claims,
}

impl Ledger {
    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The installation's random seed, which makes its schedule its own.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// Runs `statement` with others in one transaction and answers once it is durable.
    async fn write<T, F>(&self, statement: F) -> Result<T, LedgerError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send + 'static,
    {
        self.writer()?.run(Box::new(statement)).await
    }

    fn writer(&self) -> Result<&writer::Writer, LedgerError> {
        let refusal = || LedgerError::ReadOnly {
            path: self.path.as_ref().clone(),
            detail: "it was opened for reading".to_owned(),
        };
        self.writer.as_ref().ok_or_else(refusal)
    }

    fn error(&self, error: sqlx::Error) -> LedgerError {
        LedgerError::from_sqlx(self.path.as_ref().clone(), error)
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("path", &self.path).finish_non_exhaustive()
    }
}

/// What `made` makes of each of `rows`, one by one: sqlx holds every value of a row by itself, and thousands of rows at once would
/// take several times the memory of all that is made of them.
async fn gather<T>(
    rows: impl Stream<Item = Result<SqliteRow, sqlx::Error>>,
    made: impl FnMut(&SqliteRow) -> Option<T>,
) -> Result<Vec<T>, sqlx::Error> {
    gather_into(Vec::new(), rows, made).await
}

/// The same, behind what `all` holds already.
async fn gather_into<T>(
    mut all: Vec<T>,
    rows: impl Stream<Item = Result<SqliteRow, sqlx::Error>>,
    mut made: impl FnMut(&SqliteRow) -> Option<T>,
) -> Result<Vec<T>, sqlx::Error> {
    let mut rows = std::pin::pin!(rows);
    while let Some(row) = rows.next().await {
        all.extend(made(&row?));
    }
    Ok(all)
}

/// Adds ` IN (…)` with `values` bound behind `column`.
fn among<'a>(query: &mut QueryBuilder<Sqlite>, column: &str, values: impl Iterator<Item = &'a str>) {
    query.push(column).push(" IN (");
    let mut list = query.separated(", ");
    for value in values {
        list.push_bind(value.to_owned());
    }
    list.push_unseparated(")");
}

/// Reads a time that we wrote ourselves; a text that is none counts as absent.
fn time(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}
