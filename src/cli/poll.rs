//! `vaguemestre poll`: one pass over feeds.

use clap::Args;

use super::{Context, Outcome, operator};
use crate::daemon::operate::Order;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Feed or account names, with globs (`fast/*`); none: all feeds that are due
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
}

pub(super) fn execute(context: &Context, arguments: Arguments) -> Outcome {
    operator::execute(context, &Order::Poll { selectors: arguments.selectors })
}
