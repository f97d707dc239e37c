//! Table `feeds`: who is due, and the claim of a listing.

use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::{Ledger, LedgerError, Outcome, PollEnd, time};
use crate::clock::{BootTime, stamp};
use crate::feed::FeedName;

/// A configured feed, as the platform knows it: the ledger recognises it by origin, SIREN and kind, whatever its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedIdentity {
    /// The name it has in the configuration.
    pub feed: FeedName,
    /// Scheme, host and port of the platform.
    pub origin: String,
    /// The SIREN the platform files it under.
    pub siren: String,
}

/// What registering the configured feeds came to.
#[derive(Debug, Default)]
pub struct Registration {
    /// Feeds that now have another name: old, new.
    pub renamed: Vec<(String, FeedName)>,
    /// Feeds whose name belongs, in the ledger, to another origin or SIREN: the feed, and that origin and SIREN.
    pub conflicts: Vec<(FeedName, String, String)>,
}

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
}

/// What a claim of a listing writes, before the request leaves (F1).
#[derive(Clone, Debug)]
pub struct ClaimTerms {
    /// The run that claims.
    pub run: String,
    /// Start of the listing by the wall clock.
    pub now: Timestamp,
    /// The same by the boot clock.
    pub boot: BootTime,
    /// When the next listing is due.
    pub next: Timestamp,
}

/// A feed as `status` shows it.
#[derive(Clone, Debug)]
pub struct FeedRow {
    /// Its name.
    pub feed: FeedName,
    /// Whether the configuration still holds it.
    pub configured: bool,
    /// Start of its last listing.
    pub last_listed_at: Option<Timestamp>,
    /// When it is due next.
    pub next_poll_at: Option<Timestamp>,
    /// End of its last poll that succeeded.
    pub last_success_at: Option<Timestamp>,
    /// When a document was last stored.
    pub last_document_at: Option<Timestamp>,
    /// Start of the present row of failures.
    pub failing_since: Option<Timestamp>,
    /// Outcome of the last poll.
    pub last_outcome: Option<String>,
    /// What went wrong in it.
    pub last_error: Option<String>,
    /// Polls in a row without success.
    pub consecutive_failures: i64,
    /// Documents held that the last listing showed again (F4).
    pub still_listed: i64,
    /// Entries of the last listing that were no ids.
    pub refused_entries: i64,
}

/// What a poll's end changed in the feed's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthChange {
    /// As before, nothing to say.
    None,
    /// The first failure after a success.
    Failing,
    /// It goes on failing, and a day has passed since that was last said.
    StillFailing,
    /// It succeeded after failures.
    Recovered,
}

impl Ledger {
    /// Registers the configured feeds: new ones are due at `now`, renamed ones keep their history, others are retired.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn register(&self, feeds: Vec<FeedIdentity>, now: Timestamp) -> Result<Registration, LedgerError> {
        self.write(move |c| Box::pin(async move { register(c, &feeds, now).await })).await
    }

    /// Feeds that [`Ledger::register`] would rename: old, new.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn renames(&self, feeds: Vec<FeedIdentity>) -> Result<Vec<(String, FeedName)>, LedgerError> {
        let rows = sqlx::query("SELECT origin, siren, kind, feed FROM feeds")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        let known: std::collections::HashMap<(String, String, String), String> =
            rows.into_iter().map(|row| ((row.get(0), row.get(1), row.get(2)), row.get(3))).collect();
        let renamed = feeds.into_iter().filter_map(|identity| {
            let key = (identity.origin, identity.siren, identity.feed.kind().to_owned());
            let old = known.get(&key).filter(|old| *old != identity.feed.as_str())?;
            Some((old.clone(), identity.feed))
        });
        Ok(renamed.collect())
    }

    /// The feeds that are due at `now`, earliest first, at most `limit`, and not claimed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn due(&self, now: Timestamp, limit: u32) -> Result<Vec<Due>, LedgerError> {
        let rows = sqlx::query(
            "SELECT feed, next_poll_at, resume_at, last_listed_at, last_listed_boot_id, last_listed_boot_ms,
                    first_listed_at IS NOT NULL FROM feeds
             WHERE (next_poll_at <= $1 OR resume_at <= $1) AND configured = 1 AND claimed_by IS NULL
             ORDER BY CASE WHEN resume_at < next_poll_at THEN resume_at ELSE next_poll_at END LIMIT $2",
        )
        .bind(stamp(now))
        .bind(limit)
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
                    first_listed_at IS NOT NULL FROM feeds
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
                    first_listed_at IS NOT NULL FROM feeds
             WHERE (next_poll_at <= $1 OR next_poll_at > $2) AND configured = 1 AND claimed_by IS NULL",
        )
        .bind(stamp(now))
        .bind(stamp(plausible))
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(due).collect())
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
                }
                Ok(())
            })
        })
        .await
    }

    /// Claims the listing of `due`, in one statement: the start and the next due time are durable when this answers.
    /// Answers the poll's id, or `None` where someone else was faster.
    ///
    /// # Errors
    /// When the ledger fails: then no request may leave.
    pub async fn claim_listing(&self, due: &Due, terms: ClaimTerms) -> Result<Option<i64>, LedgerError> {
        let due = due.clone();
        self.write(move |c| {
            Box::pin(async move {
                let claimed = sqlx::query(
                    "UPDATE feeds SET claimed_by = $1, last_listed_at = $2, last_listed_boot_id = $3,
                         last_listed_boot_ms = $4, next_poll_at = $5, resume_at = NULL
                     WHERE feed = $6 AND next_poll_at = $7 AND claimed_by IS NULL",
                )
                .bind(&terms.run)
                .bind(stamp(terms.now))
                .bind(&terms.boot.id)
                .bind(i64::try_from(terms.boot.elapsed.as_millis()).unwrap_or(i64::MAX))
                .bind(stamp(terms.next))
                .bind(due.feed.as_str())
                .bind(stamp(due.planned))
                .execute(&mut *c)
                .await?;
                begin_poll(c, claimed.rows_affected(), &due.feed, &terms.run, terms.now).await
            })
        })
        .await
    }

    /// Claims a pass over documents that wait, without a listing. Answers the poll's id.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn claim_resumption(
        &self,
        feed: &FeedName,
        run: String,
        now: Timestamp,
    ) -> Result<Option<i64>, LedgerError> {
        let feed = feed.clone();
        self.write(move |c| {
            Box::pin(async move {
                let claimed = sqlx::query(
                    "UPDATE feeds SET claimed_by = $1, resume_at = NULL WHERE feed = $2 AND claimed_by IS NULL",
                )
                .bind(&run)
                .bind(feed.as_str())
                .execute(&mut *c)
                .await?;
                begin_poll(c, claimed.rows_affected(), &feed, &run, now).await
            })
        })
        .await
    }

    /// Writes the end of a poll and what it says of the feed's health.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn finish_poll(&self, end: PollEnd) -> Result<HealthChange, LedgerError> {
        self.write(move |c| Box::pin(async move { finish(c, &end).await })).await
    }

    /// Lets documents of `feed` be fetched at `at`, without a listing.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn resume_feed(&self, feed: &FeedName, at: Timestamp) -> Result<(), LedgerError> {
        let feed = feed.clone();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE feeds SET resume_at = $1 WHERE feed = $2")
                    .bind(stamp(at))
                    .bind(feed.as_str())
                    .execute(c)
                    .await?;
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
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT feed FROM feeds WHERE configured = 1 AND EXISTS (SELECT 1 FROM documents
                 WHERE documents.feed = feeds.feed AND documents.state IN ('listed', 'fetching'))",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Lets go of what earlier runs had claimed: whoever holds the state directory's lock knows that they are dead.
    /// Answers the number of polls they left unfinished.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn release_dead_claims(&self, now: Timestamp) -> Result<u64, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE feeds SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by IS NOT NULL")
                    .execute(&mut *c)
                    .await?;
                let polls = sqlx::query(
                    "UPDATE polls SET outcome = 'interrupted', finished_at = $1,
                         error = 'the daemon was stopped before it ended' WHERE outcome IS NULL",
                )
                .bind(stamp(now))
                .execute(c)
                .await?;
                Ok(polls.rows_affected())
            })
        })
        .await
    }

    /// Lets go of a feed that `run` holds, after its pass broke off: its poll was interrupted, its documents are in doubt,
    /// and it is taken up again at `at`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn release_claim(&self, feed: &FeedName, run: String, at: Timestamp) -> Result<(), LedgerError> {
        let feed = feed.clone();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE feeds SET claimed_by = NULL, resume_at = $1 WHERE feed = $2 AND claimed_by = $3")
                    .bind(stamp(at))
                    .bind(feed.as_str())
                    .bind(&run)
                    .execute(&mut *c)
                    .await?;
                sqlx::query(
                    "UPDATE polls SET outcome = 'interrupted', finished_at = $1, error = 'the ledger failed'
                     WHERE feed = $2 AND outcome IS NULL",
                )
                .bind(stamp(at))
                .bind(feed.as_str())
                .execute(&mut *c)
                .await?;
                sqlx::query(
                    "UPDATE documents SET claimed_by = '' WHERE feed = $1 AND state = 'fetching' AND claimed_by = $2",
                )
                .bind(feed.as_str())
                .bind(&run)
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// All feeds the ledger knows, by name.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn feeds(&self) -> Result<Vec<FeedRow>, LedgerError> {
        let rows = sqlx::query(
            "SELECT feed, configured, last_listed_at, next_poll_at, last_success_at, last_document_at, failing_since,
                    last_outcome, last_error, consecutive_failures, still_listed, refused_entries
             FROM feeds ORDER BY feed",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(feed_row).collect())
    }
}

async fn begin_poll(
    c: &mut SqliteConnection,
    claimed: u64,
    feed: &FeedName,
    run: &str,
    now: Timestamp,
) -> Result<Option<i64>, sqlx::Error> {
    if claimed == 0 {
        return Ok(None);
    }
    sqlx::query_scalar("INSERT INTO polls (feed, run, started_at) VALUES ($1, $2, $3) RETURNING id")
        .bind(feed.as_str())
        .bind(run)
        .bind(stamp(now))
        .fetch_one(c)
        .await
        .map(Some)
}

async fn finish(c: &mut SqliteConnection, end: &PollEnd) -> Result<HealthChange, sqlx::Error> {
    let now = stamp(end.finished_at);
    sqlx::query(
        "UPDATE polls SET finished_at = $1, outcome = $2, listed = $3, fetched = $4, failed = $5, error = $6
         WHERE id = $7",
    )
    .bind(&now)
    .bind(end.outcome.as_str())
    .bind(end.listed)
    .bind(end.fetched)
    .bind(end.failed)
    .bind(&end.error)
    .bind(end.poll)
    .execute(&mut *c)
    .await?;
    sqlx::query(
        "UPDATE feeds SET claimed_by = NULL, claimed_until = NULL, last_outcome = $1, last_error = $2,
             resume_at = coalesce($3, resume_at), next_poll_at = CASE WHEN $4 > next_poll_at THEN $4 ELSE next_poll_at END
         WHERE feed = $5",
    )
    .bind(end.outcome.as_str())
    .bind(&end.error)
    .bind(end.resume_at.map(stamp))
    .bind(end.not_before.map(stamp))
    .bind(end.feed.as_str())
    .execute(&mut *c)
    .await?;
    if end.outcome == Outcome::Interrupted {
        return Ok(HealthChange::None);
    }
    health(c, end, &now).await
}

/// Success and failure as `status` and the log tell them. A pass without a listing proves nothing about listings.
async fn health(c: &mut SqliteConnection, end: &PollEnd, now: &str) -> Result<HealthChange, sqlx::Error> {
    let before = sqlx::query("SELECT consecutive_failures, failing_logged_at FROM feeds WHERE feed = $1")
        .bind(end.feed.as_str())
        .fetch_one(&mut *c)
        .await?;
    let failures: i64 = before.get(0);
    if end.outcome != Outcome::Failed {
        if end.listed.is_none() {
            return Ok(HealthChange::None);
        }
        sqlx::query(
            "UPDATE feeds SET last_success_at = $1, failing_since = NULL, failing_logged_at = NULL,
                 consecutive_failures = 0, still_listed = $2, refused_entries = $3 WHERE feed = $4",
        )
        .bind(now)
        .bind(end.still_listed)
        .bind(end.refused_entries)
        .bind(end.feed.as_str())
        .execute(c)
        .await?;
        return Ok(if failures > 0 { HealthChange::Recovered } else { HealthChange::None });
    }
    let said: Option<Timestamp> = time(before.get::<Option<&str>, _>(1));
    let change = match said {
        None => HealthChange::Failing,
        Some(said) if end.finished_at.duration_since(said).as_hours() >= 24 => HealthChange::StillFailing,
        Some(_) => HealthChange::None,
    };
    sqlx::query(
        "UPDATE feeds SET consecutive_failures = consecutive_failures + 1, failing_since = coalesce(failing_since, $1),
             failing_logged_at = CASE WHEN $2 THEN $1 ELSE failing_logged_at END WHERE feed = $3",
    )
    .bind(now)
    .bind(change != HealthChange::None)
    .bind(end.feed.as_str())
    .execute(c)
    .await?;
    Ok(change)
}

async fn register(
    c: &mut SqliteConnection,
    feeds: &[FeedIdentity],
    now: Timestamp,
) -> Result<Registration, sqlx::Error> {
    let mut outcome = Registration::default();
    sqlx::query("UPDATE feeds SET configured = 0").execute(&mut *c).await?;
    // Two steps, so that two accounts may exchange their names.
    let mut moving = Vec::new();
    for identity in feeds {
        let known: Option<String> =
            sqlx::query_scalar("SELECT feed FROM feeds WHERE origin = $1 AND siren = $2 AND kind = $3")
                .bind(&identity.origin)
                .bind(&identity.siren)
                .bind(identity.feed.kind())
                .fetch_optional(&mut *c)
                .await?;
        if let Some(old) = known.filter(|old| old != identity.feed.as_str()) {
            rename(c, &old, &format!("{old}~"), identity.feed.account_name()).await?;
            moving.push((old, identity));
        }
    }
    for identity in feeds {
        let owner = sqlx::query("SELECT origin, siren FROM feeds WHERE feed = $1")
            .bind(identity.feed.as_str())
            .fetch_optional(&mut *c)
            .await?;
        let moved = moving.iter().find(|(_, to)| to.feed == identity.feed).map(|(old, _)| old.clone());
        let taken = owner
            .map(|row| (row.get::<String, _>(0), row.get::<String, _>(1)))
            .filter(|(origin, siren)| *origin != identity.origin || *siren != identity.siren);
        match (taken, moved) {
            (Some((origin, siren)), moved) => {
                if let Some(old) = moved {
                    rename(c, &format!("{old}~"), &old, &account_of(&old)).await?;
                }
                outcome.conflicts.push((identity.feed.clone(), origin, siren));
                continue;
            }
            (None, Some(old)) => {
                rename(c, &format!("{old}~"), identity.feed.as_str(), identity.feed.account_name()).await?;
                outcome.renamed.push((old, identity.feed.clone()));
            }
            (None, None) => {}
        }
        sqlx::query(
            "INSERT INTO feeds (feed, account, origin, siren, kind, next_poll_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (feed) DO UPDATE SET configured = 1",
        )
        .bind(identity.feed.as_str())
        .bind(identity.feed.account_name())
        .bind(&identity.origin)
        .bind(&identity.siren)
        .bind(identity.feed.kind())
        .bind(stamp(now))
        .execute(&mut *c)
        .await?;
    }
    Ok(outcome)
}

fn account_of(feed: &str) -> String {
    feed.rsplit_once('/').map_or_else(|| feed.to_owned(), |(account, _)| account.to_owned())
}

/// Renames a feed with all its rows; its documents' references cascade.
async fn rename(c: &mut SqliteConnection, old: &str, new: &str, account: &str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE feeds SET feed = $1, account = $2 WHERE feed = $3")
        .bind(new)
        .bind(account)
        .bind(old)
        .execute(c)
        .await?;
    Ok(())
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
    })
}

fn feed_row(row: &SqliteRow) -> Option<FeedRow> {
    let at = |index: usize| time(row.get::<Option<&str>, _>(index));
    Some(FeedRow {
        feed: row.get::<&str, _>(0).parse().ok()?,
        configured: row.get::<i64, _>(1) != 0,
        last_listed_at: at(2),
        next_poll_at: at(3),
        last_success_at: at(4),
        last_document_at: at(5),
        failing_since: at(6),
        last_outcome: row.get(7),
        last_error: row.get(8),
        consecutive_failures: row.get(9),
        still_listed: row.get(10),
        refused_entries: row.get(11),
    })
}
