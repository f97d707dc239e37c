//! An account that has left: all that is known of it goes.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row as _};

use super::{Ledger, LedgerError};

/// The feeds of an account, and whether that may be forgotten.
const FEEDS: &str = "SELECT feed, configured, claimed_by IS NOT NULL FROM feeds WHERE account = $1 ORDER BY feed";

/// Whether an account can be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The ledger knows nothing of it.
    Unknown,
    /// A feed of it is still configured.
    Configured(String),
    /// A feed of it is being polled.
    Polled(String),
    /// Its feeds.
    Free(Vec<String>),
}

/// What the ledger holds of an account that is to be forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Belongings {
    /// Documents.
    pub documents: i64,
    /// Of these, those with a copy in the archive.
    pub copies: i64,
    /// Of these, those with a file in the quarantine.
    pub set_aside: i64,
}

/// A document that is being forgotten, and its files, relative to the state directory.
#[derive(Clone, Debug)]
pub struct Leaving {
    /// Its row.
    pub id: i64,
    /// Its copy.
    pub archive_path: Option<String>,
    /// What was set aside of it.
    pub quarantine_path: Option<String>,
}

impl Ledger {
    /// Whether `account` can be forgotten.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn departure(&self, account: &str) -> Result<Departure, LedgerError> {
        let rows = sqlx::query(FEEDS).bind(account).fetch_all(&self.readers).await;
        let rows = rows.map_err(|error| self.error(error))?;
        if rows.is_empty() {
            return Ok(Departure::Unknown);
        }
        Ok(judge(&rows))
    }

    /// What there is of `feeds`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn belongings(&self, feeds: &[String]) -> Result<Belongings, LedgerError> {
        let mut all = Belongings::default();
        for feed in feeds {
            let row = sqlx::query(
                "SELECT count(*), count(archive_path), count(quarantine_path) FROM documents WHERE feed = $1",
            )
            .bind(feed)
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
            all.documents += row.get::<i64, _>(0);
            all.copies += row.get::<i64, _>(1);
            all.set_aside += row.get::<i64, _>(2);
        }
        Ok(all)
    }

    /// Some documents of `feed`, at most `limit`; none where it is configured, or polled, meanwhile. Their copies count as given up from now on, for their files are about to go.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn begin_to_forget(&self, feed: &str, limit: u32, at: String) -> Result<Vec<Leaving>, LedgerError> {
        let feed = feed.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let rows = sqlx::query(
                    "UPDATE documents SET purged_at = CASE WHEN archive_path IS NULL THEN purged_at ELSE $1 END
                     WHERE id IN (SELECT id FROM documents WHERE feed = $2 ORDER BY id LIMIT $3)
                         AND EXISTS (SELECT 1 FROM feeds WHERE feeds.feed = $2 AND configured = 0 AND claimed_by IS NULL)
                     RETURNING id, archive_path, quarantine_path",
                )
                .bind(at)
                .bind(feed)
                .bind(limit)
                .fetch_all(c)
                .await?;
                let leaving = |row: &sqlx::sqlite::SqliteRow| Leaving {
                    id: row.get(0),
                    archive_path: row.get(1),
                    quarantine_path: row.get(2),
                };
                Ok(rows.iter().map(leaving).collect())
            })
        })
        .await
    }

    /// Forgets the documents of rows `ids`, with their deliveries and tries.
    ///
    /// # Errors
    /// When the ledger fails: none is forgotten.
    pub async fn forget_documents(&self, ids: Vec<i64>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                for id in ids {
                    for statement in [
                        "DELETE FROM deliveries WHERE (feed, remote_id) = (SELECT feed, remote_id FROM documents WHERE id = $1)",
                        // Its tries go with it.
                        "DELETE FROM documents WHERE id = $1",
                    ] {
                        sqlx::query(statement).bind(id).execute(&mut *c).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// Forgets `account` itself: its feeds, whose documents are forgotten already, and its tokens. Answers whether it still could
    /// be; nothing is changed where not.
    ///
    /// # Errors
    /// When the ledger fails: nothing is forgotten.
    pub async fn forget_account(&self, account: &str) -> Result<Departure, LedgerError> {
        let account = account.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let rows = sqlx::query(FEEDS).bind(&account).fetch_all(&mut *c).await?;
                let departure = judge(&rows);
                if let Departure::Free(_) = departure {
                    erase(c, &account).await?;
                }
                Ok(departure)
            })
        })
        .await
    }
}

fn judge(rows: &[sqlx::sqlite::SqliteRow]) -> Departure {
    let feed = |row: &sqlx::sqlite::SqliteRow| row.get::<String, _>(0);
    if let Some(row) = rows.iter().find(|row| row.get(1)) {
        return Departure::Configured(feed(row));
    }
    if let Some(row) = rows.iter().find(|row| row.get(2)) {
        return Departure::Polled(feed(row));
    }
    Departure::Free(rows.iter().map(feed).collect())
}

async fn erase(c: &mut SqliteConnection, account: &str) -> Result<(), sqlx::Error> {
    for table in ["subjects", "polls"] {
        let delete = format!("DELETE FROM {table} WHERE feed IN (SELECT feed FROM feeds WHERE account = $1)");
        sqlx::query(AssertSqlSafe(delete)).bind(account).execute(&mut *c).await?;
    }
    for statement in [
        "DELETE FROM feeds WHERE account = $1",
        "DELETE FROM accounts WHERE account = $1",
        "DELETE FROM tokens WHERE account = $1",
    ] {
        sqlx::query(statement).bind(account).execute(&mut *c).await?;
    }
    Ok(())
}
