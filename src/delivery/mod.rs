//! Documents leave: each target has a courier that hands over what waits for it, in the order of storing, at least once.
//!
//! A delivery that fails steps aside and is tried again with growing pauses; it holds no other back. A target that hangs
//! (a share whose server is away) keeps a thread of its courier's, and nobody else's.

mod inbox;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::sync::{oneshot, watch};

use crate::archive::layout::hex;
use crate::archive::write::Folders;
use crate::clock::Clock;
use crate::config::Target;
use crate::ledger::{Ledger, LedgerError, Pending, Settled};
use crate::log::event;

/// Deliveries made together.
const BATCH: u32 = 64;
/// Without being called, a courier looks for deliveries whose pause has ended this often.
const ROUND: Duration = Duration::from_secs(15);
/// Pauses after failures: doubling from the first to the last, in seconds.
const FIRST_PAUSE: i64 = 30;
const LONGEST_PAUSE: i64 = 3600;

/// Serves one target until the daemon stops.
#[derive(Clone, Debug)]
pub struct Courier {
    /// The state directory.
    pub root: Arc<PathBuf>,
    /// What waits.
    pub ledger: Ledger,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Whom it serves.
    pub target: Target,
    /// Folders of inboxes that are durable.
    pub folders: Arc<Folders>,
}

impl Courier {
    /// Delivers whatever waits, whenever something was `stored`, until `stopping`.
    pub async fn work(self, mut stored: watch::Receiver<()>, mut stopping: watch::Receiver<bool>) {
        loop {
            let more = match self.deliver().await {
                Ok(count) => count >= BATCH as usize,
                Err(error) => {
                    tracing::warn!(
                        event = event::LEDGER_FAILED,
                        target_name = self.target.name,
                        kind = error.kind(),
                        "deliveries to {} wait: {error}: {}",
                        self.target.name,
                        error.remedy()
                    );
                    false
                }
            };
            if *stopping.borrow() {
                return;
            }
            if more {
                continue;
            }
            tokio::select! {
                Ok(()) = stored.changed() => {}
                () = tokio::time::sleep(ROUND) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// Delivers one batch of what is due. Answers how many deliveries were tried.
    ///
    /// # Errors
    /// When the ledger fails: the deliveries are made again, which changes nothing where they were made.
    pub async fn deliver(&self) -> Result<usize, LedgerError> {
        let due = self.ledger.deliveries_due(&self.target.name, self.clock.now(), BATCH).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let count = due.len();
        let handed = self.hand_over(due).await;
        let now = self.clock.now();
        let settled = handed.into_iter().map(|(pending, outcome)| self.settle(pending, outcome, now)).collect();
        self.ledger.settle_deliveries(settled, now).await?;
        Ok(count)
    }

    /// Hands `due` over, on a thread of its own: those that all share are few, and none may wait for a target that hangs.
    async fn hand_over(&self, due: Vec<Pending>) -> Vec<(Pending, Result<PathBuf, String>)> {
        let (answer, answered) = oneshot::channel();
        let (root, folders) = (Arc::clone(&self.root), Arc::clone(&self.folders));
        let (target, batch, mark) = (self.target.clone(), due.clone(), self.mark());
        let thread = std::thread::Builder::new().name("courier".to_owned()).spawn(move || {
            // Nobody listens any more where the daemon did not wait.
            let _ = answer.send(inbox::hand_over(&root, &folders, &mark, &target, batch));
        });
        let fault = match thread {
            Ok(_) => match answered.await {
                Ok(handed) => return handed,
                Err(_) => "the courier died: this is a defect".to_owned(),
            },
            Err(error) => format!("no thread could be started: {error}"),
        };
        tracing::error!(target_name = self.target.name, "deliveries to {} failed: {fault}", self.target.name);
        due.into_iter().map(|pending| (pending, Err(fault.clone()))).collect()
    }

    /// Tells our unfinished copies from those of another installation that shares the inbox.
    fn mark(&self) -> String {
        hex(&Sha256::digest(self.ledger.seed())[..8])
    }

    fn settle(&self, pending: Pending, outcome: Result<PathBuf, String>, now: Timestamp) -> Settled {
        let Pending { id, created_at, feed, remote_id, attempts, .. } = pending;
        let target = self.target.name.as_str();
        let outcome = match outcome {
            Ok(path) => {
                tracing::info!(event = event::DELIVERY_DONE, feed = %feed, remote_id, target_name = target,
                    path = %path.display(), "delivered {remote_id} of {feed} to {target}");
                Ok(())
            }
            Err(error) => {
                let next = now + SignedDuration::from_secs(pause(attempts));
                tracing::warn!(event = event::DELIVERY_FAILED, feed = %feed, remote_id, target_name = target, error,
                    next_try = %next, "{remote_id} of {feed} could not be delivered to {target}: {error}");
                Err((error, next))
            }
        };
        Settled { id, created_at, feed, remote_id, outcome }
    }
}

/// Seconds before the next try, after `attempts` earlier ones.
fn pause(attempts: i64) -> i64 {
    let doubled = u32::try_from(attempts).ok().and_then(|exponent| 2_i64.checked_pow(exponent));
    doubled.and_then(|factor| FIRST_PAUSE.checked_mul(factor)).map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    #[test]
    fn pauses_grow_to_an_hour_and_stay() {
        let pauses: Vec<i64> = [0, 1, 2, 6, 7, 60, 900].map(super::pause).into();
        assert_eq!(pauses, [30, 60, 120, 1920, 3600, 3600, 3600]);
    }
}
