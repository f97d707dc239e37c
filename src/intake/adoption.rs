//! After a crash: what an earlier run left in the archive is taken up.
//!
//! A file whose content matches its sealed name, or that already bears its final name, is a document that had arrived:
//! it is kept like any other. Everything else that was arriving goes to the quarantine, for it may be all that will
//! ever come.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use tokio::task::spawn_blocking;

use super::reception::{judge, measure, set_aside, summary_of};
use super::{Intake, IntakeError, Sealed};
use crate::archive::layout;
use crate::content::MediaType;
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
            Err(error) => complain(&path, error),
        }
    }
    for document in ledger.claims().await? {
        if let Some((path, media_type)) = final_file(&intake.root, &document) {
            match keep(intake, document, path.clone(), media_type).await {
                Ok(()) => adopted.documents += 1,
                Err(error) => complain(&path, error),
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
    match intake.sort(Sealed { document, path, size, sha256, media_type, summary }).await? {
        Some(sealed) => intake.keep(sealed, None).await,
        None => Ok(()),
    }
}

fn complain(path: &Path, error: IntakeError) {
    let (path, error) = (path.display(), String::from(error));
    tracing::error!(event = event::DAEMON_FAULT, path = %path, error, "{path} was left by an earlier run and cannot be taken up: {error}; it stays where \
        it is, and is looked at again at the next start");
}

fn incoming(root: &Path) -> Result<Vec<PathBuf>, IntakeError> {
    let folder = root.join(layout::INCOMING);
    let failed = |source| IntakeError::Disk { path: folder.clone(), source };
    std::fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
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
