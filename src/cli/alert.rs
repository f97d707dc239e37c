//! `vaguemestre alert`: sends a test to those who are told alerts, by the way they would be told: by the daemon, where it runs.

use clap::Args;

use super::{Context, Outcome, operator};
use crate::daemon::operate::Order;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Names of `[[alerts]]`; none: all of them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) fn execute(context: &Context, arguments: Arguments) -> Outcome {
    operator::execute(context, &Order::Alert { names: arguments.names })
}
