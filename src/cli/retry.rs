//! `vaguemestre retry`: documents made eligible again.

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
    /// Takes the bytes that were set aside in the quarantine as the document
    #[arg(long, conflicts_with = "again")]
    accept: bool,
    /// Downloads a document that is held once more, deliberately
    #[arg(long)]
    again: bool,
}

pub(super) fn execute(context: &Context, arguments: Arguments) -> Outcome {
    let Arguments { feed, ids, accept, again } = arguments;
    operator::execute(context, &Order::Retry { feed, ids, accept, again })
}
