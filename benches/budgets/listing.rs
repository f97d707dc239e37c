//! A long listing against a ledger of many documents.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use sqlx::Connection as _;
use tokio::time::{Instant, sleep};
use vaguemestre::clock::{Clock as _, SystemClock};
use vaguemestre::feed::{FeedName, Kind, RemoteDocument};
use vaguemestre::ledger::{FeedIdentity, Ledger, ListingTerms, Recorded};

use crate::daemon::Daemon;
use crate::stage::{self, SIREN, Stage};
use crate::table::{self, Series};
use crate::{Bench, ledger, server};

/// Decided in so many milliseconds, by the budget.
const BUDGET: f64 = 100.0;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Documents that the ledger knows, all of one feed
    #[arg(long, default_value_t = 1_000_000)]
    documents: u32,
    /// Ids of the listing
    #[arg(long, default_value_t = 10_000)]
    ids: u32,
}

pub async fn run(bench: &Bench, arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::new(&bench.folder)?;
    let nginx = server::nginx(&stage, stage.path(), arguments.ids).await?;
    let origin = server::origin(nginx.port);
    let state = stage.fresh("state")?;
    let config = stage.configure(&state, &origin, "", "feeds = [\"acquittements\"]\n")?;
    let feed = FeedName::fast("mairie", Kind::Acquittements);
    let ledger = Ledger::open(&state, now()).await?;
    let identity = FeedIdentity { feed: feed.clone(), origin, siren: SIREN.to_owned(), led_by: None, files: false };
    ledger.register(vec![identity], now()).await?;
    ledger.close().await;
    ledger::fill(&state, arguments.documents).await?;
    println!(
        "\na listing of {} ids against a ledger of {} documents, all of its feed",
        arguments.ids, arguments.documents
    );
    let ledger = Ledger::open(&state, now()).await?;
    let (mut held, mut new) = (Series::default(), Series::default());
    for _ in 0..arguments.rounds {
        let (took, recorded) = record(&ledger, &feed, 1, arguments.ids).await?;
        anyhow::ensure!(recorded == Recorded { new: 0, held: arguments.ids.into() }, "{recorded:?}");
        held.push(took);
        let (took, recorded) = record(&ledger, &feed, arguments.documents + 1, arguments.ids).await?;
        anyhow::ensure!(recorded == Recorded { new: arguments.ids.into(), held: 0 }, "{recorded:?}");
        new.push(took);
        ledger::change(&state, "DELETE FROM documents WHERE state = 'listed'").await?;
    }
    ledger.close().await;
    table::at_most("decided, all of them held", held.median(), BUDGET, "ms");
    table::at_most("decided, all of them new", new.median(), BUDGET, "ms");
    let limit = lookups(&state, arguments.ids).await?;
    table::figure("the limit: as many lookups by key in one statement", limit, "ms");
    for peer in &bench.peers {
        let mut polls = Series::default();
        for _ in 0..arguments.rounds {
            ledger::plan_evenly(&state, 0, 0).await?;
            let before = ledger::number(&state, "SELECT max(id) FROM polls").await?;
            let daemon = Daemon::start(&peer.binary, &config, None)?;
            while ledger::number(&state, "SELECT max(id) FROM polls WHERE outcome = 'ok'").await? == before {
                sleep(Duration::from_millis(20)).await;
            }
            daemon.stop().await?;
            let took = "SELECT cast(1000 * 86400 * (julianday(finished_at) - julianday(started_at)) AS INTEGER)
                        FROM polls ORDER BY id DESC LIMIT 1";
            polls.push(f64::from(u32::try_from(ledger::number(&state, took).await?)?));
        }
        table::figure(&format!("{}: the whole poll, all of them held", peer.name), polls.median(), "ms");
    }
    Ok(())
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

/// Records a listing of `ids` documents from `first` on; answers how many milliseconds that took.
async fn record(ledger: &Ledger, feed: &FeedName, first: u32, ids: u32) -> anyhow::Result<(f64, Recorded)> {
    let listed: Vec<RemoteDocument> =
        (first..first + ids).map(|number| RemoteDocument::of_id(number.to_string())).collect();
    stage::settle();
    let begun = Instant::now();
    let recorded = ledger.record_listing(feed, &listed, ListingTerms::at(now())).await?;
    Ok((1000.0 * begun.elapsed().as_secs_f64(), recorded))
}

/// Milliseconds that SQLite itself needs to look `ids` documents up.
async fn lookups(state: &Path, ids: u32) -> anyhow::Result<f64> {
    let mut connection = ledger::open(state).await?;
    let mut times = Series::default();
    for _ in 0..5 {
        let begun = Instant::now();
        sqlx::query(
            "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < $1)
             SELECT count(state) FROM number CROSS JOIN documents
             ON feed = 'fast/mairie/acquittements' AND remote_id = cast(n AS TEXT)",
        )
        .bind(ids)
        .fetch_one(&mut connection)
        .await?;
        times.push(1000.0 * begun.elapsed().as_secs_f64());
    }
    connection.close().await?;
    Ok(times.median())
}
