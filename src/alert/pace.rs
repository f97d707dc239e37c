//! How often somebody is told: a trouble of thousands of feeds must not become thousands of notices.

use std::time::Duration;

use tokio::time::Instant;

/// Notices that may follow at once.
const BURST: u32 = 10;
/// After that, one each.
const EACH: Duration = Duration::from_secs(300);

/// The notices that may be sent to somebody: a few at once, then few.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    left: u32,
    since: Instant,
}

impl Pace {
    /// Nobody was told anything yet.
    pub(super) fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    /// Whether a notice may be sent at `now`; then it counts.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let earned = u32::try_from(now.duration_since(self.since).as_secs() / EACH.as_secs()).unwrap_or(BURST);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(BURST);
            self.since += EACH * earned;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_notices_may_follow_at_once_and_then_one_in_five_minutes() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let sent = (0..20).filter(|_| pace.allows(start)).count();
        assert_eq!(sent, 10);
        let hour = (1..=60).filter(|minute| pace.allows(start + Duration::from_secs(60 * minute))).count();
        assert_eq!(hour, 12);
        assert!(pace.allows(start + Duration::from_secs(100_000)));
    }
}
