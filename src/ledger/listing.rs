//! Table `documents`: what a listing showed.

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};

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
        let held: i64 = held(feed, chunk).build_query_scalar().fetch_one(&mut *c).await?;
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

/// Counts those of `ids` that are held. `+state`: to be looked up by feed and id, not by walking all that is held.
pub(super) fn held(feed: &FeedName, ids: &[String]) -> QueryBuilder<Sqlite> {
    let mut lookup =
        QueryBuilder::new("SELECT count(*) FROM documents WHERE +state IN ('stored', 'delivered') AND feed = ");
    lookup.push_bind(feed.as_str().to_owned()).push(" AND remote_id IN (");
    let mut list = lookup.separated(", ");
    for id in ids {
        list.push_bind(id.clone());
    }
    list.push_unseparated(")");
    lookup
}
