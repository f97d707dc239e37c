//! The command `vaguemestre`: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use vaguemestre::cli::Invocation;

/// How it works is said when it is built, in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    Invocation::parse().execute()
}
