//! A ledger put back from a copy, while no daemon runs.
//!
//! The copy is judged, and every feed put off by an interval, before it takes the place of the ledger, which is moved aside and
//! never overwritten. What the archive holds beyond the copy is taken up: each file says what it is a copy of.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use nix::fcntl::OFlag;
use tokio::task::spawn_blocking;

use super::apis;
use super::house::{House, HouseError};
use crate::archive::tag::{self, Tag};
use crate::archive::{layout, write};
use crate::clock::Clock;
use crate::config::Settings;
use crate::feed::FeedName;
use crate::intake::{self, Measured};
use crate::ledger::{self, Acquaintance, Copy, Ledger, LedgerError};
use crate::schedule::Seed;
use crate::state::{Role, StateDirectory, StateError};

/// Where the copy is made ready, below the state directory.
const DESK: &str = ".restoring";
/// A ledger has up to three files.
const ENDS: [&str; 3] = ["", "-wal", "-shm"];
/// What every SQLite database begins with (<https://sqlite.org/fileformat.html>, §1.2).
const HEADER: &[u8; 16] = b"SQLite format 3\0";
/// Copies recorded together.
const BATCH: usize = 200;
/// Files of the archive that are named one by one.
const NAMED: usize = 20;

/// Why a ledger was not put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The copy cannot be taken.
    #[error("{} cannot be put back: {source}", path.display())]
    Copy {
        /// The copy.
        path: PathBuf,
        /// What is wrong with it.
        source: LedgerError,
    },
    /// Files of the state directory cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The restored ledger.
    #[error(transparent)]
    House(#[from] HouseError),
    /// The restored ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl RestoreError {
    /// What the operator does about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::State(error @ StateError::Held { .. }) => {
                format!("stop the daemon first (`systemctl stop vaguemestre`); {}", error.remedy())
            }
            Self::State(error) => error.remedy().to_owned(),
            Self::Copy { .. } => "nothing was changed; take another of the copies in [state] backup".to_owned(),
            Self::Disk { .. } => {
                "correct its name, owner and mode, or make room; then give the command again".to_owned()
            }
            Self::House(error) => error.remedy(),
            Self::Ledger(error) => error.remedy().to_owned(),
        }
    }
}

/// A copy of a ledger, opened by whoever gives the command: the daemon's user may not be able to read it where it lies.
#[derive(Debug)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    main: File,
    /// What SQLite had not yet moved into a copy that was made file by file.
    wal: Option<File>,
}

impl Source {
    /// Opens the copy at `path`.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: PathBuf) -> Result<Self, RestoreError> {
        let failed = |source| RestoreError::Disk { path: path.clone(), source };
        let mut main = open(&path).map_err(failed)?;
        // Root could be led to any file by a link: nothing but a database is ever read further than this.
        let mut head = [0; HEADER.len()];
        if main.read_exact(&mut head).is_err() || head != *HEADER {
            let detail = "it is no SQLite database".to_owned();
            let source = LedgerError::Corrupt { path: path.clone(), detail };
            return Err(RestoreError::Copy { path, source });
        }
        main.rewind().map_err(failed)?;
        let wal = match open(Path::new(&format!("{}-wal", path.display()))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => Some(other.map_err(failed)?),
        };
        Ok(Self { path, main, wal })
    }
}

/// Opens a regular file; a link is not followed.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a file")) }
}

/// What putting back came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Where the ledger that was there before lies now.
    pub aside: Option<PathBuf>,
    /// Documents taken up from the archive: they are handed over again.
    pub adopted: usize,
    /// Files that were arriving, and went to the quarantine: nothing says what they are.
    pub set_aside: usize,
    /// Files of the archive that say nothing of themselves, or are of no feed that is known; the first of them.
    pub unknown: Vec<PathBuf>,
    /// How many of these there are.
    pub unknown_count: usize,
    /// When the first feed is due.
    pub first_poll: Option<Timestamp>,
}

/// Puts the copy at `copy` in the place of the ledger, and takes up what the archive holds beyond it.
///
/// # Errors
/// Why not. Until the copy is in place nothing has changed; from then on the command can be given again.
pub async fn restore(settings: Settings, copy: Source, clock: Arc<dyn Clock>) -> Result<Restored, RestoreError> {
    let now = clock.now();
    let state = StateDirectory::hold(&settings.state.directory, Role::Command, now).await?;
    let root = state.path().to_owned();
    let desk = root.join(DESK);
    let interval = SignedDuration::try_from(settings.schedule.interval).unwrap_or(SignedDuration::MAX);
    let prepared = prepare(copy, &desk, interval, &clock).await;
    if prepared.is_err() {
        // The error says more than that its remains could not be removed.
        let _ = std::fs::remove_dir_all(&desk);
    }
    prepared?;
    let failed = |source| RestoreError::Disk { path: root.clone(), source };
    let aside = exchange(&root, &desk, now).map_err(failed)?;
    // What was arriving is named by rows of the lost ledger, which this one will give to others.
    let set_aside = intake::rescue(&root, now).map_err(failed)?;
    let house = House::open_held(state, settings, Arc::clone(&clock)).await?;
    let restored = take_up(&house, interval).await;
    house.close().await;
    restored.map(|restored| Restored { aside, set_aside, ..restored })
}

/// Makes the copy ready in the folder `desk`: judged, migrated, and every feed put off, before it is in place; for whoever starts
/// the daemon in the middle of this shall find a ledger that waits.
async fn prepare(
    copy: Source,
    desk: &Path,
    interval: SignedDuration,
    clock: &Arc<dyn Clock>,
) -> Result<(), RestoreError> {
    let path = copy.path.clone();
    let refused = |source| RestoreError::Copy { path: path.clone(), source };
    make_ready(copy, desk).map_err(|source| RestoreError::Disk { path: desk.to_owned(), source })?;
    ledger::judge_copy(&desk.join(ledger::FILE)).await.map_err(refused)?;
    let now = clock.now();
    let fresh = Ledger::open(desk, now).await.map_err(refused)?;
    let put_off = fresh.postpone_all(interval, now, clock.boot()).await;
    fresh.close().await;
    Ok(put_off?)
}

/// Copies `copy` to the folder `desk`, as the ledger that it is going to be.
fn make_ready(copy: Source, desk: &Path) -> io::Result<()> {
    if desk.symlink_metadata().is_ok() {
        std::fs::remove_dir_all(desk)?;
    }
    let (Some(root), Some(name)) = (desk.parent(), desk.file_name()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    write::make_folders(root, Path::new(name), 0o700)?;
    for (end, from) in [("", Some(copy.main)), ("-wal", copy.wal)] {
        let Some(mut from) = from else { continue };
        let mut file = write::create(&desk.join(format!("{}{end}", ledger::FILE)))?;
        io::copy(&mut from, &mut file)?;
        file.sync_all()?;
    }
    write::sync_folder(desk)
}

/// Gives the present ledger, with all that belongs to it, a second name, and puts the new one into its place. Answers where the
/// old one is; whatever happens in between, it is whole under one of its names.
fn exchange(root: &Path, desk: &Path, now: Timestamp) -> io::Result<Option<PathBuf>> {
    let own = |end: &str| root.join(format!("{}{end}", ledger::FILE));
    let stamp = now.to_zoned(TimeZone::UTC).strftime("%Y%m%dT%H%M%SZ").to_string();
    let aside = (0..1000)
        .map(|number| if number == 0 { stamp.clone() } else { format!("{stamp}-{number}") })
        .map(|name| root.join(format!("{}.replaced-{name}", ledger::FILE)))
        .find(|path| {
            ENDS.iter().all(|end| PathBuf::from(format!("{}{end}", path.display())).symlink_metadata().is_err())
        })
        .ok_or_else(|| io::Error::other("a thousand ledgers lie aside already; remove some"))?;
    let mut there = false;
    for end in ENDS {
        match std::fs::hard_link(own(end), format!("{}{end}", aside.display())) {
            Ok(()) => there = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    write::sync_folder(root)?;
    // What SQLite had beside the old one is not the new one's.
    for end in &ENDS[1..] {
        match std::fs::remove_file(own(end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(desk.join(ledger::FILE), own(""))?;
    std::fs::remove_dir_all(desk)?;
    write::sync_folder(root)?;
    Ok(there.then_some(aside))
}

/// Plans the feeds one by one, and takes up what the archive holds.
async fn take_up(house: &House, interval: SignedDuration) -> Result<Restored, RestoreError> {
    let (now, boot) = (house.clock.now(), house.clock.boot());
    // Feeds that only the configuration knows may have been listed by the lost ledger as well.
    house.ledger.postpone_all(interval, now, boot).await?;
    let (plan, seed) = (house.plan(), Seed(house.ledger.seed()));
    let mut plans = Vec::new();
    for feed in plan.catalog.values() {
        if let Some(due) = house.ledger.feed(&feed.name).await? {
            let next = feed.cadence.next(&seed, feed.name.as_str(), now, now);
            let pause = SignedDuration::try_from(feed.cadence.interval()).unwrap_or(SignedDuration::MAX);
            let earliest = now.checked_add(pause).unwrap_or(Timestamp::MAX);
            plans.push((due, next.max(earliest)));
        }
    }
    let first_poll = plans.iter().map(|(_, next)| *next).min();
    house.ledger.plan_anew(plans).await?;
    let mut restored = Restored { first_poll, ..Restored::default() };
    let root = house.state.path().to_owned();
    let listed = spawn_blocking({
        let root = root.clone();
        move || files(&root.join(layout::ARCHIVE))
    });
    let failed = |source| RestoreError::Disk { path: root.join(layout::ARCHIVE), source };
    let mut batch = Vec::new();
    for path in listed.await.map_err(|error| failed(error.into()))?.map_err(failed)? {
        match judge(house, &path).await? {
            Known::Held => {}
            Known::Beyond(copy) => batch.push(*copy),
            Known::Not => {
                restored.unknown_count += 1;
                if restored.unknown.len() < NAMED {
                    restored.unknown.push(path);
                }
            }
        }
        if batch.len() >= BATCH {
            restored.adopted += batch.len();
            house.ledger.adopt_copies(std::mem::take(&mut batch), now).await?;
        }
    }
    restored.adopted += batch.len();
    house.ledger.adopt_copies(batch, now).await?;
    apis::enrol(house, &plan.catalog, false).await?;
    Ok(restored)
}

/// What a file of the archive is to the ledger.
enum Known {
    Held,
    Beyond(Box<Copy>),
    Not,
}

async fn judge(house: &House, path: &Path) -> Result<Known, RestoreError> {
    let failed = |source| RestoreError::Disk { path: path.to_owned(), source };
    let read = |path: PathBuf| spawn_blocking(move || tag::read(&path));
    let tag = read(path.to_owned()).await.map_err(|error| failed(error.into()))?.map_err(failed)?;
    let Some((then, tag)) = tag.and_then(|tag| Some((tag.feed.parse::<FeedName>().ok()?, tag))) else {
        return Ok(Known::Not);
    };
    let Some(feed) = house.ledger.feed_of(&tag.origin, &tag.siren, then.kind()).await? else { return Ok(Known::Not) };
    match house.ledger.acquaintance(&feed, &tag.remote_id).await? {
        Acquaintance::Held => Ok(Known::Held),
        Acquaintance::NoFeed => Ok(Known::Not),
        Acquaintance::New => {
            let (owned, fast) = (path.to_owned(), feed.platform() == "fast");
            let measured = spawn_blocking(move || intake::measure_copy(&owned, fast));
            let measured = measured.await.map_err(|error| failed(error.into()))?.map_err(failed)?;
            Ok(copy(house, path, feed, tag, measured).map_or(Known::Not, |copy| Known::Beyond(Box::new(copy))))
        }
    }
}

fn copy(house: &House, path: &Path, feed: FeedName, tag: Tag, measured: Measured) -> Option<Copy> {
    let archive_path = path.strip_prefix(house.state.path()).ok()?.to_str()?.to_owned();
    let plan = house.plan();
    let wanted = plan.settings.delivery.targets.iter().filter(|target| target.wants(&feed));
    let source = plan.catalog.get(&feed).map(|feed| &feed.source);
    Some(Copy {
        subject: subject(&tag.remote_id).filter(|_| feed.platform() != "fast").map(str::to_owned),
        release: source.filter(|source| source.keeps_files()).map(crate::poll::Source::release),
        targets: wanted.map(|target| target.name.clone()).collect(),
        document: tag.document(),
        feed,
        archive_path,
        size: i64::try_from(measured.size).ok()?,
        sha256: measured.sha256,
        media_type: measured.media_type.as_str(),
        name: measured.name,
        summary: measured.summary,
    })
}

/// Whose version a remote id names: `<subject>@<UTC start of its fetch>`.
fn subject(remote_id: &str) -> Option<&str> {
    let (subject, at) = remote_id.rsplit_once('@')?;
    jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S%.fZ", at).ok().map(|_| subject)
}

/// Every copy below `folder`; what is hidden, and the quarantine, are none.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            let kind = entry.file_type()?;
            if kind.is_dir() && !hidden && !entry.path().ends_with(layout::QUARANTINE) {
                folders.push(entry.path());
            } else if kind.is_file() && !hidden {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_name_their_subject() {
        assert_eq!(super::subject("552032534@20261122T201500.123Z"), Some("552032534"));
        assert_eq!(super::subject("PES/a.xml@1f-5e"), None);
        assert_eq!(super::subject("320073963"), None);
    }
}
