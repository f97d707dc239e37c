//! `vaguemestre man`: the manual page, for packagers.

use super::{Outcome, exit};

pub(super) fn execute(command: clap::Command) -> Outcome {
    clap_mangen::Man::new(command.disable_help_subcommand(true)).render(&mut std::io::stdout())?;
    Ok(exit::DONE)
}
