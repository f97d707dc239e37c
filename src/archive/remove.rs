//! How copies leave the archive: file, what is said of it beside it, and the dated folders that are empty then.
//!
//! All of this blocks.

use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path};

use jiff::civil::Date;

use super::{layout, tag, write};

/// Removes the copy at `path`, relative to the state directory `root`, unless it has gone already. Its folder is still to be
/// synced.
///
/// # Errors
/// What the system says; nothing outside the archive is ever removed.
fn remove(root: &Path, path: &str) -> io::Result<()> {
    let path = Path::new(path);
    let within =
        path.starts_with(layout::ARCHIVE) && path.components().all(|part| matches!(part, Component::Normal(_)));
    if !within {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is not of the archive", path.display())));
    }
    let place = root.join(path);
    tag::remove_beside(&place)?;
    gone(std::fs::remove_file(place))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes the copies at `paths`, durably, then the dated folders that are empty and of before `yesterday`: into later ones
/// something may be about to come. Answers, for each path, whether it is gone for good.
#[must_use]
pub fn remove_all(root: &Path, paths: &[String], yesterday: Date) -> Vec<io::Result<()>> {
    let mut removed: Vec<io::Result<()>> = paths.iter().map(|path| remove(root, path)).collect();
    let folders: BTreeSet<&Path> = paths.iter().filter_map(|path| Path::new(path).parent()).collect();
    for folder in folders {
        let synced = gone(write::sync_folder(&root.join(folder)));
        if let Err(error) = synced {
            for (path, outcome) in paths.iter().zip(&mut removed) {
                if Path::new(path).parent() == Some(folder) && outcome.is_ok() {
                    *outcome = Err(io::Error::new(error.kind(), error.to_string()));
                }
            }
            continue;
        }
        prune(root, folder, yesterday);
    }
    removed
}

/// Removes the folder `path`, relative to the state directory, with those in it, as far as they hold no file.
pub fn remove_empty(root: &Path, path: &str) {
    let folder = root.join(path);
    for entry in std::fs::read_dir(&folder).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(root, &format!("{path}/{}", entry.file_name().to_string_lossy()));
        }
    }
    // One that is not empty refuses.
    let _ = std::fs::remove_dir(folder);
}

/// Removes the folder of a day, then of its month and year, as far as they are empty and past.
fn prune(root: &Path, day: &Path, yesterday: Date) {
    let Some((year, month, date)) = dated(day) else { return };
    let of_month = (date.year(), date.month()) < (yesterday.year(), yesterday.month());
    let past = [(day, date < yesterday), (month, of_month), (year, date.year() < yesterday.year())];
    for (folder, is_past) in past {
        // A folder that is not empty refuses; one that stays empty does no harm.
        if !is_past || std::fs::remove_dir(root.join(folder)).is_err() {
            return;
        }
    }
}

/// The year's folder, the month's, and the day that the folder `day` is of.
fn dated(day: &Path) -> Option<(&Path, &Path, Date)> {
    let month = day.parent()?;
    let year = month.parent()?;
    let number = |folder: &Path| folder.file_name()?.to_str()?.parse::<i16>().ok();
    let part = |folder: &Path| i8::try_from(number(folder)?).ok();
    Some((year, month, Date::new(number(year)?, part(month)?, part(day)?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(root: &Path, path: &str) -> String {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), "x").unwrap();
        path.to_owned()
    }

    #[test]
    fn folders_of_the_past_go_with_their_last_copy_and_those_of_the_present_stay() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let feed = "archive/fast/mairie/chorus";
        let paths = ["2025/12/31/1.xml", "2026/10/30/2.xml", "2026/11/20/3.xml", "2026/11/21/4.xml"];
        let paths = paths.map(|path| at(root, &format!("{feed}/{path}")));
        at(root, &format!("{feed}/2026/10/30/5.xml"));
        let removed = remove_all(root, &paths, "2026-11-21".parse().unwrap());
        assert!(removed.iter().all(Result::is_ok));
        let there = |path: &str| root.join(feed).join(path).exists();
        assert!(!there("2025"), "with its month and its day");
        assert!(there("2026/10/30/5.xml") && !there("2026/10/30/2.xml"));
        assert!(!there("2026/11/20") && there("2026/11/21"));
        assert!(
            remove_all(root, &paths, "2026-11-21".parse().unwrap()).iter().all(Result::is_ok),
            "it is done already"
        );
    }

    #[test]
    fn nothing_outside_the_archive_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        at(root, "ledger.sqlite");
        for path in ["ledger.sqlite", "archive/../ledger.sqlite", "/etc/hostname", ""] {
            let outcome = remove_all(root, &[path.to_owned()], "2026-11-21".parse().unwrap()).remove(0);
            assert!(outcome.is_err(), "{path}");
        }
        assert!(root.join("ledger.sqlite").exists());
    }
}
