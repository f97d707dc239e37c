//! `vaguemestre dismiss`: abandoned or lost documents closed.

use clap::Args;

use super::{Context, Outcome, operator};
use crate::daemon::operate::Order;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The feed, e.g. fast/mairie/acquittements
    feed: String,
    /// The documents' remote ids
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    /// Why, for those who look later
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

pub(super) fn execute(context: &Context, arguments: Arguments) -> Outcome {
    let Arguments { feed, ids, reason } = arguments;
    operator::execute(context, &Order::Dismiss { feed, ids, reason })
}
