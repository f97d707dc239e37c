//! How far alerts reach those who are told.

use jiff::Timestamp;
use serde::Serialize;

use super::perhaps_in_milliseconds;
use crate::ledger::{Ledger, LedgerError};

/// Someone who is told alerts, as `status` tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct AlertTargetStatus {
    /// Its name.
    pub name: String,
    /// Why the last try failed; null: it did not.
    pub error: Option<String>,
    /// Since when tries fail.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub failing_since: Option<Timestamp>,
}

/// Whom alerts were told, as far as that was tried.
pub(super) async fn facts(ledger: &Ledger) -> Result<Vec<AlertTargetStatus>, LedgerError> {
    let rows = ledger.alert_targets().await?.into_iter();
    Ok(rows
        .map(|row| AlertTargetStatus { name: row.name, error: row.error, failing_since: row.failing_since })
        .collect())
}
