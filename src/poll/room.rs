//! Room on the disk (F9): what running downloads may still need is promised to them, and to nobody else.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// What is said while the disk is low.
pub const LOW: &str = "free space is below [state] reserve, or the disk has hardly any inodes left: nothing is collected; \
                       make room on that disk";

/// The disk of a state directory.
#[derive(Debug)]
pub struct Room {
    root: Arc<PathBuf>,
    /// Free space, in bytes, below which nothing is collected.
    reserve: AtomicU64,
    /// Bytes promised to running downloads.
    promised: AtomicU64,
    /// Rung at the end of each download.
    freed: Notify,
}

impl Room {
    /// The disk that holds `root`, of which `reserve` bytes stay free.
    #[must_use]
    pub fn new(root: Arc<PathBuf>, reserve: u64) -> Self {
        Self { root, reserve: AtomicU64::new(reserve), promised: AtomicU64::new(0), freed: Notify::new() }
    }

    /// Another reserve, from now on.
    pub fn keep_free(&self, reserve: u64) {
        self.reserve.store(reserve, Ordering::Relaxed);
    }

    /// Whether the disk itself has no more than the reserve left, or cannot be asked.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.left(0) == 0
    }

    /// Whether a listing may start: not while running downloads may need all there is.
    #[must_use]
    pub fn allows_listing(&self) -> bool {
        self.left(self.promised.load(Ordering::Relaxed)) > 0
    }

    /// Bytes above the reserve, less those promised; none where the disk cannot be asked.
    fn left(&self, promised: u64) -> u64 {
        let free = crate::state::free_space(&self.root).unwrap_or(0);
        free.saturating_sub(promised).saturating_sub(self.reserve.load(Ordering::Relaxed))
    }

    /// Promises `bytes` to a download, if what is free, less what running downloads may need, stays above the reserve.
    /// Waits for others to end where they may need it all; `None` where the disk is low and none runs.
    pub(super) async fn promise(&self, bytes: u64) -> Option<Promise<'_>> {
        loop {
            let freed = self.freed.notified();
            let promised = self.promised.load(Ordering::Relaxed);
            if self.left(promised) > 0 {
                let wanted = promised.saturating_add(bytes);
                let taken = self.promised.compare_exchange(promised, wanted, Ordering::Relaxed, Ordering::Relaxed);
                if taken.is_ok() {
                    return Some(Promise { room: self, bytes });
                }
            } else if promised == 0 {
                return None;
            } else {
                freed.await;
            }
        }
    }
}

/// Room promised to a download, until this is dropped.
#[derive(Debug)]
pub(super) struct Promise<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        self.room.promised.fetch_sub(self.bytes, Ordering::Relaxed);
        self.room.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(reserve: impl FnOnce(u64) -> u64) -> (tempfile::TempDir, Room, u64) {
        let folder = tempfile::tempdir().unwrap();
        let free = crate::state::free_space(folder.path()).unwrap();
        let room = Room::new(Arc::new(folder.path().to_owned()), reserve(free));
        (folder, room, free)
    }

    #[tokio::test]
    async fn a_download_waits_for_the_room_of_another_and_not_for_ever_where_there_is_none() {
        let (_folder, room, free) = room(|free| free / 2);
        let first = room.promise(free / 3).await.unwrap();
        assert!(room.allows_listing());
        let second = room.promise(free / 3).await.unwrap();
        assert!(!room.allows_listing() && !room.is_low());
        let mut third = Box::pin(room.promise(1));
        assert!(futures_util::FutureExt::now_or_never(third.as_mut()).is_none());
        drop(first);
        drop(third.await.unwrap());
        drop(second);
        room.keep_free(free.saturating_mul(2));
        assert!(room.promise(1).await.is_none());
    }

    #[test]
    fn a_disk_with_less_than_the_reserve_is_low() {
        let (_folder, room, _) = room(|free| free.saturating_mul(2));
        assert!(room.is_low() && !room.allows_listing());
    }
}
