//! `vaguemestre lift`: API Entreprise is asked again, for the operator knows better.

use clap::Args;

use super::{Context, Outcome, operator};
use crate::daemon::operate::Order;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The account, e.g. entreprise/marches
    account: String,
}

pub(super) fn execute(context: &Context, arguments: Arguments) -> Outcome {
    operator::execute(context, &Order::Lift { account: arguments.account })
}
