//! Section 1: one page holds every command with its options.

use std::io::Write;

use clap::Command;
use clap_mangen::Man;

use super::{REVISED, finished};

/// What the English page says after its commands: exit codes, environment, files.
const CLOSING: &str = include_str!("../../../docs/man/vaguemestre.closing.1");
const FRENCH: &str = include_str!("../../../docs/man/vaguemestre.fr.1");

pub(super) fn french() -> String {
    finished(FRENCH)
}

pub(super) fn english(command: Command) -> std::io::Result<String> {
    let commands: Vec<Command> = command.get_subcommands().cloned().collect();
    let name = command.get_name().to_owned();
    let page = Man::new(command).date(REVISED);
    let mut out = Vec::new();
    // So that what prepares pages for groff need not guess.
    writeln!(out, ".\\\" -*- coding: UTF-8 -*-")?;
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    page.render_synopsis_section(&mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    writeln!(out, ".SH COMMANDS")?;
    for command in commands {
        let title = format!("{name} {}", command.get_name());
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let section = Man::new(command.bin_name(&title).disable_help_flag(true).disable_help_subcommand(true));
        writeln!(out, ".SS {title}\n{about}\n.PP")?;
        let mut text = Vec::new();
        section.render_synopsis_section(&mut text)?;
        section.render_options_section(&mut text)?;
        // Their headings are those of a page of its own; a space between two breaks is nothing to formatters.
        let text = String::from_utf8_lossy(&text).replace(".br\n\n.br\n", ".sp\n");
        for line in text.lines().filter(|line| !line.starts_with(".SH")) {
            writeln!(out, "{line}")?;
        }
    }
    out.extend(finished(CLOSING).into_bytes());
    Ok(String::from_utf8_lossy(&out).into_owned())
}
