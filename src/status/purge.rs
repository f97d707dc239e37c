//! FAST-Parapheur purges its shared folders: what lies there for 15 days is lost (guide v3.4, §4.5).

use jiff::{SignedDuration, Timestamp};

use crate::ledger::FeedRow;

/// What has lain so long is removed, in days.
const PURGED_AFTER: i64 = 15;
/// A feed that fails for so many days is told with the time that is left.
const TOLD_AFTER: i64 = 10;

/// When the platform begins to remove what a feed that fails has not collected; `None` while that is far off, or the feed is
/// not one of files.
#[must_use]
pub fn begins(row: &FeedRow, now: Timestamp) -> Option<Timestamp> {
    if !row.keeps_files || !row.configured {
        return None;
    }
    let failing = row.failing_since?;
    let since = row.last_success_at.map_or(failing, |success| success.min(failing));
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    (now.duration_since(since) >= days(TOLD_AFTER)).then(|| since.checked_add(days(PURGED_AFTER)).ok())?
}
