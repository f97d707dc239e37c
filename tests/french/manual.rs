//! `vaguemestre man`: both sections in both languages.

use std::process::{Command, Stdio};

use clap::CommandFactory as _;
use vaguemestre::cli::Invocation;

use crate::nothing;

const LANGUAGES: [&str; 2] = ["en", "fr"];

fn page(section: &str, language: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vaguemestre"));
    let output = command.args(["man", "--section", section, "--language", language]).output().unwrap();
    assert!(output.status.success(), "{section} {language}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a reader sees of roff, near enough: without its escapes.
fn plain(page: &str) -> String {
    let mut text = page.to_owned();
    for (escape, sign) in [(r"\fB", ""), (r"\fR", ""), (r"\fI", ""), (r"\-", "-"), (r"\(aq", "'"), (r"\&", "")] {
        text = text.replace(escape, sign);
    }
    text
}

/// Each command, with its long options in their order.
fn commands() -> Vec<(String, Vec<String>)> {
    let mut line = Invocation::command();
    // What every command takes belongs to the page as a whole.
    let common: Vec<String> = options(&line);
    line.build();
    let of_one = |command: &clap::Command| {
        let options = options(command).into_iter().filter(|option| option != "help" && !common.contains(option));
        (command.get_name().to_owned(), options.collect())
    };
    let named = line.get_subcommands().filter(|command| command.get_name() != "help");
    let commands: Vec<(String, Vec<String>)> = named.map(of_one).collect();
    std::iter::once((String::new(), common.clone())).chain(commands).collect()
}

fn options(command: &clap::Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    shown.filter_map(|argument| argument.get_long()).map(str::to_owned).collect()
}

/// The long options that a part of a page explains: those at the beginning of a line.
fn explained(part: &str) -> Vec<String> {
    let tags = part.lines().filter(|line| line.starts_with('-'));
    let words = tags.flat_map(|line| line.split([' ', ',', '=', '[']));
    words.filter_map(|word| word.strip_prefix("--")).map(str::to_owned).collect()
}

#[test]
fn the_french_page_of_commands_has_each_command_with_its_options_and_no_other() {
    let page = plain(&page("1", "fr"));
    let parts: Vec<&str> = page.split("\n.SS vaguemestre ").collect();
    let mut amiss = Vec::new();
    for (command, options) in commands() {
        let of = |part: &&&str| part.split_whitespace().next() == Some(&command);
        let Some(part) = (if command.is_empty() { parts.first() } else { parts[1..].iter().find(of) }) else {
            amiss.push(format!("docs/man/vaguemestre.fr.1: lacks the command {command}"));
            continue;
        };
        let part = part.split("\n.SH CODES").next().unwrap_or(part);
        let found = explained(part);
        let place = format!("docs/man/vaguemestre.fr.1: {}", if command.is_empty() { "OPTIONS" } else { &command });
        amiss.extend(options.iter().filter(|o| !found.contains(*o)).map(|o| format!("{place}: lacks --{o}")));
        let known = |option: &&String| options.contains(*option) || (command.is_empty() && is_built_in(option));
        amiss.extend(found.iter().filter(|o| !known(o)).map(|o| format!("{place}: there is no --{o}")));
    }
    let known: Vec<String> = commands().into_iter().map(|(command, _)| command).collect();
    let told = parts[1..].iter().filter_map(|part| part.split_whitespace().next());
    let gone = told.filter(|told| !known.iter().any(|known| known == told) && *told != "demo");
    amiss.extend(gone.map(|command| format!("docs/man/vaguemestre.fr.1: there is no command {command}")));
    nothing(&amiss);
}

fn is_built_in(option: &str) -> bool {
    matches!(option, "help" | "version")
}

#[test]
fn the_pages_of_the_configuration_explain_every_key_in_its_table() {
    let mut amiss = Vec::new();
    for language in LANGUAGES {
        // A key may follow its table's heading, of which a split takes the end of the line.
        let page = plain(&page("5", language)).replace("\n.TP\n", "\n\n.TP\n");
        let explains = |header: &str, key: &str| {
            let heading = format!("\n.SS {header}\n");
            let part = page.split(&heading).nth(1).and_then(|rest| rest.split("\n.S").next());
            part.is_some_and(|part| part.contains(&format!("\n.TP\n{key} = ")))
        };
        for (header, key) in vaguemestre::config::all_keys() {
            // The tables of resources are alike, and the page says so.
            let alike = header.replace("piste.resources", "douane.resources");
            if !explains(&header, key) && !explains(&alike, key) {
                amiss.push(format!("vaguemestre.toml(5) in {language}: lacks {key} of {header}"));
            }
        }
    }
    nothing(&amiss);
}

#[test]
fn the_page_of_the_configuration_says_what_is_required_what_is_default_and_why() {
    let english = page("5", "en");
    assert!(
        english.contains("\\fBinterval\\fR = \"30m\"  \\fI(default)\\fR\nThe time between the starts of two listings")
    );
    assert!(english.contains("\\fBsiren\\fR = \"123456782\"  \\fI(required)\\fR\n"));
    assert!(english.contains("\\fBpace\\fR = \"spread\"  \\fI(default)\\fR\n"));
    assert!(english.contains("\\fBproxy\\fR = \"http://proxy.example.fr:3128\"  \\fI(example)\\fR\n"));
    let french = page("5", "fr");
    assert!(french.contains("\\fBinterval\\fR = \"30m\"  \\fI(par défaut)\\fR\nLe temps qui sépare"));
    assert!(french.contains("\\fBsiren\\fR = \"123456782\"  \\fI(obligatoire)\\fR\n"));
}

#[test]
fn without_options_it_is_the_english_page_of_commands() {
    let output = Command::new(env!("CARGO_BIN_EXE_vaguemestre")).arg("man").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), page("1", "en"));
}

#[test]
fn formatters_have_nothing_to_say_about_the_pages() {
    for section in ["1", "5"] {
        for language in LANGUAGES {
            let page = page(section, language);
            for open in ["@VERSION@", "@REVISED@", "@HEAD@", "@TABLES@"] {
                assert!(!page.contains(open), "{section} {language}: {open} is left open");
            }
            complaints("groff", &["-k", "-man", "-Tutf8", "-ww", "-z"], section, language, &page);
            complaints("mandoc", &["-Tlint", "-Wwarning"], section, language, &page);
        }
    }
}

/// Has a formatter read a page. Where it is not installed, that is said; with `CI=true` it is a failure.
fn complaints(program: &str, arguments: &[&str], section: &str, language: &str, page: &str) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{program} is not installed");
        println!("skipped: {program} is not installed");
        return;
    };
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.is_empty(), "{program}, section {section} in {language}: {said}");
}
