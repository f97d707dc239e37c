//! Tables `alerts` and `alert_targets`: what is amiss and was told, and to whom how much of it.
//!
//! Each thing to tell (something is amiss, has grown worse, is over) is a *change* and has a number; a target that was told up
//! to a number is told what came after it. So nothing is told twice, nothing is forgotten by a restart, and whoever could not be
//! reached for a day is told what is so now, not all that was in between.

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row as _};

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;

/// Rows written by one statement.
const ROWS: usize = 500;

/// Something amiss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// What kind of trouble, by its stable word.
    pub kind: String,
    /// With what.
    pub subject: String,
    /// `error` or `warning`.
    pub severity: String,
    /// What happened.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// How far it has come.
    pub mark: i64,
    /// Since when it is so, as far as that is known.
    pub since: Option<Timestamp>,
    /// When it was raised last.
    pub raised_at: Timestamp,
    /// The gravest severity it had since it began.
    pub worst: String,
    /// The change by which it began.
    pub began: i64,
    /// The last change to it.
    pub change: i64,
    /// When it was over.
    pub cleared_at: Option<Timestamp>,
}

impl AlertRow {
    /// When it last changed.
    #[must_use]
    pub fn changed_at(&self) -> Timestamp {
        self.cleared_at.unwrap_or(self.raised_at)
    }
}

/// How far someone was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertTargetRow {
    /// Its name.
    pub name: String,
    /// The last change it was told.
    pub told: i64,
    /// Tries in a row that failed.
    pub attempts: i64,
    /// No try before this.
    pub next_try_at: Option<Timestamp>,
    /// The first of these tries.
    pub failing_since: Option<Timestamp>,
    /// Why the last one failed.
    pub error: Option<String>,
}

impl AlertTargetRow {
    /// The same of one who was reached.
    #[must_use]
    pub fn without_error(&self) -> Self {
        Self { name: self.name.clone(), told: self.told, ..Self::default() }
    }
}

/// What is to be changed together.
#[derive(Clone, Debug, Default)]
pub struct AlertChanges {
    /// Amiss from now on, or worse than before; `raised_at`, `worst`, `began` and `change` are filled in.
    pub raised: Vec<AlertRow>,
    /// Known already, and less than before: nothing to tell.
    pub lowered: Vec<AlertRow>,
    /// Over: by kind and subject.
    pub cleared: Vec<(String, String)>,
    /// Over, and nobody needs to be told.
    pub faded: Vec<(String, String)>,
}

impl AlertChanges {
    /// Whether there is nothing to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.raised.is_empty() && self.lowered.is_empty() && self.cleared.is_empty() && self.faded.is_empty()
    }
}

const COLUMNS: &str = "SELECT kind, subject, severity, message, remedy, mark, since, raised_at, worst, began, change, cleared_at FROM alerts";

impl Ledger {
    /// What is amiss, and what is over and not yet told to everybody.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn alerts(&self) -> Result<Vec<AlertRow>, LedgerError> {
        let query = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY change"));
        let rows = sqlx::query(query).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(alert).collect())
    }

    /// What changed after `told`, in the order in which it did.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn alerts_after(&self, told: i64) -> Result<Vec<AlertRow>, LedgerError> {
        let query = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE change > $1 ORDER BY change"));
        let rows = sqlx::query(query).bind(told).fetch_all(&self.readers).await.map_err(|error| self.error(error))?;
        Ok(rows.iter().filter_map(alert).collect())
    }

    /// Whether something is over, and still known.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn alerts_are_over(&self) -> Result<bool, LedgerError> {
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM alerts WHERE cleared_at IS NOT NULL)")
            .fetch_one(&self.readers)
            .await
            .map_err(|error| self.error(error))
    }

    /// Makes `changes`, all or none.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn change_alerts(&self, changes: AlertChanges, now: Timestamp) -> Result<(), LedgerError> {
        if changes.is_empty() {
            return Ok(());
        }
        self.write(move |c| Box::pin(async move { change(c, changes, now).await })).await
    }

    /// Whom alerts are told, by name, as far as the ledger knows them.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn alert_targets(&self) -> Result<Vec<AlertTargetRow>, LedgerError> {
        let rows = sqlx::query(
            "SELECT name, told, attempts, next_try_at, failing_since, error FROM alert_targets ORDER BY name",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        let target = |row: &SqliteRow| AlertTargetRow {
            name: row.get(0),
            told: row.get(1),
            attempts: row.get(2),
            next_try_at: time(row.get(3)),
            failing_since: time(row.get(4)),
            error: row.get(5),
        };
        Ok(rows.iter().map(target).collect())
    }

    /// Records how far someone was told, or why not.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_alert_target(&self, row: AlertTargetRow) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO alert_targets (name, told, attempts, next_try_at, failing_since, error)
                     VALUES ($1, $2, $3, $4, $5, $6)
                     ON CONFLICT (name) DO UPDATE SET told = excluded.told, attempts = excluded.attempts,
                         next_try_at = excluded.next_try_at, failing_since = excluded.failing_since,
                         error = excluded.error",
                )
                .bind(row.name)
                .bind(row.told)
                .bind(row.attempts)
                .bind(row.next_try_at.map(stamp))
                .bind(row.failing_since.map(stamp))
                .bind(row.error)
                .execute(c)
                .await
                .map(drop)
            })
        })
        .await
    }

    /// Forgets whom nobody tells any more (`names` are those of the configuration), and what is over and was told to all.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn tidy_alerts(&self, names: Vec<String>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let known: Vec<String> =
                    sqlx::query_scalar("SELECT name FROM alert_targets").fetch_all(&mut *c).await?;
                for name in known.iter().filter(|name| !names.contains(name)) {
                    sqlx::query("DELETE FROM alert_targets WHERE name = $1").bind(name).execute(&mut *c).await?;
                }
                // One that was told nothing yet has no row, and holds back what it may still want to be told.
                let told = if names.iter().all(|name| known.contains(name)) { TOLD_TO_ALL } else { "0" };
                let delete = format!("DELETE FROM alerts WHERE cleared_at IS NOT NULL AND change <= {told}");
                sqlx::query(sqlx::AssertSqlSafe(delete)).execute(c).await.map(drop)
            })
        })
        .await
    }
}

/// The change that everybody was told.
const TOLD_TO_ALL: &str = "coalesce((SELECT min(told) FROM alert_targets), (SELECT max(change) FROM alerts))";

async fn change(c: &mut SqliteConnection, changes: AlertChanges, now: Timestamp) -> Result<(), sqlx::Error> {
    // Rows of what is over may have gone: whoever was told last knows the highest number there was.
    let mut last: i64 = sqlx::query_scalar(
        "SELECT coalesce(max(number), 0) FROM (SELECT max(change) AS number FROM alerts
         UNION ALL SELECT max(told) FROM alert_targets)",
    )
    .fetch_one(&mut *c)
    .await?;
    for (kind, subject) in &changes.faded {
        let delete = sqlx::query("DELETE FROM alerts WHERE kind = $1 AND subject = $2");
        delete.bind(kind).bind(subject).execute(&mut *c).await?;
    }
    for row in &changes.lowered {
        sqlx::query(
            "UPDATE alerts SET mark = $3, severity = $4, message = $5, remedy = $6 WHERE kind = $1 AND subject = $2",
        )
        .bind(&row.kind)
        .bind(&row.subject)
        .bind(row.mark)
        .bind(&row.severity)
        .bind(&row.message)
        .bind(&row.remedy)
        .execute(&mut *c)
        .await?;
    }
    for (kind, subject) in &changes.cleared {
        last += 1;
        let update = sqlx::query("UPDATE alerts SET cleared_at = $3, change = $4 WHERE kind = $1 AND subject = $2");
        update.bind(kind).bind(subject).bind(stamp(now)).bind(last).execute(&mut *c).await?;
    }
    for rows in changes.raised.chunks(ROWS) {
        let mut insert = QueryBuilder::new(
            "INSERT INTO alerts (kind, subject, severity, message, remedy, mark, since, raised_at, worst, began, change) ",
        );
        insert.push_values(rows, |mut values, row| {
            last += 1;
            values.push_bind(&row.kind).push_bind(&row.subject).push_bind(&row.severity).push_bind(&row.message);
            values.push_bind(&row.remedy).push_bind(row.mark).push_bind(row.since.map(stamp)).push_bind(stamp(now));
            values.push_bind(&row.severity).push_bind(last).push_bind(last);
        });
        insert.push(
            " ON CONFLICT (kind, subject) DO UPDATE SET severity = excluded.severity, message = excluded.message,
                 remedy = excluded.remedy, mark = excluded.mark, since = excluded.since, raised_at = excluded.raised_at,
                 worst = CASE WHEN alerts.cleared_at IS NULL AND alerts.worst = 'error' THEN 'error'
                     ELSE excluded.worst END,
                 began = CASE WHEN alerts.cleared_at IS NULL THEN alerts.began ELSE excluded.began END,
                 change = excluded.change, cleared_at = NULL",
        );
        insert.build().execute(&mut *c).await?;
    }
    Ok(())
}

fn alert(row: &SqliteRow) -> Option<AlertRow> {
    Some(AlertRow {
        kind: row.get(0),
        subject: row.get(1),
        severity: row.get(2),
        message: row.get(3),
        remedy: row.get(4),
        mark: row.get(5),
        since: time(row.get(6)),
        raised_at: time(row.get(7))?,
        worst: row.get(8),
        began: row.get(9),
        change: row.get(10),
        cleared_at: time(row.get(11)),
    })
}
