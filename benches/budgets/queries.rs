//! What people ask of a ledger of years.

use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use sqlx::Connection as _;
use tokio::time::Instant;

use crate::stage::Stage;
use crate::table::{self, Contender};
use crate::{Bench, crowd, daemon, ledger, process};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Documents that the ledger knows
    #[arg(long, default_value_t = 1_000_000)]
    documents: u32,
    /// Accounts of three feeds each
    #[arg(long, default_value_t = 1000)]
    accounts: u32,
}

/// What is asked, each with the name of one account in place of `ONE`.
const ASKED: [&[&str]; 9] = [
    &["status"],
    &["status", "--json"],
    &["status", "fast/commune-7"],
    &["plan"],
    &["plan", "--for", "30m"],
    &["documents", "fast/commune-7"],
    &["documents", "--state", "failed"],
    &["documents", "--json"],
    &["show", "7"],
];

pub async fn run(bench: &Bench, arguments: &Arguments) -> anyhow::Result<()> {
    let stage = Stage::new(&bench.folder)?;
    let tables = crowd::accounts(&stage, arguments.accounts, false)?;
    let state = stage.vacant("state");
    let config = stage.configure_accounts(&state, "https://localhost:9", ("30m", ""), &tables)?;
    ledger::make(&bench.peers[0], &config).await?;
    ledger::plan_evenly(&state, 600, 1800).await?;
    ledger::fill(&state, arguments.documents).await?;
    let polls = ledger::number(&state, "SELECT count(*) FROM polls").await?;
    let size = state.join("ledger.sqlite").metadata()?.len();
    println!(
        "\na ledger of {} documents of {} feeds and {polls} polls: {:.0} MiB",
        arguments.documents,
        arguments.accounts * crowd::FEEDS,
        table::mebibytes(table::bytes(size))
    );
    for asked in ASKED {
        println!("\nvaguemestre {}", asked.join(" "));
        let mut contenders: Vec<Contender> = bench.peers.iter().map(|peer| Contender::new(peer.name)).collect();
        for _ in 0..arguments.rounds {
            for (contender, peer) in contenders.iter_mut().zip(&bench.peers) {
                let mut command = daemon::command(&peer.binary, &config, asked);
                // `status` exits 1: no daemon runs.
                let ran = process::run(command.stdout(Stdio::null()).stderr(Stdio::null())).await?;
                anyhow::ensure!(matches!(ran.status.code(), Some(0 | 1)), "{}", ran.status);
                contender.push(ran.wall, ran.cpu, Duration::ZERO, ran.peak);
            }
        }
        table::print("", &contenders.iter().collect::<Vec<_>>(), 1);
    }
    println!("\nthe limits: SQLite alone, the file in the memory of the system");
    let mut connection = ledger::open(&state).await?;
    for (what, sql) in [
        (
            "all documents counted by state, along an index",
            "SELECT feed, state, count(*) FROM documents GROUP BY feed, state",
        ),
        ("all documents read", "SELECT sum(length(summary)) FROM documents"),
    ] {
        let begun = Instant::now();
        sqlx::query(sql).fetch_all(&mut connection).await?;
        table::figure(what, begun.elapsed().as_secs_f64(), "s");
    }
    connection.close().await?;
    Ok(())
}
