//! Tables `documents` and `deliveries`: all there is to know of one document.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::catalogue::document;
use super::{DocumentRow, Ledger, LedgerError};

/// All there is to know of one document.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Dossier {
    /// Its row.
    #[serde(flatten)]
    pub row: DocumentRow,
    /// When it is tried next.
    pub next_try_at: Option<String>,
    /// Bytes set aside, relative to the state directory.
    pub quarantine_path: Option<String>,
    /// Where it lies on its platform.
    pub remote_path: Option<String>,
    /// Its entity tag there.
    pub remote_etag: Option<String>,
    /// When it was last changed there.
    pub remote_modified: Option<String>,
    /// Why it is not removed there yet.
    pub release_error: Option<String>,
    /// The id under which the same bytes had come over another interface.
    pub same_as: Option<String>,
    /// The last requests for it that did not bring it, oldest first.
    pub tries: Vec<TryRow>,
    /// To whom it was handed.
    pub deliveries: Vec<DeliveryRow>,
}

/// A request for a document that did not bring it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TryRow {
    /// When it left.
    pub asked_at: String,
    /// Whether it counts among the document's attempts.
    pub counted: bool,
    /// What became of it.
    pub error: String,
}

/// A delivery as people look at it.
#[derive(Clone, Debug, serde::Serialize)]
#[expect(missing_docs, reason = "the columns of the ledger, as the contract names them")]
pub struct DeliveryRow {
    pub target: String,
    pub state: String,
    pub attempts: i64,
    pub created_at: String,
    pub delivered_at: Option<String>,
    pub next_try_at: Option<String>,
    pub error: Option<String>,
}

/// What [`Ledger::dossiers`] asks: along the ids of each feed, and along all names.
pub(super) const WANTED: &str = "WITH wanted (row) AS (
         SELECT documents.id FROM feeds CROSS JOIN documents
             ON documents.feed = feeds.feed AND documents.remote_id = $1
         UNION SELECT id FROM documents WHERE name = $1)
     SELECT feed, remote_id, state, attempts, interruptions, listed_at, requested_at, stored_at, released_at, poll_id,
         size, sha256, media_type, archive_path, name, summary, error, circuit, label, purged_at, next_try_at, quarantine_path,
         remote_path, remote_etag, remote_modified, release_error, same_as
     FROM wanted CROSS JOIN documents ON documents.id = wanted.row ORDER BY id";

impl Ledger {
    /// The documents of this id or NomFic, of all feeds, oldest first.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn dossiers(&self, wanted: &str) -> Result<Vec<Dossier>, LedgerError> {
        let rows =
            sqlx::query(WANTED).bind(wanted).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        let mut dossiers: Vec<Dossier> = rows.iter().map(dossier).collect();
        for dossier in &mut dossiers {
            let rows = sqlx::query(
                "SELECT target, state, attempts, created_at, delivered_at, next_try_at, error FROM deliveries
                 WHERE feed = $1 AND remote_id = $2 ORDER BY id",
            )
            .bind(&dossier.row.feed)
            .bind(&dossier.row.remote_id)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
            dossier.deliveries = rows.iter().map(delivery).collect();
            let rows = sqlx::query(
                "SELECT asked_at, counted, tries.error FROM documents CROSS JOIN tries ON tries.document = documents.id
                 WHERE feed = $1 AND remote_id = $2 ORDER BY tries.id",
            )
            .bind(&dossier.row.feed)
            .bind(&dossier.row.remote_id)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
            let one = |row: &SqliteRow| TryRow { asked_at: row.get(0), counted: row.get(1), error: row.get(2) };
            dossier.tries = rows.iter().map(one).collect();
        }
        Ok(dossiers)
    }
}

fn dossier(row: &SqliteRow) -> Dossier {
    Dossier {
        row: document(row),
        next_try_at: row.get(20),
        quarantine_path: row.get(21),
        remote_path: row.get(22),
        remote_etag: row.get(23),
        remote_modified: row.get(24),
        release_error: row.get(25),
        same_as: row.get(26),
        tries: Vec::new(),
        deliveries: Vec::new(),
    }
}

fn delivery(row: &SqliteRow) -> DeliveryRow {
    DeliveryRow {
        target: row.get(0),
        state: row.get(1),
        attempts: row.get(2),
        created_at: row.get(3),
        delivered_at: row.get(4),
        next_try_at: row.get(5),
        error: row.get(6),
    }
}
