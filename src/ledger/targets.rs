//! Table `targets`: what is known of those whom documents are handed to, beside the deliveries themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;

/// A file that nobody picks up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The file, below its inbox.
    pub file: PathBuf,
    /// Since when it lies there.
    pub since: Timestamp,
}

/// What is known of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRow {
    /// Why nothing can be handed to it.
    pub problem: Option<String>,
    /// Since when.
    pub problem_since: Option<Timestamp>,
    /// Its oldest file, where nobody empties it.
    pub stale: Option<Stale>,
    /// When that was last said.
    pub stale_told_at: Option<Timestamp>,
}

impl Ledger {
    /// What is known of targets, by name.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn targets(&self) -> Result<BTreeMap<String, TargetRow>, LedgerError> {
        let rows =
            sqlx::query("SELECT target, problem, problem_since, stale_told_at, stale_file, stale_since FROM targets")
                .fetch_all(&self.readers)
                .await
                .map_err(|error| self.error(error))?;
        let target = |row: &sqlx::sqlite::SqliteRow| TargetRow {
            problem: row.get(1),
            problem_since: time(row.get(2)),
            stale_told_at: time(row.get(3)),
            stale: row
                .get::<Option<&str>, _>(4)
                .zip(time(row.get(5)))
                .map(|(file, since)| Stale { file: file.into(), since }),
        };
        Ok(rows.iter().map(|row| (row.get(0), target(row))).collect())
    }

    /// Why nothing can be handed to `target`, as far as is known.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn target_problem(&self, target: &str) -> Result<Option<String>, LedgerError> {
        let known = sqlx::query_scalar::<_, Option<String>>("SELECT problem FROM targets WHERE target = $1")
            .bind(target)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(known.flatten())
    }

    /// Records why nothing can be handed to `target`, or that something can. Answers whether that is news: another problem
    /// than was known, or the end of one. Nothing is written where it is none.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn judge_target(
        &self,
        target: &str,
        problem: Option<String>,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        if self.target_problem(target).await? == problem {
            return Ok(false);
        }
        let target = target.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO targets (target, problem, problem_since) VALUES ($1, $2, $3)
                     ON CONFLICT (target) DO UPDATE SET problem = excluded.problem,
                         problem_since = CASE WHEN excluded.problem IS NULL THEN NULL
                             ELSE coalesce(problem_since, excluded.problem_since) END",
                )
                .bind(target)
                .bind(&problem)
                .bind(problem.is_some().then(|| stamp(now)))
                .execute(c)
                .await?;
                Ok(true)
            })
        })
        .await
    }

    /// Records the oldest file of `target`, where nobody empties it, and when that was last said; `None`: somebody does.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_stale(&self, target: &str, stale: Option<(Stale, Timestamp)>) -> Result<(), LedgerError> {
        let target = target.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO targets (target, stale_file, stale_since, stale_told_at) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (target) DO UPDATE SET stale_file = excluded.stale_file,
                         stale_since = excluded.stale_since, stale_told_at = excluded.stale_told_at",
                )
                .bind(target)
                .bind(stale.as_ref().map(|(stale, _)| stale.file.to_string_lossy().into_owned()))
                .bind(stale.as_ref().map(|(stale, _)| stamp(stale.since)))
                .bind(stale.as_ref().map(|(_, told)| stamp(*told)))
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }
}
