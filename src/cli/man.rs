//! `vaguemestre man`: the manual page, for packagers. One page holds every command with its options.

use std::io::Write;

use clap::Command;
use clap_mangen::Man;

use super::{Outcome, exit};

pub(super) fn execute(command: Command) -> Outcome {
    write(command.disable_help_subcommand(true), &mut std::io::stdout().lock())?;
    Ok(exit::DONE)
}

fn write(command: Command, out: &mut impl Write) -> std::io::Result<()> {
    let commands: Vec<Command> = command.get_subcommands().cloned().collect();
    let name = command.get_name().to_owned();
    let page = Man::new(command);
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    writeln!(out, ".SH COMMANDS")?;
    for command in commands {
        let title = format!("{name} {}", command.get_name());
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let section = Man::new(command.bin_name(&title).disable_help_flag(true).disable_help_subcommand(true));
        writeln!(out, ".SS {title}\n{about}\n.PP")?;
        let mut text = Vec::new();
        section.render_synopsis_section(&mut text)?;
        section.render_options_section(&mut text)?;
        // Their headings are those of a page of its own.
        for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.starts_with(".SH")) {
            writeln!(out, "{line}")?;
        }
    }
    page.render_version_section(out)
}
