//! Table `operator_actions`: who did what by hand.

use jiff::Timestamp;

use super::{Ledger, LedgerError};
use crate::clock::stamp;

/// Something an operator did.
#[derive(Clone, Debug)]
pub struct Action {
    /// The user's name.
    pub actor: String,
    /// The command: `retry`, `dismiss`, …
    pub command: String,
    /// What it was about.
    pub detail: String,
}

impl Ledger {
    /// Records an operator's action.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn record_action(&self, action: Action, now: Timestamp) -> Result<(), LedgerError> {
        self.write(move |c| {
            Box::pin(async move {
                sqlx::query("INSERT INTO operator_actions (at, actor, command, detail) VALUES ($1, $2, $3, $4)")
                    .bind(stamp(now))
                    .bind(action.actor)
                    .bind(action.command)
                    .bind(action.detail)
                    .execute(c)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}
