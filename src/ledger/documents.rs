//! Table `documents`: from listing to keeping, one verb per edge of a document's state.

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row as _};

use super::{Ledger, LedgerError};
use crate::clock::stamp;
use crate::feed::{DocumentState, FeedName};

/// Ids looked up or inserted by one statement.
const CHUNK: usize = 500;
/// Ids recorded by one piece of work, so that a huge listing does not keep other writers waiting.
const SHARE: usize = 5_000;

/// What recording a listing found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Ids not known before.
    pub new: u64,
    /// Ids of documents held already (F4: counted, not asked for).
    pub held: u64,
}

/// A place in the order of fetching: interruptions, row.
pub type Cursor = (i64, i64);

/// A document that may be fetched.
#[derive(Clone, Debug)]
pub struct Open {
    /// Its place in the order of fetching.
    pub cursor: Cursor,
    /// Its row.
    pub id: i64,
    /// The platform's name for it.
    pub remote_id: String,
}

/// A document claimed: its download may leave.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its row.
    pub id: i64,
    /// Its feed.
    pub feed: FeedName,
    /// The platform's name for it.
    pub remote_id: String,
    /// Where its copy will lie, relative to the state directory, less the extension.
    pub stem: String,
    /// Tries that counted so far.
    pub attempts: i64,
    /// Downloads left in doubt so far.
    pub interruptions: i64,
    /// Checksum of the bytes set aside by an earlier try.
    pub quarantine_sha256: Option<String>,
}

/// A document whose copy is durable: what `stored` says of it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its row.
    pub id: i64,
    /// Its feed.
    pub feed: FeedName,
    /// The platform's name for it.
    pub remote_id: String,
    /// The poll that fetched it, where there was one.
    pub poll: Option<i64>,
    /// Bytes.
    pub size: i64,
    /// SHA-256 of the bytes, in hexadecimal.
    pub sha256: String,
    /// Media type.
    pub media_type: &'static str,
    /// Where the copy lies, relative to the state directory.
    pub archive_path: String,
    /// Targets that want it.
    pub targets: Vec<String>,
}

/// Where a document stands after a try that did not keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing counts: it is as it was before, and tried at the next poll.
    Open,
    /// The try counts; the next one may come then.
    Failed(Timestamp),
    /// No more tries.
    Abandoned,
    /// No longer on the platform, not by our doing.
    Gone,
    /// Asked for, interrupted, no longer there.
    Lost,
}

/// A try that did not keep the document.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Its row.
    pub id: i64,
    /// Where it stands now.
    pub condition: Condition,
    /// Whether the platform may hold it for collected: a download left, and did not arrive whole.
    pub in_doubt: bool,
    /// What went wrong, for an operator.
    pub error: Option<String>,
    /// Bytes set aside: path relative to the state directory, and SHA-256.
    pub quarantine: Option<(String, String)>,
}

/// A document as `documents` shows it.
#[derive(Clone, Debug, serde::Serialize)]
#[expect(missing_docs, reason = "the columns of the ledger, as the contract names them")]
pub struct DocumentRow {
    pub feed: String,
    pub remote_id: String,
    pub state: String,
    pub attempts: i64,
    pub interruptions: i64,
    pub listed_at: String,
    pub requested_at: Option<String>,
    pub stored_at: Option<String>,
    pub released_at: Option<String>,
    pub poll_id: Option<i64>,
    pub size: Option<i64>,
    pub sha256: Option<String>,
    pub media_type: Option<String>,
    pub archive_path: Option<String>,
    pub name: Option<String>,
    pub summary: Option<String>,
    pub error: Option<String>,
}

/// Which documents a listing command wants.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<DocumentState>,
    /// Only those listed or stored since then.
    pub since: Option<Timestamp>,
}

/// Number of a feed's documents in one state.
#[derive(Clone, Debug)]
pub struct StateCount {
    /// The feed.
    pub feed: String,
    /// The state.
    pub state: DocumentState,
    /// How many.
    pub count: i64,
}

impl Ledger {
    /// Records what a listing showed: new ids become `listed` (or `skipped`), known ones stay as they are.
    ///
    /// # Errors
    /// When the ledger fails; what was recorded before stays.
    pub async fn record_listing(
        &self,
        feed: &FeedName,
        ids: &[String],
        skip: bool,
        now: Timestamp,
    ) -> Result<Recorded, LedgerError> {
        let mut total = Recorded::default();
        let shares = if ids.is_empty() { vec![ids] } else { ids.chunks(SHARE).collect() };
        let last = shares.len() - 1;
        for (number, share) in shares.into_iter().enumerate() {
            let (feed, share) = (feed.clone(), share.to_vec());
            let state = if skip { DocumentState::Skipped } else { DocumentState::Listed };
            let part = self
                .write(move |c| {
                    Box::pin(async move {
                        let part = record(c, &feed, &share, state, &stamp(now)).await?;
                        if number == last {
                            sqlx::query(
                                "UPDATE feeds SET first_listed_at = coalesce(first_listed_at, $1) WHERE feed = $2",
                            )
                            .bind(stamp(now))
                            .bind(feed.as_str())
                            .execute(c)
                            .await?;
                        }
                        Ok(part)
                    })
                })
                .await?;
            total.new += part.new;
            total.held += part.held;
        }
        Ok(total)
    }

    /// Documents of `feed` that may be fetched at `now`, after `after`: those never interrupted first, else in the order
    /// they were listed. Those that this run has claimed are its own affair and not among them.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn open_documents(
        &self,
        feed: &FeedName,
        run: &str,
        now: Timestamp,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<Open>, LedgerError> {
        let rows = sqlx::query(
            "SELECT id, remote_id, interruptions FROM documents
             WHERE feed = $1 AND state IN ('listed', 'fetching', 'failed') AND (interruptions, id) > ($2, $3)
                 AND (state = 'listed' OR (state = 'failed' AND next_try_at <= $4)
                     OR (state = 'fetching' AND claimed_by <> $5))
             ORDER BY interruptions, id LIMIT $6",
        )
        .bind(feed.as_str())
        .bind(after.0)
        .bind(after.1)
        .bind(stamp(now))
        .bind(run)
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(rows
            .iter()
            .map(|row| Open { id: row.get(0), remote_id: row.get(1), cursor: (row.get(2), row.get(0)) })
            .collect())
    }

    /// Claims a document with the place of its copy, in one statement, before its download leaves. A claim of a run
    /// that died is taken over, and counts as an interruption. `None` where there is nothing to claim any more.
    ///
    /// # Errors
    /// When the ledger fails: then no request may leave.
    pub async fn claim_document(
        &self,
        id: i64,
        run: &str,
        stem: String,
        now: Timestamp,
    ) -> Result<Option<Claimed>, LedgerError> {
        let run = run.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let row = sqlx::query(
                    "UPDATE documents SET interruptions = interruptions + CASE state WHEN 'fetching' THEN 1 ELSE 0 END,
                         state = 'fetching', claimed_by = $1, requested_at = $2, stem = coalesce(stem, $3)
                     WHERE id = $4 AND (state IN ('listed', 'failed') OR (state = 'fetching' AND claimed_by <> $1))
                     RETURNING id, feed, remote_id, stem, attempts, interruptions, quarantine_sha256",
                )
                .bind(run)
                .bind(stamp(now))
                .bind(stem)
                .bind(id)
                .fetch_optional(c)
                .await?;
                Ok(row.as_ref().and_then(claimed))
            })
        })
        .await
    }

    /// The claim on row `id`, whoever holds it; `None` where it is not being fetched.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn claim_of(&self, id: i64) -> Result<Option<Claimed>, LedgerError> {
        let row = sqlx::query(
            "SELECT id, feed, remote_id, stem, attempts, interruptions, quarantine_sha256 FROM documents
             WHERE id = $1 AND state = 'fetching'",
        )
        .bind(id)
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(row.as_ref().and_then(claimed))
    }

    /// All claims that stand: at start, those of runs that died.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn claims(&self) -> Result<Vec<Claimed>, LedgerError> {
        let rows = sqlx::query(
            "SELECT id, documents.feed, remote_id, stem, attempts, interruptions, quarantine_sha256
             FROM feeds JOIN documents ON documents.feed = feeds.feed WHERE state = 'fetching'",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(claimed).collect())
    }

    /// Records documents whose copies are durable, with their deliveries, in one commit (F5).
    ///
    /// # Errors
    /// When the ledger fails: the copies stay, and are adopted at the next start.
    pub async fn keep(&self, batch: Vec<Kept>, now: Timestamp) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                for kept in &batch {
                    store(c, kept, &stamp(now)).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Records a try that did not keep its document.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn refuse(&self, refusal: Refusal) -> Result<(), LedgerError> {
        self.write(move |c| Box::pin(async move { refuse(c, &refusal).await })).await
    }

    /// Documents of the feeds that `wanted` accepts, oldest first, handed to `each` one by one.
    ///
    /// # Errors
    /// When the ledger fails, or `each` does.
    pub async fn documents<E: From<LedgerError>>(
        &self,
        feed: &str,
        filter: &Filter,
        mut each: impl FnMut(DocumentRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = 0;
        loop {
            let rows = self.page(feed, filter, after).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.get(17);
            for row in &rows {
                each(document(row))?;
            }
        }
    }

    /// One page: never a reader held open over the whole listing, which would pin the WAL.
    async fn page(&self, feed: &str, filter: &Filter, after: i64) -> Result<Vec<SqliteRow>, LedgerError> {
        sqlx::query(
            "SELECT feed, remote_id, state, attempts, interruptions, listed_at, requested_at, stored_at, released_at,
                    poll_id, size, sha256, media_type, archive_path, name, summary, error, id
             FROM documents WHERE feed = $1 AND id > $2 AND ($3 IS NULL OR state = $3)
                 AND ($4 IS NULL OR listed_at >= $4 OR stored_at >= $4)
             ORDER BY id LIMIT 1000",
        )
        .bind(feed)
        .bind(after)
        .bind(filter.state.map(DocumentState::as_str))
        .bind(filter.since.map(stamp))
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))
    }

    /// Number of documents by feed and state.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn count_documents(&self) -> Result<Vec<StateCount>, LedgerError> {
        let rows = sqlx::query("SELECT feed, state, count(*) FROM documents GROUP BY feed, state")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let state = row.get::<&str, _>(1).parse().ok()?;
                Some(StateCount { feed: row.get(0), state, count: row.get(2) })
            })
            .collect())
    }

    /// The document `remote_id` of `feed`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn document(
        &self,
        feed: &FeedName,
        remote_id: &str,
    ) -> Result<Option<(i64, DocumentRow, Option<String>)>, LedgerError> {
        let row = sqlx::query(
            "SELECT feed, remote_id, state, attempts, interruptions, listed_at, requested_at, stored_at, released_at,
                    poll_id, size, sha256, media_type, archive_path, name, summary, error, id, quarantine_path
             FROM documents WHERE feed = $1 AND remote_id = $2",
        )
        .bind(feed.as_str())
        .bind(remote_id)
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(row.map(|row| (row.get(17), document(&row), row.get(18))))
    }

    /// Makes a document eligible again, its tries forgotten; `stem` replaces the place of its copy where one is given
    /// (a held document downloaded again must not meet its first copy).
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn reopen(&self, id: i64, stem: Option<String>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE documents SET state = 'listed', attempts = 0, next_try_at = NULL, claimed_by = NULL,
                         error = NULL, stem = coalesce($1, stem) WHERE id = $2 AND state <> 'fetching'",
                )
                .bind(stem)
                .bind(id)
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Gives up a claim that led to nothing: the document is abandoned again, with `error`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn abandon_claim(&self, id: i64, error: String) -> Result<(), LedgerError> {
        let refusal =
            Refusal { id, condition: Condition::Abandoned, in_doubt: false, error: Some(error), quarantine: None };
        self.refuse(refusal).await
    }

    /// Closes an abandoned or lost document: it is no failure any more.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn dismiss(&self, id: i64, reason: String) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE documents SET state = 'dismissed', error = $1 WHERE id = $2")
                    .bind(reason)
                    .bind(id)
                    .execute(c)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}

async fn record(
    c: &mut SqliteConnection,
    feed: &FeedName,
    ids: &[String],
    state: DocumentState,
    now: &str,
) -> Result<Recorded, sqlx::Error> {
    let mut recorded = Recorded::default();
    for chunk in ids.chunks(CHUNK) {
        let mut lookup =
            QueryBuilder::new("SELECT count(*) FROM documents WHERE state IN ('stored', 'delivered') AND feed = ");
        lookup.push_bind(feed.as_str()).push(" AND remote_id IN (");
        let mut list = lookup.separated(", ");
        for id in chunk {
            list.push_bind(id.as_str());
        }
        list.push_unseparated(")");
        let held: i64 = lookup.build_query_scalar().fetch_one(&mut *c).await?;
        recorded.held += held.unsigned_abs();

        let mut insert = QueryBuilder::new("INSERT INTO documents (feed, remote_id, state, listed_at) ");
        insert.push_values(chunk, |mut row, id| {
            row.push_bind(feed.as_str()).push_bind(id.as_str()).push_bind(state.as_str()).push_bind(now);
        });
        insert.push(" ON CONFLICT (feed, remote_id) DO NOTHING");
        recorded.new += insert.build().execute(&mut *c).await?.rows_affected();
    }
    Ok(recorded)
}

async fn store(c: &mut SqliteConnection, kept: &Kept, now: &str) -> Result<(), sqlx::Error> {
    let state = if kept.targets.is_empty() { DocumentState::Delivered } else { DocumentState::Stored };
    sqlx::query(
        "UPDATE documents SET state = $1, stored_at = $2, poll_id = coalesce($3, poll_id), size = $4, sha256 = $5,
             media_type = $6, archive_path = $7, error = NULL, claimed_by = NULL, claimed_until = NULL,
             next_try_at = NULL, quarantine_path = NULL, quarantine_sha256 = NULL
         WHERE id = $8",
    )
    .bind(state.as_str())
    .bind(now)
    .bind(kept.poll)
    .bind(kept.size)
    .bind(&kept.sha256)
    .bind(kept.media_type)
    .bind(&kept.archive_path)
    .bind(kept.id)
    .execute(&mut *c)
    .await?;
    for target in &kept.targets {
        sqlx::query(
            "INSERT INTO deliveries (feed, remote_id, target, state, created_at, next_try_at)
             VALUES ($1, $2, $3, 'pending', $4, $4)
             ON CONFLICT (feed, remote_id, target) DO UPDATE SET state = 'pending', attempts = 0, error = NULL,
                 created_at = excluded.created_at, next_try_at = excluded.next_try_at",
        )
        .bind(kept.feed.as_str())
        .bind(&kept.remote_id)
        .bind(target)
        .bind(now)
        .execute(&mut *c)
        .await?;
    }
    sqlx::query("UPDATE feeds SET last_document_at = $1 WHERE feed = $2")
        .bind(now)
        .bind(kept.feed.as_str())
        .execute(c)
        .await?;
    Ok(())
}

async fn refuse(c: &mut SqliteConnection, refusal: &Refusal) -> Result<(), sqlx::Error> {
    let (state, counted, next) = match refusal.condition {
        // Back to what it was: a document with counted tries is `failed`, one without is `listed`.
        Condition::Open => (None, 0, None),
        Condition::Failed(next) => (Some(DocumentState::Failed), 1, Some(stamp(next))),
        Condition::Abandoned => (Some(DocumentState::Abandoned), 1, None),
        Condition::Gone => (Some(DocumentState::Gone), 1, None),
        Condition::Lost => (Some(DocumentState::Lost), 1, None),
    };
    // A held document that was asked for again, and is not given, stays held.
    sqlx::query(
        "UPDATE documents SET state = CASE
                 WHEN $1 IN ('abandoned', 'gone', 'lost') AND archive_path IS NOT NULL THEN
                     CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE deliveries.feed = documents.feed
                         AND deliveries.remote_id = documents.remote_id AND deliveries.state <> 'delivered')
                     THEN 'stored' ELSE 'delivered' END
                 ELSE coalesce($1, CASE WHEN attempts > 0 THEN 'failed' ELSE 'listed' END) END,
             attempts = attempts + $2, next_try_at = coalesce($3, next_try_at), error = coalesce($4, error),
             interruptions = interruptions + $5, claimed_by = NULL, claimed_until = NULL,
             quarantine_path = coalesce($6, quarantine_path), quarantine_sha256 = coalesce($7, quarantine_sha256)
         WHERE id = $8",
    )
    .bind(state.map(DocumentState::as_str))
    .bind(counted)
    .bind(next)
    .bind(&refusal.error)
    .bind(i64::from(refusal.in_doubt))
    .bind(refusal.quarantine.as_ref().map(|(path, _)| path))
    .bind(refusal.quarantine.as_ref().map(|(_, sha256)| sha256))
    .bind(refusal.id)
    .execute(c)
    .await?;
    Ok(())
}

fn claimed(row: &SqliteRow) -> Option<Claimed> {
    Some(Claimed {
        id: row.get(0),
        feed: row.get::<&str, _>(1).parse().ok()?,
        remote_id: row.get(2),
        stem: row.get(3),
        attempts: row.get(4),
        interruptions: row.get(5),
        quarantine_sha256: row.get(6),
    })
}

fn document(row: &SqliteRow) -> DocumentRow {
    DocumentRow {
        feed: row.get(0),
        remote_id: row.get(1),
        state: row.get(2),
        attempts: row.get(3),
        interruptions: row.get(4),
        listed_at: row.get(5),
        requested_at: row.get(6),
        stored_at: row.get(7),
        released_at: row.get(8),
        poll_id: row.get(9),
        size: row.get(10),
        sha256: row.get(11),
        media_type: row.get(12),
        archive_path: row.get(13),
        name: row.get(14),
        summary: row.get(15),
        error: row.get(16),
    }
}
