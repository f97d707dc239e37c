//! Table `documents`: those that are files of their platform. What a listing shows of known ones, which of two feeds one
//! belongs to, and its removal from the platform once it is safe.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row as _};

use super::documents::file;
use super::listing::ListingTerms;
use super::{Ledger, LedgerError, among, time};
use crate::clock::stamp;
use crate::config::Release;
use crate::feed::{DocumentState, FeedName, Kind, RemoteDocument, RemoteFile};

/// What [`Ledger::releases_due`] asks: along `documents_release`.
pub(super) const RELEASES: &str = "SELECT id, remote_id, circuit, label, remote_path, remote_etag, remote_size,
         remote_modified FROM documents
     WHERE feed = $1 AND id > $2 AND release IS NOT NULL AND released_at IS NULL AND state IN ('stored', 'delivered')
         AND (release = 'stored' OR state = 'delivered') AND archive_path IS NOT NULL
         AND (release_error IS NOT NULL) = $4 ORDER BY id LIMIT $3";
/// What [`Ledger::unreleased`] asks, along the same.
pub(super) const UNRELEASED: &str = "SELECT feed, count(*), count(release_error), max(release_error) FROM documents
     WHERE release IS NOT NULL AND released_at IS NULL AND state IN ('stored', 'delivered')
         AND (release = 'stored' OR state = 'delivered') GROUP BY feed";
/// What [`Ledger::other_interface`] asks, along `documents_state`.
pub(super) const OTHER_INTERFACE: &str = "SELECT documents.feed, count(*)
     FROM feeds CROSS JOIN documents ON documents.feed = feeds.feed
     WHERE state IN ('listed', 'fetching', 'failed') AND (remote_path IS NOT NULL) <> files GROUP BY documents.feed";
/// What [`Ledger::passed_over`] asks, along `documents_state`.
pub(super) const PASSED_OVER: &str = "SELECT documents.feed, count(*)
     FROM feeds CROSS JOIN documents ON documents.feed = feeds.feed
     WHERE files = 1 AND state = 'skipped' AND error IS NOT NULL GROUP BY documents.feed";
/// What [`Ledger::oldest_files`] asks, along `documents_place`.
pub(super) const OLDEST_FILES: &str = "SELECT documents.feed, min(listed_at)
     FROM feeds CROSS JOIN documents ON documents.feed = feeds.feed
     WHERE files = 1 AND remote_path IS NOT NULL AND state IN ('listed', 'fetching', 'failed') GROUP BY documents.feed";

/// A document that is safe here and still lies on its platform.
#[derive(Clone, Debug)]
pub struct Unreleased {
    /// Its row.
    pub id: i64,
    /// The document as its platform knows it.
    pub remote: RemoteDocument,
}

/// Documents of a feed that are safe here and still lie on their platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remaining {
    /// How many.
    pub count: i64,
    /// How many of these could not be removed.
    pub failed: i64,
    /// Why one of these could not.
    pub error: Option<String>,
}

impl Ledger {
    /// Documents of `feed` that are to be removed from their platform, of rows after `after`, at most `limit`: those that
    /// could not be removed before, or (`stubborn` false) the others.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn releases_due(
        &self,
        feed: &FeedName,
        stubborn: bool,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Unreleased>, LedgerError> {
        let rows = sqlx::query(RELEASES).bind(feed.as_str()).bind(after).bind(limit).bind(stubborn);
        let rows = rows.fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        let unreleased = |row: &_| {
            let row: &sqlx::sqlite::SqliteRow = row;
            let remote = RemoteDocument { id: row.get(1), circuit: row.get(2), label: row.get(3), file: file(row, 4) };
            Unreleased { id: row.get(0), remote }
        };
        Ok(rows.iter().map(unreleased).collect())
    }

    /// Records whether the platform no longer has a document that is safe here, and what it said instead of removing it.
    ///
    /// # Errors
    /// When the ledger fails: the platform is told again, which changes nothing.
    pub async fn settle_release(
        &self,
        id: i64,
        released: bool,
        error: Option<String>,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE documents SET released_at = $1, release_error = $2 WHERE id = $3")
                    .bind(released.then(|| stamp(now)))
                    .bind(error)
                    .bind(id)
                    .execute(c)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Documents that are safe here and still lie on their platform, by feed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn unreleased(&self) -> Result<HashMap<String, Remaining>, LedgerError> {
        let rows = sqlx::query(UNRELEASED).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        let remaining = |row: &sqlx::sqlite::SqliteRow| {
            (row.get(0), Remaining { count: row.get(1), failed: row.get(2), error: row.get(3) })
        };
        Ok(rows.iter().map(remaining).collect())
    }

    /// Documents that wait because they were listed over the other kind of interface, by feed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn other_interface(&self) -> Result<HashMap<String, i64>, LedgerError> {
        let rows = sqlx::query(OTHER_INTERFACE).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Files that turned out to be of a kind that is not collected, by feed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn passed_over(&self) -> Result<HashMap<String, i64>, LedgerError> {
        let rows = sqlx::query(PASSED_OVER).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// When the oldest file that is not held yet was first listed, by feed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn oldest_files(&self) -> Result<HashMap<String, Timestamp>, LedgerError> {
        let rows = sqlx::query(OLDEST_FILES).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(|row| Some((row.get(0), time(row.get(1))?))).collect())
    }

    /// Documents recognised as held already under another interface's id, by feed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn recognised(&self) -> Result<HashMap<String, i64>, LedgerError> {
        let rows = sqlx::query("SELECT feed, count(*) FROM documents WHERE same_as IS NOT NULL GROUP BY feed")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The feed of the same account that collects `kind`, if one is configured.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn sibling(&self, feed: &FeedName, kind: Kind) -> Result<Option<FeedName>, LedgerError> {
        let name = FeedName::fast(feed.account(), kind);
        let known = sqlx::query("SELECT 1 FROM feeds WHERE feed = $1 AND configured = 1")
            .bind(name.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(known.map(|_| name))
    }

    /// Gives a document that is being fetched to the feed its content belongs to, with the place of its copy there. Answers
    /// false where that feed has a document of this id already.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn reassign(&self, id: i64, feed: FeedName, stem: String) -> Result<bool, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let moved = sqlx::query(
                    "UPDATE documents SET feed = $1, stem = $2 WHERE id = $3 AND NOT EXISTS (
                         SELECT 1 FROM documents AS other WHERE other.feed = $1 AND other.remote_id = documents.remote_id
                             AND other.id <> $3)",
                )
                .bind(feed.as_str())
                .bind(stem)
                .bind(id)
                .execute(c)
                .await?;
                Ok(moved.rows_affected() > 0)
            })
        })
        .await
    }

    /// A document is not wanted after all, for what it turned out to be: it stays where it is, and is not asked for again.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn pass_over(&self, id: i64, why: String) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE documents SET state = 'skipped', error = $1, claimed_by = NULL, claimed_until = NULL,
                         next_try_at = NULL WHERE id = $2 AND state = 'fetching'",
                )
                .bind(why)
                .bind(id)
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }
}

/// The ledger's word.
pub(super) const fn word(release: Release) -> &'static str {
    match release {
        Release::Stored => "stored",
        Release::Delivered => "delivered",
    }
}

/// The size as a column holds it.
pub(super) fn size(file: &RemoteFile) -> Option<i64> {
    file.size.and_then(|size| size.try_into().ok())
}

/// Those of `documents` that `other` does not have: one that it passed over for its content is another matter.
pub(super) async fn not_of(
    c: &mut SqliteConnection,
    other: &FeedName,
    documents: Vec<RemoteDocument>,
    terms: &ListingTerms,
) -> Result<Vec<RemoteDocument>, sqlx::Error> {
    let mut known = HashSet::new();
    for chunk in documents.chunks(500) {
        let mut lookup = QueryBuilder::new("SELECT remote_id FROM documents WHERE feed = ");
        lookup.push_bind(other.as_str().to_owned());
        among(&mut lookup, " AND remote_id", chunk.iter().map(|it| it.id.as_str()));
        let rows = lookup.build_query_scalar::<String>().fetch_all(&mut *c).await?;
        let shown: Vec<RemoteDocument> = chunk.iter().filter(|it| rows.contains(&it.id)).cloned().collect();
        follow(c, Files { feed: other, shown: &shown }, terms).await?;
        known.extend(rows);
    }
    Ok(documents.into_iter().filter(|document| !known.contains(&document.id)).collect())
}

/// Files that a listing of a feed shows.
#[derive(Clone, Copy)]
pub(super) struct Files<'a> {
    pub(super) feed: &'a FeedName,
    pub(super) shown: &'a [RemoteDocument],
}

/// Brings known rows in line with the files shown.
pub(super) async fn follow(
    c: &mut SqliteConnection,
    files: Files<'_>,
    terms: &ListingTerms,
) -> Result<(), sqlx::Error> {
    let shown: HashMap<&str, (&RemoteDocument, &RemoteFile)> = files
        .shown
        .iter()
        .filter_map(|document| Some((document, document.file.as_ref()?)))
        .map(|(document, file)| (file.path.as_str(), (document, file)))
        .collect();
    if shown.is_empty() {
        return Ok(());
    }
    replace_open(c, files.feed, &shown).await?;
    refresh(c, files, &shown, terms).await
}

/// A file that changed before it was ever asked for is still the same document to be fetched: its row follows. One with a past
/// of its own is another document than what lies there now, which gets a row of its own; what is being fetched is left alone,
/// and judged when that has ended.
async fn replace_open(
    c: &mut SqliteConnection,
    feed: &FeedName,
    shown: &HashMap<&str, (&RemoteDocument, &RemoteFile)>,
) -> Result<(), sqlx::Error> {
    let mut lookup = QueryBuilder::new(
        "SELECT id, remote_id, remote_path, archive_path IS NOT NULL OR purged_at IS NOT NULL, interruptions > 0,
             quarantine_sha256 IS NOT NULL
         FROM documents WHERE state IN ('listed', 'failed') AND feed = ",
    );
    lookup.push_bind(feed.as_str().to_owned());
    among(&mut lookup, " AND remote_path", shown.keys().copied());
    for row in lookup.build().fetch_all(&mut *c).await? {
        let (id, remote_id, path): (i64, String, String) = (row.get(0), row.get(1), row.get(2));
        let Some((document, file)) = shown.get(path.as_str()).filter(|(document, _)| document.id != remote_id) else {
            continue;
        };
        let (held, interrupted, refused): (bool, bool, bool) = (row.get(3), row.get(4), row.get(5));
        if held {
            keep_held(c, id).await?;
        } else if interrupted {
            leave(c, id, DocumentState::Lost).await?;
        } else if refused || !move_on(c, id, document, file).await? {
            leave(c, id, DocumentState::Gone).await?;
        }
    }
    Ok(())
}

/// The row of a file never asked for becomes that of its new version. Answers false where that one has a row already.
async fn move_on(
    c: &mut SqliteConnection,
    id: i64,
    document: &RemoteDocument,
    file: &RemoteFile,
) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(
        "UPDATE documents SET remote_id = $1, remote_etag = $2, remote_size = $3, remote_modified = $4, stem = NULL,
             state = 'listed', attempts = 0, setbacks = 0, next_try_at = NULL, error = NULL
         WHERE id = $5 AND NOT EXISTS (SELECT 1 FROM documents AS other
             WHERE other.feed = documents.feed AND other.remote_id = $1)",
    )
    .bind(&document.id)
    .bind(&file.etag)
    .bind(size(file))
    .bind(file.modified.map(stamp))
    .bind(id)
    .execute(c)
    .await?;
    Ok(moved.rows_affected() > 0)
}

/// A document held that was to be downloaded again, and cannot be, for another file has taken its place: it is held as before.
async fn keep_held(c: &mut SqliteConnection, id: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE documents SET claimed_by = NULL, next_try_at = NULL,
             error = 'another file has taken its place on the platform: it cannot be downloaded again',
             state = CASE WHEN EXISTS (SELECT 1 FROM deliveries WHERE deliveries.feed = documents.feed
                 AND deliveries.remote_id = documents.remote_id AND deliveries.state <> 'delivered')
             THEN 'stored' ELSE 'delivered' END
         WHERE id = $1",
    )
    .bind(id)
    .execute(c)
    .await
    .map(drop)
}

/// Another file has taken the place of a document that is not held.
async fn leave(c: &mut SqliteConnection, id: i64, state: DocumentState) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE documents SET state = $1, claimed_by = NULL, next_try_at = NULL,
             error = 'another file has taken its place on the platform' || coalesce('; before that: ' || error, '')
         WHERE id = $2",
    )
    .bind(state.as_str())
    .bind(id)
    .execute(c)
    .await
    .map(drop)
}

/// What changes of a file that stays the same: its entity tag grows strong, the account's `release` was changed, or it is
/// there again though it had been removed, or seemed to be.
async fn refresh(
    c: &mut SqliteConnection,
    files: Files<'_>,
    shown: &HashMap<&str, (&RemoteDocument, &RemoteFile)>,
    terms: &ListingTerms,
) -> Result<(), sqlx::Error> {
    let mut lookup = QueryBuilder::new(
        "SELECT id, remote_path, remote_etag, release, released_at IS NOT NULL OR state IN ('gone', 'lost') FROM documents
         WHERE remote_path IS NOT NULL AND feed = ",
    );
    lookup.push_bind(files.feed.as_str().to_owned());
    among(&mut lookup, " AND remote_id", files.shown.iter().map(|it| it.id.as_str()));
    for row in lookup.build().fetch_all(&mut *c).await? {
        let Some((_, file)) = shown.get(row.get::<&str, _>(1)) else { continue };
        let same = row.get::<Option<&str>, _>(2) == file.etag.as_deref()
            && row.get::<Option<&str>, _>(3) == Some(word(terms.release))
            && !row.get::<bool, _>(4);
        if same {
            continue;
        }
        sqlx::query(
            "UPDATE documents SET remote_etag = $1, release = $2, released_at = NULL,
                 state = CASE WHEN state IN ('gone', 'lost') THEN 'listed' ELSE state END WHERE id = $3",
        )
        .bind(&file.etag)
        .bind(word(terms.release))
        .bind(row.get::<i64, _>(0))
        .execute(&mut *c)
        .await?;
    }
    Ok(())
}
