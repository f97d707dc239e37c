//! How long ago a feed was listed, whatever happened to the clocks since.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::BootTime;

/// When the last listing of a feed started, by both clocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastListing {
    /// Wall time at its start.
    pub wall: Timestamp,
    /// Boot time at its start.
    pub boot: BootTime,
}

impl LastListing {
    /// The time since the listing started: the lesser of what wall and boot time say, so that a wall clock set forward
    /// cannot make it seem long; wall time alone after a reboot. A start in the future counts as now.
    #[must_use]
    pub fn elapsed(&self, now: Timestamp, boot: &BootTime) -> Duration {
        let wall = Duration::try_from(now.duration_since(self.wall)).unwrap_or_default();
        if self.same_boot(boot) { wall.min(boot.elapsed.saturating_sub(self.boot.elapsed)) } else { wall }
    }

    /// What to record instead of a start that lies in the future by either clock: now. Without it the feed would
    /// be stuck until the clock has caught up with that start.
    #[must_use]
    pub fn corrected(&self, now: Timestamp, boot: &BootTime) -> Option<Self> {
        let ahead = self.wall > now || (self.same_boot(boot) && self.boot.elapsed > boot.elapsed);
        ahead.then(|| Self { wall: now, boot: boot.clone() })
    }

    fn same_boot(&self, boot: &BootTime) -> bool {
        !boot.id.is_empty() && boot.id == self.boot.id
    }
}
