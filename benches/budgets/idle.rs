//! What it costs to do nothing.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep};

use crate::daemon::Daemon;
use crate::stage::{self, Stage};
use crate::table::{self, Series};
use crate::{Bench, Peer, crowd, ledger, limits, process, server};

/// Let pass before anything is measured: what starting leaves behind is not idling.
const SETTLING: Duration = Duration::from_secs(10);
/// How far away the next polls are, in seconds.
const FAR: u64 = 6 * 3600;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Accounts of three feeds each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10_000])]
    accounts: Vec<u32>,
    /// Seconds of idling
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Starts whose time is taken
    #[arg(long, default_value_t = 5)]
    starts: u32,
    /// Certificates as PKCS#12 instead of PEM
    #[arg(long)]
    pkcs12: bool,
    /// Documents downloaded before the last idling (0: none)
    #[arg(long, default_value_t = 20_000)]
    downloads: u32,
}

pub async fn run(bench: &Bench, arguments: &Arguments) -> anyhow::Result<()> {
    for peer in &bench.peers {
        for &accounts in &arguments.accounts {
            between_polls(bench, peer, accounts, arguments).await?;
        }
        if arguments.downloads > 0 {
            after_downloads(bench, peer, arguments).await?;
        }
    }
    Ok(())
}

async fn between_polls(bench: &Bench, peer: &Peer, accounts: u32, arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::new(&bench.folder)?;
    let feeds = accounts * crowd::FEEDS;
    println!("\n{}: {feeds} feeds, idle between polls", peer.name);
    let tables = crowd::accounts(&stage, accounts, arguments.pkcs12)?;
    // Nobody answers there: nobody is asked.
    let state = stage.vacant("state");
    let config = stage.configure_accounts(&state, "https://localhost:9", ("24h", ""), &tables)?;
    let first = ledger::make(peer, &config).await?;
    ledger::plan_evenly(&state, FAR, FAR).await?;
    let runtime = stage.fresh("run")?;
    let mut ready = Series::default();
    for _ in 0..arguments.starts {
        stage::settle();
        let begun = Instant::now();
        let mut daemon = Daemon::start(&peer.binary, &config, Some(&runtime))?;
        daemon.event("daemon.ready").await?;
        ready.push(begun.elapsed().as_secs_f64());
        daemon.stop().await?;
    }
    let (memory, core, start) = if accounts > 1 { (96.0, 2.0, Some(2.0)) } else { (20.0, 0.1, None) };
    table::figure("first start to ready, its feeds yet unknown", first.as_secs_f64(), "s");
    match start {
        Some(budget) => table::at_most("start to ready", ready.median(), budget, "s"),
        None => table::figure("start to ready", ready.median(), "s"),
    }
    let (low, high) = ready.spread();
    table::figure("  from", low, "s");
    table::figure("  to", high, "s");
    let mut daemon = Daemon::start(&peer.binary, &config, Some(&runtime))?;
    daemon.event("daemon.ready").await?;
    sleep(SETTLING).await;
    let idled = idle(&daemon, arguments.seconds).await?;
    table::at_most("time of a core", idled.core, core, "%");
    table::figure("wake-ups", idled.wakeups, "a second");
    table::at_most("memory", idled.resident, memory, "MiB");
    table::figure("memory at its highest, the start included", idled.peak, "MiB");
    table::figure("threads", idled.threads, "");
    daemon.stop().await
}

/// What idling came to.
struct Idled {
    core: f64,
    wakeups: f64,
    resident: f64,
    peak: f64,
    threads: f64,
}

async fn idle(daemon: &Daemon, seconds: u64) -> anyhow::Result<Idled> {
    let (pid, begun) = (daemon.pid(), Instant::now());
    let before = process::cost(pid)?;
    sleep(Duration::from_secs(seconds)).await;
    let after = process::cost(pid)?;
    let passed = begun.elapsed().as_secs_f64();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))?.count();
    Ok(Idled {
        core: 100.0 * after.cpu.saturating_sub(before.cpu).as_secs_f64() / passed,
        wakeups: table::bytes(after.wakeups.saturating_sub(before.wakeups)) / passed,
        resident: table::mebibytes(table::bytes(process::resident(pid)?)),
        peak: table::mebibytes(table::bytes(limits::peak(&daemon.process))),
        threads: table::bytes(threads as u64),
    })
}

async fn after_downloads(bench: &Bench, peer: &Peer, arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::new(&bench.folder)?;
    let count = arguments.downloads;
    println!("\n{}: idle after {count} downloads, all of them in the inbox", peer.name);
    let documents = stage.documents("documents", count, 4096)?;
    let nginx = server::nginx(&stage, &documents, count).await?;
    let state = stage.vacant("state");
    let config =
        stage.configure(&state, &server::origin(nginx.port), "concurrency = 16", "feeds = [\"acquittements\"]\n")?;
    let mut daemon = Daemon::start(&peer.binary, &config, None)?;
    let finished = daemon.event("poll.finished").await?;
    anyhow::ensure!(finished["fetched"] == count, "the poll says {finished}");
    delivered(&state).await?;
    sleep(SETTLING).await;
    let idled = idle(&daemon, arguments.seconds).await?;
    table::at_most("memory", idled.resident, 48.0, "MiB");
    table::figure("memory at its highest", idled.peak, "MiB");
    table::figure("time of a core", idled.core, "%");
    daemon.stop().await
}

/// Waits until everything is in the inbox.
async fn delivered(state: &Path) -> anyhow::Result<()> {
    while ledger::number(state, "SELECT count(*) FROM deliveries WHERE state <> 'delivered'").await? > 0 {
        sleep(Duration::from_millis(500)).await;
    }
    Ok(())
}
