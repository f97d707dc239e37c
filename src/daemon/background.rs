//! What goes on in the background while polls do: the lookout, those who tell, and housekeeping that takes a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{House, housekeeping, lookout, retention, telling};

/// What still goes on so long after a stop is cut off: the next start begins it anew.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// All that goes on. Each reads or writes the ledger, which is closed only after them.
pub(super) struct Background {
    house: Arc<House>,
    work: JoinSet<()>,
}

impl Background {
    /// Begins.
    pub(super) fn begin(house: Arc<House>) -> Self {
        let mut work = JoinSet::new();
        work.spawn(lookout::keep_watch(Arc::clone(&house)));
        work.spawn(telling::keep_telling(Arc::clone(&house)));
        let mut background = Self { house, work };
        background.tidy();
        background
    }

    /// Begins a round of housekeeping.
    pub(super) fn tidy(&mut self) {
        while self.work.try_join_next().is_some() {}
        self.work.spawn(housekeeping::back_up(Arc::clone(&self.house)));
        self.work.spawn(housekeeping::look_into_inboxes(Arc::clone(&self.house)));
        self.work.spawn(retention::purge(Arc::clone(&self.house)));
    }

    /// Waits for what goes on, once the house stops; not for long.
    pub(super) async fn end(&mut self) {
        let over = async { while self.work.join_next().await.is_some() {} };
        if timeout(LAST_WORDS, over).await.is_err() {
            self.work.shutdown().await;
        }
    }
}
