//! Table `documents`: a document is kept, in one commit with its deliveries (F5).

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Ledger, LedgerError};
use crate::clock::stamp;
use crate::feed::{DocumentState, FeedName};

/// Deliveries ordered by one statement.
const CHUNK: usize = 500;

/// What [`Ledger::keep`] asks of the documents named before it: the same bytes of the same feed, held already, that came over
/// the other kind of interface: as a file, where this is none, or the reverse. Along `documents_bytes` and `documents_same`.
const TWINS: &str = " SELECT it.id, held.remote_id FROM kept CROSS JOIN documents AS it ON it.id = kept.id
         CROSS JOIN documents AS held ON held.feed = it.feed AND held.sha256 = kept.sha256
     WHERE held.id <> it.id AND (held.archive_path IS NOT NULL OR held.purged_at IS NOT NULL) AND it.subject IS NULL
         AND it.archive_path IS NULL AND it.purged_at IS NULL AND (held.remote_path IS NULL) <> (it.remote_path IS NULL)
         AND NOT EXISTS (SELECT 1 FROM documents AS other WHERE other.feed = held.feed AND other.same_as = held.remote_id)";

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
    /// Its own name, where it says one.
    pub name: Option<String>,
    /// What it says, as JSON.
    pub summary: Option<String>,
    /// Targets that want it.
    pub targets: Vec<String>,
}

impl Ledger {
    /// Records documents whose copies are durable, with their deliveries, in one commit (F5). Answers, for each, under which
    /// id the same bytes had been collected over another interface, if they had: then nobody is given them again (F4).
    ///
    /// # Errors
    /// When the ledger fails: the copies stay, and are adopted at the next start.
    pub async fn keep(&self, batch: Vec<Kept>, now: Timestamp) -> Result<Vec<Option<String>>, LedgerError> {
        self.write(move |c| Box::pin(async move { store(c, &batch, &stamp(now)).await })).await
    }
}

async fn store(c: &mut SqliteConnection, batch: &[Kept], now: &str) -> Result<Vec<Option<String>>, sqlx::Error> {
    let mut known = Vec::with_capacity(batch.len());
    // Of the same bytes twice, the second one is judged once the first one is held.
    for part in apart(batch) {
        let twins = twins_of(c, part).await?;
        record(part, &twins, now).build().execute(&mut *c).await?;
        let orders: Vec<(i64, &str)> = part
            .iter()
            .zip(&twins)
            .filter(|(_, twin)| twin.is_none())
            .flat_map(|(kept, _)| kept.targets.iter().map(|target| (kept.id, target.as_str())))
            .collect();
        deliver(c, &orders, now).await?;
        known.extend(twins);
    }
    let mut update = QueryBuilder::new("UPDATE feeds SET last_document_at = ");
    update.push_bind(now).push(" WHERE feed IN (SELECT feed FROM documents WHERE id IN (");
    let mut ids = update.separated(", ");
    for kept in batch {
        ids.push_bind(kept.id);
    }
    update.push("))");
    update.build().execute(c).await?;
    Ok(known)
}

/// Parts of `batch`, in its order, in none of which the same bytes come twice.
fn apart(batch: &[Kept]) -> Vec<&[Kept]> {
    let (mut parts, mut begin, mut seen) = (Vec::new(), 0, HashSet::new());
    for (number, kept) in batch.iter().enumerate() {
        if !seen.insert(kept.sha256.as_str()) {
            parts.push(&batch[begin..number]);
            begin = number;
            seen = HashSet::from([kept.sha256.as_str()]);
        }
    }
    parts.push(&batch[begin..]);
    parts
}

/// The id of each one's twin, where it has one. Each twin is recognised once: a second of the same bytes is another document.
async fn twins_of(c: &mut SqliteConnection, part: &[Kept]) -> Result<Vec<Option<String>>, sqlx::Error> {
    let rows = twins(part).build().fetch_all(c).await?;
    Ok(part.iter().map(|kept| rows.iter().find(|row| row.get::<i64, _>(0) == kept.id).map(|row| row.get(1))).collect())
}

pub(super) fn twins(part: &[Kept]) -> QueryBuilder<Sqlite> {
    let mut lookup = QueryBuilder::new("WITH kept (id, sha256) AS (");
    lookup.push_values(part, |mut row, kept| {
        row.push_bind(kept.id).push_bind(kept.sha256.clone());
    });
    lookup.push(")").push(TWINS);
    lookup
}

/// What is known of documents now that they are kept.
pub(super) fn record(part: &[Kept], twins: &[Option<String>], now: &str) -> QueryBuilder<Sqlite> {
    let mut update = QueryBuilder::new(
        "WITH kept (id, state, poll_id, size, sha256, media_type, archive_path, name, summary, same_as) AS (",
    );
    update.push_values(part.iter().zip(twins), |mut row, (kept, twin)| {
        let waits = twin.is_none() && !kept.targets.is_empty();
        let state = if waits { DocumentState::Stored } else { DocumentState::Delivered };
        row.push_bind(kept.id).push_bind(state.as_str()).push_bind(kept.poll).push_bind(kept.size);
        row.push_bind(kept.sha256.clone()).push_bind(kept.media_type).push_bind(kept.archive_path.clone());
        row.push_bind(kept.name.clone()).push_bind(kept.summary.clone()).push_bind(twin.clone());
    });
    update.push(") UPDATE documents SET state = kept.state, stored_at = ").push_bind(now.to_owned());
    update.push(
        ", poll_id = coalesce(kept.poll_id, documents.poll_id), size = kept.size, sha256 = kept.sha256,
             media_type = kept.media_type, archive_path = kept.archive_path, name = coalesce(kept.name, documents.name),
             summary = coalesce(kept.summary, documents.summary), same_as = kept.same_as, error = NULL, claimed_by = NULL,
             claimed_until = NULL, next_try_at = NULL, quarantine_path = NULL, quarantine_sha256 = NULL, purged_at = NULL
         FROM kept WHERE documents.id = kept.id",
    );
    update
}

/// Each of the documents `ids` to each of `targets`.
pub(super) fn to_each<'a>(ids: &[i64], targets: &'a [String]) -> Vec<(i64, &'a str)> {
    ids.iter().flat_map(|id| targets.iter().map(|target| (*id, target.as_str()))).collect()
}

/// Orders deliveries: of which document, to which target, in this order.
pub(super) async fn deliver(c: &mut SqliteConnection, orders: &[(i64, &str)], now: &str) -> Result<(), sqlx::Error> {
    for orders in orders.chunks(CHUNK) {
        order(orders, now).build().execute(&mut *c).await?;
    }
    Ok(())
}

/// `ORDER BY`: ids of deliveries grow in the order of storing.
fn order(orders: &[(i64, &str)], now: &str) -> QueryBuilder<Sqlite> {
    let mut insert = QueryBuilder::new("WITH ordered (place, id, target) AS (");
    insert.push_values(orders.iter().enumerate(), |mut row, (place, (id, target))| {
        row.push_bind(place as i64).push_bind(*id).push_bind((*target).to_owned());
    });
    insert.push(
        ") INSERT INTO deliveries (feed, remote_id, target, state, created_at, next_try_at)
         SELECT feed, remote_id, target, 'pending', ",
    );
    insert.push_bind(now.to_owned()).push(", ").push_bind(now.to_owned());
    insert.push(
        " FROM ordered CROSS JOIN documents ON documents.id = ordered.id WHERE true ORDER BY place
         ON CONFLICT (feed, remote_id, target) DO UPDATE SET state = 'pending', attempts = 0, error = NULL,
             failing_since = NULL, created_at = excluded.created_at, next_try_at = excluded.next_try_at",
    );
    insert
}
