//! What `status` tells of API Entreprise: its quotas, and whether it answers at all.

use jiff::Timestamp;
use serde::Serialize;

use crate::ledger::{Ledger, LedgerError, QuotaRow};
use crate::quota::Ban;

/// A quota, as `status` tells of it.
#[derive(Clone, Debug, Serialize)]
pub struct QuotaStatus {
    /// Its name: `ip`, `marches/json`, …
    pub bucket: String,
    /// Calls a minute, as the platform last said.
    pub per_minute: u32,
    /// Calls left of our share: in the present minute, or at the last call where that was in an earlier one.
    pub left: u32,
    /// Whether `left` speaks of the present minute; in a new one nothing has been used.
    pub present: bool,
    /// The platform refused a call: none before this.
    pub closed_until: Option<Timestamp>,
}

/// A ban by API Entreprise, as far as it can be told.
#[derive(Clone, Debug, Serialize)]
pub struct BanStatus {
    /// The platform.
    pub origin: String,
    /// Since when.
    pub since: Timestamp,
    /// When it should be over.
    pub until: Option<Timestamp>,
    /// What was seen.
    pub reason: String,
}

/// Quotas and ban of API Entreprise.
pub(super) async fn facts(
    ledger: &Ledger,
    now: Timestamp,
) -> Result<(Vec<QuotaStatus>, Option<BanStatus>), LedgerError> {
    let quota = |row: QuotaRow| QuotaStatus {
        present: row.minute.is_some_and(|minute| minute.as_second() / 60 == now.as_second() / 60),
        closed_until: row.closed_until.filter(|until| *until > now),
        bucket: row.bucket,
        per_minute: row.per_minute,
        left: row.left,
    };
    let quotas = ledger.quotas().await?.into_iter().map(quota).collect();
    let ban = ledger.bans().await?.into_iter().find_map(|(origin, ban)| {
        let until = Ban(ban.clone()).until();
        Some(BanStatus { origin, since: ban.suspected_at?, until, reason: ban.reason })
    });
    Ok((quotas, ban))
}
