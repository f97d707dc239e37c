//! `vaguemestre export`: all documents of an account that the archive holds, in a folder of their own, with a table of them.
//!
//! On disk: a tree like an inbox's, and `documents.csv`, which is written last: where it is, all is whole. Nothing is asked of
//! any platform, and the daemon may run.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::documents::{self, Row};
use super::{Context, Outcome, exit, print, runtime};
use crate::archive::{layout, write};
use crate::feed::FeedName;
use crate::intake;
use crate::ledger::{DocumentRow, Filter, Ledger, LedgerError};

/// The table.
const TABLE: &str = "documents.csv";
/// Whoever is given the folder reads it by its group.
const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The account, e.g. fast/mairie, configured or not
    account: String,
    /// The folder, empty or not there yet; the daemon's user must be able to write into it
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// What an export came to.
#[derive(Default)]
struct Export {
    root: PathBuf,
    table: Vec<u8>,
    folders: BTreeSet<PathBuf>,
    copied: u64,
    without_copy: u64,
    faults: Vec<String>,
}

/// The ledger or our disk failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    let folder = std::path::absolute(&arguments.folder)?;
    context.enter(&settings)?;
    let directory = settings.state.directory;
    let exported = runtime()?.block_on(async {
        let ledger = Ledger::open_reading(&directory).await?;
        let exported = export(&ledger, &directory, &arguments.account, folder.clone()).await;
        ledger.close().await;
        exported
    });
    let export = match exported {
        Ok(Some(export)) => export,
        Ok(None) => bail!(
            "the ledger knows no account {}; name it as `vaguemestre status` does, such as fast/mairie",
            arguments.account
        ),
        Err(Failure::Ledger(error)) => return Err(print::with_remedy(error.remedy(), error)),
        Err(Failure::Disk(error)) => {
            let remedy = "choose a folder that is empty and that the daemon's user can write, with room for all of it";
            return Err(print::with_remedy(remedy, error)).with_context(|| format!("{}", folder.display()));
        }
    };
    let mut out = io::stdout().lock();
    for fault in &export.faults {
        writeln!(out, "{fault}")?;
    }
    writeln!(
        out,
        "{} documents copied to {}; {} have no copy in the archive any more; {TABLE} lists all",
        export.copied,
        folder.display(),
        export.without_copy
    )?;
    Ok(if export.faults.is_empty() { exit::DONE } else { exit::FAILURE })
}

async fn export(ledger: &Ledger, state: &Path, account: &str, folder: PathBuf) -> Result<Option<Export>, Failure> {
    let mut feeds = ledger.feeds().await?;
    feeds.retain(|row| row.feed.account_name() == account);
    if feeds.is_empty() {
        return Ok(None);
    }
    prepare(&folder)?;
    let mut export = Export { root: folder, ..Export::default() };
    documents::header(&mut export.table)?;
    for feed in feeds {
        let mut missing = Vec::new();
        let each = |row: DocumentRow| {
            if !export.take(state, &feed.feed, &row)? {
                missing.push(row);
            }
            Ok::<_, Failure>(())
        };
        ledger.documents(feed.feed.as_str(), &Filter::default(), each).await?;
        for row in missing {
            let now = ledger.document(&feed.feed, &row.remote_id).await?.map(|(_, now, _)| now);
            export.explain(&row, now.is_some_and(|now| now.purged_at.is_some()))?;
        }
    }
    export.finish()?;
    Ok(Some(export))
}

/// Makes the folder, where it is not there; refuses one that holds anything.
fn prepare(folder: &Path) -> io::Result<()> {
    match std::fs::read_dir(folder) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "it is not empty")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else { return Err(error) };
            write::make_folders(parent, Path::new(name), FOLDER_MODE)
        }
        Err(error) => Err(error),
    }
}

impl Export {
    /// Copies one document, and lists it. Answers false where its copy was not there: it may have been purged this moment.
    fn take(&mut self, state: &Path, feed: &FeedName, row: &DocumentRow) -> io::Result<bool> {
        let (Some(path), Some(sha256), None) = (&row.archive_path, &row.sha256, &row.purged_at) else {
            self.without_copy += u64::from(row.stored_at.is_some());
            self.list(row, "")?;
            return Ok(true);
        };
        let extension = Path::new(path).extension().map_or_else(|| "bin".into(), |it| it.to_string_lossy());
        let relative = layout::inbox_path(feed, &row.remote_id, row.name.as_deref(), &extension);
        if let Some(folder) = relative.parent() {
            write::make_folders(&self.root, folder, FOLDER_MODE)?;
            self.folders.insert(self.root.join(folder));
        }
        let mut place = self.root.join(&relative);
        if place.exists() {
            // Two ids with names may come to one: the checksum tells them apart.
            place = place.with_extension(format!("{}.{extension}", sha256.get(..16).unwrap_or(sha256)));
        }
        match copy(&state.join(path), &place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        }
        if intake::measure(&place)?.1 != *sha256 {
            self.faults.push(format!("{feed} {}: its copy is damaged, see `vaguemestre verify {feed}`", row.remote_id));
        }
        self.copied += 1;
        let listed = place.strip_prefix(&self.root).unwrap_or(&place).display().to_string();
        self.list(row, &listed)?;
        Ok(true)
    }

    /// Lists a document whose copy was not there.
    fn explain(&mut self, row: &DocumentRow, purged: bool) -> io::Result<()> {
        self.without_copy += 1;
        if !purged {
            let (feed, id) = (&row.feed, &row.remote_id);
            self.faults.push(format!("{feed} {id}: its copy is missing, see `vaguemestre verify {feed}`"));
        }
        self.list(row, "")
    }

    fn list(&mut self, row: &DocumentRow, file: &str) -> io::Result<()> {
        documents::csv(&mut self.table, &Row { document: row, file: Some(file) })
    }

    /// Makes all durable, the table last.
    fn finish(&mut self) -> io::Result<()> {
        for folder in &self.folders {
            write::sync_folder(folder)?;
        }
        let mut file = BufWriter::new(create(&self.root.join(TABLE))?);
        file.write_all(&self.table)?;
        file.into_inner()?.sync_all()?;
        write::sync_folder(&self.root)
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut file = create(to)?;
    io::copy(&mut source, &mut file)?;
    file.sync_all()
}
