//! Table `accounts`: certificates as last seen, and why an account cannot work.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, QueryBuilder, Row as _};

use super::{Ledger, LedgerError, gather, time};
use crate::clock::stamp;
use crate::feed::FeedName;

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

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub not_before: Timestamp,
    /// The last moment.
    pub not_after: Timestamp,
}

/// An account as `status` shows it.
#[derive(Clone, Debug)]
pub struct AccountRow {
    /// `fast/mairie`.
    pub account: String,
    /// Its certificate, where it could be read.
    pub certificate: Option<CertificateFacts>,
    /// The certificate that follows on it, where one is named and can be read.
    pub next_certificate: Option<Span>,
    /// Why the certificate that follows cannot be used.
    pub next_certificate_problem: Option<String>,
    /// The serial number of the certificate that the platform last refused.
    pub refused_serial: Option<String>,
    /// End of its token, as far as that is known.
    pub token_expires_at: Option<Timestamp>,
    /// Why it cannot work.
    pub problem: Option<String>,
    /// Since when.
    pub problem_since: Option<Timestamp>,
}

impl Ledger {
    /// Records what a poll found of an account: its certificate, or why it cannot work. Answers whether the problem is
    /// new, or another than before. Nothing is written where that is known already, nor of an account with no feed to
    /// be polled: what bars it is not for a poll that was under way to clear.
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
        if self.account(account).await?.is_some_and(|known| {
            known.problem == problem && (certificate.is_none() || known.certificate == certificate)
        }) {
            return Ok(false);
        }
        let account = account.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                let polled = sqlx::query_scalar(POLLED).bind(&account).fetch_one(&mut *c).await?;
                if polled { judge(c, &account, certificate.as_ref(), problem.as_deref(), now).await } else { Ok(false) }
            })
        })
        .await
    }

    /// Records the certificate that follows on the present one of `account`: when it is valid, or why it cannot be used.
    /// Nothing is written where that is known already.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_successor(
        &self,
        account: &str,
        successor: Option<Result<Span, String>>,
    ) -> Result<(), LedgerError> {
        let (next, problem) = match successor {
            None => (None, None),
            Some(Ok(span)) => (Some(span), None),
            Some(Err(problem)) => (None, Some(problem)),
        };
        let known = self.account(account).await?;
        let before = known.map(|row| (row.next_certificate, row.next_certificate_problem)).unwrap_or_default();
        if before == (next, problem.clone()) {
            return Ok(());
        }
        let account = account.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO accounts (account, next_certificate_not_before, next_certificate_not_after,
                         next_certificate_problem) VALUES ($1, $2, $3, $4)
                     ON CONFLICT (account) DO UPDATE SET
                         next_certificate_not_before = excluded.next_certificate_not_before,
                         next_certificate_not_after = excluded.next_certificate_not_after,
                         next_certificate_problem = excluded.next_certificate_problem",
                )
                .bind(account)
                .bind(next.map(|span| stamp(span.not_before)))
                .bind(next.map(|span| stamp(span.not_after)))
                .bind(problem)
                .execute(c)
                .await
                .map(drop)
            })
        })
        .await
    }

    /// Records that the platform refused the certificate `serial` of `account`; where `alone` names a feed, only if all of the
    /// account's other feeds fail as well.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn refuse_certificate(
        &self,
        account: &str,
        serial: &str,
        alone: Option<&FeedName>,
    ) -> Result<(), LedgerError> {
        let (account, serial) = (account.to_owned(), serial.to_owned());
        let alone = alone.map(|feed| feed.as_str().to_owned());
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE accounts SET refused_serial = $2 WHERE account = $1 AND ($3 IS NULL OR NOT EXISTS (
                         SELECT 1 FROM feeds WHERE feeds.feed > $1 || '/' AND feeds.feed < $1 || '0' AND feeds.feed <> $3
                             AND configured = 1 AND led_by IS NULL AND consecutive_failures = 0))",
                )
                .bind(account)
                .bind(serial)
                .bind(alone)
                .execute(c)
                .await
                .map(drop)
            })
        })
        .await
    }

    /// Records that the platform let the certificate `serial` of `account` in, where it had refused it before.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn accept_certificate(&self, account: &str, serial: &str) -> Result<(), LedgerError> {
        let known = self.account(account).await?;
        if known.is_none_or(|row| row.refused_serial.as_deref() != Some(serial)) {
            return Ok(());
        }
        let (account, serial) = (account.to_owned(), serial.to_owned());
        self.write(move |c| {
            Box::pin(async move {
                let update = "UPDATE accounts SET refused_serial = NULL WHERE account = $1 AND refused_serial = $2";
                sqlx::query(update).bind(account).bind(serial).execute(c).await.map(drop)
            })
        })
        .await
    }

    /// What is known of `account`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn account(&self, account: &str) -> Result<Option<AccountRow>, LedgerError> {
        let row = sqlx::query(AssertSqlSafe(format!("{SEEN} WHERE account = $1")))
            .bind(account)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(row.as_ref().map(account_row))
    }

    /// Records when the token of `account` ends, as far as it says so itself.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_expiry(&self, account: &str, expires: Option<Timestamp>) -> Result<(), LedgerError> {
        let (account, expires) = (account.to_owned(), expires.map(stamp));
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO accounts (account, token_expires_at) VALUES ($1, $2)
                     ON CONFLICT (account) DO UPDATE SET token_expires_at = excluded.token_expires_at",
                )
                .bind(account)
                .bind(expires)
                .execute(c)
                .await?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets what barred `account`, where something did.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn unbar(&self, account: &str) -> Result<(), LedgerError> {
        if self.account(account).await?.is_none() {
            return Ok(());
        }
        let account = account.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("DELETE FROM accounts WHERE account = $1").bind(account).execute(c).await?;
                Ok(())
            })
        })
        .await
    }

    /// Records why accounts, given with that, cannot be polled as they are configured. Answers those where it is new.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn bar_accounts(
        &self,
        barred: Vec<(String, String)>,
        now: Timestamp,
    ) -> Result<Vec<(String, String)>, LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let mut news = Vec::new();
                for (account, problem) in barred {
                    if judge(c, &account, None, Some(&problem), now).await? {
                        news.push((account, problem));
                    }
                }
                Ok(news)
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
                    if judge(c, &account, None, problem.as_deref(), now).await? {
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
        let rows = gather(sqlx::query(SEEN).fetch(&self.readers), |row| Some(account_row(row))).await;
        let rows = rows.map_err(|error| self.error(error))?;
        Ok(rows.into_iter().map(|row| (row.account.clone(), row)).collect())
    }
}

/// What is known of accounts, as [`account_row`] reads it.
const SEEN: &str = "SELECT account, certificate_subject, certificate_serial, certificate_not_after, problem,
     problem_since, token_expires_at, next_certificate_not_before, next_certificate_not_after, next_certificate_problem,
     refused_serial FROM accounts";

/// Whether an account has a feed to be polled: looked up by name, for there are as many accounts as feeds.
pub(super) const POLLED: &str = "SELECT EXISTS (SELECT 1 FROM feeds WHERE feed > $1 || '/' AND feed < $1 || '0'
     AND account = $1 AND configured = 1)";

fn account_row(row: &SqliteRow) -> AccountRow {
    let certificate = time(row.get::<Option<&str>, _>(3)).map(|not_after| CertificateFacts {
        subject: row.get::<Option<String>, _>(1).unwrap_or_default(),
        serial: row.get::<Option<String>, _>(2).unwrap_or_default(),
        not_after,
    });
    let problem_since = time(row.get::<Option<&str>, _>(5));
    let token_expires_at = time(row.get::<Option<&str>, _>(6));
    let next = time(row.get::<Option<&str>, _>(7)).zip(time(row.get::<Option<&str>, _>(8)));
    AccountRow {
        account: row.get(0),
        certificate,
        next_certificate: next.map(|(not_before, not_after)| Span { not_before, not_after }),
        next_certificate_problem: row.get(9),
        refused_serial: row.get(10),
        token_expires_at,
        problem: row.get(4),
        problem_since,
    }
}

/// Answers whether there is a problem, new or another than before.
pub(super) async fn judge(
    c: &mut SqliteConnection,
    account: &str,
    certificate: Option<&CertificateFacts>,
    problem: Option<&str>,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let before: Option<Option<String>> = sqlx::query_scalar("SELECT problem FROM accounts WHERE account = $1")
        .bind(account)
        .fetch_optional(&mut *c)
        .await?;
    sqlx::query(
        "INSERT INTO accounts (account, certificate_subject, certificate_serial, certificate_not_after, problem,
             problem_since)
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
    .bind(certificate.map(|facts| facts.subject.as_str()))
    .bind(certificate.map(|facts| facts.serial.as_str()))
    .bind(certificate.map(|facts| stamp(facts.not_after)))
    .bind(problem)
    .bind(stamp(now))
    .execute(c)
    .await?;
    Ok(problem.is_some() && before.flatten().as_deref() != problem)
}
