//! Tables `documents` and `tries`: a try that did not keep its document, and what that costs.

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::{Ledger, LedgerError};
use crate::clock::stamp;
use crate::feed::DocumentState;

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

impl Ledger {
    /// Records a try that did not keep its document.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn refuse(&self, refusal: Refusal) -> Result<(), LedgerError> {
        self.write(move |c| Box::pin(async move { refuse(c, &refusal).await })).await
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
                 WHEN $1 IN ('abandoned', 'gone', 'lost') AND (archive_path IS NOT NULL OR purged_at IS NOT NULL) THEN
                     CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE deliveries.feed = documents.feed
                         AND deliveries.remote_id = documents.remote_id AND deliveries.state <> 'delivered')
                     THEN 'stored' ELSE 'delivered' END
                 ELSE coalesce($1, CASE WHEN attempts > 0 THEN 'failed' ELSE 'listed' END) END,
             attempts = attempts + $2, next_try_at = coalesce($3, next_try_at), error = coalesce($4, error),
             interruptions = interruptions + $5, setbacks = setbacks + 1, claimed_by = NULL, claimed_until = NULL,
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
    .execute(&mut *c)
    .await?;
    remember_try(c, refusal.id, counted > 0, refusal.error.as_deref().unwrap_or_default()).await
}

/// Tries that are remembered of a document.
const REMEMBERED: i64 = 30;

/// Writes down a try that did not keep its document; the oldest are forgotten.
async fn remember_try(c: &mut SqliteConnection, id: i64, counted: bool, error: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO tries (document, asked_at, counted, error)
         SELECT id, requested_at, $2, $3 FROM documents WHERE id = $1 AND requested_at IS NOT NULL",
    )
    .bind(id)
    .bind(counted)
    .bind(error)
    .execute(&mut *c)
    .await?;
    sqlx::query(
        "DELETE FROM tries WHERE document = $1
             AND id <= (SELECT id FROM tries WHERE document = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(id)
    .bind(REMEMBERED)
    .execute(c)
    .await?;
    Ok(())
}
