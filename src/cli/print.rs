//! What commands write for people: findings, errors with their causes and remedy, aligned tables.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::config::{Finding, Place, Weight};
use crate::tongue::Tongue;

/// What to do about an error, carried beside it.
#[derive(Debug)]
struct Remedy(String);

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `error`, with what to do about it.
pub(super) fn with_remedy(
    remedy: impl Into<String>,
    error: impl std::error::Error + Send + Sync + 'static,
) -> anyhow::Error {
    anyhow::Error::new(error).context(Remedy(remedy.into()))
}

/// Writes an error, its causes and its remedy to standard error.
pub(super) fn error(tongue: Tongue, error: &anyhow::Error) {
    let remedy = error.downcast_ref::<Remedy>().map(|remedy| remedy.0.clone());
    let causes: Vec<String> = error.chain().skip(usize::from(remedy.is_some())).map(ToString::to_string).collect();
    failure(tongue, &dedup(causes).join(": "), remedy.as_deref());
}

/// Writes to standard error what goes on, beside the answer.
#[expect(clippy::print_stderr, reason = "this is where commands speak to people")]
pub(super) fn aside(tongue: Tongue, text: &str) {
    eprintln!("{}", tongue.say(text));
}

/// Causes that only repeat the one before say nothing.
fn dedup(causes: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for cause in causes {
        if kept.last().is_none_or(|last| !last.contains(&cause)) {
            kept.push(cause);
        }
    }
    kept
}

/// Writes why there is no token, and what to do: the two lines of `text`.
pub(super) fn refusal(tongue: Tongue, text: &str) {
    let (what, remedy) = text.trim_end().split_once('\n').unwrap_or((text.trim_end(), ""));
    failure(tongue, what, Some(remedy).filter(|remedy| !remedy.is_empty()));
}

#[expect(clippy::print_stderr, reason = "this is where commands report errors")]
fn failure(tongue: Tongue, what: &str, remedy: Option<&str>) {
    eprintln!("{}{}{}", tongue.say("error"), tongue.colon(), tongue.say(what));
    if let Some(remedy) = remedy {
        eprintln!("  {}{}{}", tongue.say("remedy"), tongue.colon(), tongue.say(remedy));
    }
}

/// A finding on one line: weight, place, what is wrong, what to do.
pub(super) fn finding(tongue: Tongue, finding: &Finding) -> String {
    let Finding { weight, place, what, remedy } = finding;
    let (weight, place) = (weight.to_string(), place.to_string());
    let (colon, semicolon) = (tongue.colon(), tongue.semicolon());
    let [weight, place, what, remedy] = [&weight, &place, what, remedy].map(|text| tongue.say(text));
    format!("{weight}{colon}{place}{colon}{what}{semicolon}{remedy}")
}

/// Writes to standard error why nothing can start: the errors, and the problems that they may point to.
#[expect(clippy::print_stderr, reason = "this is where commands report findings")]
pub(super) fn faults(tongue: Tongue, mut findings: Vec<Finding>) {
    order(&mut findings);
    let weighty = findings.iter().filter(|finding| finding.weight != Weight::Note);
    weighty.for_each(|one| eprintln!("{}", finding(tongue, one)));
}

/// Puts findings into the order they are read in: the weightiest first, then as they stand in the files.
pub(super) fn order(findings: &mut [Finding]) {
    fn place(finding: &Finding) -> (Weight, bool, Option<&PathBuf>, Option<u32>) {
        let Place { file, line, .. } = &finding.place;
        (finding.weight, file.is_none(), file.as_ref(), *line)
    }
    findings.sort_by(|a, b| place(a).cmp(&place(b)));
}

/// Writes a table with aligned columns, two spaces apart; the last column is as long as it likes. One column's cells may have a
/// colour by their row (SGR parameters, ECMA-48 §8.3.117).
pub(super) fn table(
    out: &mut impl Write,
    header: &[impl AsRef<str>],
    rows: &[Vec<String>],
    (coloured, colour): (usize, &dyn Fn(usize) -> Option<&'static str>),
) -> io::Result<()> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].as_ref().chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let header: Vec<String> = header.iter().map(|heading| heading.as_ref().to_owned()).collect();
    for (number, row) in std::iter::once(&header).chain(rows).enumerate() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width.saturating_sub(cell.chars().count()) + 2);
            match number.checked_sub(1).filter(|_| column == coloured).and_then(colour) {
                Some(colour) => line.push_str(&format!("\x1b[{colour}m{cell}\x1b[0m{padding}")),
                None => line.push_str(&format!("{cell}{padding}")),
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// An error with its causes, and what to do about it, on one line.
pub(super) fn one_line(error: &anyhow::Error) -> String {
    let remedy = error.downcast_ref::<Remedy>().map(|remedy| format!("; {remedy}"));
    let causes: Vec<String> = error.chain().skip(usize::from(remedy.is_some())).map(ToString::to_string).collect();
    format!("{}{}", dedup(causes).join(": "), remedy.unwrap_or_default()).replace(['\n', '|'], " ")
}

/// A time as people in France read it: Paris time, to the second; `-` where there is none.
pub(super) fn paris_time(time: Option<Timestamp>) -> String {
    time.map_or_else(
        || "-".to_owned(),
        |time| time.to_zoned(crate::schedule::paris().clone()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
