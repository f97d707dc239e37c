//! The budgets, measured: what vaguemestre does beside what a user would otherwise run, in one run, by turns.
//!
//! `cargo bench -- drain` and so on; `cargo bench -- --help` names all. `docs/performance.md` says what each one means
//! and what was found. Each prints medians, their spread, the ratio, and beside it what the machine itself can do. None
//! fails for being slow: figures are for people, and depend on the machine.
#![allow(clippy::print_stdout, reason = "figures are what these programs are for")]
#![allow(unreachable_pub, reason = "a program of its own")]

mod crowd;
mod daemon;
mod delay;
mod drain;
mod fleet;
mod idle;
mod large;
mod ledger;
mod limits;
mod listing;
mod process;
mod queries;
mod server;
mod stage;
mod table;
mod webdav;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures the budgets of docs/performance.md.
#[derive(Debug, Parser)]
#[command(max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
struct Invocation {
    /// Where everything is kept meanwhile: a folder on a real disk [default: below target/]
    #[arg(long, global = true, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Another vaguemestre, measured by turns with the one just built
    #[arg(long, global = true, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Said by `cargo bench` to every benchmark
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Documents of 4 KiB over TLS with client certificates, from nginx, against curl
    Drain(drain::Arguments),
    /// Files of 4 KiB from Apache's WebDAV, removed there once they are safe, against rclone
    Webdav(webdav::Arguments),
    /// One document of 200 MiB with a text node of 150 MiB, by each interface
    Large(large::Arguments),
    /// What doing nothing costs, with 3 and with 30 000 feeds, and after 20 000 downloads
    Idle(idle::Arguments),
    /// A listing of 10 000 ids against a ledger of 1 000 000 documents
    Listing(listing::Arguments),
    /// 30 000 feeds due within half an hour: how late the polls are
    Fleet(fleet::Arguments),
    /// `status`, `plan` and `documents` on a ledger of 1 000 000 documents and 90 days of polls
    Queries(queries::Arguments),
    /// What the machine can do: syncs and commits a second
    Limits,
}

/// What all benchmarks share.
#[derive(Debug)]
struct Bench {
    folder: PathBuf,
    peers: Vec<Peer>,
}

/// A vaguemestre to be measured.
#[derive(Clone, Debug)]
struct Peer {
    name: &'static str,
    binary: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let invocation = Invocation::parse();
    let folder = invocation.folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")));
    std::fs::create_dir_all(&folder)?;
    stage::refuse_memory(&folder)?;
    let mut peers = vec![Peer { name: "vaguemestre", binary: env!("CARGO_BIN_EXE_vaguemestre").into() }];
    peers.extend(invocation.against.map(|binary| Peer { name: "the other one", binary }));
    let bench = Bench { folder, peers };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        match invocation.what {
            What::Drain(arguments) => drain::run(&bench, &arguments).await,
            What::Webdav(arguments) => webdav::run(&bench, &arguments).await,
            What::Large(arguments) => large::run(&bench, &arguments).await,
            What::Idle(arguments) => idle::run(&bench, &arguments).await,
            What::Listing(arguments) => listing::run(&bench, &arguments).await,
            What::Fleet(arguments) => fleet::run(&bench, &arguments).await,
            What::Queries(arguments) => queries::run(&bench, &arguments).await,
            What::Limits => limits::print(&bench.folder).await,
        }
    })
}
