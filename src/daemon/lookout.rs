//! Looks over everything whenever something has happened, and once in a while: what is seen becomes alerts, `status.json`, and
//! what the listener of `[admin]` shows. In the background, for with thousands of feeds it takes a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::House;
use super::bulletin::Bulletin;
use crate::alert;
use crate::ledger::LedgerError;
use crate::log::event;
use crate::status::{self, Matter, Overview, Terms};
use crate::tongue::Tongue;

/// A look begins not sooner than this after the last one, and not later than that.
const OFTEN: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(30);
/// Looking takes at most this part of the time: one half of a hundredth.
const SHARE: u32 = 200;

/// Looks until the daemon stops.
pub(super) async fn keep_watch(house: Arc<House>) {
    let mut stopping = house.stopping();
    let mut bulletin = Bulletin::new();
    let mut fails = false;
    loop {
        let begun = Instant::now();
        match look(&house, &mut bulletin).await {
            Ok(()) => fails = false,
            Err(error) if std::mem::replace(&mut fails, true) => drop(error),
            Err(error) => {
                tracing::warn!(
                    event = event::LEDGER_FAILED,
                    kind = error.kind(),
                    remedy = error.remedy(),
                    "how everything goes cannot be told for now: {error}"
                );
            }
        }
        let pause = begun.elapsed().saturating_mul(SHARE).clamp(OFTEN, SELDOM);
        let (soon, latest) = (begun + pause, begun + SELDOM);
        tokio::select! {
            () = async {
                sleep_until(soon).await;
                house.stirred().await;
            } => {}
            () = sleep_until(latest) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

async fn look(house: &House, bulletin: &mut Bulletin) -> Result<(), LedgerError> {
    // A ledger that cannot be written can still be told from.
    let noted = note(house).await;
    let overview = Arc::new(overview(house).await?);
    house.show(&overview);
    bulletin.publish(Arc::clone(&overview)).await;
    noted?;
    let changes = alert::changes(&house.ledger.alerts().await?, &overview.troubles);
    if !changes.is_empty() {
        house.ledger.change_alerts(changes.clone(), overview.at).await?;
        alert::log(&changes, &overview.troubles);
        house.call_herald();
    }
    Ok(())
}

/// Writes into the ledger what only this process knows, for others to tell.
async fn note(house: &House) -> Result<(), LedgerError> {
    note_conditions(house).await?;
    note_clocks(house).await
}

/// Writes into the ledger what was found of the platforms' clocks since, for `status` of another process to tell.
async fn note_clocks(house: &House) -> Result<(), LedgerError> {
    let recorded = house.ledger.clocks().await?;
    for (origin, seconds) in house.poller.clocks.known() {
        let before = recorded.iter().find(|row| row.origin == origin).map(|row| row.seconds);
        if before != seconds {
            house.ledger.record_clock(&origin, seconds, house.clock.now()).await?;
        }
    }
    // Who is asked no more never tells that the two agree.
    if !recorded.is_empty() {
        let asked = house.plan().origins();
        for row in recorded.iter().filter(|row| !asked.contains(&row.origin)) {
            house.ledger.record_clock(&row.origin, None, house.clock.now()).await?;
        }
    }
    Ok(())
}

/// Likewise what is amiss with the daemon itself.
async fn note_conditions(house: &House) -> Result<(), LedgerError> {
    let (recorded, present) = (house.ledger.conditions().await?, house.conditions());
    for matter in Matter::OF_THE_DAEMON {
        let before = recorded.iter().find(|row| row.kind == matter.as_str()).map(|row| &row.message);
        let message = present.get(&matter);
        if before != message {
            house.ledger.record_condition(matter.as_str(), message.cloned(), house.clock.now()).await?;
        }
    }
    Ok(())
}

async fn overview(house: &House) -> Result<Overview, LedgerError> {
    let plan = house.plan();
    // Inboxes are not looked into: one may hang.
    status::overview(&house.ledger, &Terms::new(&plan.settings, false), house.clock.now(), |_| true).await
}

/// Those who are told are looked at this often without being called: pauses after failures may have ended.
const ROUND: Duration = Duration::from_secs(15);

/// Tells those whom `[[alerts]]` names, until the daemon stops: each on its own, so that one who is slow holds up nobody.
pub(super) async fn keep_telling(house: Arc<House>) {
    let tongue = Tongue::of_locale(|name| std::env::var(name).ok());
    let herald = alert::Herald::new(house.ledger.clone(), Arc::clone(&house.clock)).speaking(tongue);
    let herald = Arc::new(herald);
    let mut stopping = house.stopping();
    let mut work = JoinSet::new();
    loop {
        let plan = house.plan();
        if let Err(error) = herald.tidy(&plan.settings).await {
            alerts_wait(&error);
        }
        for target in plan.settings.alerts.clone().into_iter().filter(|target| herald.begins(&target.name)) {
            let (herald, plan) = (Arc::clone(&herald), Arc::clone(&plan));
            work.spawn(async move {
                if let Err(error) = herald.tell(&target, &plan.settings).await {
                    alerts_wait(&error);
                }
            });
        }
        tokio::select! {
            () = house.herald_called() => {}
            () = tokio::time::sleep(ROUND) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        while work.try_join_next().is_some() {}
    }
}

fn alerts_wait(error: &LedgerError) {
    tracing::warn!(event = event::LEDGER_FAILED, kind = error.kind(), "alerts wait: {error}");
}
