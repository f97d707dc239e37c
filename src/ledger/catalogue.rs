//! Tables `feeds` and `documents` as people look at them.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Ledger, LedgerError, gather, gather_into, time};
use crate::clock::stamp;
use crate::feed::{DocumentState, FeedName};

/// A feed as `status` shows it.
#[derive(Clone, Debug)]
pub struct FeedRow {
    /// Its name.
    pub feed: FeedName,
    /// Whether the configuration still holds it.
    pub configured: bool,
    /// Start of its last listing.
    pub last_listed_at: Option<Timestamp>,
    /// When it is due next.
    pub next_poll_at: Option<Timestamp>,
    /// End of its last poll that succeeded.
    pub last_success_at: Option<Timestamp>,
    /// When a document was last stored.
    pub last_document_at: Option<Timestamp>,
    /// Start of the present row of failures.
    pub failing_since: Option<Timestamp>,
    /// Outcome of the last poll.
    pub last_outcome: Option<String>,
    /// What went wrong in it.
    pub last_error: Option<String>,
    /// Polls in a row without success.
    pub consecutive_failures: i64,
    /// Documents held that the last listing showed again (F4).
    pub still_listed: i64,
    /// Entries of the last listing that were no ids.
    pub refused_entries: i64,
    /// What the last listing showed beside documents.
    pub note: Option<String>,
    /// The feed whose listings show its documents as well.
    pub led_by: Option<String>,
    /// Whether its documents are files, which the platform purges.
    pub keeps_files: bool,
    /// Whether it is being polled.
    pub claimed: bool,
    /// When its first listing was recorded whole.
    pub first_listed_at: Option<Timestamp>,
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
    #[serde(serialize_with = "as_json")]
    pub summary: Option<String>,
    pub error: Option<String>,
    pub circuit: Option<String>,
    pub label: Option<String>,
    pub purged_at: Option<String>,
}

/// What an acknowledgement says of its deposit, as the summary has it: looked for as text, so that any database finds it.
const REFUSED: &str = "%\"accepted\":false%";

impl DocumentRow {
    /// `accepted` or `refused`, of an acknowledgement.
    #[must_use]
    pub fn outcome(&self) -> Option<&'static str> {
        let summary: serde_json::Value = serde_json::from_str(self.summary.as_deref()?).ok()?;
        summary.get("accepted")?.as_bool().map(|accepted| if accepted { "accepted" } else { "refused" })
    }

    /// The labels of the errors that an acknowledgement names.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let summary = self.summary.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let errors = summary.as_ref().and_then(|summary| summary.get("errors")?.as_array());
        errors.into_iter().flatten().filter_map(|error| error.get("label")?.as_str().map(str::to_owned)).collect()
    }
}

/// A summary as the JSON it is.
fn as_json<S: serde::Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::Serialize as _;
    text.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok()).serialize(serializer)
}

/// Which documents a listing command wants.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those in this state.
    pub state: Option<DocumentState>,
    /// Only those listed or stored since then.
    pub since: Option<Timestamp>,
    /// Only those of this NomFic.
    pub name: Option<String>,
    /// Only acknowledgements that refuse their deposit.
    pub rejected: bool,
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
    /// All feeds the ledger knows, by name.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn feeds(&self) -> Result<Vec<FeedRow>, LedgerError> {
        self.feeds_as(Some).await
    }

    /// What `made` makes of each feed that the ledger knows, by name: of thousands, only that is held.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn feeds_as<T>(&self, mut made: impl FnMut(FeedRow) -> Option<T>) -> Result<Vec<T>, LedgerError> {
        // Of thousands, a list that grew would hold half as much again, and twice as much while it grows.
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM feeds")
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        let rows = sqlx::query(
            "SELECT feed, configured, last_listed_at, next_poll_at, last_success_at, last_document_at, failing_since,
                    last_outcome, last_error, consecutive_failures, still_listed, refused_entries,
                    note, led_by, files, first_listed_at, claimed_by IS NOT NULL
             FROM feeds ORDER BY feed",
        )
        .fetch(&self.readers);
        let feeds = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        gather_into(feeds, rows, |row| made(feed_row(row)?)).await.map_err(|error| self.error(error))
    }

    /// Documents of `feed` that `filter` accepts, oldest first, handed to `each` one by one.
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
            after = last.get(20);
            for row in &rows {
                each(document(row))?;
            }
        }
    }

    /// One page: never a reader held open over the whole listing, which would pin the WAL.
    async fn page(&self, feed: &str, filter: &Filter, after: i64) -> Result<Vec<SqliteRow>, LedgerError> {
        page(feed, filter, after).build().fetch_all(&self.readers).await.map_err(|error| self.error(error))
    }

    /// Number of documents by feed and state.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn count_documents(&self) -> Result<Vec<StateCount>, LedgerError> {
        let rows = sqlx::query("SELECT feed, state, count(*) FROM documents GROUP BY feed, state").fetch(&self.readers);
        let count = |row: &SqliteRow| {
            let state = row.get::<&str, _>(1).parse().ok()?;
            Some(StateCount { feed: row.get(0), state, count: row.get(2) })
        };
        gather(rows, count).await.map_err(|error| self.error(error))
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
                    poll_id, size, sha256, media_type, archive_path, name, summary, error, circuit, label, purged_at, id, quarantine_path
             FROM documents WHERE feed = $1 AND remote_id = $2",
        )
        .bind(feed.as_str())
        .bind(remote_id)
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(row.map(|row| (row.get(20), document(&row), row.get(21))))
    }
}

/// A page follows the order of an index, with a state and without: nothing is sorted.
pub(super) fn page(feed: &str, filter: &Filter, after: i64) -> QueryBuilder<Sqlite> {
    let mut page = QueryBuilder::new(
        "SELECT feed, remote_id, state, attempts, interruptions, listed_at, requested_at, stored_at, released_at,
                poll_id, size, sha256, media_type, archive_path, name, summary, error, circuit, label, purged_at, id
         FROM documents WHERE feed = ",
    );
    page.push_bind(feed.to_owned()).push(" AND id > ").push_bind(after);
    if let Some(state) = filter.state {
        page.push(" AND state = ").push_bind(state.as_str());
    }
    if let Some(since) = filter.since.map(stamp) {
        page.push(" AND (listed_at >= ").push_bind(since.clone()).push(" OR stored_at >= ").push_bind(since).push(")");
    }
    if let Some(name) = &filter.name {
        page.push(" AND name = ").push_bind(name.clone());
    }
    if filter.rejected {
        page.push(" AND summary LIKE ").push_bind(REFUSED);
    }
    page.push(" ORDER BY id LIMIT 1000");
    page
}

fn feed_row(row: &SqliteRow) -> Option<FeedRow> {
    let at = |index: usize| time(row.get::<Option<&str>, _>(index));
    Some(FeedRow {
        feed: row.get::<&str, _>(0).parse().ok()?,
        configured: row.get::<i64, _>(1) != 0,
        last_listed_at: at(2),
        next_poll_at: at(3),
        last_success_at: at(4),
        last_document_at: at(5),
        failing_since: at(6),
        last_outcome: row.get(7),
        last_error: row.get(8),
        consecutive_failures: row.get(9),
        still_listed: row.get(10),
        refused_entries: row.get(11),
        note: row.get(12),
        led_by: row.get(13),
        keeps_files: row.get(14),
        first_listed_at: at(15),
        claimed: row.get(16),
    })
}

pub(super) fn document(row: &SqliteRow) -> DocumentRow {
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
        circuit: row.get(17),
        label: row.get(18),
        purged_at: row.get(19),
    }
}
