//! `vaguemestre verify`: the archive read again, against the checksums.

use std::io::Write;

use clap::Args;

use super::selection::{NoFeed, Selection};
use super::{Context, Outcome, exit, print, runtime};
use crate::intake;
use crate::ledger::{DocumentRow, Filter, Ledger, LedgerError};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Feed or account names, with globs; none: all
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
}

/// The ledger or the output failed, or nothing was found to verify.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Output(#[from] std::io::Error),
    #[error(transparent)]
    Selection(#[from] NoFeed),
}

/// What was found.
#[derive(Default)]
struct Count {
    sound: u64,
    missing: u64,
    damaged: u64,
    /// Those whose copies were not there: one may have been purged while the row was on its way.
    suspects: Vec<DocumentRow>,
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    let selection = Selection::parse(&arguments.selectors)?;
    context.enter(&settings)?;
    let root = &settings.state.directory;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut count = Count::default();
    let verified = runtime()?.block_on(async {
        let ledger = Ledger::open_reading(root).await?;
        let mut verified = verify(&ledger, &selection, arguments, |row| judge(root, row, &mut count, &mut out)).await;
        if verified.is_ok() {
            verified = look_again(&ledger, &mut count, &mut out).await;
        }
        ledger.close().await;
        verified
    });
    match verified {
        Ok(()) => {}
        Err(Failure::Ledger(error)) => return Err(print::with_remedy(error.remedy(), error)),
        Err(Failure::Output(error)) => return Err(error.into()),
        Err(Failure::Selection(error)) => return Err(error.into()),
    }
    let Count { sound, missing, damaged, suspects: _ } = count;
    writeln!(out, "{} copies read: {sound} sound, {missing} missing, {damaged} damaged", sound + missing + damaged)?;
    out.flush()?;
    Ok(if missing + damaged == 0 { exit::DONE } else { exit::FAILURE })
}

async fn verify(
    ledger: &Ledger,
    selection: &Selection,
    arguments: &Arguments,
    mut judge: impl FnMut(&DocumentRow) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let mut feeds = ledger.feeds().await?;
    feeds.retain(|row| selection.holds(&row.feed));
    selection.require(!feeds.is_empty(), &arguments.selectors)?;
    for feed in feeds {
        let filter = Filter::default();
        ledger.documents(feed.feed.as_str(), &filter, |row| judge(&row).map_err(Failure::from)).await?;
    }
    Ok(())
}

/// Reads one copy again.
fn judge(root: &std::path::Path, row: &DocumentRow, count: &mut Count, out: &mut impl Write) -> std::io::Result<()> {
    // What was purged is held all the same, and has no copy to be read.
    let (Some(path), Some(sha256), None) = (&row.archive_path, &row.sha256, &row.purged_at) else { return Ok(()) };
    let what = match intake::measure(&root.join(path)) {
        Ok((size, found)) if found == *sha256 && i64::try_from(size).ok() == row.size => {
            count.sound += 1;
            return Ok(());
        }
        Ok((size, found)) => {
            count.damaged += 1;
            format!("DAMAGED: {size} bytes with SHA-256 {found}")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            count.suspects.push(row.clone());
            return Ok(());
        }
        Err(error) => {
            count.damaged += 1;
            format!("UNREADABLE: {error}")
        }
    };
    say(out, row, &what)
}

/// What was not there is missing, unless it was purged or replaced meanwhile.
async fn look_again(ledger: &Ledger, count: &mut Count, out: &mut impl Write) -> Result<(), Failure> {
    for row in std::mem::take(&mut count.suspects) {
        let Ok(feed) = row.feed.parse() else { continue };
        let now = ledger.document(&feed, &row.remote_id).await?.map(|(_, now, _)| now);
        if now.is_some_and(|now| now.purged_at.is_none() && now.archive_path == row.archive_path) {
            count.missing += 1;
            say(out, &row, "MISSING")?;
        }
    }
    Ok(())
}

fn say(out: &mut impl Write, row: &DocumentRow, what: &str) -> std::io::Result<()> {
    let path = row.archive_path.as_deref().unwrap_or_default();
    writeln!(out, "{} {}: {path}: {what}; {}", row.feed, row.remote_id, remedy(row))
}

fn remedy(row: &DocumentRow) -> String {
    let (feed, id) = (&row.feed, &row.remote_id);
    // What came over WebDAV is given once only.
    if feed.starts_with("fast/") && feed.ends_with("/acquittements") && !id.contains('/') {
        return format!("put it back from a backup of the archive, or `vaguemestre recover {feed} {id}`");
    }
    "put it back from a backup of the archive".to_owned()
}
