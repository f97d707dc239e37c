//! Looks over everything whenever something has happened, and once in a while: what is seen becomes alerts, `status.json`, and
//! what the listener of `[admin]` shows. In the background, for with thousands of feeds it takes a while.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::House;
use super::bulletin::Bulletin;
use crate::alert;
use crate::ledger::{ConditionRow, LedgerError};
use crate::log::event;
use crate::status::{self, Matter, Overview, Terms};

/// A look begins not sooner than this after the last one, and not later than that.
const OFTEN: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(30);
/// Looking takes at most this part of the time, one half of a hundredth, as long as that is not too seldom.
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

async fn look(house: &Arc<House>, bulletin: &mut Bulletin) -> Result<(), LedgerError> {
    let conditions = house.conditions();
    let overview = Arc::new(overview(house, conditions.clone()).await?);
    house.show(&overview);
    bulletin.publish(Arc::clone(&overview)).await;
    let changes = alert::changes(&house.ledger.alerts().await?, &overview.troubles);
    if !changes.is_empty() {
        // Where it cannot be written down that something was told, it is told all the same.
        if let Err(error) = house.ledger.change_alerts(changes.clone(), overview.at).await {
            house.unwritten(changes.raised);
            return Err(error);
        }
        alert::log(&changes, &overview.troubles);
        house.call_herald();
    }
    note(house, &conditions).await
}

/// Writes into the ledger what only this process knows, for others to tell.
async fn note(house: &House, conditions: &[ConditionRow]) -> Result<(), LedgerError> {
    note_conditions(house, conditions).await?;
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
async fn note_conditions(house: &House, present: &[ConditionRow]) -> Result<(), LedgerError> {
    let recorded = house.ledger.conditions().await?;
    for matter in Matter::OF_THE_DAEMON {
        let of = |rows: &[ConditionRow]| rows.iter().find(|row| row.kind == matter.as_str()).cloned();
        let (before, now) = (of(&recorded), of(present));
        if before.map(|row| row.message) != now.as_ref().map(|row| row.message.clone()) {
            house.ledger.record_condition(matter.as_str(), now).await?;
        }
    }
    Ok(())
}

async fn overview(house: &House, conditions: Vec<ConditionRow>) -> Result<Overview, LedgerError> {
    let plan = house.plan();
    // Inboxes are not looked into: one may hang.
    let terms = Terms::new(&plan.settings, false).knowing(conditions);
    status::overview(&house.ledger, &terms, house.clock.now(), |_| true).await
}
