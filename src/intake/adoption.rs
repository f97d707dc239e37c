//! After a crash: what an earlier run left in the archive is taken up.
//!
//! A file whose content matches its sealed name, or that already bears its final name, is a document that had arrived:
//! it is kept like any other. Everything else that was arriving goes to the quarantine, for it may be all that will
//! ever come.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::aside::set_aside;
use super::place::tag_of;
use super::reception::{judge, measure, summary_of};
use super::syncing::Syncing;
use super::trust::PROBE;
use super::{Intake, IntakeError, Sealed};
use crate::archive::{layout, tag, write};
use crate::content::{self, MediaType};
use crate::feed::FeedName;
use crate::ledger::{Claimed, Ledger};
use crate::log::event;

/// What adoption found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Documents that had arrived whole: now stored.
    pub documents: usize,
    /// Remains moved to the quarantine.
    pub remains: usize,
}

/// Takes up what earlier runs left. The caller holds the state directory, and no download runs yet. A file that cannot be
/// read, or kept, is said and left where it is: it never keeps the others, or the daemon, waiting.
///
/// # Errors
/// When the folder cannot be listed, or the ledger cannot be read.
pub async fn adopt(intake: &Intake, ledger: &Ledger) -> Result<Adopted, IntakeError> {
    let mut adopted = Adopted::default();
    for path in incoming(&intake.root)? {
        match take_up(intake, ledger, &path).await {
            Ok(true) => adopted.documents += 1,
            Ok(false) => adopted.remains += 1,
            Err(error) => complain(intake, &path, error),
        }
    }
    for document in ledger.claims().await? {
        if let Some((path, media_type)) = final_file(&intake.root, &document) {
            match keep(intake, document, path.clone(), media_type).await {
                Ok(()) => adopted.documents += 1,
                Err(error) => complain(intake, &path, error),
            }
        }
    }
    Ok(adopted)
}

/// Keeps a file that fulfils a claim, moves any other to the quarantine; answers which.
async fn take_up(intake: &Intake, ledger: &Ledger, path: &Path) -> Result<bool, IntakeError> {
    if let Some((document, media_type)) = claim_for(path, ledger).await? {
        keep(intake, document, path.to_owned(), media_type).await?;
        return Ok(true);
    }
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let root = intake.root.clone();
    blocking(path, move |path| set_aside(&root, path, &layout::safe_name(&name))).await?;
    Ok(false)
}

async fn keep(intake: &Intake, document: Claimed, path: PathBuf, media_type: MediaType) -> Result<(), IntakeError> {
    let fast = document.feed.platform() == "fast";
    let read = blocking(&path, move |path| {
        let (size, sha256) = measure(path)?;
        Ok((size, sha256, summary_of(fast, media_type, File::open(path)?)?))
    });
    let (size, sha256, summary) = read.await?;
    let syncing = Syncing::begin(path.clone(), tag_of(&document));
    match intake.sort(Sealed { document, path, size, sha256, media_type, summary, syncing }).await? {
        Some(sealed) => intake.keep(sealed, None).await,
        None => Ok(()),
    }
}

fn complain(intake: &Intake, path: &Path, error: IntakeError) {
    intake.heed(&error);
    let then = match &error {
        IntakeError::Unsynced { .. } => "it is asked for again",
        _ => "it stays where it is, and is looked at again at the next start",
    };
    let (path, error) = (path.display(), String::from(error));
    tracing::error!(event = event::DAEMON_FAULT, path = %path, error,
        "{path} was left by an earlier run and cannot be taken up: {error}; {then}");
}

fn incoming(root: &Path) -> Result<Vec<PathBuf>, IntakeError> {
    let folder = root.join(layout::INCOMING);
    let failed = |source| IntakeError::Disk { path: folder.clone(), source };
    std::fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map(|paths: Vec<PathBuf>| paths.into_iter().filter(|path| !path.ends_with(PROBE)).collect())
        .map_err(failed)
}

/// The claim that the file at `path` fulfils: its name says whose it is, its content that it is whole.
async fn claim_for(path: &Path, ledger: &Ledger) -> Result<Option<(Claimed, MediaType)>, IntakeError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let Some(sealed) = layout::parse_sealed(&name) else { return Ok(None) };
    let layout::SealedName { document: id, size, sha256, accepted } = sealed;
    let Some(document) = ledger.claim_of(id).await? else { return Ok(None) };
    let claimed = document.clone();
    let whole = blocking(path, move |path| {
        if measure(path)? != (size, sha256) {
            return Ok(None);
        }
        Ok(match judge(&claimed, BufReader::new(File::open(path)?), size)? {
            Ok(media_type) => Some(media_type),
            Err(reason) => accepted.then(|| reason.media_type()),
        })
    });
    Ok(whole.await?.map(|media_type| (document, media_type)))
}

/// The file of a claimed document that had its final name when the run died, before its commit.
fn final_file(root: &Path, document: &Claimed) -> Option<(PathBuf, MediaType)> {
    MediaType::KEPT.into_iter().find_map(|media_type| {
        let path = root.join(format!("{}.{}", document.stem, media_type.extension()));
        path.symlink_metadata().is_ok_and(|facts| facts.is_file()).then_some((path, media_type))
    })
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
) -> Result<T, IntakeError> {
    let owned = path.to_owned();
    let failed = |source| IntakeError::Disk { path: path.to_owned(), source };
    spawn_blocking(move || work(&owned)).await.map_err(|error| failed(error.into()))?.map_err(failed)
}

/// What a copy is, and what it says.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Bytes.
    pub size: u64,
    /// SHA-256, in hexadecimal.
    pub sha256: String,
    /// What the bytes are.
    pub media_type: MediaType,
    /// Its own name, where it says one.
    pub name: Option<String>,
    /// What it says, as JSON.
    pub summary: Option<String>,
}

/// Measures a copy of the archive, whatever brought it there; `fast`: of FAST-Parapheur. This blocks.
///
/// # Errors
/// What the system says.
pub fn measure_copy(path: &Path, fast: bool) -> io::Result<Measured> {
    let (size, sha256) = measure(path)?;
    let file = BufReader::new(File::open(path)?);
    let judged = if fast { content::judge(file, size)? } else { content::judge_answer(file, size)? };
    let media_type = judged.unwrap_or_else(|reason| reason.media_type());
    let summary = summary_of(fast, media_type, File::open(path)?)?;
    let name = summary.as_ref().and_then(|summary| summary.nom_fic.clone());
    Ok(Measured { size, sha256, media_type, name, summary: summary.map(|summary| summary.json.to_string()) })
}

/// Empties the folder of what is arriving, below the state directory `root`, where the rows that its files are named by are
/// lost: whole ones that say what they are go to their places in the archive, all others to the quarantine. Answers how many
/// of these there are. This blocks.
///
/// # Errors
/// What the system says; what was dealt with before stays so.
pub fn rescue(root: &Path, now: Timestamp) -> io::Result<usize> {
    let entries = match std::fs::read_dir(root.join(layout::INCOMING)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    write::make_folders(root, Path::new(layout::QUARANTINE), 0o700)?;
    let mut set_aside_count = 0;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let whole = match layout::parse_sealed(&name) {
            Some(sealed) => measure(&path)? == (sealed.size, sealed.sha256),
            None => false,
        };
        let feed = tag::read(&path)?.filter(|_| whole);
        match feed.and_then(|tag| Some((tag.feed.parse::<FeedName>().ok()?, tag.remote_id))) {
            Some((feed, remote_id)) => put_away(root, &path, &feed, &remote_id, now)?,
            None => {
                set_aside(root, &path, &layout::safe_name(&name))?;
                set_aside_count += 1;
            }
        }
    }
    Ok(set_aside_count)
}

fn put_away(root: &Path, path: &Path, feed: &FeedName, remote_id: &str, now: Timestamp) -> io::Result<()> {
    let measured = measure_copy(path, feed.platform() == "fast")?;
    let stem = layout::stem(feed, remote_id, now);
    if let Some(folder) = Path::new(&stem).parent() {
        write::make_folders(root, folder, 0o700)?;
    }
    let extension = measured.media_type.extension();
    let place = root.join(format!("{stem}.{}.{extension}", &measured.sha256[..8]));
    write::sync_file(path)?;
    write::place(path, &place)?;
    place.parent().map_or(Ok(()), write::sync_folder)
}
