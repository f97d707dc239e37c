//! Table `feeds`: who is due, and plans.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::{Ledger, LedgerError, among, gather, riders, time};
use crate::clock::{BootTime, stamp};
use crate::feed::FeedName;

/// A feed that is to be polled.
#[derive(Clone, Debug)]
pub struct Due {
    /// Its name.
    pub feed: FeedName,
    /// When its listing was planned.
    pub planned: Timestamp,
    /// Documents wait that need no listing, since then.
    pub resume_at: Option<Timestamp>,
    /// Start of its last listing, by the wall and the boot clock.
    pub last_listed: Option<(Timestamp, BootTime)>,
    /// Whether a listing was ever recorded whole.
    pub listed_before: bool,
    /// The platform asked not to be called before.
    pub not_before: Option<Timestamp>,
}

impl Due {
    /// Until when the platform asked at `now` not to be called, if it did.
    #[must_use]
    pub fn asked_to_wait(&self, now: Timestamp) -> Option<Timestamp> {
        self.not_before.filter(|until| *until > now && stamp(*until) <= longest_wait(now))
    }
}

/// Up to so many plans, those they lead are looked for one by one.
const ALONE: usize = 8;
/// No platform is waited for longer: a time beyond it was written by a clock that has been set back since.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn longest_wait(now: Timestamp) -> String {
    stamp(now.checked_add(LONGEST_WAIT).unwrap_or(Timestamp::MAX))
}

/// What may be polled now.
macro_rules! free {
    () => {
        "AND configured = 1 AND claimed_by IS NULL AND (not_before IS NULL OR not_before <= $1 OR not_before > $3)"
    };
}
/// What [`Ledger::due`] asks of each platform. Each of the two times has an index that gives the earliest first, so that no
/// more rows are read than are wanted, however many are overdue.
pub(super) const DUE: &str = concat!(
    "SELECT feed, next_poll_at, resume_at, last_listed_at, last_listed_boot_id, last_listed_boot_ms,
         first_listed_at IS NOT NULL, not_before
     FROM feeds WHERE feed IN (
         SELECT feed FROM (SELECT feed FROM feeds WHERE platform = $4 AND next_poll_at <= $1 AND led_by IS NULL ",
    free!(),
    " ORDER BY next_poll_at LIMIT $2) AS planned
         UNION ALL SELECT feed FROM (SELECT feed FROM feeds WHERE platform = $4 AND resume_at <= $1 ",
    free!(),
    " ORDER BY resume_at LIMIT $2) AS resumed)
     ORDER BY CASE WHEN resume_at < next_poll_at THEN resume_at ELSE next_poll_at END LIMIT $2"
);

/// What a tick finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToDo {
    /// A command's request waits.
    pub requests: bool,
    /// The time of a feed has come, whether it may be polled or not.
    pub polls: bool,
}

/// What [`Ledger::to_do`] asks.
pub(super) fn to_do(platforms: &BTreeSet<String>, now: Timestamp) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT EXISTS (SELECT 1 FROM requests WHERE state = 'pending'), FALSE");
    for time in ["led_by IS NULL AND next_poll_at", "resume_at"].into_iter().filter(|_| !platforms.is_empty()) {
        query
            .push(format!(" OR EXISTS (SELECT 1 FROM feeds WHERE configured = 1 AND {time} <= "))
            .push_bind(stamp(now));
        among(&mut query, " AND platform", platforms.iter().map(String::as_str));
        query.push(")");
    }
    query
}

impl Ledger {
    /// What there is to do at `now`, for feeds of `platforms`. Asked at every tick, and all that is asked while all are idle.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn to_do(&self, platforms: &BTreeSet<String>, now: Timestamp) -> Result<ToDo, LedgerError> {
        let mut asked = self.asked.lock().await;
        let connection = match asked.take() {
            Some(connection) => Ok(connection),
            None => self.readers.acquire().await,
        };
        let mut connection = connection.map_err(|error| self.error(error))?;
        let row = to_do(platforms, now).build().fetch_one(&mut *connection).await;
        let row = row.map_err(|error| self.error(error))?;
        *asked = Some(connection);
        Ok(ToDo { requests: row.get(0), polls: row.get(1) })
    }

    /// The feeds of `platform` that are due at `now`, earliest first, at most `limit`, and not claimed; not those whose
    /// platform asked not to be called yet.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn due(&self, platform: &str, now: Timestamp, limit: u32) -> Result<Vec<Due>, LedgerError> {
        let rows = sqlx::query(DUE)
            .bind(stamp(now))
            .bind(limit)
            .bind(longest_wait(now))
            .bind(platform)
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(due).collect())
    }

    /// One feed as the dispatcher sees it, due or not; `None` where it is unknown, retired or claimed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn feed(&self, feed: &FeedName) -> Result<Option<Due>, LedgerError> {
        let row = sqlx::query(
            "SELECT feed, next_poll_at, resume_at, last_listed_at, last_listed_boot_id, last_listed_boot_ms,
                    first_listed_at IS NOT NULL, not_before FROM feeds
             WHERE feed = $1 AND configured = 1 AND claimed_by IS NULL",
        )
        .bind(feed.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(row.as_ref().and_then(due))
    }

    /// Feeds due before `now` or later than `plausible` (the clock was set back): both are to be planned anew.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn out_of_time(&self, now: Timestamp, plausible: Timestamp) -> Result<Vec<Due>, LedgerError> {
        let rows = sqlx::query(
            "SELECT feed, next_poll_at, resume_at, last_listed_at, last_listed_boot_id, last_listed_boot_ms,
                    first_listed_at IS NOT NULL, not_before FROM feeds
             WHERE (next_poll_at <= $1 OR next_poll_at > $2) AND configured = 1 AND claimed_by IS NULL
                 AND led_by IS NULL",
        )
        .bind(stamp(now))
        .bind(stamp(plausible))
        .fetch(&self.readers);
        gather(rows, due).await.map_err(|error| self.error(error))
    }

    /// Writes back a start of the last listing that the clocks have made impossible (it lies in the future).
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn correct_listing(&self, feed: &FeedName, wall: Timestamp, boot: &BootTime) -> Result<(), LedgerError> {
        let (feed, boot) = (feed.clone(), boot.clone());
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE feeds SET last_listed_at = $1, last_listed_boot_id = $2, last_listed_boot_ms = $3
                     WHERE feed = $4 AND claimed_by IS NULL",
                )
                .bind(stamp(wall))
                .bind(boot.id)
                .bind(i64::try_from(boot.elapsed.as_millis()).unwrap_or(i64::MAX))
                .bind(feed.as_str())
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Plans feeds anew. A feed that was claimed or planned otherwise meanwhile keeps its plan.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn plan_anew(&self, plans: Vec<(Due, Timestamp)>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                for (due, next) in &plans {
                    sqlx::query(
                        "UPDATE feeds SET next_poll_at = $1
                         WHERE feed = $2 AND next_poll_at = $3 AND claimed_by IS NULL",
                    )
                    .bind(stamp(*next))
                    .bind(due.feed.as_str())
                    .bind(stamp(due.planned))
                    .execute(&mut *c)
                    .await?;
                    if plans.len() <= ALONE {
                        riders::bring_along(c, due.feed.as_str()).await?;
                    }
                }
                if plans.len() > ALONE {
                    riders::bring_all_along(c).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// No feed of `account` is polled before `until`: it was refused, or asked to wait.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn hold_account(&self, account: &str, until: Timestamp) -> Result<(), LedgerError> {
        let account = account.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE feeds SET not_before = $1,
                         next_poll_at = CASE WHEN next_poll_at < $1 THEN $1 ELSE next_poll_at END
                     WHERE account = $2 AND configured = 1",
                )
                .bind(stamp(until))
                .bind(account)
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Plans feeds whose subjects say when they are due. With `forgive` it is forgotten that they were refused, for a changed
    /// configuration or a new start may have cured it; else those that are left alone stay so. A feed that is being
    /// polled plans itself when that ends.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn plan_watches(&self, feeds: Vec<(FeedName, Timestamp)>, forgive: bool) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                for (feed, next) in feeds {
                    sqlx::query(
                        "UPDATE feeds SET next_poll_at = CASE WHEN NOT $3 AND not_before > $1 THEN not_before ELSE $1 END,
                             not_before = CASE WHEN $3 THEN NULL ELSE not_before END
                         WHERE feed = $2 AND claimed_by IS NULL",
                    )
                    .bind(stamp(next))
                    .bind(feed.as_str())
                    .bind(forgive)
                    .execute(&mut *c)
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Lets documents of `feeds` be fetched at the time given with each, without a listing.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn resume_feeds(&self, feeds: Vec<(FeedName, Timestamp)>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                for (feed, at) in feeds {
                    sqlx::query("UPDATE feeds SET resume_at = $1 WHERE feed = $2")
                        .bind(stamp(at))
                        .bind(feed.as_str())
                        .execute(&mut *c)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Lets documents of `feed` that wait be fetched at `at`, without a listing; does nothing where none waits.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn resume_if_open(&self, feed: &FeedName, at: Timestamp) -> Result<(), LedgerError> {
        let feed = feed.clone();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE feeds SET resume_at = $1 WHERE feed = $2 AND EXISTS (SELECT 1 FROM documents
                         WHERE documents.feed = feeds.feed AND documents.state = 'listed')",
                )
                .bind(stamp(at))
                .bind(feed.as_str())
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Feeds that hold documents an earlier run, or a stop, left to be fetched.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn feeds_to_resume(&self) -> Result<Vec<FeedName>, LedgerError> {
        let rows = sqlx::query(
            "SELECT feed FROM feeds WHERE configured = 1 AND EXISTS (SELECT 1 FROM documents
                 WHERE documents.feed = feeds.feed AND documents.state IN ('listed', 'fetching'))",
        )
        .fetch(&self.readers);
        gather(rows, |row| row.get::<&str, _>(0).parse().ok()).await.map_err(|error| self.error(error))
    }
}

fn due(row: &SqliteRow) -> Option<Due> {
    let listed = time(row.get::<Option<&str>, _>(3));
    let boot = BootTime {
        id: row.get::<Option<String>, _>(4).unwrap_or_default(),
        elapsed: std::time::Duration::from_millis(row.get::<Option<i64>, _>(5).unwrap_or(0).unsigned_abs()),
    };
    Some(Due {
        feed: row.get::<&str, _>(0).parse().ok()?,
        planned: time(Some(row.get::<&str, _>(1)))?,
        resume_at: time(row.get::<Option<&str>, _>(2)),
        last_listed: listed.map(|listed| (listed, boot)),
        listed_before: row.get::<i64, _>(6) != 0,
        not_before: time(row.get::<Option<&str>, _>(7)),
    })
}
