//! `vaguemestre man`: the manual pages, for packagers. Section 1 has the commands, section 5 the configuration.
//!
//! The English page of commands is made from the command line's own help; the French one is written by hand. Both pages
//! of the configuration are made from the shipped examples, so that an option is explained in one place.

mod commands;
mod configuration;
mod example;
mod roff;

use clap::{Args, Command, ValueEnum};

use super::{Outcome, exit};

/// When the pages were last gone over: their foot shows it.
const REVISED: &str = "2026-11-26";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The section of the manual: 1 has the commands, 5 the configuration
    #[arg(long, value_enum, value_name = "NUMBER", default_value_t = Section::Commands, hide_possible_values = true)]
    section: Section,
    /// The language of the page: en or fr
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value_t = Language::English, hide_possible_values = true)]
    language: Language,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    #[value(name = "1")]
    Commands,
    #[value(name = "5")]
    Configuration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    #[value(name = "en")]
    English,
    #[value(name = "fr")]
    French,
}

pub(super) fn execute(arguments: &Arguments, command: Command) -> Outcome {
    let page = match (arguments.section, arguments.language) {
        (Section::Commands, Language::English) => commands::english(command.disable_help_subcommand(true))?,
        (Section::Commands, Language::French) => commands::french(),
        (Section::Configuration, language) => configuration::page(language),
    };
    std::io::Write::write_all(&mut std::io::stdout(), page.as_bytes())?;
    Ok(exit::DONE)
}

/// A page that was written by hand, with what it leaves open.
fn finished(page: &str) -> String {
    page.replace("@VERSION@", env!("CARGO_PKG_VERSION")).replace("@REVISED@", REVISED).replace('\u{a0}', r"\~")
}
