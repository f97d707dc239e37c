//! `vaguemestre documents`: what the ledger knows of documents.

use std::io::Write;

use clap::Args;
use jiff::Timestamp;

use super::selection::{NoFeed, Selection};
use super::{Context, Outcome, exit, print, runtime};
use crate::feed::DocumentState;
use crate::ledger::{DocumentRow, Filter, Ledger, LedgerError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Feed or account names, with globs; none: all
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Only documents in this state
    #[arg(long, value_name = "STATE")]
    state: Option<DocumentState>,
    /// Only documents listed or stored since then (2026-11-22, or 2026-11-22T10:00:00+01:00)
    #[arg(long, value_name = "TIME", value_parser = super::selection::time)]
    since: Option<Timestamp>,
    /// Only documents of this NomFic
    #[arg(long, value_name = "NOMFIC")]
    name: Option<String>,
    /// Only acknowledgements by which Hélios refuses a deposit
    #[arg(long)]
    rejected: bool,
    /// A JSON array
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// A table for spreadsheets (RFC 4180)
    #[arg(long)]
    csv: bool,
}

/// How documents are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Csv,
}

/// The ledger or the output failed, or nothing was found to list.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Output(#[from] std::io::Error),
    #[error(transparent)]
    Selection(#[from] NoFeed),
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    let selection = Selection::parse(&arguments.selectors)?;
    context.enter(&settings)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let listed = runtime()?.block_on(async {
        let ledger = Ledger::open_reading(&settings.state.directory).await?;
        let listed = list(&ledger, &selection, arguments, &mut out).await;
        ledger.close().await;
        listed
    });
    match listed {
        Ok(()) => {}
        Err(Failure::Ledger(error)) => return Err(print::with_remedy(error.remedy(), error)),
        Err(Failure::Output(error)) => return Err(error.into()),
        Err(Failure::Selection(error)) => return Err(error.into()),
    }
    out.flush()?;
    Ok(exit::DONE)
}

async fn list(
    ledger: &Ledger,
    selection: &Selection,
    arguments: &Arguments,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let (state, since, rejected) = (arguments.state, arguments.since, arguments.rejected);
    let filter = Filter { state, since, name: arguments.name.clone(), rejected };
    let form = match (arguments.json, arguments.csv) {
        (true, _) => Form::Json,
        (_, true) => Form::Csv,
        _ => Form::Text,
    };
    let mut lines = Lines { form, count: 0 };
    let mut feeds = ledger.feeds().await?;
    feeds.retain(|row| selection.holds(&row.feed));
    selection.require(!feeds.is_empty(), &arguments.selectors)?;
    for feed in feeds {
        ledger.documents(feed.feed.as_str(), &filter, |row| lines.write(out, &row).map_err(Failure::from)).await?;
    }
    lines.end(out)?;
    Ok(())
}

/// Rows as they come: a ledger of a million documents is never held in memory.
struct Lines {
    form: Form,
    count: usize,
}

impl Lines {
    fn write(&mut self, out: &mut impl Write, row: &DocumentRow) -> std::io::Result<()> {
        self.count += 1;
        match self.form {
            Form::Json => {
                out.write_all(if self.count == 1 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(out, row).map_err(Into::into)
            }
            Form::Csv => {
                if self.count == 1 {
                    record(out, &HEADER)?;
                }
                csv(out, &Row { document: row, file: None })
            }
            Form::Text => {
                if self.count == 1 {
                    line(out, &["FEED", "ID", "STATE", "LISTED", "STORED", "SIZE", "SHA256", "SAYS"])?;
                }
                text(out, row)
            }
        }
    }

    fn end(&self, out: &mut impl Write) -> std::io::Result<()> {
        match (self.form, self.count) {
            (Form::Json, 0) => writeln!(out, "[]"),
            (Form::Json, _) => writeln!(out, "\n]"),
            (Form::Csv, 0) => record(out, &HEADER),
            (Form::Text, 0) => writeln!(out, "no documents"),
            (Form::Csv | Form::Text, _) => Ok(()),
        }
    }
}

fn text(out: &mut impl Write, row: &DocumentRow) -> std::io::Result<()> {
    let at = |text: Option<&str>| print::paris_time(text.and_then(|text| text.parse().ok()));
    let (listed, stored) = (at(Some(&row.listed_at)), at(row.stored_at.as_deref()));
    let size = row.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
    let sha256 = row.sha256.as_deref().map_or("-", |sha256| &sha256[..sha256.len().min(12)]);
    line(out, &[&row.feed, &row.remote_id, &row.state, &listed, &stored, &size, sha256, &says(row)])
}

/// What a document says of itself, or what is wrong with it.
fn says(row: &DocumentRow) -> String {
    if let Some(error) = &row.error {
        return error.clone();
    }
    let outcome = row.outcome().map(|outcome| if outcome == "refused" { "REFUSED" } else { outcome });
    let words: Vec<&str> = outcome.into_iter().chain(row.name.as_deref()).collect();
    match row.labels().join("; ") {
        labels if labels.is_empty() => words.join(" "),
        labels => format!("{}: {labels}", words.join(" ")),
    }
}

/// Columns of fixed width: rows are written before the widest is known.
fn line(out: &mut impl Write, cells: &[&str; 8]) -> std::io::Result<()> {
    let [feed, id, state, listed, stored, size, sha256, says] = cells;
    let text =
        format!("{feed:<32}  {id:<12}  {state:<9}  {listed:<19}  {stored:<19}  {size:>10}  {sha256:<12}  {says}");
    writeln!(out, "{}", text.trim_end())
}

/// A row of a table for spreadsheets.
pub(super) struct Row<'a> {
    pub(super) document: &'a DocumentRow,
    /// Where it was copied to, in a table of copies.
    pub(super) file: Option<&'a str>,
}

/// The columns of a table for spreadsheets; `outcome` says of an acknowledgement whether Hélios took the deposit.
const HEADER: [&str; 11] = [
    "feed",
    "id",
    "name",
    "size",
    "sha256",
    "listed_at",
    "requested_at",
    "stored_at",
    "released_at",
    "state",
    "outcome",
];

/// The header of a table of copies.
pub(super) fn header(out: &mut impl Write) -> std::io::Result<()> {
    record(out, &[&HEADER[..], &["file"]].concat())
}

pub(super) fn csv(out: &mut impl Write, row: &Row<'_>) -> std::io::Result<()> {
    let Row { document: row, file } = row;
    let size = row.size.map_or_else(String::new, |size| size.to_string());
    let plain = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let [name, sha256, requested, stored, released] =
        [&row.name, &row.sha256, &row.requested_at, &row.stored_at, &row.released_at].map(plain);
    let outcome = row.outcome().unwrap_or_default();
    let mut fields = vec![row.feed.as_str(), &row.remote_id, &name, &size, &sha256, &row.listed_at];
    fields.extend([requested.as_str(), &stored, &released, &row.state, outcome]);
    fields.extend(file);
    record(out, &fields)
}

/// One record (RFC 4180): fields that hold a separator stand in quotes. What a spreadsheet would take for a formula is kept
/// from it by an apostrophe: names come from outside.
fn record(out: &mut impl Write, fields: &[&str]) -> std::io::Result<()> {
    let field = |text: &&str| {
        let guarded =
            if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { (*text).to_owned() };
        if guarded.contains([',', '"', '\n', '\r']) { format!("\"{}\"", guarded.replace('"', "\"\"")) } else { guarded }
    };
    let fields: Vec<String> = fields.iter().map(field).collect();
    write!(out, "{}\r\n", fields.join(","))
}
