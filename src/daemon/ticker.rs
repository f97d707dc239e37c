//! The few jobs that repeat, driven by tokio-cron-scheduler; its activations only ring a bell here.
//!
//! Never one job per feed. Jobs are in UTC, for the scheduler freezes a zone to the offset it has when a job is made. A
//! bell that still rings is not rung again. And since a job can stop for ever once its next time has fallen into the
//! past, a bell that keeps silent for too long has the whole scheduler replaced.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::log::event;

/// Every second.
const DISPATCH: &str = "* * * * * *";
/// Every hour, off the full and half hours.
const HOUSEKEEPING: &str = "11 17 * * * *";
/// Silence for longer than this means that the scheduler has stopped.
const SILENCE: Duration = Duration::from_secs(30);

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tick {
    /// Look who is due.
    Dispatch,
    /// Tidy up.
    Housekeeping,
}

/// The bell.
pub(super) struct Ticker {
    scheduler: JobScheduler,
    ticks: mpsc::Receiver<Tick>,
}

impl Ticker {
    pub(super) async fn start() -> Result<Self, JobSchedulerError> {
        let (bell, ticks) = mpsc::channel(2);
        let scheduler = JobScheduler::new().await?;
        for (times, tick) in [(DISPATCH, Tick::Dispatch), (HOUSEKEEPING, Tick::Housekeeping)] {
            let bell = bell.clone();
            let job = Job::new_async(times, move |_, _| {
                let bell = bell.clone();
                Box::pin(async move {
                    // Full: the last tick is still being worked on, and this one would find the same.
                    let _ = bell.try_send(tick);
                })
            })?;
            scheduler.add(job).await?;
        }
        scheduler.start().await?;
        Ok(Self { scheduler, ticks })
    }

    /// The next thing to do.
    pub(super) async fn next(&mut self) -> Tick {
        loop {
            if let Ok(Some(tick)) = timeout(SILENCE, self.ticks.recv()).await {
                return tick;
            }
            tracing::error!(
                event = event::DAEMON_FAULT,
                "the scheduler has been silent for {} s and is replaced",
                SILENCE.as_secs()
            );
            match Self::start().await {
                Ok(fresh) => std::mem::replace(self, fresh).stop().await,
                Err(error) => {
                    tracing::error!(event = event::DAEMON_FAULT, %error, "a new scheduler could not be started; trying again")
                }
            }
        }
    }

    /// Ends the jobs.
    pub(super) async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(event = event::DAEMON_FAULT, %error, "the scheduler did not stop cleanly");
        }
    }
}
