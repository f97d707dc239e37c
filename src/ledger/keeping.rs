//! Table `documents`: a document is kept, in one commit with its deliveries (F5).

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::{Ledger, LedgerError};
use crate::clock::stamp;
use crate::feed::{DocumentState, FeedName};

/// What [`Ledger::keep`] asks of a document: the same bytes of the same feed, held already, that came over the other kind of
/// interface: as a file, where this is none, or the reverse. Each is recognised once: a second of the same bytes is another
/// document. Along `documents_bytes` and `documents_same`.
pub(super) const TWIN: &str = "SELECT held.remote_id FROM documents AS it CROSS JOIN documents AS held
         ON held.feed = it.feed AND held.sha256 = $2
     WHERE it.id = $1 AND held.id <> it.id AND (held.archive_path IS NOT NULL OR held.purged_at IS NOT NULL) AND it.subject IS NULL
         AND it.archive_path IS NULL AND it.purged_at IS NULL AND (held.remote_path IS NULL) <> (it.remote_path IS NULL)
         AND NOT EXISTS (SELECT 1 FROM documents AS other WHERE other.feed = held.feed AND other.same_as = held.remote_id)
     LIMIT 1";

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
        self.write(move |c| {
            Box::pin(async move {
                let mut twins = Vec::with_capacity(batch.len());
                for kept in &batch {
                    twins.push(store(c, kept, &stamp(now)).await?);
                }
                Ok(twins)
            })
        })
        .await
    }
}

async fn store(c: &mut SqliteConnection, kept: &Kept, now: &str) -> Result<Option<String>, sqlx::Error> {
    let twin: Option<String> =
        sqlx::query_scalar(TWIN).bind(kept.id).bind(&kept.sha256).fetch_optional(&mut *c).await?;
    let targets = if twin.is_some() { &[] } else { kept.targets.as_slice() };
    let state = if targets.is_empty() { DocumentState::Delivered } else { DocumentState::Stored };
    sqlx::query(
        "UPDATE documents SET state = $1, stored_at = $2, poll_id = coalesce($3, poll_id), size = $4, sha256 = $5,
             media_type = $6, archive_path = $7, name = coalesce($9, name), summary = coalesce($10, summary), same_as = $11, error = NULL,
             claimed_by = NULL, claimed_until = NULL, next_try_at = NULL, quarantine_path = NULL,
             quarantine_sha256 = NULL, purged_at = NULL
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
    .bind(&kept.name)
    .bind(&kept.summary)
    .bind(&twin)
    .execute(&mut *c)
    .await?;
    deliver(c, kept.id, targets, now).await?;
    sqlx::query("UPDATE feeds SET last_document_at = $1 WHERE feed = (SELECT feed FROM documents WHERE id = $2)")
        .bind(now)
        .bind(kept.id)
        .execute(c)
        .await?;
    Ok(twin)
}

/// Orders the deliveries of document `id` to `targets`.
pub(super) async fn deliver(
    c: &mut SqliteConnection,
    id: i64,
    targets: &[String],
    now: &str,
) -> Result<(), sqlx::Error> {
    for target in targets {
        sqlx::query(
            "INSERT INTO deliveries (feed, remote_id, target, state, created_at, next_try_at)
             SELECT feed, remote_id, $1, 'pending', $2, $2 FROM documents WHERE id = $3
             ON CONFLICT (feed, remote_id, target) DO UPDATE SET state = 'pending', attempts = 0, error = NULL,
                 failing_since = NULL, created_at = excluded.created_at, next_try_at = excluded.next_try_at",
        )
        .bind(target)
        .bind(now)
        .bind(id)
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}
