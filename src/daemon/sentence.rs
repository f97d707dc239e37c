//! One sentence on how everything goes, for `systemctl status`.

use std::time::Duration;

use tokio::time::Instant;

use super::{House, supervisor};
use crate::ledger::{LedgerError, Pulse};
use crate::schedule::paris;
use crate::words::counted;

/// A sentence is told anew after this at the latest, and not more often than that where something has happened.
const SELDOM: Duration = Duration::from_secs(60);
const OFTEN: Duration = Duration::from_secs(2);
/// Characters of an error that are told.
const SHOWN: usize = 120;

/// When a sentence was told last, and whether it may have become wrong since.
#[derive(Debug, Default)]
pub(super) struct Sentence {
    told: Option<(Instant, usize)>,
    stale: bool,
}

impl Sentence {
    /// Something has happened that it speaks of.
    pub(super) fn is_stale(&mut self) {
        self.stale = true;
    }

    /// Tells systemd how everything goes, where it listens and that may have changed; `running` polls are.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(super) async fn tell(&mut self, house: &House, running: usize) -> Result<(), LedgerError> {
        let due = self.told.is_none_or(|(at, then)| {
            at.elapsed() >= SELDOM || (at.elapsed() >= OFTEN && (self.stale || then != running))
        });
        if due && supervisor::listens() {
            supervisor::status(&words(&house.ledger.pulse().await?, running));
            (self.told, self.stale) = (Some((Instant::now(), running)), false);
        }
        Ok(())
    }
}

fn words(pulse: &Pulse, running: usize) -> String {
    let mut parts = Vec::new();
    if running > 0 {
        parts.push(format!("polling {}", counted(running, "feed")));
    }
    if let Some(next) = pulse.next_poll_at {
        parts.push(format!("next poll {}", next.to_zoned(paris().clone()).strftime("%H:%M")));
    }
    parts.push(format!("{} well", counted(usize::try_from(pulse.well).unwrap_or_default(), "feed")));
    if pulse.unusable > 0 {
        parts.push(format!("{} unusable", counted(usize::try_from(pulse.unusable).unwrap_or_default(), "account")));
    }
    if let Some((feed, error)) = &pulse.worst {
        let error: String = error.chars().take(SHOWN).collect();
        parts.push(format!("{} failing: {feed}: {error}", pulse.failing));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_is_next_and_what_fails() {
        let next_poll_at = "2026-11-26T09:37:12Z".parse().ok();
        let pulse = Pulse { feeds: 4, well: 3, next_poll_at, ..Pulse::default() };
        assert_eq!(words(&pulse, 0), "next poll 10:37, 3 feeds well");
        let worst = Some(("fast/mairie/chorus".to_owned(), "no connection".to_owned()));
        let pulse = Pulse { failing: 1, unusable: 1, worst, ..pulse };
        assert_eq!(
            words(&pulse, 1),
            "polling 1 feed, next poll 10:37, 3 feeds well, 1 account unusable, 1 failing: fast/mairie/chorus: no connection"
        );
    }
}
