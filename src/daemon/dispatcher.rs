//! Who is due: one indexed query a second for each platform, so that thirty thousand feeds cost what three do, and that a slow
//! platform keeps none of the others waiting.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::task::{Id, JoinSet};

use super::apis;
use super::assemble::Catalog;
use super::sentence::Sentence;
use super::{House, Load, operate, reload, supervisor};
use crate::clock::BootTime;
use crate::feed::FeedName;
use crate::ledger::{Due, LedgerError};
use crate::log::event;
use crate::poll::Source;
use crate::schedule::{Cadence, LastListing, Seed};
use crate::status::Matter;

/// Polls of one platform that are running or wait for a connection, at most.
const PLACES: usize = 512;
/// So many feeds of one platform are started in a second, at least, where so many are due and it has places.
const AT_ONCE: usize = 64;
/// Ticks further apart than this mean that the machine slept, or could not keep up: what is overdue is spread anew.
const STALL: SignedDuration = SignedDuration::from_secs(30);
/// Wall and boot clock drifting apart by more than this between two ticks mean that the wall clock was set.
const JUMP: SignedDuration = SignedDuration::from_secs(5);

/// Starts polls when they are due, and requests of commands when they come.
pub(super) struct Dispatcher {
    house: Arc<House>,
    work: JoinSet<()>,
    /// The feeds that are being polled, by platform and by the task that does it; and what each task has claimed, for it may
    /// die.
    running: HashMap<String, HashSet<FeedName>>,
    tasks: HashMap<Id, (FeedName, String)>,
    /// The requests of commands that are being carried out, likewise.
    requests: HashMap<Id, i64>,
    /// The last tick at which feeds could be polled; none where the ledger or the disk failed since, or the disk was low.
    last_tick: Option<(Timestamp, BootTime)>,
    out_of_room: bool,
    ledger_fails: bool,
    /// Polls break off because the ledger fails, which was said.
    polls_break: Arc<AtomicBool>,
    sentence: Sentence,
}

impl Dispatcher {
    pub(super) fn new(house: Arc<House>) -> Self {
        Self {
            house,
            work: JoinSet::new(),
            running: HashMap::new(),
            tasks: HashMap::new(),
            requests: HashMap::new(),
            last_tick: None,
            out_of_room: false,
            ledger_fails: false,
            polls_break: Arc::default(),
            sentence: Sentence::default(),
        }
    }

    /// At start: overdue feeds are spread, those with documents left over are taken up, the couriers and the counter begin.
    pub(super) async fn settle_in(&mut self) -> Result<(), LedgerError> {
        self.house.start_deliveries().await;
        self.house.open_counter().await;
        let now = self.house.clock.now();
        spread(&self.house, now, Late::All).await?;
        let plan = self.house.plan();
        let waiting = self.house.ledger.feeds_to_resume().await?;
        let (count, seed) = (waiting.len(), Seed(self.house.ledger.seed()));
        let at = |name: FeedName| {
            let cadence = &plan.catalog.get(&name)?.cadence;
            let at = if count <= 10 { now } else { cadence.first(&seed, name.as_str(), now, count) };
            Some((name, at))
        };
        self.house.ledger.resume_feeds(waiting.into_iter().filter_map(at).collect()).await?;
        self.last_tick = Some((now, self.house.clock.boot()));
        Ok(())
    }

    /// One look at the ledger. A ledger that fails is said once, and looked at again at the next tick.
    pub(super) async fn tick(&mut self) {
        match self.look().await {
            Ok(()) => {
                self.ledger_fails = false;
                supervisor::alive();
                self.house.life.turned(self.house.poller.obstacle());
            }
            Err(error) => {
                self.last_tick = None;
                self.house.life.failed(format!("{error}; {}", error.remedy()));
                if !std::mem::replace(&mut self.ledger_fails, true) {
                    tracing::error!(
                        event = event::LEDGER_FAILED,
                        kind = error.kind(),
                        remedy = error.remedy(),
                        "nothing can be polled: {error}"
                    );
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), LedgerError> {
        let (now, boot) = (self.house.clock.now(), self.house.clock.boot());
        let trusted = self.house.poller.intake.trusts_disk();
        let has_room = self.has_room() && trusted;
        if self.out_of_room || !trusted {
            self.last_tick = None;
        }
        if has_room && self.time_was_out_of_joint(now, &boot) {
            spread(&self.house, now, Late::All).await?;
        }
        let plan = self.house.plan();
        let to_do = self.house.ledger.to_do(&plan.platforms, now).await?;
        if to_do.requests {
            self.take_requests().await?;
        }
        if to_do.polls && has_room {
            for platform in &plan.platforms {
                self.start_due(platform, now).await?;
            }
        }
        self.sentence.tell(&self.house, self.running()).await?;
        // Where running downloads may need all the room, what is overdue after a while is spread as after a stall.
        if has_room {
            self.last_tick = Some((now, boot));
        }
        Ok(())
    }

    /// Begins to carry out what commands ask for.
    async fn take_requests(&mut self) -> Result<(), LedgerError> {
        for request in self.house.ledger.take_requests().await? {
            let (house, id) = (Arc::clone(&self.house), request.id);
            let task = self.work.spawn(async move { operate::carry_out(&house, request).await });
            self.requests.insert(task.id(), id);
        }
        Ok(())
    }

    /// Starts the polls of `platform` that are due, as far as it has places.
    async fn start_due(&mut self, platform: &str, now: Timestamp) -> Result<(), LedgerError> {
        let taken = self.places_taken(platform);
        if taken >= PLACES {
            return Ok(());
        }
        // Those that wait for a connection are due until they have one.
        let limit = u32::try_from(taken + AT_ONCE).unwrap_or(u32::MAX);
        for due in self.house.ledger.due(platform, now, limit).await? {
            if self.places_taken(platform) >= PLACES {
                break;
            }
            self.start(due, now);
        }
        Ok(())
    }

    fn places_taken(&self, platform: &str) -> usize {
        self.running.get(platform).map_or(0, HashSet::len)
    }

    fn start(&mut self, due: Due, now: Timestamp) {
        let Some(feed) = self.house.plan().catalog.get(&due.feed).cloned() else { return };
        if !self.running.entry(due.feed.platform().to_owned()).or_default().insert(due.feed.clone()) {
            return;
        }
        let (poller, name) = (Arc::clone(&self.house.poller), due.feed.clone());
        let token = poller.token();
        let held = token.clone();
        let (house, fails) = (Arc::clone(&self.house), Arc::clone(&self.polls_break));
        let task = self.work.spawn(async move {
            // What rides along is listed with its leader.
            let outcome = if due.planned <= now && feed.led_by.is_none() {
                poller.poll(&feed, &due, &token).await
            } else {
                poller.resume(&feed, &token).await
            };
            let Err(error) = outcome else {
                fails.store(false, Ordering::Relaxed);
                return house.note(Matter::LedgerFailed, None);
            };
            let why = format!("the poll of {} broke off: {error}", feed.name);
            house.note(Matter::LedgerFailed, Some(why));
            // A ledger that cannot be written breaks every poll, every second: said once.
            if fails.swap(true, Ordering::Relaxed) {
                tracing::debug!(event = event::LEDGER_FAILED, feed = %feed.name, kind = error.kind(), "the poll of {} broke off: {error}", feed.name);
            } else {
                tracing::error!(event = event::LEDGER_FAILED, feed = %feed.name, kind = error.kind(), remedy = error.remedy(),
                    "the poll of {} broke off: {error}", feed.name);
            }
            poller.let_go(&feed.name, &token).await;
        });
        self.tasks.insert(task.id(), (name, held));
    }

    /// Whether the machine slept, its clock was set, or nothing could be polled since the last tick.
    fn time_was_out_of_joint(&self, now: Timestamp, boot: &BootTime) -> bool {
        let Some((wall, then)) = &self.last_tick else { return true };
        let passed = now.duration_since(*wall);
        let really = SignedDuration::try_from(boot.elapsed.saturating_sub(then.elapsed)).unwrap_or(passed);
        let drift = if boot.id == then.id && !boot.id.is_empty() { passed - really } else { SignedDuration::ZERO };
        passed > STALL || passed < SignedDuration::ZERO || drift.abs() > JUMP
    }

    /// Whether there is room to list anything (F9); a disk that is low is said once.
    fn has_room(&mut self) -> bool {
        let low = self.house.poller.room.is_low();
        if low && !self.out_of_room {
            let state = self.house.state.path().display();
            tracing::error!(
                event = event::DISK_LOW,
                "the disk of {state} has less than [state] reserve left, or hardly any inodes: nothing is \
                collected until there is room; make some, or lower the reserve"
            );
        } else if !low && self.out_of_room {
            tracing::info!(event = event::DISK_RECOVERED, "there is room on the disk again: collecting goes on");
        }
        self.out_of_room = low;
        self.house.poller.room.allows_listing()
    }

    /// Takes note of work that ended. Never returns while nothing ends.
    pub(super) async fn reap(&mut self) {
        let (id, death) = match self.work.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, None),
            Some(Err(error)) => (error.id(), Some(error)),
            None => std::future::pending().await,
        };
        let (task, request) = (self.tasks.remove(&id), self.requests.remove(&id));
        if let Some((feed, _)) = &task
            && let Some(running) = self.running.get_mut(feed.platform())
        {
            running.remove(feed);
        }
        if let Some(error) = death {
            tracing::error!(event = event::DAEMON_FAULT, %error, "a task died: this is a defect; its work is taken up again");
            if let Some(request) = request {
                let ledger = self.house.ledger.clone();
                self.work.spawn(async move {
                    let text = "the daemon broke off: this is a defect, see its log\n".to_owned();
                    if let Err(error) = ledger.answer(request, text, 1).await {
                        tracing::error!(
                            event = event::LEDGER_FAILED,
                            kind = error.kind(),
                            "a command could not be answered: {error}"
                        );
                    }
                });
            }
            if let Some((feed, token)) = task {
                let poller = Arc::clone(&self.house.poller);
                self.work.spawn(async move { poller.let_go(&feed, &token).await });
            }
        }
        self.sentence.is_stale();
        self.house.stir();
    }

    /// Takes up a changed configuration; what it makes overdue is spread.
    pub(super) async fn reload(&mut self, load: &Load) {
        let polled = |feed: &str| self.running.values().flatten().any(|running| running.as_str() == feed);
        if reload::reload(&self.house, load, polled).await
            && let Err(error) = spread(&self.house, self.house.clock.now(), Late::All).await
        {
            tracing::error!(
                event = event::LEDGER_FAILED,
                kind = error.kind(),
                remedy = error.remedy(),
                "new feeds are not spread: {error}"
            );
        }
    }

    /// Polls that are running.
    pub(super) fn running(&self) -> usize {
        self.running.values().map(HashSet::len).sum()
    }

    /// Waits for all work to end.
    pub(super) async fn drain(&mut self) {
        while self.work.join_next().await.is_some() {}
    }

    /// Drops all work.
    pub(super) async fn abort(&mut self) {
        self.work.shutdown().await;
    }
}

/// Which feeds are planned anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// Overdue ones, and those that a clock set back since has planned for a time absurdly far away.
    All,
    /// Only the latter: they would never be due.
    Absurd,
}

/// Plans anew, without a burst, whatever is overdue or (the clock was set back) absurdly far away.
pub(super) async fn spread(house: &House, now: Timestamp, whose: Late) -> Result<(), LedgerError> {
    let plan = house.plan();
    let latest = latest_plausible(&plan.catalog, now);
    let Some(soonest) = latest.values().min() else { return Ok(()) };
    let of = |due: &Due| plan.catalog.get(&due.feed).map(|feed| &feed.cadence);
    let mut late = house.ledger.out_of_time(now, *soonest).await?;
    late.retain(|due| {
        // Watches are planned by their subjects.
        if plan.catalog.get(&due.feed).is_some_and(|feed| matches!(feed.source, Source::Watch(..))) {
            return false;
        }
        let plausible = of(due).and_then(|cadence| latest.get(&address(cadence)));
        plausible.is_some_and(|plausible| (due.planned <= now && whose == Late::All) || due.planned > *plausible)
    });
    let (seed, boot, count) = (Seed(house.ledger.seed()), house.clock.boot(), late.len());
    // A start in the future counts as now, from now on: else it would cost an interval at every look.
    let last = |due: &Due| due.last_listed.clone().map(|(wall, boot)| LastListing { wall, boot });
    let corrections = late.iter().filter_map(|due| {
        let corrected = last(due)?.corrected(now, &boot)?;
        Some(async move { house.ledger.correct_listing(&due.feed, corrected.wall, &corrected.boot).await })
    });
    try_join_all(corrections).await?;
    apis::enrol(house, &plan.catalog, false).await?;
    let plans = late
        .into_iter()
        .filter_map(|due| {
            let cadence = of(&due)?;
            let first = cadence.first(&seed, due.feed.as_str(), now, count);
            let wait = last(&due).and_then(|last| cadence.wait_before_listing(&last, now, &boot));
            let waited = wait.map_or(first, |wait| first.checked_add(wait).unwrap_or(first));
            let asked = due.asked_to_wait(now).unwrap_or(now);
            let next = cadence.postponed(&seed, due.feed.as_str(), waited.max(asked));
            Some((due, next))
        })
        .collect();
    house.ledger.plan_anew(plans).await
}

/// The latest plan that each cadence of `catalog` can have made at `now`: what is beyond it was planned by a clock that has
/// been set back since.
fn latest_plausible(catalog: &Catalog, now: Timestamp) -> HashMap<usize, Timestamp> {
    let mut latest = HashMap::new();
    for feed in catalog.values() {
        let key = address(&feed.cadence);
        latest.entry(key).or_insert_with(|| feed.cadence.latest_plausible(now, catalog.len()));
    }
    latest
}

/// Tells a cadence from others; feeds that share one share its address.
fn address(cadence: &Arc<Cadence>) -> usize {
    Arc::as_ptr(cadence).addr()
}
