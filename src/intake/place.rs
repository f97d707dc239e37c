//! Sealed files synced, and given their final names. All of this blocks.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::reception::{move_aside, partial_stem};
use super::{IntakeError, Sealed};
use crate::archive::tag::{self, Tag};
use crate::archive::write::{self, Folders};
use crate::ledger::Claimed;

/// Threads that sync one batch: more gained nothing on ext4.
const SYNCERS: usize = 4;

/// Syncs every file. An error is final: the kernel may call the page clean after it.
pub(super) fn sync_files(batch: Vec<Sealed>) -> Vec<(Sealed, io::Result<()>)> {
    let share = batch.len().div_ceil(SYNCERS).max(1);
    let synced: Vec<io::Result<()>> = if batch.len() == 1 {
        batch.iter().map(sync).collect()
    } else {
        std::thread::scope(|scope| {
            let sync_all = |part: &[Sealed]| part.iter().map(sync).collect::<Vec<_>>();
            let threads: Vec<_> = batch.chunks(share).map(|part| scope.spawn(move || sync_all(part))).collect();
            threads
                .into_iter()
                .zip(batch.chunks(share))
                .flat_map(|(thread, part)| {
                    let lost = || part.iter().map(|_| Err(io::Error::other("the syncing thread died"))).collect();
                    thread.join().unwrap_or_else(|_| lost())
                })
                .collect()
        })
    };
    batch.into_iter().zip(synced).collect()
}

/// A file says what it is a copy of before it is synced.
fn sync(sealed: &Sealed) -> io::Result<()> {
    tag::attach(&sealed.path, &tag_of(sealed))?;
    write::sync_file(&sealed.path)
}

/// What a copy of `document` says of itself.
pub(super) fn tag_of_claim(document: &Claimed) -> Tag {
    Tag::of(document.feed.as_str(), (&document.origin, &document.siren), document.remote())
}

fn tag_of(sealed: &Sealed) -> Tag {
    tag_of_claim(&sealed.document)
}

/// Why a synced file has no durable name.
#[derive(Debug)]
pub(super) enum Unplaced {
    /// It has kept the name it had, and can be tried again.
    Again(io::Error),
    /// Its folder could not be synced, which is never tried again: its name may be lost.
    Lost(io::Error),
}

/// Renames each synced file to its stem, then syncs each folder once. Answers where each lies, relative to `root`.
pub(super) fn place_all(root: &Path, known: &Folders, batch: Vec<Sealed>) -> Vec<(Sealed, Result<String, Unplaced>)> {
    let mut folders = BTreeSet::new();
    let mut placed: Vec<(Sealed, Result<String, Unplaced>)> = batch
        .into_iter()
        .map(|mut sealed| {
            let outcome = place_one(root, known, &mut sealed).inspect(|path| {
                folders.extend(root.join(path).parent().map(Path::to_owned));
            });
            (sealed, outcome.map_err(Unplaced::Again))
        })
        .collect();
    for folder in folders {
        if let Err(error) = write::sync_folder(&folder) {
            for (_, outcome) in &mut placed {
                if outcome.as_ref().is_ok_and(|path| root.join(path).parent() == Some(&folder)) {
                    *outcome = Err(Unplaced::Lost(io::Error::new(error.kind(), error.to_string())));
                }
            }
        }
    }
    placed
}

/// A file that could not be synced counts as lost, for the system may call it clean now. It leaves the names by which it
/// would be taken for a document after a crash, and stays in the quarantine, for an operator. Answers what is to be said.
pub(super) fn condemn(root: &Path, sealed: Sealed, source: io::Error) -> IntakeError {
    let name = format!("{}.{}.unsynced", partial_stem(&sealed.document), &sealed.sha256[..16]);
    let aside = match move_aside(root, &sealed.path, &name) {
        Ok(path) => Some((path, sealed.sha256)),
        Err(_) => {
            // Better gone than taken for safe. Where even that fails, so does whatever comes next.
            let _ = std::fs::remove_file(&sealed.path);
            None
        }
    };
    IntakeError::Unsynced { path: sealed.path, aside, source }
}

/// The final name: the stem claimed before the request left, with the extension of what the bytes are. Where other bytes
/// lie there already, a part of the checksum keeps the two apart.
fn place_one(root: &Path, known: &Folders, sealed: &mut Sealed) -> io::Result<String> {
    let (stem, extension) = (&sealed.document.stem, sealed.media_type.extension());
    let names = [format!("{stem}.{extension}"), format!("{stem}.{}.{extension}", &sealed.sha256[..8])];
    if let Some(folder) = Path::new(stem).parent() {
        known.make(root, folder, 0o700)?;
    }
    let mut refused = None;
    for name in names {
        let place = root.join(&name);
        if sealed.path != place {
            tag::ensure(&sealed.path, &place, &tag_of(sealed))?;
        }
        match write::place(&sealed.path, &place) {
            Ok(()) => {
                // Tried again, it lies in its place already.
                sealed.path = place;
                return Ok(name);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refused.unwrap_or_else(|| io::Error::other("no name is left")))
}
