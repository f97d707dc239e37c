//! Table `subjects`: what is asked about, when next, and what the last answer was.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{QueryBuilder, Row as _};

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;
use crate::feed::FeedName;

/// Subjects written by one statement.
const CHUNK: usize = 500;

/// A subject as the ledger has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSubject {
    /// Whether the configuration names it.
    pub configured: bool,
    /// When it is due.
    pub next_at: Option<Timestamp>,
    /// Calls in a row that brought no answer to record.
    pub setbacks: u32,
}

/// A subject that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueSubject {
    /// Its SIREN, SIRET or id.
    pub subject: String,
    /// Calls in a row that brought no answer to record.
    pub setbacks: u32,
}

/// What the latest answer said about itself, to be sent back when the same is asked for again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validators {
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
}

/// How a call about a subject ended.
#[derive(Clone, Debug, Default)]
pub struct SubjectAnswer {
    /// The status; `None`: no answer.
    pub status: Option<u16>,
    /// Code and words, where it was no version.
    pub answer: Option<String>,
    /// When the subject is due again; `None` where the feed's own schedule says so.
    pub next_at: Option<Timestamp>,
    /// Calls in a row that brought no answer to record, this one among them.
    pub setbacks: u32,
    /// What to send back next time; `None` leaves what is known.
    pub validators: Option<Validators>,
}

/// Subjects of a feed, brought in line with the configuration.
#[derive(Clone, Debug, Default)]
pub struct Enrolment {
    /// New ones, each with the time at which it is due first.
    pub new: Vec<(String, Timestamp)>,
    /// Those that are wanted again, or still, at a new time.
    pub back: Vec<(String, Timestamp)>,
    /// Those no longer wanted.
    pub gone: Vec<String>,
}

/// What [`Ledger::due_subjects`] asks: along `subjects_next`.
pub(super) const DUE: &str =
    "SELECT subject, setbacks FROM subjects WHERE feed = $1 AND configured = 1 AND next_at <= $2
     ORDER BY next_at, subject LIMIT $3";

impl Ledger {
    /// All subjects of `feed` that the ledger has.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn subjects(&self, feed: &FeedName) -> Result<HashMap<String, KnownSubject>, LedgerError> {
        let rows = sqlx::query("SELECT subject, configured, next_at, setbacks FROM subjects WHERE feed = $1")
            .bind(feed.as_str())
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        let known = |row: &sqlx::sqlite::SqliteRow| KnownSubject {
            configured: row.get(1),
            next_at: time(row.get::<Option<&str>, _>(2)),
            setbacks: row.get(3),
        };
        Ok(rows.iter().map(|row| (row.get(0), known(row))).collect())
    }

    /// Brings the subjects of `feed` in line with the configuration.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn enrol(&self, feed: &FeedName, enrolment: Enrolment) -> Result<(), LedgerError> {
        let feed = feed.clone();
        self.write(move |c| {
            Box::pin(async move {
                for chunk in enrolment.new.chunks(CHUNK) {
                    let mut insert = QueryBuilder::new("INSERT INTO subjects (feed, subject, next_at) ");
                    insert.push_values(chunk, |mut row, (subject, at)| {
                        row.push_bind(feed.as_str()).push_bind(subject.as_str()).push_bind(stamp(*at));
                    });
                    insert.push(" ON CONFLICT (feed, subject) DO NOTHING");
                    insert.build().execute(&mut *c).await?;
                }
                for (subject, at) in &enrolment.back {
                    sqlx::query("UPDATE subjects SET configured = 1, next_at = $1 WHERE feed = $2 AND subject = $3")
                        .bind(stamp(*at))
                        .bind(feed.as_str())
                        .bind(subject)
                        .execute(&mut *c)
                        .await?;
                }
                for subject in &enrolment.gone {
                    sqlx::query("UPDATE subjects SET configured = 0 WHERE feed = $1 AND subject = $2")
                        .bind(feed.as_str())
                        .bind(subject)
                        .execute(&mut *c)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Subjects of `feed` that are due at `now`, those that have waited longest first.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn due_subjects(
        &self,
        feed: &FeedName,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueSubject>, LedgerError> {
        let rows = sqlx::query(DUE)
            .bind(feed.as_str())
            .bind(stamp(now))
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| DueSubject { subject: row.get(0), setbacks: row.get(1) }).collect())
    }

    /// When the next subject of `feed` is due.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn next_subject(&self, feed: &FeedName) -> Result<Option<Timestamp>, LedgerError> {
        let next: Option<String> =
            sqlx::query_scalar("SELECT min(next_at) FROM subjects WHERE feed = $1 AND configured = 1")
                .bind(feed.as_str())
                .fetch_one(&self.readers)
                .await
                .map_err(|error| self.error(error))?;
        Ok(time(next.as_deref()))
    }

    /// A call about `subject` is about to leave: whatever becomes of us, it is not repeated before `until`.
    ///
    /// # Errors
    /// When the ledger fails: then no call may leave.
    pub async fn ask_subject(
        &self,
        feed: &FeedName,
        subject: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), LedgerError> {
        let (feed, subject) = (feed.clone(), subject.to_owned());
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE subjects SET asked_at = $1, next_at = $2 WHERE feed = $3 AND subject = $4")
                    .bind(stamp(now))
                    .bind(stamp(until))
                    .bind(feed.as_str())
                    .bind(subject)
                    .execute(c)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Records how a call about `subject` ended.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn answer_subject(
        &self,
        feed: &FeedName,
        subject: &str,
        answer: SubjectAnswer,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let (feed, subject) = (feed.clone(), subject.to_owned());
        self.write(move |c| {
            Box::pin(async move {
                let SubjectAnswer { status, answer, next_at, setbacks, validators } = answer;
                let known = validators.is_some();
                let Validators { etag, last_modified } = validators.unwrap_or_default();
                sqlx::query(
                    "INSERT INTO subjects (feed, subject, next_at, answered_at, status, answer, setbacks, etag,
                         last_modified)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                     ON CONFLICT (feed, subject) DO UPDATE SET
                         next_at = excluded.next_at, answered_at = excluded.answered_at, status = excluded.status,
                         answer = excluded.answer, setbacks = excluded.setbacks,
                         etag = CASE WHEN $10 THEN excluded.etag ELSE subjects.etag END,
                         last_modified = CASE WHEN $10 THEN excluded.last_modified ELSE subjects.last_modified END",
                )
                .bind(feed.as_str())
                .bind(subject)
                .bind(next_at.map(stamp))
                .bind(stamp(now))
                .bind(status)
                .bind(answer)
                .bind(setbacks)
                .bind(etag)
                .bind(last_modified)
                .bind(known)
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// What the latest answer about `subject` said about itself.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn validators(&self, feed: &FeedName, subject: &str) -> Result<Validators, LedgerError> {
        let row = sqlx::query("SELECT etag, last_modified FROM subjects WHERE feed = $1 AND subject = $2")
            .bind(feed.as_str())
            .bind(subject)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(row.map_or_else(Validators::default, |row| Validators { etag: row.get(0), last_modified: row.get(1) }))
    }
}
