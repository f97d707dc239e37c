//! `vaguemestre recover`: acknowledgements fetched once more, deliberately.

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
}

pub(super) fn execute(context: &Context, arguments: Arguments) -> Outcome {
    let Arguments { feed, ids } = arguments;
    operator::execute(context, &Order::Recover { feed, ids })
}
