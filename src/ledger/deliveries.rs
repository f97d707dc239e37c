//! Table `deliveries`: which document still waits for which target.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;
use crate::feed::FeedName;

/// The longest pause a courier makes between two tries of a delivery.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// What [`Ledger::deliveries_due`] asks. Each part follows an index and ends at its limit, so that a batch costs the
/// same however many wait; one never tried is due whatever the clock says. Those that failed before have a limit of their own:
/// were they many, and slow to fail, none would ever be begun beside them.
pub(super) const DUE: &str = "WITH due (id) AS (
         SELECT * FROM (SELECT id FROM deliveries WHERE target = $1 AND state = 'pending' ORDER BY id LIMIT $4)
         UNION ALL SELECT * FROM (SELECT id FROM deliveries WHERE target = $1 AND state = 'failed'
             AND next_try_at <= $2 ORDER BY next_try_at LIMIT $5)
         UNION ALL SELECT * FROM (SELECT id FROM deliveries WHERE target = $1 AND state = 'failed'
             AND next_try_at > $3 ORDER BY next_try_at LIMIT $5))
     SELECT deliveries.id, created_at, deliveries.feed, deliveries.remote_id, archive_path, sha256, name,
            deliveries.attempts, circuit, label, failing_since, size, media_type, stored_at, summary
     FROM due CROSS JOIN deliveries ON deliveries.id = due.id CROSS JOIN documents
         ON documents.feed = deliveries.feed AND documents.remote_id = deliveries.remote_id
     WHERE archive_path IS NOT NULL ORDER BY deliveries.id LIMIT $4";

/// Deliveries not made: three parts, each with an index that leaves out all that was ever delivered.
const WAITING: [&str; 3] = [
    "deliveries INDEXED BY deliveries_pending WHERE state = 'pending'",
    "deliveries INDEXED BY deliveries_failed WHERE state = 'failed'",
    "deliveries INDEXED BY deliveries_abandoned WHERE state = 'abandoned'",
];

/// What [`Ledger::delivery_backlog`] asks.
pub(super) const BACKLOG: &str =
    "SELECT feed, target, 'pending', count(*) FROM deliveries INDEXED BY deliveries_pending WHERE state = 'pending' GROUP BY feed, target
     UNION ALL SELECT feed, target, 'failed', count(*) FROM deliveries INDEXED BY deliveries_failed WHERE state = 'failed' GROUP BY feed, target
     UNION ALL SELECT feed, target, 'abandoned', count(*) FROM deliveries INDEXED BY deliveries_abandoned WHERE state = 'abandoned' GROUP BY feed, target";

/// Deliveries recorded by one statement.
const CHUNK: usize = 500;

/// A delivery that is due.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its row.
    pub id: i64,
    /// When it was ordered: a document downloaded again has its delivery ordered again.
    pub created_at: String,
    /// The document's feed.
    pub feed: FeedName,
    /// The document's remote id.
    pub remote_id: String,
    /// Where the archived copy lies, relative to the state directory.
    pub archive_path: String,
    /// SHA-256 of the document, in hexadecimal.
    pub sha256: String,
    /// The document's own name, where it has one.
    pub name: Option<String>,
    /// Tries so far.
    pub attempts: i64,
    /// The circuit the document belongs to, where the platform says so.
    pub circuit: Option<String>,
    /// The label it lay under, where there was one.
    pub label: Option<String>,
    /// Its first failure since it was ordered, where there was one.
    pub failing_since: Option<Timestamp>,
    /// Bytes.
    pub size: i64,
    /// Media type.
    pub media_type: String,
    /// When the document was stored.
    pub stored_at: String,
    /// What it says, as JSON.
    pub summary: Option<String>,
}

/// How a delivery went.
#[derive(Clone, Debug)]
pub struct Settled {
    /// Its row.
    pub id: i64,
    /// When it was ordered. One ordered again since was not made: that is another copy.
    pub created_at: String,
    /// The document's feed.
    pub feed: FeedName,
    /// The document's remote id.
    pub remote_id: String,
    /// `Err`: why it was not made.
    pub outcome: Result<(), Setback>,
}

/// Why a delivery was not made.
#[derive(Clone, Debug)]
pub struct Setback {
    /// What went wrong.
    pub error: String,
    /// When to try again; `None`: it has failed for so long that only an operator revives it.
    pub next: Option<Timestamp>,
}

/// Deliveries that wait, of a feed or to a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Not tried yet.
    pub pending: i64,
    /// Tried without success.
    pub failed: i64,
    /// Given up.
    pub abandoned: i64,
}

impl Backlog {
    fn add(&mut self, state: &str, count: i64) {
        match state {
            "pending" => self.pending += count,
            "failed" => self.failed += count,
            _ => self.abandoned += count,
        }
    }
}

/// Deliveries that wait, by feed and by target.
#[derive(Clone, Debug, Default)]
pub struct Backlogs {
    /// By feed.
    pub feeds: BTreeMap<String, Backlog>,
    /// By target.
    pub targets: BTreeMap<String, Backlog>,
}

impl Ledger {
    /// Deliveries to `target` due at `now`, in the order of storing, at most `limit`, about half of them tried before. A next try more than the longest
    /// pause away was set by a clock that has been set back since: it is due.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn deliveries_due(&self, target: &str, now: Timestamp, limit: u32) -> Result<Vec<Pending>, LedgerError> {
        let latest = now.checked_add(LONGEST_PAUSE).unwrap_or(Timestamp::MAX);
        let rows = sqlx::query(DUE)
            .bind(target)
            .bind(stamp(now))
            .bind(stamp(latest))
            .bind(limit)
            .bind(limit.div_ceil(2))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(pending).collect())
    }

    /// Records how deliveries went; a document that every target has becomes `delivered`.
    ///
    /// # Errors
    /// When the ledger fails: the deliveries are made again.
    pub async fn settle_deliveries(&self, settled: Vec<Settled>, now: Timestamp) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let (made, failed): (Vec<_>, Vec<_>) = settled.iter().partition(|one| one.outcome.is_ok());
                for one in failed {
                    set_back(c, one, &stamp(now)).await?;
                }
                for made in made.chunks(CHUNK) {
                    conclude(c, made, &stamp(now)).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Forgets open deliveries to targets that are no longer configured: they hold nothing back any more.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn retire_targets(&self, configured: Vec<String>) -> Result<u64, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let mut gone = 0;
                for waiting in WAITING {
                    let mut delete = QueryBuilder::new(format!("DELETE FROM {waiting} AND target NOT IN ("));
                    let mut list = delete.separated(", ");
                    for target in &configured {
                        list.push_bind(target.as_str());
                    }
                    list.push_unseparated(")");
                    gone += delete.build().execute(&mut *c).await?.rows_affected();
                }
                if gone > 0 {
                    sqlx::query(
                        "UPDATE documents SET state = 'delivered' WHERE state = 'stored' AND NOT EXISTS (
                             SELECT 1 FROM deliveries WHERE deliveries.feed = documents.feed
                                 AND deliveries.remote_id = documents.remote_id AND deliveries.state <> 'delivered')",
                    )
                    .execute(&mut *c)
                    .await?;
                }
                let mut delete = QueryBuilder::new("DELETE FROM targets WHERE target NOT IN (");
                let mut list = delete.separated(", ");
                for target in &configured {
                    list.push_bind(target.as_str());
                }
                list.push_unseparated(")");
                delete.build().execute(c).await?;
                Ok(gone)
            })
        })
        .await
    }

    /// Deliveries that wait or were given up.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn delivery_backlog(&self) -> Result<Backlogs, LedgerError> {
        let rows = sqlx::query(BACKLOG).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        let mut backlogs = Backlogs::default();
        for row in rows {
            let (feed, target, state, count): (String, String, &str, i64) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            backlogs.feeds.entry(feed).or_default().add(state, count);
            backlogs.targets.entry(target).or_default().add(state, count);
        }
        Ok(backlogs)
    }
}

fn pending(row: &SqliteRow) -> Option<Pending> {
    Some(Pending {
        id: row.get(0),
        created_at: row.get(1),
        feed: row.get::<&str, _>(2).parse().ok()?,
        remote_id: row.get(3),
        archive_path: row.get(4),
        sha256: row.get::<Option<String>, _>(5).unwrap_or_default(),
        name: row.get(6),
        attempts: row.get(7),
        circuit: row.get(8),
        label: row.get(9),
        failing_since: time(row.get(10)),
        size: row.get::<Option<i64>, _>(11).unwrap_or_default(),
        media_type: row.get::<Option<String>, _>(12).unwrap_or_default(),
        stored_at: row.get::<Option<String>, _>(13).unwrap_or_default(),
        summary: row.get(14),
    })
}

/// One that was not made.
async fn set_back(c: &mut SqliteConnection, one: &Settled, now: &str) -> Result<(), sqlx::Error> {
    let Err(Setback { error, next }) = &one.outcome else { return Ok(()) };
    sqlx::query(
        "UPDATE deliveries SET state = $1, attempts = attempts + 1, delivered_at = NULL, error = $2,
             next_try_at = coalesce($3, next_try_at), failing_since = coalesce(failing_since, $4)
         WHERE id = $5 AND created_at = $6",
    )
    .bind(if next.is_some() { "failed" } else { "abandoned" })
    .bind(error)
    .bind(next.map(stamp))
    .bind(now)
    .bind(one.id)
    .bind(&one.created_at)
    .execute(c)
    .await?;
    Ok(())
}

/// Those that were made, and what that means for their documents.
async fn conclude(c: &mut SqliteConnection, made: &[&Settled], now: &str) -> Result<(), sqlx::Error> {
    delivered(made, now).build().execute(&mut *c).await?;
    documents_delivered(made).build().execute(&mut *c).await?;
    released(made, now).build().execute(c).await?;
    Ok(())
}

/// `created_at`: one that was ordered anew meanwhile is still to be made.
pub(super) fn delivered(made: &[&Settled], now: &str) -> QueryBuilder<Sqlite> {
    let mut update = QueryBuilder::new("WITH made (id, created_at) AS (");
    update.push_values(made, |mut row, one| {
        row.push_bind(one.id).push_bind(one.created_at.clone());
    });
    update.push(") UPDATE deliveries SET state = 'delivered', attempts = attempts + 1, delivered_at = ");
    update.push_bind(now.to_owned());
    update.push(
        ", error = NULL, failing_since = NULL FROM made
         WHERE deliveries.id = made.id AND deliveries.created_at = made.created_at",
    );
    update
}

/// Documents that every target has now.
pub(super) fn documents_delivered(made: &[&Settled]) -> QueryBuilder<Sqlite> {
    let mut update = with_documents(made);
    update.push(
        "UPDATE documents SET state = 'delivered' FROM made
         WHERE documents.feed = made.feed AND documents.remote_id = made.remote_id AND state = 'stored' AND NOT EXISTS (
             SELECT 1 FROM deliveries WHERE deliveries.feed = made.feed AND deliveries.remote_id = made.remote_id
                 AND deliveries.state <> 'delivered')",
    );
    update
}

/// The platform is told now, where it is told of documents delivered.
pub(super) fn released(made: &[&Settled], now: &str) -> QueryBuilder<Sqlite> {
    let mut update = with_documents(made);
    update.push("UPDATE feeds SET resume_at = ").push_bind(now.to_owned());
    update.push(
        " WHERE resume_at IS NULL AND feed IN (
             SELECT documents.feed FROM made CROSS JOIN documents
                 ON documents.feed = made.feed AND documents.remote_id = made.remote_id
             WHERE release = 'delivered' AND state = 'delivered' AND released_at IS NULL)",
    );
    update
}

fn with_documents(made: &[&Settled]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("WITH made (feed, remote_id) AS (");
    query.push_values(made, |mut row, one| {
        row.push_bind(one.feed.as_str().to_owned()).push_bind(one.remote_id.clone());
    });
    query.push(") ");
    query
}
