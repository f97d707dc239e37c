//! Draining many small documents, against curl.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;

use crate::daemon::Daemon;
use crate::delay::Relay;
use crate::process::{self, Ran};
use crate::server::Server;
use crate::stage::{self, Stage};
use crate::table::{self, Contender};
use crate::{Bench, Peer, limits, server};

/// Bytes of a document.
const SIZE: usize = 4096;
/// Documents at a time, of all.
const LANES: usize = 16;
/// MiB of memory while draining, by the budget.
const MEMORY: f64 = 48.0;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Rounds, in each of which everybody has a turn
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Documents
    #[arg(long, default_value_t = 10_000)]
    documents: u32,
    /// Milliseconds that an answer takes longer; without it, first none and then 50
    #[arg(long)]
    latency: Option<u64>,
    /// Hand nothing over: by default all documents go to the inbox as well, while more are collected
    #[arg(long)]
    no_inbox: bool,
}

pub async fn run(bench: &Bench, arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::new(&bench.folder)?;
    let documents = stage.documents("documents", arguments.documents, SIZE)?;
    let nginx = server::nginx(&stage, &documents, arguments.documents).await?;
    limits::print(stage.path()).await?;
    for latency in arguments.latency.map_or(vec![0, 50], |latency| vec![latency]) {
        compare(bench, arguments, &stage, &nginx, latency).await?;
    }
    Ok(())
}

async fn compare(
    bench: &Bench,
    arguments: &Arguments,
    stage: &Stage,
    nginx: &Server,
    latency: u64,
) -> anyhow::Result<()> {
    let count = arguments.documents;
    println!(
        "\n{count} documents of {SIZE} bytes from nginx, {latency} ms away, {LANES} at a time, {} rounds",
        arguments.rounds
    );
    let relay = Relay::start(nginx.port, Duration::from_millis(latency)).await?;
    let port = if latency == 0 { nginx.port } else { relay.port };
    let mut memory = Contender::new("into memory (the limit)");
    let mut files = Contender::new("into files, each synced");
    let mut curl = Contender::new("curl, neither synced nor recorded");
    let mut ours: Vec<Contender> = bench.peers.iter().map(|peer| Contender::new(peer.name)).collect();
    for round in 0..arguments.rounds {
        let folder = stage.fresh("files")?;
        for (limit, folder) in [(&mut memory, None), (&mut files, Some(folder.as_path()))] {
            stage::settle();
            let before = nginx.cpu()?;
            let wall = limits::fetch(stage, port, count, LANES, folder).await?;
            limit.push(wall, Duration::ZERO, nginx.cpu()?.saturating_sub(before), 0);
        }
        for turn in 0..=ours.len() {
            // Who begins changes from round to round.
            let turn = (turn + round as usize) % (ours.len() + 1);
            stage::settle();
            let before = nginx.cpu()?;
            let (contender, ran) = match turn.checked_sub(1) {
                None => (&mut curl, fetch(stage, port, count).await?),
                Some(number) => (&mut ours[number], drain(stage, &bench.peers[number], port, arguments).await?),
            };
            contender.push(ran.0, ran.1, nginx.cpu()?.saturating_sub(before), ran.2);
        }
    }
    let all: Vec<&Contender> = [&memory, &files, &curl].into_iter().chain(&ours).collect();
    table::print(&format!("{latency} ms away"), &all, count);
    println!();
    table::figure("the limit of whoever syncs: rate beside curl's", curl.wall.median() / files.wall.median(), "×");
    for contender in &ours {
        let name = &contender.name;
        let budget = if latency == 0 { 0.7 } else { 1.0 };
        let ratio = curl.wall.median() / contender.wall.median();
        table::at_least(&format!("{name}: rate beside curl's"), ratio, budget, "×");
        let ratio = memory.wall.median() / contender.wall.median();
        table::figure(&format!("{name}: rate beside the limit"), ratio, "×");
        table::at_most(&format!("{name}: memory"), table::mebibytes(contender.peak.median()), MEMORY, "MiB");
    }
    Ok(())
}

/// How long, how much of the processors, how much memory.
type Spent = (Duration, Duration, u64);

/// curl fetches all of them into a folder.
async fn fetch(stage: &Stage, port: u16, count: u32) -> anyhow::Result<Spent> {
    let folder = stage.fresh("curl")?;
    let mut list = String::new();
    for number in 1..=count {
        let (url, place) = (server::download(port, number), folder.join(format!("{number}.xml")));
        writeln!(list, "url = \"{url}\"\noutput = \"{}\"", place.display())?;
    }
    let file = stage.path().join("curl.list");
    std::fs::write(&file, list)?;
    let Ran { wall, cpu, peak, status } = process::run(&mut curl(stage, &file)).await?;
    anyhow::ensure!(status.success(), "curl: {status}");
    let fetched = std::fs::read_dir(&folder)?.count();
    anyhow::ensure!(fetched == count as usize, "curl fetched {fetched}");
    Ok((wall, cpu, peak))
}

fn curl(stage: &Stage, list: &Path) -> Command {
    let mut command = Command::new("curl");
    command.args(["--no-progress-meter", "--show-error", "--fail", "--parallel", "--parallel-max", &LANES.to_string()]);
    command.arg("--cacert").arg(&stage.authority).arg("--cert").arg(&stage.client).arg("--config").arg(list);
    command
}

/// A daemon that knows nothing yet collects all of them; timed from the start of its listing, which its schedule sets within a
/// second of its own, to the last document stored.
async fn drain(stage: &Stage, peer: &Peer, port: u16, arguments: &Arguments) -> anyhow::Result<Spent> {
    let target = "[[delivery.targets]]\nname = \"none\"\nfeeds = [\"fast/mairie/chorus\"]\ninbox = \"none\"\n";
    let rest = format!("feeds = [\"acquittements\"]\n{}", if arguments.no_inbox { target } else { "" });
    let config =
        stage.configure(&stage.vacant("state"), &server::origin(port), &format!("concurrency = {LANES}"), &rest)?;
    let mut daemon = Daemon::start(&peer.binary, &config, None)?;
    daemon.event("daemon.ready").await?;
    let finished = daemon.event("poll.finished").await?;
    let wall = Duration::from_millis(finished["duration_ms"].as_u64().context("poll.finished says no duration_ms")?);
    let (cost, peak) = (process::cost(daemon.pid())?, limits::peak(&daemon.process));
    anyhow::ensure!(finished["fetched"] == arguments.documents, "the poll says {finished}");
    daemon.stop().await?;
    Ok((wall, cost.cpu, peak))
}
