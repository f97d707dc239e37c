//! One large document, by each interface of FAST-Parapheur.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use tokio::time::Instant;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::Platform;

use crate::daemon::Daemon;
use crate::stage::{self, SIREN, Stage};
use crate::table::{self, Contender};
use crate::{Bench, Peer, limits, process, server};

/// MiB of memory meanwhile, by the budget.
const MEMORY: f64 = 48.0;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Rounds
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// MiB of the document
    #[arg(long, default_value_t = 200)]
    size: usize,
    /// MiB of one text node in it
    #[arg(long, default_value_t = 150)]
    node: usize,
}

pub async fn run(bench: &Bench, arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::new(&bench.folder)?;
    let document = document(arguments.size << 20, arguments.node << 20);
    println!("\none document of {} MiB, one text node of {} MiB in it", arguments.size, arguments.node);
    let mut curl = Contender::new("curl over REST, not synced");
    let mut ours = Vec::new();
    for peer in &bench.peers {
        for connector in ["rest", "soap", "webdav"] {
            ours.push((peer, connector, Contender::new(format!("{} over {connector}", peer.name))));
        }
    }
    for _ in 0..arguments.rounds {
        let platform = platform(&stage, &document).await?;
        let ran = process::run(&mut fetch(&stage, &platform)).await?;
        anyhow::ensure!(ran.status.success(), "curl: {}", ran.status);
        curl.push(ran.wall, ran.cpu, Duration::ZERO, ran.peak);
        for (peer, connector, contender) in &mut ours {
            stage::settle();
            let (wall, cpu, peak) = collect(&stage, peer, connector, &document).await?;
            contender.push(wall, cpu, Duration::ZERO, peak);
        }
    }
    let all: Vec<&Contender> = [&curl].into_iter().chain(ours.iter().map(|(_, _, it)| it)).collect();
    table::print("one document", &all, 1);
    for (_, _, contender) in &ours {
        table::at_most(
            &format!("{}: memory", contender.name),
            table::mebibytes(contender.peak.median()),
            MEMORY,
            "MiB",
        );
    }
    Ok(())
}

/// An invoice with one attachment of `node` bytes, and small elements besides up to `size`.
fn document(size: usize, node: usize) -> Bytes {
    let mut text = Vec::with_capacity(size + 1024);
    text.extend_from_slice(
        b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CPPFactures Compteur=\"1\"><CPPFacturePivotUnitaire>",
    );
    text.extend_from_slice(b"<PJ><Contenu>");
    text.resize(text.len() + node, b'A');
    text.extend_from_slice(b"</Contenu></PJ>");
    while text.len() < size {
        text.extend_from_slice(b"<Ligne numero=\"1\"><Designation>Fournitures de bureau</Designation></Ligne>\n");
    }
    text.extend_from_slice(b"</CPPFacturePivotUnitaire></CPPFactures>\n");
    text.into()
}

async fn platform(stage: &Stage, document: &Bytes) -> anyhow::Result<Platform> {
    let platform = Platform::start(&stage.keys).await?;
    platform.open(SIREN);
    platform.put(SIREN, Kind::Chorus, 1, document.clone());
    platform.put_file(SIREN, "chorus-pivot/1.xml", document.clone());
    Ok(platform)
}

fn fetch(stage: &Stage, platform: &Platform) -> Command {
    let mut command = Command::new("curl");
    command.args(["--no-progress-meter", "--show-error", "--fail", "--cacert"]).arg(&stage.authority);
    command.arg("--cert").arg(&stage.client).arg("--output").arg(stage.path().join("1.xml"));
    command.arg(format!("{}{}/1/chorus/download", platform.base_url(), server::REST));
    command
}

async fn collect(
    stage: &Stage,
    peer: &Peer,
    connector: &str,
    document: &Bytes,
) -> anyhow::Result<(Duration, Duration, u64)> {
    let platform = platform(stage, document).await?;
    let fast = format!("connector = \"{connector}\"");
    let config = stage.configure(&stage.vacant("state"), &platform.base_url(), &fast, "feeds = [\"chorus\"]\n")?;
    let mut daemon = Daemon::start(&peer.binary, &config, None)?;
    daemon.event("daemon.ready").await?;
    let begun = Instant::now();
    let finished = daemon.event("poll.finished").await?;
    let wall = begun.elapsed();
    anyhow::ensure!(finished["fetched"] == 1, "the poll says {finished}");
    // Handing it over is part of it.
    daemon.event("delivery.done").await?;
    let (cost, peak) = (process::cost(daemon.pid())?, limits::peak(&daemon.process));
    daemon.stop().await?;
    Ok((wall, cost.cpu, peak))
}
