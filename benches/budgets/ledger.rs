//! Ledgers of long use: made by the daemon itself, then filled as years would have.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use crate::Peer;
use crate::daemon::Daemon;

/// Has a daemon make the ledger of `config`, with its feeds in it.
pub async fn make(peer: &Peer, config: &Path) -> anyhow::Result<Duration> {
    let begun = tokio::time::Instant::now();
    let mut daemon = Daemon::start(&peer.binary, config, None)?;
    daemon.event("daemon.ready").await?;
    let ready = begun.elapsed();
    daemon.stop().await?;
    Ok(ready)
}

/// Opens the ledger of the state directory `state`.
pub async fn open(state: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(state.join("ledger.sqlite"));
    Ok(options.busy_timeout(Duration::from_secs(60)).pragma("cache_size", "-200000").connect().await?)
}

/// Plans all feeds evenly over `within`, from `from` seconds on; their last listings went well.
pub async fn plan_evenly(state: &Path, from: u64, within: u64) -> anyhow::Result<()> {
    let mut connection = open(state).await?;
    sqlx::query(
        "UPDATE feeds SET claimed_by = NULL, last_outcome = 'ok', consecutive_failures = 0, failing_since = NULL,
             first_listed_at = coalesce(first_listed_at, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 days')),
             last_listed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 days'), last_listed_boot_id = '',
             last_success_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 days'),
             next_poll_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now',
                 printf('+%.3f seconds', $1 + 1.0 * $2 * rowid / (SELECT count(*) FROM feeds)))",
    )
    .bind(i64::try_from(from)?)
    .bind(i64::try_from(within)?)
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    Ok(())
}

/// What [`fill`] runs, statement by statement; `$1` documents. Documents lie round robin in the feeds, and are numbered from 1 in
/// each.
const FILL: [&str; 4] = [
    "CREATE TEMP TABLE shelf AS SELECT row_number() OVER (ORDER BY feed) - 1 AS n, feed FROM feeds",
    "CREATE TEMP TABLE number AS
     WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n + 1 < $1)
     SELECT n % f AS shelf, n / f + 1 AS id,
            strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('-%.3f seconds', 7776000.0 * ($1 - n) / $1)) AS at
     FROM number, (SELECT count(*) AS f FROM temp.shelf)",
    "INSERT INTO documents (feed, remote_id, state, listed_at, requested_at, stored_at, size, sha256, media_type,
         archive_path, name, summary, stem)
     SELECT feed, id, 'delivered', at, at, at, 4096, lower(hex(randomblob(32))), 'application/xml',
            'archive/' || feed || '/2026/09/01/' || id || '.xml', 'PES' || id || '-' || shelf,
            '{\"kind\":\"acquittement\",\"accepted\":true,\"errors\":[]}', 'archive/' || feed || '/2026/09/01/' || id
     FROM temp.number JOIN temp.shelf ON shelf.n = number.shelf",
    "INSERT INTO deliveries (feed, remote_id, target, state, delivered_at, created_at, next_try_at)
     SELECT feed, id, 'inbox', 'delivered', at, at, at FROM temp.number JOIN temp.shelf ON shelf.n = number.shelf",
];

/// What [`fill`] runs of polls: `$1` that brought something, over 90 days; and every half-hour of the last 7 days, which
/// brought nothing, of each feed.
const POLLS: [&str; 2] = [
    "INSERT INTO polls (feed, run, started_at, finished_at, outcome, listed, fetched)
     SELECT feed, 'a run', at, at, 'ok', 2, 2 FROM temp.number JOIN temp.shelf ON shelf.n = number.shelf WHERE id % 2 = 0",
    "WITH RECURSIVE half_hour (h) AS (SELECT 0 UNION ALL SELECT h + 1 FROM half_hour WHERE h < 335)
     INSERT INTO polls (feed, run, started_at, finished_at, outcome, listed)
     SELECT feed, 'a run', at, at, 'ok', 0
     FROM (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', printf('-%d seconds', 1800 * (336 - h))) AS at FROM half_hour), temp.shelf",
];

/// Fills it with `count` documents held and delivered, spread over its feeds and over 90 days, and with the polls that
/// collected them.
pub async fn fill(state: &Path, count: u32) -> anyhow::Result<()> {
    let mut connection = open(state).await?;
    // Nobody waits for this one to be durable.
    sqlx::query("PRAGMA synchronous = OFF").execute(&mut connection).await?;
    for statement in FILL {
        sqlx::query(statement).bind(count).execute(&mut connection).await?;
    }
    for statement in POLLS {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// One number of the ledger.
pub async fn number(state: &Path, sql: &'static str) -> anyhow::Result<i64> {
    let mut connection = open(state).await?;
    let row = sqlx::query(sql).fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(row.get(0))
}

/// Changes something by hand.
pub async fn change(state: &Path, sql: &'static str) -> anyhow::Result<()> {
    let mut connection = open(state).await?;
    sqlx::query(sql).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
