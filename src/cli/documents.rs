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
    /// A JSON array
    #[arg(long)]
    json: bool,
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
    let filter = Filter { state: arguments.state, since: arguments.since };
    let mut lines = Lines { json: arguments.json, count: 0 };
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
    json: bool,
    count: usize,
}

impl Lines {
    fn write(&mut self, out: &mut impl Write, row: &DocumentRow) -> std::io::Result<()> {
        self.count += 1;
        if self.json {
            out.write_all(if self.count == 1 { b"[\n" } else { b",\n" })?;
            return serde_json::to_writer(out, row).map_err(Into::into);
        }
        if self.count == 1 {
            line(out, &["FEED", "ID", "STATE", "LISTED", "STORED", "SIZE", "SHA256", "ERROR"])?;
        }
        let at = |text: Option<&str>| print::paris_time(text.and_then(|text| text.parse().ok()));
        let (listed, stored) = (at(Some(&row.listed_at)), at(row.stored_at.as_deref()));
        let size = row.size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        let sha256 = row.sha256.as_deref().map_or("-", |sha256| &sha256[..sha256.len().min(12)]);
        let error = row.error.as_deref().unwrap_or("");
        line(out, &[&row.feed, &row.remote_id, &row.state, &listed, &stored, &size, sha256, error])
    }

    fn end(&self, out: &mut impl Write) -> std::io::Result<()> {
        match (self.json, self.count) {
            (true, 0) => writeln!(out, "[]"),
            (true, _) => writeln!(out, "\n]"),
            (false, 0) => writeln!(out, "no documents"),
            (false, _) => Ok(()),
        }
    }
}

/// Columns of fixed width: rows are written before the widest is known.
fn line(out: &mut impl Write, cells: &[&str; 8]) -> std::io::Result<()> {
    let [feed, id, state, listed, stored, size, sha256, error] = cells;
    let text =
        format!("{feed:<32}  {id:<12}  {state:<9}  {listed:<19}  {stored:<19}  {size:>10}  {sha256:<12}  {error}");
    writeln!(out, "{}", text.trim_end())
}
