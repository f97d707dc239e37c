//! Tables `quotas` and `bans`: what API Entreprise allows, and whether it answers at all.

use jiff::Timestamp;
use sqlx::Row as _;

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;

/// What is remembered of a quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRow {
    /// Its name.
    pub bucket: String,
    /// Calls a minute, as the platform last said.
    pub per_minute: u32,
    /// The platform's minute that `used` and `left` speak of.
    pub minute: Option<Timestamp>,
    /// Calls in that minute.
    pub used: u32,
    /// Calls left in it, of our share.
    pub left: u32,
    /// The platform refused a call: none before this, by its clock.
    pub closed_until: Option<Timestamp>,
    /// The platform's clock less ours is at least this, in milliseconds.
    pub skew_from_ms: i64,
    /// And at most this.
    pub skew_to_ms: i64,
    /// When this was so.
    pub at: Timestamp,
}

/// What is remembered of a ban.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BanRow {
    /// Since when it is assumed; none: there is none.
    pub suspected_at: Option<Timestamp>,
    /// The last `/ping` since then.
    pub probed_at: Option<Timestamp>,
    /// Why it is assumed.
    pub reason: String,
    /// The last refusal for too many calls.
    pub refused_at: Option<Timestamp>,
}

impl Ledger {
    /// All quotas that are remembered, by name.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn quotas(&self) -> Result<Vec<QuotaRow>, LedgerError> {
        let rows = sqlx::query(
            "SELECT bucket, per_minute, minute, used, left_over, closed_until, skew_from_ms, skew_to_ms, at
             FROM quotas ORDER BY bucket",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Some(QuotaRow {
                bucket: row.get(0),
                per_minute: row.get(1),
                minute: time(row.get::<Option<&str>, _>(2)),
                used: row.get(3),
                left: row.get(4),
                closed_until: time(row.get::<Option<&str>, _>(5)),
                skew_from_ms: row.get(6),
                skew_to_ms: row.get(7),
                at: time(Some(row.get::<&str, _>(8)))?,
            })
        };
        Ok(rows.iter().filter_map(read).collect())
    }

    /// Remembers quotas as they are now.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_quotas(&self, rows: Vec<QuotaRow>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                for row in rows {
                    sqlx::query(
                        "INSERT INTO quotas (bucket, per_minute, minute, used, left_over, closed_until, skew_from_ms,
                             skew_to_ms, at)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                         ON CONFLICT (bucket) DO UPDATE SET per_minute = excluded.per_minute,
                             minute = excluded.minute, used = excluded.used, left_over = excluded.left_over,
                             closed_until = excluded.closed_until, skew_from_ms = excluded.skew_from_ms,
                             skew_to_ms = excluded.skew_to_ms, at = excluded.at",
                    )
                    .bind(row.bucket)
                    .bind(row.per_minute)
                    .bind(row.minute.map(stamp))
                    .bind(row.used)
                    .bind(row.left)
                    .bind(row.closed_until.map(stamp))
                    .bind(row.skew_from_ms)
                    .bind(row.skew_to_ms)
                    .bind(stamp(row.at))
                    .execute(&mut *c)
                    .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Forgets which quotas refusals have closed.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn reopen_quotas(&self) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("UPDATE quotas SET closed_until = NULL").execute(c).await?;
                Ok(())
            })
        })
        .await
    }

    /// What is known of bans, by origin.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn bans(&self) -> Result<Vec<(String, BanRow)>, LedgerError> {
        let rows = sqlx::query("SELECT suspected_at, probed_at, reason, refused_at, origin FROM bans")
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| (row.get(4), ban(row))).collect())
    }

    /// What is known of a ban by the platform at `origin`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn ban(&self, origin: &str) -> Result<BanRow, LedgerError> {
        let row = sqlx::query("SELECT suspected_at, probed_at, reason, refused_at FROM bans WHERE origin = $1")
            .bind(origin)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(row.as_ref().map_or_else(BanRow::default, ban))
    }

    /// Remembers what is known of a ban by the platform at `origin`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_ban(&self, origin: &str, ban: BanRow) -> Result<(), LedgerError> {
        let origin = origin.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO bans (origin, suspected_at, probed_at, reason, refused_at) VALUES ($1, $2, $3, $4, $5)
                     ON CONFLICT (origin) DO UPDATE SET suspected_at = excluded.suspected_at,
                         probed_at = excluded.probed_at, reason = excluded.reason, refused_at = excluded.refused_at",
                )
                .bind(origin)
                .bind(ban.suspected_at.map(stamp))
                .bind(ban.probed_at.map(stamp))
                .bind(ban.reason)
                .bind(ban.refused_at.map(stamp))
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }
}

fn ban(row: &sqlx::sqlite::SqliteRow) -> BanRow {
    BanRow {
        suspected_at: time(row.get::<Option<&str>, _>(0)),
        probed_at: time(row.get::<Option<&str>, _>(1)),
        reason: row.get(2),
        refused_at: time(row.get::<Option<&str>, _>(3)),
    }
}
