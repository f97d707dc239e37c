//! Inboxes that nobody empties: their oldest file tells.

use std::fs::DirEntry;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::config::Inbox;
use crate::ledger::Stale;

/// Files and folders looked at: an inbox of more is told by those.
const MOST: usize = 20_000;
/// An inbox whose server is away is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long ago `since` was, as people say it.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let hours = now.duration_since(since).as_hours();
    if hours < 48 { format!("{hours} h") } else { format!("{} days", hours / 24) }
}

/// The oldest file of `inbox`, where that is older than it may be. `None` also where that cannot be told in time.
pub async fn oldest(inbox: &Inbox, now: Timestamp) -> Option<Stale> {
    let limit = SignedDuration::try_from(inbox.inbox_stale).ok().filter(|limit| !limit.is_zero())?;
    let (answer, answered) = oneshot::channel();
    let root = inbox.inbox.clone();
    // A thread of its own, as for what is copied there: it may hang.
    std::thread::Builder::new()
        .name("inbox".to_owned())
        .spawn(move || {
            // Nobody listens any more where it took too long.
            let _ = answer.send(walk(&root));
        })
        .ok()?;
    let found = timeout(PATIENCE, answered).await.ok()?.ok()??;
    (now.duration_since(found.since) >= limit).then_some(found)
}

/// The oldest file below `root`; what is hidden is our own, and links lead elsewhere.
fn walk(root: &Path) -> Option<Stale> {
    let mut oldest: Option<Stale> = None;
    let (mut folders, mut seen) = (vec![root.to_owned()], 0);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.filter_map(Result::ok) {
            seen += 1;
            if seen > MOST {
                return oldest;
            }
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => oldest = older(oldest, &entry, root),
                _ => {}
            }
        }
    }
    oldest
}

fn older(known: Option<Stale>, entry: &DirEntry, root: &Path) -> Option<Stale> {
    let Some(since) = entry.metadata().ok().and_then(|facts| Timestamp::try_from(facts.modified().ok()?).ok()) else {
        return known;
    };
    if known.as_ref().is_some_and(|known| known.since <= since) {
        return known;
    }
    let path = entry.path();
    Some(Stale { file: path.strip_prefix(root).unwrap_or(&path).to_owned(), since })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::SystemTime;

    use super::*;

    #[tokio::test]
    async fn the_oldest_file_tells_unless_it_is_hidden_or_young_enough() {
        let folder = tempfile::tempdir().unwrap();
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let put = |name: &str, age: i64| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let at = SystemTime::from(now - SignedDuration::from_hours(age));
            File::create(path).unwrap().set_modified(at).unwrap();
        };
        let inbox = |hours: u64| Inbox {
            inbox: folder.path().to_owned(),
            file_mode: 0o640,
            inbox_stale: Duration::from_secs(3600 * hours),
        };
        assert_eq!(oldest(&inbox(24), now).await, None);
        put("fast/mairie/chorus/1.xml", 20);
        put(".vaguemestre/2.part", 90);
        assert_eq!(oldest(&inbox(24), now).await, None);
        put("fast/ccas/chorus/3.xml", 50);
        put("fast/mairie/chorus/4.xml", 30);
        let found = oldest(&inbox(24), now).await.unwrap();
        assert_eq!(
            (found.file.to_str().unwrap(), age(found.since, now).as_str()),
            ("fast/ccas/chorus/3.xml", "2 days")
        );
        assert_eq!(oldest(&inbox(60), now).await, None);
        assert_eq!(oldest(&inbox(0), now).await, None, "it is switched off");
    }
}
