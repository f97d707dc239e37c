//! FAST-Parapheur purges its shared folders: what lies there for 15 days is lost (guide v3.4, §4.5).

use jiff::{SignedDuration, Timestamp};

use crate::ledger::FeedRow;

/// What has lain so long is removed, in days.
const PURGED_AFTER: i64 = 15;
/// Folders that were not emptied for so many days are told, with the time that is left.
const TOLD_AFTER: i64 = 10;

/// When the platform begins to remove what a feed has not collected: no poll has succeeded for ten days, for whatever reason,
/// or a file listed then is not held yet (`oldest`: when the oldest such file was first listed). `None` while that is far off,
/// or the feed is not one of files.
#[must_use]
pub fn begins(row: &FeedRow, oldest: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    if !row.keeps_files || !row.configured {
        return None;
    }
    // A feed that never succeeded is judged from its first failure on.
    let success = row.last_success_at.or(row.failing_since);
    let since = [success, oldest].into_iter().flatten().min()?;
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    (now.duration_since(since) >= days(TOLD_AFTER)).then(|| since.checked_add(days(PURGED_AFTER)).ok())?
}
