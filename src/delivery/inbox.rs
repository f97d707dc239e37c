//! Copies into an inbox: a folder tree where the business software picks documents up, and may delete them.
//!
//! On disk: `<platform>/<account>/<kind>/<remote_id>[-<name>].<ext>` below the inbox, and `.vaguemestre/` at its root,
//! where copies are written and synced before they are renamed: nothing unfinished ever shows. All of this blocks.

use std::collections::VecDeque;
use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::crew::{Crew, Syncing};
use crate::archive::layout::{self, hex};
use crate::archive::write::{self, Destinations, Folders};
use crate::config::Inbox;
use crate::ledger::Pending;
use crate::step::step;

/// Where copies are written, below the inbox.
const HIDDEN: &str = ".vaguemestre";
/// Copies on their way to the disk at a time: there may be many couriers.
const ABREAST: usize = 16;
/// The business software's user shares our group.
const FOLDER_MODE: u32 = 0o770;

/// Hands `batch` over; answers, for each, where it lies now or why it does not.
pub(super) fn hand_over(
    root: &Path,
    known: &Folders,
    mark: &str,
    target: &Inbox,
    batch: Vec<Pending>,
) -> Vec<(Pending, Result<PathBuf, String>)> {
    if let Err(error) = prepare(known, &target.inbox) {
        let text = format!("the inbox {} cannot be used: {error}", target.inbox.display());
        return batch.into_iter().map(|pending| (pending, Err(text.clone()))).collect();
    }
    let mut destinations = Destinations::new(&target.inbox, known, FOLDER_MODE);
    let mut handed = Vec::with_capacity(batch.len());
    Crew::at(batch.len(), |crew| {
        let mut under_way = VecDeque::with_capacity(ABREAST);
        for pending in batch {
            if under_way.len() == ABREAST {
                handed.extend(under_way.pop_front().map(|copied| placed(copied, target)));
            }
            let copy = copy(root, crew, &mut destinations, mark, target, &pending);
            under_way.push_back((pending, copy));
        }
        handed.extend(under_way.into_iter().map(|copied| placed(copied, target)));
    });
    let failed = destinations.sync();
    for (_, outcome) in &mut handed {
        let folder = outcome.as_ref().ok().and_then(|path| path.parent()?.strip_prefix(&target.inbox).ok());
        if let Some(fault) = folder.and_then(|folder| failed.get(folder)) {
            // Found again it would pass for delivered, and syncing again proves nothing: the next try makes it anew.
            let _ = outcome.as_ref().map(std::fs::remove_file);
            *outcome = Err(format!("the folder could not be synced: {fault}"));
        }
    }
    handed
}

/// Makes the inbox where it is missing (its parent must be there: an unmounted share is not to be buried).
fn prepare(known: &Folders, inbox: &Path) -> io::Result<()> {
    if !inbox.exists() {
        let (Some(parent), Some(name)) = (inbox.parent(), inbox.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it has no parent folder"));
        };
        known.make(parent, Path::new(name), FOLDER_MODE)?;
    } else if !inbox.join(HIDDEN).exists()
        && let Some(parent) = inbox.parent()
    {
        // We may have made it and died before its parent was synced. Somebody else's parent may be closed to us.
        let _ = write::sync_folder(parent);
    }
    known.make(inbox, Path::new(HIDDEN), FOLDER_MODE)
}

/// Gives a copy its place, in the order of storing.
fn placed((pending, copy): (Pending, io::Result<Copy>), target: &Inbox) -> (Pending, Result<PathBuf, String>) {
    let outcome = copy.and_then(Copy::place).map_err(|error| explain(&error, &pending, target));
    (pending, outcome)
}

/// A copy that is written, and not in its place yet.
struct Copy {
    syncing: Syncing,
    temporary: PathBuf,
    place: PathBuf,
}

fn copy(
    root: &Path,
    crew: &Crew,
    destinations: &mut Destinations<'_>,
    mark: &str,
    target: &Inbox,
    pending: &Pending,
) -> io::Result<Copy> {
    let archived = root.join(&pending.archive_path);
    let extension = archived.extension().map_or_else(|| "bin".into(), |extension| extension.to_string_lossy());
    let relative = layout::inbox_path(&pending.feed, &pending.remote_id, pending.name.as_deref(), &extension);
    destinations.prepare(&relative)?;
    let temporary = target.inbox.join(HIDDEN).join(format!("{mark}.{}.part", pending.id));
    let written = copy_bytes(&archived, &temporary, &pending.sha256)
        .and_then(|file| file.set_permissions(Permissions::from_mode(target.file_mode)).map(|()| file));
    let file = or_removed(written, &temporary)?;
    Ok(Copy { syncing: crew.sync(file), temporary, place: target.inbox.join(relative) })
}

impl Copy {
    /// Gives it its place, once it is synced.
    fn place(self) -> io::Result<PathBuf> {
        let synced = self.syncing.outcome().inspect(|()| step("copy synced"));
        let placed = synced.and_then(|()| write::place(&self.temporary, &self.place));
        or_removed(placed, &self.temporary).map(|()| self.place)
    }
}

/// A copy that came to nothing is of no use: the archive has the document.
fn or_removed<T>(outcome: io::Result<T>, temporary: &Path) -> io::Result<T> {
    outcome.inspect_err(|_| drop(std::fs::remove_file(temporary)))
}

/// Copies and checks: what is handed over is what was stored.
fn copy_bytes(from: &Path, to: &Path, sha256: &str) -> io::Result<File> {
    let mut source = File::open(from)?;
    let mut copy = match write::create(to) {
        // Left by a process of the same number that died in the middle, or a link that somebody planted.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(to)?;
            write::create(to)?
        }
        other => other?,
    };
    let mut hash = Sha256::new();
    let mut chunk = vec![0_u8; 64 << 10];
    loop {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        hash.update(&chunk[..count]);
        copy.write_all(&chunk[..count])?;
        step("copied");
    }
    if hex(&hash.finalize()) != sha256 {
        let text = format!("{} no longer holds the bytes that were stored", from.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(copy)
}

fn explain(error: &io::Error, pending: &Pending, target: &Inbox) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{error}; give the daemon's user write access to {}", target.inbox.display())
        }
        io::ErrorKind::AlreadyExists => format!("{error}; move that file away, and it is delivered at the next try"),
        io::ErrorKind::NotFound => {
            format!("{error} ({} or the archived copy {})", target.inbox.display(), pending.archive_path)
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::time::Duration;

    use super::*;

    #[test]
    fn copies_take_their_places_in_the_order_of_storing_and_one_that_fails_holds_no_other_back() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("archive")).unwrap();
        let pending = |id: i64| {
            let (bytes, archive_path) = (format!("<a>{id}</a>"), format!("archive/{id}.xml"));
            std::fs::write(folder.path().join(&archive_path), &bytes).unwrap();
            // One has changed in the archive since.
            let stored = if id == 20 { "<b/>" } else { bytes.as_str() };
            Pending {
                id,
                created_at: String::new(),
                feed: "fast/mairie/chorus".parse().unwrap(),
                remote_id: id.to_string(),
                archive_path,
                sha256: hex(&Sha256::digest(stored)),
                name: None,
                attempts: 0,
                circuit: None,
                label: None,
                failing_since: None,
                size: 0,
                media_type: String::new(),
                stored_at: String::new(),
                summary: None,
            }
        };
        let batch: Vec<Pending> = (1..=64).map(pending).collect();
        let inbox = Inbox { inbox: folder.path().join("inbox"), file_mode: 0o640, inbox_stale: Duration::ZERO };
        let handed = hand_over(folder.path(), &Folders::default(), "mark", &inbox, batch);
        let failed: Vec<i64> = handed.iter().filter(|(_, at)| at.is_err()).map(|(pending, _)| pending.id).collect();
        assert_eq!((handed.len(), failed), (64, vec![20]));
        // To take its place changes a file's status.
        let placed = |(pending, at): &(Pending, Result<PathBuf, String>)| {
            let facts = at.as_ref().ok()?.metadata().unwrap();
            Some(((facts.ctime(), facts.ctime_nsec()), pending.id))
        };
        let placed: Vec<_> = handed.iter().filter_map(placed).collect();
        let (mut by_id, mut by_time) = (placed.clone(), placed);
        by_id.sort_by_key(|(_, id)| *id);
        by_time.sort();
        assert_eq!(by_time, by_id);
        assert_eq!(std::fs::read_dir(inbox.inbox.join(HIDDEN)).unwrap().count(), 0, "nothing unfinished is left");
    }
}
