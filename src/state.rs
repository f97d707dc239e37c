//! The state directory: its modes, its owner, its lock, its free space.
//!
//! On disk: `lock` (held by whoever works on the state, naming them and their role, a line each), `ledger.sqlite`, `archive/` and, by default,
//! `inbox/`. The lock is the kernel's (`flock`): it goes with the process, so there are no stale ones.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::{Gid, Uid, User};

use crate::schedule::paris;

const LOCK: &str = "lock";
/// A look at the lock (`status`) holds it for an instant: whoever really wants it tries this often.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// What keeps us from the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Someone else works on it.
    #[error("the state directory {} is in use: {holder}", path.display())]
    Held {
        /// The state directory.
        path: PathBuf,
        /// By whom.
        holder: Holder,
    },
    /// It is not there.
    #[error("the state directory {} does not exist", .0.display())]
    Missing(PathBuf),
    /// It cannot be made, opened or written.
    #[error("the state directory {} cannot be used", path.display())]
    Unusable {
        /// The state directory, or the file in it.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// We are root and could not become its owner.
    #[error("cannot become user {user}, the owner of the state directory")]
    Owner {
        /// The owner's name or number.
        user: String,
        /// What the system says.
        source: nix::Error,
    },
}

impl StateError {
    /// What the operator does about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Held { holder, .. } if holder.role == Role::Command => "wait until that command has ended",
            Self::Held { .. } => "stop that one first, or leave the work to it",
            Self::Missing(_) => "start the daemon once (`vaguemestre run` makes it), or correct [state] directory",
            Self::Unusable { .. } => {
                "correct its owner and mode (0750, owned by the daemon's user), or [state] directory"
            }
            Self::Owner { .. } => "run the command as that user: `sudo -u vaguemestre vaguemestre …`",
        }
    }
}

/// What a process holds the state directory for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To poll, and to carry out the requests of commands.
    Daemon,
    /// To carry out one order; it answers no requests.
    Command,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Command => "command",
        }
    }
}

/// Who holds a state directory, as they wrote into its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What for. Who has not written it yet counts as a command: it may become a daemon any moment.
    pub role: Role,
    /// The process and its start, in Paris time.
    pub name: String,
}

impl Holder {
    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let name = lines.next().filter(|name| !name.is_empty()).unwrap_or("another process").to_owned();
        let role = if lines.next() == Some(Role::Daemon.as_str()) { Role::Daemon } else { Role::Command };
        Self { role, name }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.role.as_str())
    }
}

/// The state directory, held by this process alone.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    _lock: Flock<File>,
}

impl StateDirectory {
    /// Makes the directory if it is missing (0750) and takes its lock, as `role`.
    ///
    /// # Errors
    /// [`StateError::Held`] names the holder; otherwise what the system says.
    pub async fn hold(path: &Path, role: Role, now: Timestamp) -> Result<Self, StateError> {
        let unusable = |source| StateError::Unusable { path: path.to_owned(), source };
        if !path.exists() {
            let missing: Vec<&Path> =
                path.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
            DirBuilder::new().recursive(true).mode(0o750).create(path).map_err(unusable)?;
            // Of a relative path the first folder lies where we are.
            let parents = missing.iter().filter_map(|folder| folder.parent());
            for parent in parents.map(|it| if it.as_os_str().is_empty() { Path::new(".") } else { it }) {
                File::open(parent).and_then(|parent| parent.sync_all()).map_err(unusable)?;
            }
        }
        for _ in 0..TRIES {
            let file = open_lock(path)?;
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(mut lock) => {
                    let since = now.to_zoned(paris().clone()).strftime("%Y-%m-%d %H:%M:%S");
                    let text = format!("process {} since {since} (Paris)\n{}\n", std::process::id(), role.as_str());
                    lock.set_len(0).and_then(|()| lock.write_all(text.as_bytes())).map_err(unusable)?;
                    return Ok(Self { path: path.to_owned(), _lock: lock });
                }
                Err((_, nix::Error::EWOULDBLOCK)) => tokio::time::sleep(PAUSE).await,
                Err((_, error)) => return Err(unusable(error.into())),
            }
        }
        Err(StateError::Held { path: path.to_owned(), holder: read_holder(path) })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Who holds the lock of the state directory `path`; `None` where nobody does.
#[must_use]
pub fn holder(path: &Path) -> Option<Holder> {
    let file = File::open(path.join(LOCK)).ok()?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => None,
        Err(_) => Some(read_holder(path)),
    }
}

/// A link in its place is not followed: what it leads to would be emptied.
fn open_lock(path: &Path) -> Result<File, StateError> {
    let path = path.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o640).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(&path).map_err(|source| StateError::Unusable { path, source })
}

fn read_holder(path: &Path) -> Holder {
    let mut text = String::new();
    // What cannot be read names nobody.
    let _ = File::open(path.join(LOCK)).and_then(|file| file.take(200).read_to_string(&mut text));
    Holder::parse(&text)
}

/// The daemon that holds the state directory `path`, if one does.
#[must_use]
pub fn daemon(path: &Path) -> Option<Holder> {
    holder(path).filter(|holder| holder.role == Role::Daemon)
}

/// Inodes without which a file system counts as full: each document takes a few, for files and new folders.
const INODES: u64 = 256;

/// Bytes that an ordinary user may still write on the file system of `path`: none where it has hardly any inodes left.
///
/// # Errors
/// What the system says.
pub fn free_space(path: &Path) -> std::io::Result<u64> {
    let facts = nix::sys::statvfs::statvfs(path)?;
    // Some file systems (btrfs) count none at all.
    if facts.files() > 0 && facts.files_available() < INODES {
        return Ok(0);
    }
    Ok(facts.blocks_available().saturating_mul(facts.fragment_size()))
}

/// Started as root: becomes the owner of the state directory, so that no file in it ever belongs to root.
///
/// # Errors
/// When the system refuses the change.
pub fn become_owner(path: &Path) -> Result<(), StateError> {
    if !Uid::effective().is_root() {
        return Ok(());
    }
    let Ok(facts) = path.metadata() else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(facts.uid()), Gid::from_raw(facts.gid()));
    if uid.is_root() {
        return Ok(());
    }
    let user = User::from_uid(uid).ok().flatten();
    let name = user.as_ref().map_or_else(|| uid.to_string(), |user| user.name.clone());
    let failed = |source| StateError::Owner { user: name.clone(), source };
    match user.as_ref().and_then(|user| std::ffi::CString::new(user.name.as_str()).ok().map(|name| (name, user.gid))) {
        Some((name, gid)) => {
            nix::unistd::initgroups(&name, gid).map_err(failed)?;
            nix::unistd::setgid(gid).map_err(failed)?;
        }
        None => {
            nix::unistd::setgroups(&[gid]).map_err(failed)?;
            nix::unistd::setgid(gid).map_err(failed)?;
        }
    }
    nix::unistd::setuid(uid).map_err(failed)
}

/// What `check` finds wrong with the state directory's mode; `None` where all is well.
#[must_use]
pub fn mode_fault(path: &Path) -> Option<String> {
    let mode = path.metadata().ok()?.permissions().mode() & 0o7777;
    (mode & 0o007 != 0).then(|| format!("its mode is {mode:04o}: everyone on this machine can look into it"))
}
