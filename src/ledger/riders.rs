//! Table `feeds`: a feed whose documents another's listings show rides along. It is never listed by itself, so that no folder
//! is listed twice as often as the platform allows; what is known of the leader's listings is known of its own.

use std::collections::HashMap;

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::register::FeedIdentity;

/// What a leader's listings say of those it leads; along `feeds_led`.
macro_rules! bring {
    ($which:literal) => {
        concat!(
            "UPDATE feeds SET last_listed_at = lead.last_listed_at, last_listed_boot_id = lead.last_listed_boot_id,
                 last_listed_boot_ms = lead.last_listed_boot_ms, first_listed_at = lead.first_listed_at,
                 next_poll_at = lead.next_poll_at, not_before = lead.not_before,
                 last_success_at = lead.last_success_at, failing_since = lead.failing_since,
                 last_outcome = lead.last_outcome, last_error = lead.last_error,
                 consecutive_failures = lead.consecutive_failures
             FROM feeds AS lead WHERE ",
            $which
        )
    };
}
const BRING: &str = bring!("feeds.led_by IS NOT NULL AND lead.feed = feeds.led_by");
const BRING_ONE: &str = bring!("feeds.led_by = $1 AND lead.feed = $1");

/// Writes what is known of the listings of `leader` to the feeds it leads.
pub(super) async fn bring_along(c: &mut SqliteConnection, leader: &str) -> Result<(), sqlx::Error> {
    sqlx::query(BRING_ONE).bind(leader).execute(c).await.map(drop)
}

/// The same of all leaders.
pub(super) async fn bring_all_along(c: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query(BRING).execute(c).await.map(drop)
}

/// Records which feeds are of files, and who leads whom. What either had passed over, for it was the other's, is looked at
/// again.
pub(super) async fn appoint(c: &mut SqliteConnection, feeds: &[&FeedIdentity]) -> Result<(), sqlx::Error> {
    let rows = sqlx::query("SELECT feed, led_by, files FROM feeds WHERE led_by IS NOT NULL OR files = 1");
    let mut known: HashMap<String, (Option<String>, bool)> =
        rows.fetch_all(&mut *c).await?.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
    for identity in feeds {
        let (feed, leader) = (identity.feed.as_str(), identity.led_by.as_ref().map(|leader| leader.as_str()));
        let (led_by, files) = known.remove(feed).unwrap_or_default();
        if (led_by.as_deref(), files) == (leader, identity.files) {
            continue;
        }
        sqlx::query("UPDATE feeds SET led_by = $1, files = $2 WHERE feed = $3")
            .bind(leader)
            .bind(identity.files)
            .bind(feed)
            .execute(&mut *c)
            .await?;
        let Some(leader) = leader.filter(|leader| Some(*leader) != led_by.as_deref()) else { continue };
        join(c, feed, leader).await?;
        sqlx::query("DELETE FROM documents WHERE feed = $1 AND state = 'skipped' AND error IS NOT NULL")
            .bind(feed)
            .execute(&mut *c)
            .await?;
        sqlx::query(
            "UPDATE documents SET state = 'listed', error = NULL, stem = NULL
             WHERE feed = $1 AND state = 'skipped' AND error IS NOT NULL AND NOT EXISTS (
                 SELECT 1 FROM documents AS other WHERE other.feed = $2 AND other.remote_id = documents.remote_id)",
        )
        .bind(leader)
        .bind(feed)
        .execute(&mut *c)
        .await?;
        bring_along(c, leader).await?;
    }
    // Those that are not configured any more are led by nobody: once they are again, they begin anew.
    for feed in known.into_iter().filter_map(|(feed, (led_by, _))| led_by.map(|_| feed)) {
        sqlx::query("UPDATE feeds SET led_by = NULL WHERE feed = $1").bind(feed).execute(&mut *c).await?;
    }
    Ok(())
}

/// A feed that was listed by itself is led from now on: what was listed for it was listed for its leader as well (F1).
async fn join(c: &mut SqliteConnection, feed: &str, leader: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE feeds SET last_listed_at = own.last_listed_at, last_listed_boot_id = own.last_listed_boot_id,
             last_listed_boot_ms = own.last_listed_boot_ms, next_poll_at = max(feeds.next_poll_at, own.next_poll_at)
         FROM feeds AS own WHERE feeds.feed = $1 AND own.feed = $2
             AND own.last_listed_at > coalesce(feeds.last_listed_at, '')",
    )
    .bind(leader)
    .bind(feed)
    .execute(&mut *c)
    .await?;
    sqlx::query(
        "UPDATE feeds SET first_listed_at = coalesce(feeds.first_listed_at, own.first_listed_at)
         FROM feeds AS own WHERE feeds.feed = $1 AND own.feed = $2",
    )
    .bind(leader)
    .bind(feed)
    .execute(c)
    .await
    .map(drop)
}
