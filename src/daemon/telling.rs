//! Those whom `[[alerts]]` names are told what the lookout has found, and sent tests.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::House;
use super::operate::Answer;
use crate::alert;
use crate::ledger::LedgerError;
use crate::log::event;
use crate::tongue::Tongue;

/// Those who are told are looked at this often without being called: pauses after failures may have ended.
const ROUND: Duration = Duration::from_secs(15);

/// Tells those whom `[[alerts]]` names, until the daemon stops: each on its own, so that one who is slow holds up nobody.
pub(super) async fn keep_telling(house: Arc<House>) {
    let herald = alert::Herald::new(house.ledger.clone(), Arc::clone(&house.clock)).speaking(tongue());
    let herald = Arc::new(herald);
    let mut stopping = house.stopping();
    let mut work = JoinSet::new();
    loop {
        let plan = house.plan();
        let unwritten = herald.unheard(house.take_unwritten());
        for target in plan.settings.alerts.clone().into_iter().filter(|_| !unwritten.is_empty()) {
            let (herald, plan, rows) = (Arc::clone(&herald), Arc::clone(&plan), unwritten.clone());
            work.spawn(async move { herald.cry(&target, rows, &plan.settings).await });
        }
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

/// The language in which programs are told.
fn tongue() -> Tongue {
    Tongue::of_locale(|name| std::env::var(name).ok())
}

/// Sends a test to those who are told alerts: from where they would be told, with the rights of the service. One that could
/// not be reached before, and is now, is told what it was not.
pub(super) async fn test(house: &House, names: &[String]) -> Result<Answer, LedgerError> {
    let (plan, mut answer) = (house.plan(), Answer::default());
    let settings = &plan.settings;
    if let Some(unknown) = names.iter().find(|name| !settings.alerts.iter().any(|target| target.name == **name)) {
        return Ok(Answer { text: format!("no table [[alerts]] is named {unknown}\n"), exit_code: 1 });
    }
    if settings.alerts.is_empty() {
        let text = "nobody is told alerts: add a table [[alerts]], `man vaguemestre.toml` says how\n".to_owned();
        return Ok(Answer { text, exit_code: 1 });
    }
    let tongue = tongue();
    for target in settings.alerts.iter().filter(|target| names.is_empty() || names.contains(&target.name)) {
        match alert::test(target, &settings.http, tongue, house.clock.now()).await {
            Ok(()) => {
                let known = house.ledger.alert_targets().await?.into_iter();
                if let Some(row) = known.into_iter().find(|row| row.name == target.name && row.error.is_some()) {
                    house.ledger.record_alert_target(row.without_error()).await?;
                    house.call_herald();
                }
                answer.line(&format!("{}: a test was taken", target.name));
            }
            Err(error) => {
                answer.line(&format!("{}: {error}", target.name));
                answer.worsen(1);
            }
        }
    }
    house.stir();
    Ok(answer)
}
