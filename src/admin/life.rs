//! How the daemon lives: what its dispatcher has found at its last turn, for `/livez`, `/readyz` and metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// So long may the dispatcher stand still, or the ledger not answer: as long as systemd's watchdog waits (`WatchdogSec=`).
const DEAD: Duration = Duration::from_secs(180);
/// A dispatcher that has not turned for so long does nothing that is due.
const STUCK: Duration = Duration::from_secs(30);

/// What is known of the daemon's life. Written by its dispatcher, read by the listener.
#[derive(Debug)]
pub struct Life {
    /// When this run began.
    pub started: Timestamp,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    phase: Phase,
    /// The last turn at which the ledger answered; at first the start.
    turned: Instant,
    /// Why it did not at the last one.
    fault: Option<String>,
    /// Why nothing is collected, though it did.
    obstacle: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Stopping,
}

impl Life {
    /// A daemon that starts, at `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let inner = Inner { phase: Phase::Starting, turned: Instant::now(), fault: None, obstacle: None };
        Self { started: now, inner: Mutex::new(inner) }
    }

    /// It is up: `daemon.ready`.
    pub fn is_ready(&self) {
        self.lock().phase = Phase::Ready;
    }

    /// It stops: `daemon.stopping`.
    pub fn stops(&self) {
        self.lock().phase = Phase::Stopping;
    }

    /// The dispatcher has turned, and the ledger answered; nothing is collected where there is an `obstacle`.
    pub fn turned(&self, obstacle: Option<&'static str>) {
        let mut inner = self.lock();
        (inner.turned, inner.fault, inner.obstacle) = (Instant::now(), None, obstacle);
    }

    /// The dispatcher has turned, and the ledger failed.
    pub fn failed(&self, why: String) {
        self.lock().fault = Some(why);
    }

    /// Since the last turn at which the ledger answered.
    pub(super) fn since_turn(&self) -> Duration {
        self.lock().turned.elapsed()
    }

    /// Whether it lives; else why not. A supervisor that is told so ends it and starts it anew.
    pub(super) fn lives(&self) -> Result<(), String> {
        let inner = self.lock();
        let still = inner.turned.elapsed();
        if still < DEAD || inner.phase == Phase::Stopping {
            return Ok(());
        }
        Err(match &inner.fault {
            Some(why) => format!("the ledger has not answered for {} s: {why}", still.as_secs()),
            None => format!("the dispatcher has not turned for {} s", still.as_secs()),
        })
    }

    /// Whether it collects; else why not.
    pub(super) fn collects(&self) -> Result<(), String> {
        let inner = self.lock();
        let still = inner.turned.elapsed();
        match (inner.phase, &inner.fault, inner.obstacle) {
            (Phase::Starting, ..) => Err("starting: not ready yet".to_owned()),
            (Phase::Stopping, ..) => Err("stopping: nothing new begins".to_owned()),
            (_, Some(why), _) => Err(format!("the ledger does not answer: {why}")),
            _ if still >= STUCK => Err(format!("the dispatcher has not turned for {} s", still.as_secs())),
            (_, _, Some(obstacle)) => Err(obstacle.to_owned()),
            _ => Ok(()),
        }
    }

    /// What of the daemon's own keeps it from collecting, for people; nothing of that while it starts and stops.
    pub(super) fn obstacle(&self) -> Option<String> {
        let settled = self.lock().phase == Phase::Ready;
        self.collects().err().filter(|_| settled)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_stands_still_is_not_ready_and_then_not_alive() {
        let life = Life::new("2026-11-26T10:00:00Z".parse().unwrap());
        assert!(life.lives().is_ok() && life.collects().unwrap_err().contains("not ready yet"));
        life.is_ready();
        life.turned(None);
        assert!(life.lives().is_ok() && life.collects().is_ok());
        tokio::time::advance(STUCK).await;
        assert!(life.lives().is_ok() && life.collects().unwrap_err().contains("has not turned for 30 s"));
        tokio::time::advance(DEAD).await;
        assert!(life.lives().unwrap_err().contains("has not turned for 210 s"));
        life.turned(None);
        assert!(life.lives().is_ok() && life.collects().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ledger_that_fails_and_a_full_disk_are_told_at_once() {
        let life = Life::new("2026-11-26T10:00:00Z".parse().unwrap());
        life.is_ready();
        life.failed("it is locked".to_owned());
        assert!(life.lives().is_ok() && life.collects().unwrap_err().contains("it is locked"));
        tokio::time::advance(DEAD).await;
        assert!(life.lives().unwrap_err().contains("it is locked"));
        life.turned(Some("no room"));
        assert!(life.lives().is_ok());
        assert_eq!(life.collects().unwrap_err(), "no room");
        life.stops();
        assert!(life.collects().unwrap_err().contains("stopping"));
    }
}
