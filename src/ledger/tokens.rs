//! Table `tokens`: the token of each account, and what keeps it from having one.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row as _};

use super::accounts::judge;
use super::{Ledger, LedgerError, time};
use crate::clock::{BootTime, stamp};

/// A moment, by the wall and the boot clock.
pub type Moment = (Timestamp, BootTime);

/// A token that was obtained.
#[derive(Clone, Debug)]
pub struct KeptToken {
    /// The token itself.
    pub access_token: SecretString,
    /// When the request left that brought it.
    pub asked: Moment,
    /// How long it lives from then on.
    pub life: Duration,
}

impl KeptToken {
    /// Its end by the wall clock, if nobody sets that.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.asked.0.checked_add(self.life).unwrap_or(Timestamp::MAX)
    }
}

/// Why the last request brought no token.
#[derive(Clone, Debug)]
pub struct TokenTrouble {
    /// When it was over.
    pub at: Moment,
    /// Requests in a row that brought none.
    pub failures: u32,
    /// No request for so long after that.
    pub pause: Duration,
    /// What went wrong.
    pub error: String,
    /// What the operator does about it.
    pub remedy: String,
    /// The credentials that were refused (their HMAC); `None` where the platform said nothing about them.
    pub refused: Option<String>,
}

/// What is known of an account's token.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Whose it is: an HMAC of the address it is asked at and of the client's name there.
    pub identity: String,
    /// The token.
    pub token: Option<KeptToken>,
    /// What is wrong.
    pub trouble: Option<TokenTrouble>,
}

const COLUMNS: &str = "account, identity, access_token, asked_at, asked_boot_id, asked_boot_ms, life_ms, failures,
    failed_at, failed_boot_id, failed_boot_ms, pause_ms, error, remedy, refused";

impl Ledger {
    /// What is known of all tokens, by account.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn tokens(&self) -> Result<BTreeMap<String, TokenRow>, LedgerError> {
        let rows = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM tokens"))
            .build()
            .fetch_all(&self.readers)
            .await
            .map_err(|error| self.error(error))?;
        Ok(rows.iter().map(|row| (row.get(0), read(row))).collect())
    }

    /// What is known of the token of `account`.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn token(&self, account: &str) -> Result<Option<TokenRow>, LedgerError> {
        let mut select = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM tokens WHERE account = "));
        let row = select.push_bind(account).build().fetch_optional(&self.readers).await;
        Ok(row.map_err(|error| self.error(error))?.as_ref().map(read))
    }

    /// Records what is known of the token of `account`, and whether that account can work: `Some(problem)` to record
    /// one, `Some(None)` to take it back, `None` to leave it. Answers whether the problem is new.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_token(
        &self,
        account: &str,
        row: TokenRow,
        problem: Option<Option<String>>,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        let account = account.to_owned();
        self.write(move |c| {
            Box::pin(async move {
                write(c, &account, &row).await?;
                let expires = row.token.as_ref().map(|token| stamp(token.expires_at()));
                sqlx::query(
                    "INSERT INTO accounts (account, token_expires_at) VALUES ($1, $2)
                     ON CONFLICT (account) DO UPDATE SET token_expires_at = excluded.token_expires_at",
                )
                .bind(&account)
                .bind(expires)
                .execute(&mut *c)
                .await?;
                let Some(problem) = problem else { return Ok(false) };
                judge(c, &account, None, problem.as_deref(), now).await
            })
        })
        .await
    }

    /// Forgets the tokens of accounts that are no longer configured, but not that their credentials were refused.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn retire_tokens(&self, configured: Vec<String>) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                let mut update = QueryBuilder::<Sqlite>::new(
                    "UPDATE tokens SET access_token = NULL WHERE access_token IS NOT NULL AND account NOT IN (",
                );
                let mut list = update.separated(", ");
                for account in &configured {
                    list.push_bind(account.as_str());
                }
                list.push_unseparated(")");
                update.build().execute(c).await?;
                Ok(())
            })
        })
        .await
    }
}

async fn write(c: &mut SqliteConnection, account: &str, row: &TokenRow) -> Result<(), sqlx::Error> {
    let (token, trouble) = (row.token.as_ref(), row.trouble.as_ref());
    let (asked, failed) = (token.map(|token| &token.asked), trouble.map(|trouble| &trouble.at));
    sqlx::query(
        "INSERT INTO tokens (account, identity, access_token, expires_at, asked_at, asked_boot_id, asked_boot_ms,
             life_ms, failures, failed_at, failed_boot_id, failed_boot_ms, pause_ms, error, remedy, refused)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         ON CONFLICT (account) DO UPDATE SET
             identity = excluded.identity, access_token = excluded.access_token, expires_at = excluded.expires_at,
             asked_at = excluded.asked_at, asked_boot_id = excluded.asked_boot_id,
             asked_boot_ms = excluded.asked_boot_ms, life_ms = excluded.life_ms, failures = excluded.failures,
             failed_at = excluded.failed_at, failed_boot_id = excluded.failed_boot_id,
             failed_boot_ms = excluded.failed_boot_ms, pause_ms = excluded.pause_ms, error = excluded.error,
             remedy = excluded.remedy, refused = excluded.refused",
    )
    .bind(account)
    .bind(&row.identity)
    .bind(token.map(|token| token.access_token.expose_secret()))
    .bind(token.map(|token| stamp(token.expires_at())))
    .bind(asked.map(|(wall, _)| stamp(*wall)))
    .bind(asked.map(|(_, boot)| &boot.id))
    .bind(asked.map(|(_, boot)| millis(boot.elapsed)))
    .bind(token.map(|token| millis(token.life)))
    .bind(trouble.map_or(0, |trouble| trouble.failures))
    .bind(failed.map(|(wall, _)| stamp(*wall)))
    .bind(failed.map(|(_, boot)| &boot.id))
    .bind(failed.map(|(_, boot)| millis(boot.elapsed)))
    .bind(trouble.map(|trouble| millis(trouble.pause)))
    .bind(trouble.map(|trouble| &trouble.error))
    .bind(trouble.map(|trouble| &trouble.remedy))
    .bind(trouble.and_then(|trouble| trouble.refused.as_ref()))
    .execute(c)
    .await?;
    Ok(())
}

fn read(row: &SqliteRow) -> TokenRow {
    let text = |column: usize| row.get::<Option<String>, _>(column);
    let span = |column: usize| row.get::<Option<i64>, _>(column).map(duration);
    let moment = |column: usize| {
        let boot = BootTime { id: text(column + 1).unwrap_or_default(), elapsed: span(column + 2).unwrap_or_default() };
        time(text(column).as_deref()).map(|wall| (wall, boot))
    };
    let token = match (text(2), moment(3), span(6)) {
        (Some(token), Some(asked), Some(life)) => Some(KeptToken { access_token: token.into(), asked, life }),
        _ => None,
    };
    let trouble = moment(8).map(|at| TokenTrouble {
        at,
        failures: row.get(7),
        pause: span(11).unwrap_or_default(),
        error: text(12).unwrap_or_default(),
        remedy: text(13).unwrap_or_default(),
        refused: text(14),
    });
    TokenRow { identity: row.get(1), token, trouble }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
