//! How a file gets to its place safely: written elsewhere, synced, renamed without ever replacing, its folder synced.
//!
//! All of this blocks: call it from a blocking thread.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::step::step;

/// Makes a new file, 0600, which must not be there yet; symbolic links are not followed.
///
/// # Errors
/// What the system says.
pub fn create(path: &Path) -> io::Result<File> {
    step("create");
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    step("created");
    Ok(file)
}

/// Folders remembered at most; forgetting them costs a sync of each.
const REMEMBERED: usize = 20_000;

/// Folders that are known to be durable. That a folder is there proves nothing: whoever made it may have died, or have been
/// refused, before its parent was synced.
#[derive(Debug, Default)]
pub struct Folders {
    known: Mutex<HashSet<PathBuf>>,
}

impl Folders {
    /// Makes the folders of `relative` below `root` that are missing, with `mode` (less the umask), and syncs the parent of
    /// each that is not known yet. A new folder whose parent cannot be synced is removed: the next try makes it anew.
    ///
    /// # Errors
    /// What the system says; `NotADirectory` where a file or a link stands in the way.
    pub fn make(&self, root: &Path, relative: &Path, mode: u32) -> io::Result<()> {
        let mut path = root.to_owned();
        for part in relative.components() {
            let parent = path.clone();
            path.push(part);
            let new = match DirBuilder::new().mode(mode).create(&path) {
                Ok(()) => {
                    step("folder made");
                    true
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    refuse_link(&path)?;
                    false
                }
                Err(error) => return Err(error),
            };
            if new || !self.knows(&path) {
                sync_folder(&parent).inspect_err(|_| {
                    if new {
                        // What cannot be removed is found, and synced, by the next try.
                        let _ = std::fs::remove_dir(&path);
                    }
                })?;
                self.remember(&path);
            }
        }
        Ok(())
    }

    fn knows(&self, path: &Path) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    fn remember(&self, path: &Path) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(path.to_owned());
    }
}

/// The folders below `root` that a batch of files goes to: each made once, and synced once at the end.
#[derive(Debug)]
pub struct Destinations<'a> {
    root: &'a Path,
    known: &'a Folders,
    mode: u32,
    ready: BTreeSet<PathBuf>,
}

impl<'a> Destinations<'a> {
    /// None yet; those to be made get `mode` (less the umask).
    #[must_use]
    pub fn new(root: &'a Path, known: &'a Folders, mode: u32) -> Self {
        Self { root, known, mode, ready: BTreeSet::new() }
    }

    /// Makes the folder of the file `relative` where it is missing.
    ///
    /// # Errors
    /// As [`Folders::make`].
    pub fn prepare(&mut self, relative: &Path) -> io::Result<()> {
        let Some(folder) = relative.parent() else { return Ok(()) };
        if !self.ready.contains(folder) {
            self.known.make(self.root, folder, self.mode)?;
            self.ready.insert(folder.to_owned());
        }
        Ok(())
    }

    /// Makes the names in all of them durable; answers the folders, relative to the root, of which that failed.
    #[must_use]
    pub fn sync(self) -> BTreeMap<PathBuf, io::Error> {
        let failed = |folder: PathBuf| sync_folder(&self.root.join(&folder)).err().map(|error| (folder, error));
        self.ready.into_iter().filter_map(failed).collect()
    }
}

/// As [`Folders::make`], where no folder is known yet.
///
/// # Errors
/// What the system says; `NotADirectory` where a file or a link stands in the way.
pub fn make_folders(root: &Path, relative: &Path, mode: u32) -> io::Result<()> {
    Folders::default().make(root, relative, mode)
}

/// A link planted where a folder belongs could lead our files anywhere.
fn refuse_link(path: &Path) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        Ok(())
    } else {
        let text = format!("{} is not a folder (a file or a link stands in its place)", path.display());
        Err(io::Error::new(io::ErrorKind::NotADirectory, text))
    }
}

/// Makes the file's bytes durable, and what is said of it ([`super::tag`]). After an error the kernel may call the page clean: never try again, the file counts
/// as lost.
///
/// # Errors
/// What the system says.
pub fn sync_file(path: &Path) -> io::Result<()> {
    sync(&File::open(path)?)
}

/// As [`sync_file`], of a file that is open.
///
/// # Errors
/// What the system says.
pub fn sync(file: &File) -> io::Result<()> {
    step("sync");
    file.sync_all()?;
    step("synced");
    Ok(())
}

/// Makes the names in a folder durable.
///
/// # Errors
/// What the system says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = File::open(path)?;
    step("folder sync");
    folder.sync_all()?;
    step("folder synced");
    Ok(())
}

/// Renames `from` to `to`, which is never replaced: the same bytes there already means done, other bytes are an error.
///
/// # Errors
/// `AlreadyExists` where other bytes lie at `to`; otherwise what the system says.
pub fn place(from: &Path, to: &Path) -> io::Result<()> {
    // Adopted where it lies already: "the same bytes there" would otherwise remove the only copy.
    if from == to {
        return Ok(());
    }
    step("place");
    let renamed = rename_new(from, to);
    step("placed");
    match renamed {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if same_bytes(from, to)? {
                std::fs::remove_file(from)
            } else {
                let text = format!("{} exists and holds other bytes", to.display());
                Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
            }
        }
        other => other,
    }
}

fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE) {
        // Some file systems (NFS) lack the flag: a hard link refuses an existing name as well.
        Err(nix::Error::EINVAL | nix::Error::ENOSYS) => {
            std::fs::hard_link(from, to)?;
            step("linked");
            std::fs::remove_file(from)
        }
        other => Ok(other?),
    }
}

/// Whether two files hold the same bytes. A link at `b` counts as other bytes.
fn same_bytes(a: &Path, b: &Path) -> io::Result<bool> {
    let facts = b.symlink_metadata()?;
    if !facts.is_file() || facts.len() != a.metadata()?.len() {
        return Ok(false);
    }
    let (mut a, mut b) = (BufReader::new(File::open(a)?), BufReader::new(File::open(b)?));
    let (mut left, mut right) = ([0_u8; 8192], [0_u8; 8192]);
    loop {
        let count = a.read(&mut left)?;
        if count == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..count])?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn a_rename_never_replaces_other_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (file(folder.path(), "new", b"new bytes"), file(folder.path(), "old", b"old bytes"));
        assert_eq!(place(&new, &old).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&old).unwrap(), b"old bytes");
        assert!(new.exists(), "the refused bytes are still there");
    }

    #[test]
    fn the_same_bytes_already_in_place_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (file(folder.path(), "new", b"bytes"), file(folder.path(), "old", b"bytes"));
        place(&new, &old).unwrap();
        assert!(!new.exists());
    }

    #[test]
    fn a_file_already_in_its_place_stays() {
        let folder = tempfile::tempdir().unwrap();
        let only = file(folder.path(), "only", b"bytes");
        place(&only, &only).unwrap();
        assert_eq!(std::fs::read(&only).unwrap(), b"bytes");
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.path().join("fast")).unwrap();
        let error = make_folders(folder.path(), Path::new("fast/mairie"), 0o700).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        assert!(!outside.path().join("mairie").exists());
        let target = file(outside.path(), "target", b"bytes");
        std::os::unix::fs::symlink(&target, folder.path().join("final")).unwrap();
        let new = file(folder.path(), "new", b"bytes");
        assert!(place(&new, &folder.path().join("final")).is_err());
    }
}
