//! Table `documents`: what a listing showed.

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};

use super::files::{self, Files};
use super::{Ledger, LedgerError, among};
use crate::clock::stamp;
use crate::config::Release;
use crate::feed::{DocumentState, FeedName, RemoteDocument};

/// Documents looked up or inserted by one statement.
const CHUNK: usize = 500;
/// Documents recorded by one piece of work, so that a huge listing does not keep other writers waiting.
const SHARE: usize = 5_000;

/// How a listing is recorded.
#[derive(Clone, Debug)]
pub struct ListingTerms {
    /// When.
    pub now: Timestamp,
    /// New documents are only recorded, not asked for.
    pub skip: bool,
    /// It shows all that the feed holds.
    pub whole: bool,
    /// When files are to be removed from the platform.
    pub release: Release,
    /// A feed whose documents the same listing shows: what that one has is not new.
    pub shared_with: Option<FeedName>,
}

impl ListingTerms {
    /// A whole listing at `now`, of documents that are to be fetched.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now, skip: false, whole: true, release: Release::Stored, shared_with: None }
    }
}

/// What recording a listing found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Documents not known before.
    pub new: u64,
    /// Documents held already (F4: counted, not asked for).
    pub held: u64,
}

impl Ledger {
    /// Records what a listing showed: new documents become `listed` (or `skipped`), known ones stay as they are.
    ///
    /// # Errors
    /// When the ledger fails; what was recorded before stays.
    pub async fn record_listing(
        &self,
        feed: &FeedName,
        documents: &[RemoteDocument],
        terms: ListingTerms,
    ) -> Result<Recorded, LedgerError> {
        let mut total = Recorded::default();
        let shares = if documents.is_empty() { vec![documents] } else { documents.chunks(SHARE).collect() };
        let last = shares.len() - 1;
        for (number, share) in shares.into_iter().enumerate() {
            let (feed, share, terms) = (feed.clone(), share.to_vec(), terms.clone());
            let part = self
                .write(move |c| {
                    Box::pin(async move {
                        let part = record(c, &feed, share, &terms).await?;
                        if number == last && terms.whole {
                            sqlx::query(
                                "UPDATE feeds SET first_listed_at = coalesce(first_listed_at, $1) WHERE feed = $2",
                            )
                            .bind(stamp(terms.now))
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
}

async fn record(
    c: &mut SqliteConnection,
    feed: &FeedName,
    mut documents: Vec<RemoteDocument>,
    terms: &ListingTerms,
) -> Result<Recorded, sqlx::Error> {
    let mut recorded = Recorded::default();
    if let Some(other) = &terms.shared_with {
        let before = documents.len();
        documents = files::not_of(c, other, documents, terms).await?;
        recorded.held += (before - documents.len()) as u64;
    }
    for chunk in documents.chunks(CHUNK) {
        let (known, held): (i64, i64) = known(feed, chunk).build_query_as().fetch_one(&mut *c).await?;
        recorded.held += held.unsigned_abs();
        files::follow(c, Files { feed, shown: chunk }, terms).await?;
        // A platform that shows what it has shown before, again and again, costs one lookup for each.
        if known.unsigned_abs() < chunk.len() as u64 {
            recorded.new += insert(feed, chunk, terms).build().execute(&mut *c).await?.rows_affected();
        }
    }
    Ok(recorded)
}

fn insert(feed: &FeedName, documents: &[RemoteDocument], terms: &ListingTerms) -> QueryBuilder<Sqlite> {
    let state = if terms.skip { DocumentState::Skipped } else { DocumentState::Listed };
    let now = stamp(terms.now);
    // Most interfaces tell nothing but ids: thousands of them a second.
    let bare = documents.iter().all(|it| it.circuit.is_none() && it.file.is_none());
    let mut insert = QueryBuilder::new("INSERT INTO documents (feed, remote_id, state, listed_at");
    if !bare {
        insert.push(", circuit, label, remote_path, remote_etag, remote_size, remote_modified, release");
    }
    insert.push(") ");
    insert.push_values(documents, |mut row, document| {
        row.push_bind(feed.as_str().to_owned()).push_bind(document.id.clone()).push_bind(state.as_str());
        row.push_bind(now.clone());
        if !bare {
            let file = document.file.as_ref();
            row.push_bind(document.circuit.clone()).push_bind(document.label.clone());
            row.push_bind(file.map(|file| file.path.clone())).push_bind(file.and_then(|file| file.etag.clone()));
            row.push_bind(file.and_then(files::size)).push_bind(file.and_then(|file| file.modified).map(stamp));
            row.push_bind(file.map(|_| files::word(terms.release)));
        }
    });
    insert.push(" ON CONFLICT (feed, remote_id) DO NOTHING");
    insert
}

/// Counts those of `documents` that have a row, and of these those that are held.
pub(super) fn known(feed: &FeedName, documents: &[RemoteDocument]) -> QueryBuilder<Sqlite> {
    let mut lookup = QueryBuilder::new(
        "SELECT count(*), count(*) FILTER (WHERE state IN ('stored', 'delivered')) FROM documents WHERE feed = ",
    );
    lookup.push_bind(feed.as_str().to_owned());
    among(&mut lookup, " AND remote_id", documents.iter().map(|it| it.id.as_str()));
    lookup
}
