//! What repeats: a look every second at who is due, and a round of housekeeping every hour.
//!
//! The second is a timer of the runtime: one wake-up, and nothing else. Jobs by the calendar are driven by
//! tokio-cron-scheduler, whose activations only ring a bell here. Never one job per feed. Jobs are in UTC, for the scheduler
//! freezes a zone to the offset it has when a job is made. A bell that still rings is not rung again. And since a job can stop
//! for ever once its next time has fallen into the past, a bell that keeps silent for too long has the whole scheduler replaced.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::log::event;

/// How often it is looked who is due; the first time at once.
const DISPATCH: Duration = Duration::from_secs(1);
/// Every hour, off the full and half hours.
const HOUSEKEEPING: &str = "11 17 * * * *";
/// Silence for longer than this means that the scheduler has stopped.
const SILENCE: Duration = Duration::from_secs(2 * 3600);

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
    dispatch: Interval,
    calendar: Calendar,
}

/// What rings by the calendar.
struct Calendar {
    scheduler: JobScheduler,
    housekeeping: mpsc::Receiver<()>,
    /// When it rang last.
    heard: Instant,
}

impl Ticker {
    pub(super) async fn start() -> Result<Self, JobSchedulerError> {
        let mut dispatch = interval(DISPATCH);
        // After a look that took long, the next one comes a second later: what was missed is found by it.
        dispatch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self { dispatch, calendar: Calendar::start().await? })
    }

    /// The next thing to do.
    pub(super) async fn next(&mut self) -> Tick {
        tokio::select! {
            // What comes once an hour first: it never keeps the other waiting for long.
            biased;
            Some(()) = self.calendar.housekeeping.recv() => {
                self.calendar.heard = Instant::now();
                Tick::Housekeeping
            }
            _ = self.dispatch.tick() => {
                self.calendar.restart_if_silent().await;
                Tick::Dispatch
            }
        }
    }

    /// Ends the jobs.
    pub(super) async fn stop(self) {
        self.calendar.stop().await;
    }
}

impl Calendar {
    async fn start() -> Result<Self, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        let housekeeping = ring(&scheduler, HOUSEKEEPING).await?;
        scheduler.start().await?;
        Ok(Self { scheduler, housekeeping, heard: Instant::now() })
    }

    async fn restart_if_silent(&mut self) {
        if self.heard.elapsed() < SILENCE {
            return;
        }
        tracing::error!(
            event = event::DAEMON_FAULT,
            "the scheduler has been silent for {} s and is replaced",
            SILENCE.as_secs()
        );
        match Self::start().await {
            Ok(fresh) => std::mem::replace(self, fresh).stop().await,
            Err(error) => {
                self.heard = Instant::now();
                tracing::error!(event = event::DAEMON_FAULT, %error, "a new scheduler could not be started; it is tried again")
            }
        }
    }

    async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(event = event::DAEMON_FAULT, %error, "the scheduler did not stop cleanly");
        }
    }
}

/// A bell that rings at `times`.
async fn ring(scheduler: &JobScheduler, times: &str) -> Result<mpsc::Receiver<()>, JobSchedulerError> {
    let (bell, rung) = mpsc::channel(1);
    let job = Job::new_async(times, move |_, _| {
        let bell = bell.clone();
        Box::pin(async move {
            // Full: the last tick is still to be worked on, and this one would find the same.
            let _ = bell.try_send(());
        })
    })?;
    scheduler.add(job).await?;
    Ok(rung)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scheduler_that_keeps_silent_is_replaced_and_looks_go_on_every_second() {
        let mut ticker = Ticker::start().await.unwrap();
        // Time is not the calendar's here: whatever it has to do, it is not due.
        ticker.calendar.scheduler.shutdown().await.unwrap();
        let begun = Instant::now();
        let mut looks = 0;
        while begun.elapsed() < SILENCE + DISPATCH * 60 {
            looks += u64::from(ticker.next().await == Tick::Dispatch);
        }
        assert!(looks >= SILENCE.as_secs() + 60, "{looks}");
        assert!(ticker.calendar.heard.elapsed() <= DISPATCH * 60, "{:?}", ticker.calendar.heard.elapsed());
        ticker.stop().await;
    }
}
