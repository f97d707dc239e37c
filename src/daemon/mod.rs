//! The long-lived process: holds the state directory, waits, starts what is due, carries out requests, and stops
//! cleanly.
//!
//! There is no recovery mode: [`House::open`] does the same after `kill -9` as after a clean stop, for rows say what is
//! next. `poll` and `retry` without a daemon open the same house, work, and close it.

pub mod apis;
pub mod assemble;
mod background;
mod bulletin;
mod by_hand;
mod couriers;
mod dispatcher;
mod forget;
mod house;
mod housekeeping;
mod lookout;
pub mod operate;
mod reload;
mod replay;
pub mod restore;
mod retention;
mod sentence;
pub(crate) mod signals;
mod supervisor;
mod telling;
mod ticker;

use std::sync::Arc;
use std::time::Duration;

pub use house::{House, HouseError, Sight};

use tokio::time::timeout;

use crate::admin::Tally;
use crate::clock::Clock;
use crate::config::{Loaded, Settings};
use crate::log::event;
use crate::state::Role;
use background::Background;
use dispatcher::Dispatcher;
use signals::{Signal, Signals};
use ticker::{Tick, Ticker};

/// While running downloads are waited for, systemd is told this often that we are alive.
const EXTEND_EVERY: Duration = Duration::from_secs(5);
/// After a second signal nothing is waited for longer than this.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Reads the configuration anew.
pub type Load = dyn Fn() -> Loaded + Send + Sync;

/// Runs the daemon until SIGTERM or SIGINT; `tally` is what the log's events are counted in.
///
/// # Errors
/// When the state directory or the ledger cannot be used, or the scheduler cannot be started.
pub async fn run(settings: Settings, load: &Load, clock: Arc<dyn Clock>, tally: Arc<Tally>) -> anyhow::Result<()> {
    let mut signals = Signals::listen()?;
    let Some(house) = open(settings, clock, &mut signals).await? else { return Ok(()) };
    let mut ticker = Ticker::start().await?;
    let mut dispatcher = Dispatcher::new(Arc::clone(&house));
    house.open_admin(tally).await;
    dispatcher.settle_in().await?;
    let feeds = house.plan().catalog.len();
    tracing::info!(event = event::DAEMON_READY, feeds, version = env!("CARGO_PKG_VERSION"),
        state = %house.state.path().display(), "ready: {feeds} feeds");
    supervisor::ready();
    house.life.is_ready();
    let mut background = Background::begin(Arc::clone(&house));
    loop {
        tokio::select! {
            tick = ticker.next() => match tick {
                Tick::Dispatch => dispatcher.tick().await,
                Tick::Housekeeping => {
                    housekeeping::tidy(&house).await;
                    background.tidy();
                }
            },
            () = dispatcher.reap() => {}
            signal = signals.next() => match signal {
                Signal::Reload => {
                    dispatcher.reload(load).await;
                    house.stir();
                }
                Signal::Stop => break,
            },
        }
    }
    ticker.stop().await;
    stop(house, dispatcher, background, signals).await;
    Ok(())
}

/// Opens the house; `None` where a signal to stop comes first (what an earlier run left may take long to be recorded).
async fn open(
    settings: Settings,
    clock: Arc<dyn Clock>,
    signals: &mut Signals,
) -> Result<Option<Arc<House>>, HouseError> {
    let opening = House::open(settings, Role::Daemon, clock);
    tokio::pin!(opening);
    loop {
        tokio::select! {
            opened = &mut opening => return opened.map(|house| Some(Arc::new(house))),
            signal = signals.next() => if matches!(signal, Signal::Stop) {
                return Ok(None);
            },
        }
    }
}

/// Nothing new begins; running downloads finish within their own limits, deliveries within a few seconds; a second signal
/// stops at once.
async fn stop(house: Arc<House>, mut dispatcher: Dispatcher, mut background: Background, mut signals: Signals) {
    let running = dispatcher.running();
    tracing::info!(event = event::DAEMON_STOPPING, running, "stopping: {running} polls finish first");
    supervisor::stopping();
    house.life.stops();
    house.stop();
    let end = async {
        dispatcher.drain().await;
        background.end().await;
    };
    let drained = patiently(end, &mut signals).await;
    let closed = drained && patiently(house.close(), &mut signals).await;
    if !closed {
        tracing::warn!(
            event = event::DAEMON_STOPPING,
            "second signal: stopping at once; what was running is taken up at the next start"
        );
        dispatcher.abort().await;
        // Closing the ledger is a courtesy to whoever looks into it: the next start opens it as after a crash.
        let _ = timeout(AT_ONCE, house.close()).await;
    }
}

/// Waits for `work` and keeps systemd patient. Answers `false` where a second signal ends the wait.
async fn patiently(work: impl Future<Output = ()>, signals: &mut Signals) -> bool {
    tokio::pin!(work);
    loop {
        tokio::select! {
            () = &mut work => return true,
            () = tokio::time::sleep(EXTEND_EVERY) => supervisor::extend(),
            signal = signals.next() => if matches!(signal, Signal::Stop) {
                return false;
            },
        }
    }
}
