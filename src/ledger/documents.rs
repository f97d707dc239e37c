//! Table `documents`: from listing to keeping, one verb per edge of a document's state.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::share::Share;
use super::{Ledger, LedgerError, time};
use crate::clock::stamp;
use crate::feed::{DocumentState, FeedName, RemoteDocument, RemoteFile};

/// What [`Ledger::open_documents`] asks: along `documents_queue`. Files are open to an interface of files only, and the reverse:
/// what waits for the other kind waits until its account uses that again.
pub(super) const OPEN: &str = "SELECT id, remote_id, setbacks FROM documents
     WHERE (remote_path IS NOT NULL) = $8 AND feed = $1 AND state IN ('listed', 'fetching', 'failed') AND (setbacks, id) > ($2, $3)
         AND (state = 'listed' OR (state = 'failed' AND (next_try_at <= $4 OR next_try_at > $7))
             OR (state = 'fetching' AND claimed_by <> $5))
     ORDER BY setbacks, id LIMIT $6";
/// A statement that ends with the columns [`claimed`] reads.
macro_rules! claimed_by {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " documents.id, documents.feed, remote_id, coalesce(stem, ''), attempts, interruptions, quarantine_sha256, setbacks,
              (SELECT known.origin FROM feeds AS known WHERE known.feed = documents.feed),
              (SELECT known.siren FROM feeds AS known WHERE known.feed = documents.feed),
              circuit, label, remote_path, remote_etag, remote_size, remote_modified ",
            $after
        )
    };
}
pub(super) use claimed_by;

/// What [`Ledger::claims`] asks: `CROSS JOIN` has SQLite look into each feed, not at each document.
pub(super) const CLAIMS: &str =
    claimed_by!("SELECT", "FROM feeds CROSS JOIN documents ON documents.feed = feeds.feed WHERE state = 'fetching'");

/// A place in the order of fetching: setbacks, row.
pub type Cursor = (i64, i64);

/// Which documents may be fetched.
#[derive(Clone, Copy, Debug)]
pub struct OpenTerms {
    /// The present.
    pub now: Timestamp,
    /// A next try after this was set by a clock that has been set back since: it is due.
    pub latest: Timestamp,
    /// Files of the platform, or (false) what is none.
    pub files: bool,
}

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
    /// Tries so far that did not keep it, counted or not.
    pub setbacks: i64,
    /// Scheme, host and port of its platform.
    pub origin: String,
    /// The SIREN its platform files it under.
    pub siren: String,
    /// The circuit it belongs to, where the platform says so.
    pub circuit: Option<String>,
    /// The label it lies under, where there is one.
    pub label: Option<String>,
    /// Where it lies, if it is a file of the platform.
    pub file: Option<RemoteFile>,
}

/// Documents that are to be claimed.
pub(super) type Claims = Share<Wanted, Option<Claimed>>;

/// A document that is to be claimed.
pub(super) struct Wanted {
    pub(super) id: i64,
    /// Where its copy will lie, if that is not fixed yet.
    pub(super) stem: String,
    pub(super) run: String,
    pub(super) now: String,
}

pub(super) fn claims() -> Claims {
    Share::new(|c, wanted| {
        Box::pin(async move {
            let rows = claim(&wanted).build().fetch_all(c).await?;
            let mut claimed: HashMap<i64, Claimed> =
                rows.iter().filter_map(claimed).map(|document| (document.id, document)).collect();
            Ok(wanted.iter().map(|wanted| claimed.remove(&wanted.id)).collect())
        })
    })
}

/// One statement, which looks each document up by its row. Whoever wants one holds a connection, of which there are 4096 at
/// most: SQLite takes twice as many.
pub(super) fn claim(wanted: &[Wanted]) -> QueryBuilder<Sqlite> {
    let mut claim = QueryBuilder::new("WITH wanted (id, stem, run, now) AS (");
    claim.push_values(wanted, |mut row, wanted| {
        row.push_bind(wanted.id).push_bind(wanted.stem.clone()).push_bind(wanted.run.clone());
        row.push_bind(wanted.now.clone());
    });
    claim.push(claimed_by!(
        ") UPDATE documents SET interruptions = interruptions + CASE state WHEN 'fetching' THEN 1 ELSE 0 END,
             setbacks = setbacks + CASE state WHEN 'fetching' THEN 1 ELSE 0 END,
             state = 'fetching', claimed_by = wanted.run, requested_at = wanted.now,
             stem = coalesce(documents.stem, wanted.stem)
         FROM wanted WHERE documents.id = wanted.id
             AND (state IN ('listed', 'failed') OR (state = 'fetching' AND claimed_by <> wanted.run))
         RETURNING",
        ""
    ));
    claim
}

impl Claimed {
    /// The document as its platform knows it.
    #[must_use]
    pub fn remote(&self) -> RemoteDocument {
        let Self { remote_id, circuit, label, file, .. } = self.clone();
        RemoteDocument { id: remote_id, circuit, label, file }
    }
}

impl Ledger {
    /// Documents of `feed` that may be fetched, after `after`: those without a setback first, else in the order they were
    /// listed. Those that this run has claimed are its own affair and not among them.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn open_documents(
        &self,
        feed: &FeedName,
        run: &str,
        terms: OpenTerms,
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<Open>, LedgerError> {
        let rows = sqlx::query(OPEN)
            .bind(feed.as_str())
            .bind(after.0)
            .bind(after.1)
            .bind(stamp(terms.now))
            .bind(run)
            .bind(limit)
            .bind(stamp(terms.latest))
            .bind(terms.files)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows
            .iter()
            .map(|row| Open { id: row.get(0), remote_id: row.get(1), cursor: (row.get(2), row.get(0)) })
            .collect())
    }

    /// Claims a document with the place of its copy, before its download leaves: those asked for at the same time by one
    /// statement. A claim of a run that died is taken over, and counts as an interruption. `None` where there is nothing to
    /// claim any more.
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
        let wanted = Wanted { id, stem, run: run.to_owned(), now: stamp(now) };
        self.claims.run(self.writer()?, wanted).await
    }

    /// Claims a document in state `seen` for bytes that an operator takes: no pass ever sees it as one to be fetched.
    /// `None` where its state has changed meanwhile.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn claim_accepted(
        &self,
        id: i64,
        seen: DocumentState,
        run: &str,
        stem: String,
    ) -> Result<Option<Claimed>, LedgerError> {
        let run = run.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let row = sqlx::query(claimed_by!(
                    "UPDATE documents SET state = 'fetching', claimed_by = $1, stem = coalesce(stem, $2)
                     WHERE id = $3 AND state = $4 AND state <> 'fetching' RETURNING",
                    ""
                ))
                .bind(run)
                .bind(stem)
                .bind(id)
                .bind(seen.as_str())
                .fetch_optional(c)
                .await?;
                Ok(row.as_ref().and_then(claimed))
            })
        })
        .await
    }

    /// Claims a document in state `seen` to be fetched once more by hand, its copy to lie at `stem`. `None` where its state has
    /// changed meanwhile.
    ///
    /// # Errors
    /// When the ledger fails: then no request may leave.
    pub async fn claim_again(
        &self,
        id: i64,
        seen: DocumentState,
        run: &str,
        stem: String,
        now: Timestamp,
    ) -> Result<Option<Claimed>, LedgerError> {
        let run = run.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let row = sqlx::query(claimed_by!(
                    "UPDATE documents SET state = 'fetching', claimed_by = $1, stem = $2, requested_at = $5
                     WHERE id = $3 AND state = $4 AND state <> 'fetching' RETURNING",
                    ""
                ))
                .bind(run)
                .bind(stem)
                .bind(id)
                .bind(seen.as_str())
                .bind(stamp(now))
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
        let row = sqlx::query(claimed_by!("SELECT", "FROM documents WHERE id = $1 AND state = 'fetching'"))
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
        let rows = sqlx::query(CLAIMS).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(claimed).collect())
    }

    /// Makes a document that is in state `seen` eligible again, its tries forgotten; `stem` replaces the place of its
    /// copy where one is given (a held document downloaded again must not meet its first copy). Answers false, and
    /// changes nothing, where the document has left that state or is being fetched.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn reopen(&self, id: i64, seen: DocumentState, stem: Option<String>) -> Result<bool, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let reopened = sqlx::query(
                    "UPDATE documents SET state = 'listed', attempts = 0, next_try_at = NULL, claimed_by = NULL,
                         error = NULL, stem = coalesce($1, stem) WHERE id = $2 AND state = $3 AND state <> 'fetching'",
                )
                .bind(stem)
                .bind(id)
                .bind(seen.as_str())
                .execute(c)
                .await?;
                Ok(reopened.rows_affected() > 0)
            })
        })
        .await
    }

    /// Closes an abandoned or lost document: it is no failure any more. Answers false, and changes nothing, where it is
    /// neither any more.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn dismiss(&self, id: i64, reason: String) -> Result<bool, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let dismissed = sqlx::query(
                    "UPDATE documents SET state = 'dismissed', error = $1
                     WHERE id = $2 AND state IN ('abandoned', 'lost')",
                )
                .bind(reason)
                .bind(id)
                .execute(c)
                .await?;
                Ok(dismissed.rows_affected() > 0)
            })
        })
        .await
    }
}

pub(super) fn claimed(row: &SqliteRow) -> Option<Claimed> {
    Some(Claimed {
        id: row.get(0),
        feed: row.get::<&str, _>(1).parse().ok()?,
        remote_id: row.get(2),
        stem: row.get(3),
        attempts: row.get(4),
        interruptions: row.get(5),
        quarantine_sha256: row.get(6),
        setbacks: row.get(7),
        origin: row.get(8),
        siren: row.get(9),
        circuit: row.get(10),
        label: row.get(11),
        file: file(row, 12),
    })
}

/// The file that four columns from `first` on tell of: path, entity tag, size, time.
pub(super) fn file(row: &SqliteRow, first: usize) -> Option<RemoteFile> {
    Some(RemoteFile {
        path: row.get::<Option<String>, _>(first)?,
        etag: row.get(first + 1),
        size: row.get::<Option<i64>, _>(first + 2).and_then(|size| size.try_into().ok()),
        modified: time(row.get::<Option<&str>, _>(first + 3)),
    })
}
