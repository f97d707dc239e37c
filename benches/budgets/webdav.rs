//! Emptying a shared folder of many small files, against rclone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use crate::daemon::Daemon;
use crate::process;
use crate::server::{self, SHARE};
use crate::stage::{self, SIREN, Stage};
use crate::table::{self, Contender};
use crate::{Bench, Peer, limits};

/// Files at a time, of both.
const LANES: usize = 16;
/// MiB of memory meanwhile, by the budget.
const MEMORY: f64 = 48.0;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Files
    #[arg(long, default_value_t = 10_000)]
    files: u32,
}

pub async fn run(bench: &Bench, arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::new(&bench.folder)?;
    let share = stage.fresh("share")?;
    let apache = server::apache(&stage, &share).await?;
    let count = arguments.files;
    println!("\n{count} files of 4 KiB from Apache's WebDAV, each removed there once it is here, {LANES} at a time");
    let mut rclone = Contender::new("rclone move, not synced");
    let mut ours: Vec<Contender> = bench.peers.iter().map(|peer| Contender::new(peer.name)).collect();
    for round in 0..arguments.rounds {
        for turn in 0..=ours.len() {
            let turn = (turn + round as usize) % (ours.len() + 1);
            let circuit = stock(&share, count)?;
            stage::settle();
            let before = apache.cpu()?;
            let (contender, (wall, cpu, peak)) = match turn.checked_sub(1) {
                None => (&mut rclone, fetch(&stage, apache.port).await?),
                Some(number) => (&mut ours[number], empty(&stage, &bench.peers[number], apache.port, count).await?),
            };
            contender.push(wall, cpu, apache.cpu()?.saturating_sub(before), peak);
            let left =
                std::fs::read_dir(&circuit)?.filter_map(Result::ok).filter(|entry| entry.path().is_file()).count();
            anyhow::ensure!(left == 0, "{left} files are left on the server");
        }
    }
    let all: Vec<&Contender> = [&rclone].into_iter().chain(&ours).collect();
    table::print("emptied", &all, count);
    println!();
    for contender in &ours {
        let ratio = rclone.wall.median() / contender.wall.median();
        table::at_least(&format!("{}: rate beside rclone's", contender.name), ratio, 1.0, "×");
        table::at_most(
            &format!("{}: memory", contender.name),
            table::mebibytes(contender.peak.median()),
            MEMORY,
            "MiB",
        );
    }
    Ok(())
}

/// Puts `count` files into the folder of a circuit, and answers that.
fn stock(share: &Path, count: u32) -> anyhow::Result<std::path::PathBuf> {
    let circuit = share.join(SIREN).join("out/PES");
    if circuit.exists() {
        std::fs::remove_dir_all(&circuit)?;
    }
    std::fs::create_dir_all(&circuit)?;
    for number in 1..=count {
        std::fs::write(circuit.join(format!("{number}.xml")), stage::document(number, 4096))?;
    }
    server::give_to_apache(share)?;
    Ok(circuit)
}

async fn fetch(stage: &Stage, port: u16) -> anyhow::Result<(Duration, Duration, u64)> {
    let place = stage.fresh("rclone")?;
    let url = format!("{}{SHARE}/{SIREN}/out/PES", server::origin(port));
    let mut command = Command::new("rclone");
    command.args(["move", ":webdav:"]).arg(&place).args(["--webdav-url", &url, "--config", "/dev/null"]);
    command.args(["--transfers", &LANES.to_string(), "--checkers", &LANES.to_string()]);
    command.arg("--ca-cert").arg(&stage.authority).arg("--client-cert").arg(&stage.client);
    command.arg("--client-key").arg(&stage.client).stdout(Stdio::null());
    let ran = process::run(&mut command).await?;
    anyhow::ensure!(ran.status.success(), "rclone: {}", ran.status);
    Ok((ran.wall, ran.cpu, ran.peak))
}

async fn empty(stage: &Stage, peer: &Peer, port: u16, count: u32) -> anyhow::Result<(Duration, Duration, u64)> {
    let fast = format!("connector = \"webdav\"\nconcurrency = {LANES}");
    let rest = "circuits = [\"PES\"]\nfeeds = [\"acquittements\"]\n";
    let config = stage.configure(&stage.vacant("state"), &server::origin(port), &fast, rest)?;
    let mut daemon = Daemon::start(&peer.binary, &config, None)?;
    daemon.event("daemon.ready").await?;
    let begun = Instant::now();
    let finished = daemon.event("poll.finished").await?;
    let wall = begun.elapsed();
    let (cost, peak) = (process::cost(daemon.pid())?, limits::peak(&daemon.process));
    anyhow::ensure!(finished["fetched"] == count, "the poll says {finished}");
    daemon.stop().await?;
    Ok((wall, cost.cpu, peak))
}
