//! Synced files are given their final names. All of this blocks.

use std::io;
use std::path::Path;

use super::aside::{move_aside, partial_stem};
use super::syncing::Synced;
use super::{IntakeError, Sealed};
use crate::archive::tag::{self, Tag};
use crate::archive::write::{self, Destinations, Folders};
use crate::ledger::Claimed;

/// What a copy of `document` says of itself.
pub(super) fn tag_of(document: &Claimed) -> Tag {
    Tag::of(document.feed.as_str(), (&document.origin, &document.siren), document.remote())
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
pub(super) fn place_all(
    root: &Path,
    known: &Folders,
    batch: Vec<(Sealed, Synced)>,
) -> Vec<(Sealed, Synced, Result<String, Unplaced>)> {
    let mut destinations = Destinations::new(root, known, 0o700);
    let mut placed: Vec<(Sealed, Synced, Result<String, Unplaced>)> = batch
        .into_iter()
        .map(|(mut sealed, synced)| {
            let prepared = destinations.prepare(Path::new(&sealed.document.stem));
            let outcome = prepared.and_then(|()| place_one(root, &mut sealed, synced));
            (sealed, synced, outcome.map_err(Unplaced::Again))
        })
        .collect();
    for (folder, error) in destinations.sync() {
        for (sealed, _, outcome) in &mut placed {
            if outcome.is_ok() && Path::new(&sealed.document.stem).parent() == Some(&folder) {
                *outcome = Err(Unplaced::Lost(io::Error::new(error.kind(), error.to_string())));
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
fn place_one(root: &Path, sealed: &mut Sealed, synced: Synced) -> io::Result<String> {
    let (stem, extension) = (&sealed.document.stem, sealed.media_type.extension());
    let names = [format!("{stem}.{extension}"), format!("{stem}.{}.{extension}", &sealed.sha256[..8])];
    let mut refused = None;
    for name in names {
        let place = root.join(&name);
        if sealed.path != place && !synced.tagged {
            tag::attach_beside(&place, &tag_of(&sealed.document))?;
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
