//! How the machine does: its disk, and its clock against those of the platforms.

use jiff::Timestamp;
use serde::Serialize;

use super::Terms;
use super::perhaps_in_milliseconds;
use crate::ledger::{Ledger, LedgerError};

/// How the machine does.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Machine {
    /// Bytes free for the daemon on the disk of the state directory; null where the disk cannot be asked.
    pub disk_free: Option<u64>,
    /// Bytes of these that stay free: with less, nothing is collected.
    pub disk_reserve: u64,
    /// Platforms whose time differs from this machine's.
    pub clocks: Vec<ClockStatus>,
}

/// A platform's clock that differs from this machine's.
#[derive(Clone, Debug, Serialize)]
pub struct ClockStatus {
    /// Scheme, host and port.
    pub origin: String,
    /// Seconds by which this machine's clock is behind; negative where it is ahead.
    pub seconds: i64,
    /// Since when that is known.
    #[serde(serialize_with = "perhaps_in_milliseconds")]
    pub since: Option<Timestamp>,
}

impl Machine {
    /// Whether nothing is collected for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.disk_free.is_none_or(|free| free <= self.disk_reserve)
    }

    /// Whether there is less than twice the room that stays free.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.disk_free.is_none_or(|free| free < self.disk_reserve.saturating_mul(2))
    }
}

/// How the machine of the state directory does.
pub(super) async fn facts(ledger: &Ledger, terms: &Terms<'_>) -> Result<Machine, LedgerError> {
    let state = &terms.settings.state;
    let clocks = ledger.clocks().await?;
    Ok(Machine {
        disk_free: crate::state::free_space(&state.directory).ok(),
        disk_reserve: state.reserve,
        clocks: clocks
            .into_iter()
            .map(|row| ClockStatus { origin: row.origin, seconds: row.seconds, since: Some(row.since) })
            .collect(),
    })
}
