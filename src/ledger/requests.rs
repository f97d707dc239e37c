//! Table `requests`: what commands ask of the daemon that holds the state directory.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Ledger, LedgerError};
use crate::clock::stamp;

/// A command's request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its number.
    pub id: i64,
    /// The user who asks.
    pub actor: String,
    /// The command: `poll`, `retry`, `dismiss`.
    pub command: String,
    /// Its arguments, in JSON.
    pub arguments: String,
}

/// Where a request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// The daemon has not seen it.
    Pending,
    /// The daemon works on it.
    Running,
    /// Answered: text, and the command's exit code.
    Done {
        /// What the command prints.
        answer: String,
        /// What it exits with.
        exit_code: u8,
    },
}

impl Ledger {
    /// Leaves a request for the daemon. Answers its number.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn ask(&self, actor: &str, command: &str, arguments: String, now: Timestamp) -> Result<i64, LedgerError> {
        let (actor, command) = (actor.to_owned(), command.to_owned());
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query_scalar(
                    "INSERT INTO requests (at, actor, command, arguments, state)
                     VALUES ($1, $2, $3, $4, 'pending') RETURNING id",
                )
                .bind(stamp(now))
                .bind(actor)
                .bind(command)
                .bind(arguments)
                .fetch_one(c)
                .await
            })
        })
        .await
    }

    /// Takes up all requests that wait.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn take_requests(&self) -> Result<Vec<Request>, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "UPDATE requests SET state = 'running' WHERE state = 'pending'
                     RETURNING id, actor, command, arguments",
                )
                .fetch_all(c)
                .await?;
                Ok(rows
                    .into_iter()
                    .map(|row| Request {
                        id: row.get(0),
                        actor: row.get(1),
                        command: row.get(2),
                        arguments: row.get(3),
                    })
                    .collect())
            })
        })
        .await
    }

    /// Answers a request.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn answer(&self, id: i64, answer: String, exit_code: u8) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE requests SET state = 'done', answer = $1, exit_code = $2 WHERE id = $3")
                    .bind(answer)
                    .bind(exit_code)
                    .bind(id)
                    .execute(c)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Where a request stands; `None` where its row has gone.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn request_state(&self, id: i64) -> Result<Option<RequestState>, LedgerError> {
        let row = sqlx::query("SELECT state, answer, exit_code FROM requests WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(row.map(|row| match row.get::<&str, _>(0) {
            "pending" => RequestState::Pending,
            "running" => RequestState::Running,
            _ => RequestState::Done {
                answer: row.get::<Option<String>, _>(1).unwrap_or_default(),
                exit_code: row.get::<Option<u8>, _>(2).unwrap_or(1),
            },
        }))
    }

    /// Closes what an earlier run left unanswered and forgets answers older than a day; run at start, so that a request
    /// made of a daemon that died is never carried out behind its asker's back.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn tidy_requests(&self, now: Timestamp) -> Result<(), LedgerError> {
        let yesterday = stamp(now - jiff::SignedDuration::from_hours(24));
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE requests SET state = 'done', exit_code = 1,
                         answer = 'the daemon stopped before it could answer; give the command again'
                     WHERE state <> 'done'",
                )
                .execute(&mut *c)
                .await?;
                sqlx::query("DELETE FROM requests WHERE state = 'done' AND at < $1").bind(yesterday).execute(c).await?;
                Ok(())
            })
        })
        .await
    }
}
