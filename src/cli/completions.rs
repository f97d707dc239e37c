//! `vaguemestre completions`: for packagers.

use clap::Args;
use clap_complete::Shell;

use super::{Outcome, exit};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The shell
    shell: Shell,
}

pub(super) fn execute(arguments: &Arguments, mut command: clap::Command) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "vaguemestre", &mut text);
    std::io::Write::write_all(&mut std::io::stdout(), &text)?;
    Ok(exit::DONE)
}
