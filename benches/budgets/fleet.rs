//! Every feed on time: thousands of feeds due within one interval.

use std::collections::HashMap;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use sqlx::{Connection as _, Row as _};
use tokio::time::{Instant, sleep};

use crate::daemon::Daemon;
use crate::delay::Relay;
use crate::stage::Stage;
use crate::table;
use crate::{Bench, Peer, crowd, ledger, limits, process, server};

/// The interval over which all are due, in seconds.
const WITHIN: u64 = 1800;
/// The first is due so many seconds after they were planned: the daemon has started by then.
const LEAD: u64 = 20;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Accounts of three feeds each (10 000: the budget; 35 000: every commune of France)
    #[arg(long, default_value_t = 10_000)]
    accounts: u32,
    /// Minutes of the half-hour that are measured
    #[arg(long, default_value_t = 30)]
    minutes: u64,
    /// Milliseconds that an answer takes longer
    #[arg(long, default_value_t = 50)]
    latency: u64,
    /// Certificates as PKCS#12 instead of PEM
    #[arg(long)]
    pkcs12: bool,
}

pub async fn run(bench: &Bench, arguments: &Arguments) -> anyhow::Result<()> {
    for peer in &bench.peers {
        on_time(bench, peer, arguments).await?;
    }
    Ok(())
}

async fn on_time(bench: &Bench, peer: &Peer, arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::new(&bench.folder)?;
    let feeds = arguments.accounts * crowd::FEEDS;
    println!(
        "\n{}: {feeds} feeds due within {} minutes, the platform {} ms away; measured for {} minutes",
        peer.name,
        WITHIN / 60,
        arguments.latency,
        arguments.minutes
    );
    let nginx = server::nginx(&stage, stage.path(), 0).await?;
    let relay = Relay::start(nginx.port, Duration::from_millis(arguments.latency)).await?;
    let tables = crowd::accounts(&stage, arguments.accounts, arguments.pkcs12)?;
    let state = stage.vacant("state");
    let config = stage.configure_accounts(&state, &server::origin(relay.port), ("30m", ""), &tables)?;
    ledger::make(peer, &config).await?;
    ledger::plan_evenly(&state, LEAD, WITHIN).await?;
    ledger::change(&state, "DELETE FROM polls").await?;
    let planned = times(&state, "SELECT feed, next_poll_at FROM feeds").await?;
    let runtime = stage.fresh("run")?;
    let begun = Instant::now();
    let mut daemon = Daemon::start(&peer.binary, &config, Some(&runtime))?;
    daemon.event("daemon.ready").await?;
    table::figure("start to ready", begun.elapsed().as_secs_f64(), "s");
    let (before, server) = (process::cost(daemon.pid())?, nginx.cpu()?);
    let counting = Instant::now();
    let measured = Duration::from_secs(LEAD + 60 * arguments.minutes + 10);
    sleep(measured.saturating_sub(begun.elapsed())).await;
    let (after, passed) = (process::cost(daemon.pid())?, counting.elapsed().as_secs_f64());
    let peak = limits::peak(&daemon.process);
    let resident = process::resident(daemon.pid())?;
    let core = |cpu: Duration| 100.0 * cpu.as_secs_f64() / passed;
    let begun = times(&state, "SELECT feed, min(started_at) FROM polls WHERE outcome = 'ok' GROUP BY feed").await?;
    let failed = ledger::number(&state, "SELECT count(*) FROM polls WHERE outcome <> 'ok'").await?;
    daemon.stop().await?;
    tell(&planned, &begun, 10.0 + 60.0 * f64::from(u32::try_from(arguments.minutes)?));
    table::figure("polls that failed", f64::from(u32::try_from(failed)?), "");
    table::figure("time of a core", core(after.cpu.saturating_sub(before.cpu)), "%");
    table::figure("time of a core, of nginx", core(nginx.cpu()?.saturating_sub(server)), "%");
    table::figure("memory", table::mebibytes(table::bytes(resident)), "MiB");
    table::at_most("memory at its highest", table::mebibytes(table::bytes(peak)), 256.0, "MiB");
    Ok(())
}

/// Says how late the feeds were that were due in the `seconds` after the first.
fn tell(planned: &HashMap<String, Timestamp>, begun: &HashMap<String, Timestamp>, seconds: f64) {
    let Some(first) = planned.values().min() else { return };
    let mut late = Vec::new();
    let mut missing = 0_u32;
    for (feed, at) in planned {
        let due = at.duration_since(*first).as_secs_f64();
        match begun.get(feed) {
            Some(start) => late.push(start.duration_since(*at).as_secs_f64()),
            None if due < seconds - 10.0 => missing += 1,
            None => {}
        }
    }
    late.sort_by(f64::total_cmp);
    let at = |share: usize| late.get((late.len() * share / 1000).min(late.len().saturating_sub(1))).copied();
    table::figure("feeds polled", table::bytes(late.len() as u64), "");
    table::at_most("feeds due and not polled", f64::from(missing), 0.0, "");
    table::figure("late, in the middle", at(500).unwrap_or_default(), "s");
    table::figure("late, 99 of 100 at most", at(990).unwrap_or_default(), "s");
    table::figure("late at worst", at(1000).unwrap_or_default(), "s");
}

/// A time for each feed.
async fn times(state: &std::path::Path, sql: &'static str) -> anyhow::Result<HashMap<String, Timestamp>> {
    let mut connection = ledger::open(state).await?;
    let rows = sqlx::query(sql).fetch_all(&mut connection).await?;
    connection.close().await?;
    rows.iter().map(|row| Ok((row.get(0), row.get::<&str, _>(1).parse()?))).collect()
}
