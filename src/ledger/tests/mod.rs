//! What the ledger promises to the rest of the house.

mod documents;
mod feeds;
mod plans;
mod register;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Row as _};
use tempfile::TempDir;

use super::*;
use crate::feed::{DocumentState, FeedName, RemoteDocument};

/// A ledger in a folder of its own.
struct Desk {
    ledger: Ledger,
    _folder: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), at("08:00")).await.unwrap();
        Self { ledger, _folder: folder }
    }

    /// One that knows a feed, which listed these documents.
    async fn listing(ids: &[&str]) -> Self {
        let desk = Self::new().await;
        desk.ledger.register(vec![identity("fast/mairie/chorus", "111111111")], at("08:00")).await.unwrap();
        let ids: Vec<RemoteDocument> = ids.iter().map(|id| RemoteDocument::of_id(*id)).collect();
        desk.ledger.record_listing(&feed(), &ids, ListingTerms::at(at("08:00"))).await.unwrap();
        desk
    }

    /// Does to the ledger what the verbs would take long to do.
    async fn set(&self, sql: &'static str) {
        let set = self.ledger.write(move |c| {
            Box::pin(async move {
                sqlx::query(sql).execute(c).await?;
                Ok(())
            })
        });
        set.await.unwrap();
    }

    /// The first column, row by row.
    async fn texts(&self, sql: &'static str) -> Vec<String> {
        let rows = sqlx::query(sql).fetch_all(&self.ledger.readers).await.unwrap();
        rows.iter().map(|row| row.get::<Option<String>, _>(0).unwrap_or_default()).collect()
    }

    /// How SQLite would go about it.
    async fn plan(&self, sql: &str) -> String {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(&self.ledger.readers).await.unwrap();
        rows.iter().map(|row| row.get::<String, _>(3)).collect::<Vec<_>>().join("\n")
    }

    async fn open(&self, now: Timestamp, latest: Timestamp) -> Vec<String> {
        let open = self
            .ledger
            .open_documents(&feed(), "run", OpenTerms { now, latest, files: false }, (-1, -1), 10)
            .await
            .unwrap();
        open.into_iter().map(|document| document.remote_id).collect()
    }

    async fn keep(&self, id: i64, copy: &str, now: Timestamp) {
        self.ledger.keep(vec![kept(id, copy)], now).await.unwrap();
    }

    async fn due(&self, now: Timestamp) -> Vec<String> {
        let due = self.ledger.deliveries_due("inbox", now, 10).await.unwrap();
        due.into_iter().map(|pending| pending.remote_id).collect()
    }

    async fn settle(&self, made: Pending, outcome: Result<(), (String, Timestamp)>, now: Timestamp) {
        let Pending { id, created_at, feed, remote_id, .. } = made;
        let outcome = outcome.map_err(|(error, next)| Setback { error, next: Some(next) });
        self.ledger.settle_deliveries(vec![Settled { id, created_at, feed, remote_id, outcome }], now).await.unwrap();
    }
}

fn kept(id: i64, copy: &str) -> Kept {
    Kept {
        id,
        feed: feed(),
        remote_id: id.to_string(),
        poll: None,
        size: 1,
        sha256: String::new(),
        media_type: "application/xml",
        archive_path: copy.to_owned(),
        name: None,
        summary: None,
        targets: vec!["inbox".to_owned()],
    }
}

fn feed() -> FeedName {
    "fast/mairie/chorus".parse().unwrap()
}

fn identity(feed: &str, siren: &str) -> FeedIdentity {
    let (feed, siren) = (feed.parse().unwrap(), siren.to_owned());
    FeedIdentity { feed, origin: "https://fast.example".to_owned(), siren, led_by: None, files: false }
}

/// A time of the day on which all this happens.
fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}:00Z").parse().unwrap()
}
