//! Sealed files synced, and given their final names. All of this blocks.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::Sealed;
use crate::archive::tag::{self, Tag};
use crate::archive::write;
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

/// Renames each synced file to its stem, then syncs each folder once. Answers where each lies, relative to `root`; a file
/// that could not be placed, or whose folder could not be synced, can be tried again.
pub(super) fn place_all(root: &Path, batch: Vec<Sealed>) -> Vec<(Sealed, io::Result<String>)> {
    let mut folders = BTreeSet::new();
    let mut placed: Vec<(Sealed, io::Result<String>)> = batch
        .into_iter()
        .map(|mut sealed| {
            let outcome = place_one(root, &mut sealed).inspect(|path| {
                folders.extend(root.join(path).parent().map(Path::to_owned));
            });
            (sealed, outcome)
        })
        .collect();
    for folder in folders {
        if let Err(error) = write::sync_folder(&folder) {
            for (_, outcome) in &mut placed {
                if outcome.as_ref().is_ok_and(|path| root.join(path).parent() == Some(&folder)) {
                    *outcome = Err(io::Error::new(error.kind(), error.to_string()));
                }
            }
        }
    }
    placed
}

/// The final name: the stem claimed before the request left, with the extension of what the bytes are. Where other bytes
/// lie there already, a part of the checksum keeps the two apart.
fn place_one(root: &Path, sealed: &mut Sealed) -> io::Result<String> {
    let (stem, extension) = (&sealed.document.stem, sealed.media_type.extension());
    let names = [format!("{stem}.{extension}"), format!("{stem}.{}.{extension}", &sealed.sha256[..8])];
    if let Some(folder) = Path::new(stem).parent() {
        write::make_folders(root, folder, 0o700)?;
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
