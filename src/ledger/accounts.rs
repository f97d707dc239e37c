//! Table `accounts`: certificates as last seen, and why an account cannot work.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row as _};

use super::{Ledger, LedgerError, time};
use crate::clock::stamp;

/// What is known of an account's certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its subject.
    pub subject: String,
    /// Its serial number, in hexadecimal.
    pub serial: String,
    /// Its end of validity.
    pub not_after: Timestamp,
}

/// An account as `status` shows it.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// `fast/mairie`.
    pub account: String,
    /// Its certificate, where it could be read.
    pub certificate: Option<CertificateFacts>,
    /// Why it cannot work.
    pub problem: Option<String>,
    /// Since when.
    pub problem_since: Option<Timestamp>,
    /// End of its token, where it ever had one.
    pub token_expires_at: Option<Timestamp>,
}

impl Ledger {
    /// Records what was found of an account: its certificate, or why it cannot work. Answers whether the problem is
    /// new, or another than before.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn judge_account(
        &self,
        account: &str,
        certificate: Option<CertificateFacts>,
        problem: Option<String>,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        let account = account.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let before: Option<Option<String>> =
                    sqlx::query_scalar("SELECT problem FROM accounts WHERE account = $1")
                        .bind(&account)
                        .fetch_optional(&mut *c)
                        .await?;
                let changed = before.flatten() != problem;
                sqlx::query(
                    "INSERT INTO accounts (account, certificate_subject, certificate_serial, certificate_not_after,
                         problem, problem_since)
                     VALUES ($1, $2, $3, $4, $5, CASE WHEN $5 IS NULL THEN NULL ELSE $6 END)
                     ON CONFLICT (account) DO UPDATE SET
                         certificate_subject = coalesce(excluded.certificate_subject, certificate_subject),
                         certificate_serial = coalesce(excluded.certificate_serial, certificate_serial),
                         certificate_not_after = coalesce(excluded.certificate_not_after, certificate_not_after),
                         problem_since = CASE WHEN excluded.problem IS NULL THEN NULL
                             ELSE coalesce(problem_since, excluded.problem_since) END,
                         problem = excluded.problem",
                )
                .bind(account)
                .bind(certificate.as_ref().map(|facts| facts.subject.clone()))
                .bind(certificate.as_ref().map(|facts| facts.serial.clone()))
                .bind(certificate.as_ref().map(|facts| stamp(facts.not_after)))
                .bind(&problem)
                .bind(stamp(now))
                .execute(c)
                .await?;
                Ok(changed && problem.is_some())
            })
        })
        .await
    }

    /// Makes the accounts that work by tokens known, with why they cannot work. Answers those whose problem is new.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn judge_clients(
        &self,
        accounts: Vec<(String, Option<String>)>,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let mut news = Vec::new();
                for (account, problem) in accounts {
                    sqlx::query("INSERT INTO accounts (account) VALUES ($1) ON CONFLICT DO NOTHING")
                        .bind(&account)
                        .execute(&mut *c)
                        .await?;
                    if record_problem(c, &account, problem.clone(), now).await? {
                        news.extend(problem.map(|problem| (account, problem)));
                    }
                }
                Ok(news)
            })
        })
        .await
    }

    /// Forgets what was recorded of accounts that are no longer configured; those in `others` are, though they have no
    /// feed that could be polled.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn retire_accounts(&self, others: Vec<String>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let mut delete = QueryBuilder::new(
                    "DELETE FROM accounts WHERE account NOT IN (SELECT account FROM feeds WHERE configured = 1)
                         AND account NOT IN (",
                );
                let mut list = delete.separated(", ");
                for account in &others {
                    list.push_bind(account.as_str());
                }
                list.push_unseparated(")");
                delete.build().execute(c).await?;
                Ok(())
            })
        })
        .await
    }

    /// All accounts the ledger has seen, by name.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn accounts(&self) -> Result<BTreeMap<String, AccountRow>, LedgerError> {
        let rows = sqlx::query(
            "SELECT account, certificate_subject, certificate_serial, certificate_not_after, problem, problem_since,
                 token_expires_at
             FROM accounts",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| self.error(error))?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let certificate = time(row.get::<Option<&str>, _>(3)).map(|not_after| CertificateFacts {
                    subject: row.get::<Option<String>, _>(1).unwrap_or_default(),
                    serial: row.get::<Option<String>, _>(2).unwrap_or_default(),
                    not_after,
                });
                let account: String = row.get(0);
                let problem_since = time(row.get::<Option<&str>, _>(5));
                let token_expires_at = time(row.get::<Option<&str>, _>(6));
                let row = AccountRow { account, certificate, problem: row.get(4), problem_since, token_expires_at };
                (row.account.clone(), row)
            })
            .collect())
    }
}

/// Records why an account that the ledger knows cannot work, or that it can. Answers whether the problem is new.
pub(super) async fn record_problem(
    c: &mut SqliteConnection,
    account: &str,
    problem: Option<String>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let changed = sqlx::query(
        "UPDATE accounts SET problem = $2,
             problem_since = CASE WHEN $2 IS NULL THEN NULL ELSE coalesce(problem_since, $3) END
         WHERE account = $1 AND problem IS DISTINCT FROM $2",
    )
    .bind(account)
    .bind(&problem)
    .bind(stamp(now))
    .execute(c)
    .await?;
    Ok(changed.rows_affected() > 0 && problem.is_some())
}
