//! `vaguemestre demo`.

use clap::Args;

use super::{Context, Outcome, exit};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Stays up to look around
    #[arg(long)]
    keep: bool,
}

pub(super) fn execute(_context: &Context, arguments: &Arguments) -> Outcome {
    let _ = arguments.keep;
    Ok(exit::FAILURE)
}
