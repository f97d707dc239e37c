//! The command `vaguemestre`: parse, dispatch, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use vaguemestre::cli::Invocation;

fn main() -> ExitCode {
    Invocation::parse().execute()
}
