//! What is kept no longer than `[archive] keep`: copies that nobody waits for any more, what was set aside of documents that are
//! closed, and ledgers that were replaced or migrated. The documents' rows stay: what was held is never downloaded again.
//!
//! Each round does a bounded piece of work and goes on where the last one ended.

use std::path::Path;
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::House;
use crate::archive::{layout, remove};
use crate::ledger::{self, LedgerError, Place, Removal};
use crate::log::event;

/// Copies looked at in a round.
const MOST: usize = 20_000;
/// Copies dealt with together.
const PAGE: u32 = 500;
/// Files of the quarantine removed in a round.
const MOST_SET_ASIDE: usize = 2_000;
/// How a ledger that was replaced is called, behind its own name, by the time in UTC.
const REPLACED: &str = ".replaced-";
const STAMP: &str = "%Y%m%dT%H%M%SZ";
const STAMP_LENGTH: usize = 16;
/// How the copy made before a migration is called, likewise.
const BEFORE: &str = ".before-";

/// Where the next round begins. Held while one goes on.
#[derive(Debug, Default)]
pub(super) struct Purge {
    place: Mutex<Place>,
}

/// What a round came to.
#[derive(Default)]
struct Count {
    copies: usize,
    set_aside: usize,
    ledgers: usize,
}

/// One round, unless one goes on.
pub(super) async fn purge(house: Arc<House>) {
    let Ok(mut place) = house.purge.place.try_lock() else { return };
    let now = house.clock.now();
    let keep = SignedDuration::try_from(house.plan().settings.archive.keep).unwrap_or(SignedDuration::MAX);
    let Ok(before) = now.checked_sub(keep) else { return };
    let mut count = Count::default();
    let outcome = round(&house, &mut place, before, now, &mut count).await;
    let Count { copies, set_aside, ledgers } = count;
    if copies + set_aside + ledgers > 0 {
        tracing::info!(
            event = event::ARCHIVE_PURGED,
            copies,
            set_aside,
            ledgers,
            "purged what is older than [archive] keep: {copies} copies, {set_aside} files of the quarantine, {ledgers} old ledgers"
        );
    }
    if let Err(error) = outcome {
        tracing::warn!(
            event = event::LEDGER_FAILED,
            kind = error.kind(),
            "the archive is purged further in an hour: {error}"
        );
    }
}

async fn round(
    house: &House,
    place: &mut Place,
    before: Timestamp,
    now: Timestamp,
    count: &mut Count,
) -> Result<(), LedgerError> {
    // What an earlier round, or a run that died, has begun.
    count.copies += remove_given_up(house, now).await?;
    let mut seen = 0;
    while seen < MOST {
        let old = house.ledger.old_copies(before, place.clone(), PAGE).await?;
        seen += old.seen;
        if house.ledger.give_up_copies(old.removable, now).await? > 0 {
            count.copies += remove_given_up(house, now).await?;
        }
        // At the end the next round begins anew: what was waited for may be waited for no more.
        *place = old.last.unwrap_or_default();
        if old.seen < PAGE as usize {
            *place = Place::default();
            break;
        }
    }
    count.set_aside = purge_quarantine(house, before).await?;
    let root = house.state.path().to_owned();
    count.ledgers = spawn_blocking(move || purge_ledgers(&root, before)).await.unwrap_or_default();
    Ok(())
}

/// Removes the copies that were given up. Answers how many.
pub(super) async fn remove_given_up(house: &House, now: Timestamp) -> Result<usize, LedgerError> {
    let (mut after, mut count) = (0, 0);
    loop {
        let page = house.ledger.copies_to_remove(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(count) };
        after = last.id;
        let removed = remove_files(house, page, now).await;
        count += removed.len();
        house.ledger.forget_copies(removed).await?;
    }
}

/// Removes files; answers those that are gone. The others stay given up, and are tried again.
async fn remove_files(house: &House, page: Vec<Removal>, now: Timestamp) -> Vec<Removal> {
    let root = house.state.path().to_owned();
    let yesterday = (now - SignedDuration::from_hours(24)).to_zoned(TimeZone::UTC).date();
    let removed = spawn_blocking(move || {
        let paths: Vec<String> = page.iter().map(|removal| removal.archive_path.clone()).collect();
        let removed = remove::remove_all(&root, &paths, yesterday);
        page.into_iter().zip(removed).collect::<Vec<_>>()
    });
    let mut gone = Vec::new();
    for (removal, outcome) in removed.await.unwrap_or_default() {
        match outcome {
            Ok(()) => gone.push(removal),
            Err(error) => {
                let path = &removal.archive_path;
                tracing::warn!(event = event::DAEMON_FAULT, path, %error, "{path} cannot be purged: {error}; tried again in an hour");
            }
        }
    }
    gone
}

/// Removes what was set aside before `before`, unless somebody may still ask for it. Answers how many files.
async fn purge_quarantine(house: &House, before: Timestamp) -> Result<usize, LedgerError> {
    let root = house.state.path().to_owned();
    let old = spawn_blocking(move || old_files(&root.join(layout::QUARANTINE), before)).await.unwrap_or_default();
    let paths = old.into_iter().map(|name| format!("{}/{name}", layout::QUARANTINE)).collect();
    let free = house.ledger.release_quarantine(paths).await?;
    let root = house.state.path().to_owned();
    // One that stays is found at the next round.
    let remove = move || free.iter().filter(|path| std::fs::remove_file(root.join(path)).is_ok()).count();
    Ok(spawn_blocking(remove).await.unwrap_or_default())
}

/// Names of files in `folder` that were last written before `before`, some of them where they are many.
fn old_files(folder: &Path, before: Timestamp) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_old = |entry: &std::fs::DirEntry| {
        let facts = entry.metadata().ok().filter(std::fs::Metadata::is_file);
        let written = facts.and_then(|facts| Timestamp::try_from(facts.modified().ok()?).ok());
        written.is_some_and(|written| written < before)
    };
    let old = entries.filter_map(Result::ok).filter(is_old).filter_map(|entry| entry.file_name().into_string().ok());
    old.take(MOST_SET_ASIDE).collect()
}

/// Removes ledgers that were replaced, or copied before a migration, before `before`. Answers how many files.
fn purge_ledgers(root: &Path, before: Timestamp) -> usize {
    let Ok(entries) = std::fs::read_dir(root) else { return 0 };
    let is_old = |entry: &std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(ledger::FILE) else { return false };
        if let Some(stamp) = rest.strip_prefix(REPLACED).and_then(|rest| rest.get(..STAMP_LENGTH)) {
            // It was last written before it was replaced, perhaps long before.
            let at = DateTime::strptime(STAMP, stamp).ok().and_then(|at| at.to_zoned(TimeZone::UTC).ok());
            return at.is_some_and(|at| at.timestamp() < before);
        }
        let copied = || Timestamp::try_from(entry.metadata().ok()?.modified().ok()?).ok();
        rest.starts_with(BEFORE) && copied().is_some_and(|at| at < before)
    };
    let old = entries.filter_map(Result::ok).filter(is_old);
    old.filter(|entry| std::fs::remove_file(entry.path()).is_ok()).count()
}
