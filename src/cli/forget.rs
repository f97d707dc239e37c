//! `vaguemestre forget`: an account that has left.

use clap::Args;

use super::{Context, Outcome, operator};
use crate::daemon::operate::Order;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The account, e.g. fast/mairie; it must no longer be configured
    account: String,
    /// Does it; else says what that would mean
    #[arg(long)]
    yes: bool,
}

pub(super) fn execute(context: &Context, arguments: Arguments) -> Outcome {
    let Arguments { account, yes } = arguments;
    operator::execute(context, &Order::Forget { account, yes })
}
