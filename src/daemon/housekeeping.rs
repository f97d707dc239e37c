//! What is done once an hour, off the hours of polls: old polls forgotten, certificates watched.

use super::House;
use crate::log::event;

/// From so many days on, an operator is told.
const EXPIRING_DAYS: i64 = 60;

/// Tidies the ledger, and tells of certificates that end soon.
pub(super) async fn tidy(house: &House) {
    let now = house.clock.now();
    if let Err(error) = house.ledger.shrink_polls(now).await {
        tracing::warn!(event = event::LEDGER_FAILED, kind = error.kind(), "old polls stay for now: {error}");
    }
    // Once a day: the hour after midnight in UTC.
    if now.to_zoned(jiff::tz::TimeZone::UTC).hour() != 0 {
        return;
    }
    let Ok(accounts) = house.ledger.accounts().await else { return };
    for row in accounts.values() {
        let Some(certificate) = &row.certificate else { continue };
        let days = certificate.not_after.duration_since(now).as_hours() / 24;
        if days < EXPIRING_DAYS {
            tracing::warn!(
                event = event::CERTIFICATE_EXPIRING,
                account = row.account,
                days,
                "the certificate of {} ends in {days} days; order the next one",
                row.account
            );
        }
    }
}
