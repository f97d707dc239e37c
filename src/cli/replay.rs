//! `vaguemestre replay`: archived documents delivered again.

use clap::{ArgGroup, Args};
use jiff::Timestamp;

use super::{Context, Outcome, operator};
use crate::daemon::operate::Order;

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "since", "all", "abandoned"]))]
pub(super) struct Arguments {
    /// The feed, e.g. fast/mairie/acquittements
    feed: String,
    /// The documents' remote ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// All documents stored since then (2026-11-22, or 2026-11-22T10:00:00+01:00)
    #[arg(long, value_name = "TIME", value_parser = super::selection::time)]
    since: Option<Timestamp>,
    /// All documents of the feed
    #[arg(long)]
    all: bool,
    /// Those whose deliveries were given up
    #[arg(long)]
    abandoned: bool,
    /// Only to this target; else to all that want the feed
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Says how many that would be, and does nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn execute(context: &Context, arguments: Arguments) -> Outcome {
    let Arguments { feed, ids, since, all: _, abandoned, target, dry_run } = arguments;
    operator::execute(context, &Order::Replay { feed, ids, since, abandoned, target, dry_run })
}
