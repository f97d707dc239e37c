//! What is done once an hour, off the hours of polls: old polls forgotten, tokens judged, inboxes looked into.

use std::sync::Arc;

use jiff::SignedDuration;

use super::{House, apis};
use crate::config::Handover;
use crate::delivery::stale;
use crate::ledger::LedgerError;
use crate::log::event;
use crate::status::Matter;

/// What goes on is said again after this: a little less than a day, for it is looked at once an hour.
const TOLD_AGAIN: SignedDuration = SignedDuration::from_mins(23 * 60 + 30);

/// Tidies the ledger, and reads tokens that were delivered by hand again.
pub(super) async fn tidy(house: &House) {
    let now = house.clock.now();
    if let Err(error) = house.ledger.shrink_polls(now).await {
        tracing::warn!(event = event::LEDGER_FAILED, kind = error.kind(), "old polls stay for now: {error}");
    }
    if let Err(error) = house.ledger.shrink_calls(now).await {
        tracing::warn!(event = event::LEDGER_FAILED, kind = error.kind(), "old calls stay for now: {error}");
    }
    // Once a day: the hour after midnight in UTC.
    if now.to_zoned(jiff::tz::TimeZone::UTC).hour() != 0 {
        return;
    }
    if let Err(error) = apis::judge_tokens(&house.plan().settings, &house.ledger).await {
        tracing::warn!(event = event::LEDGER_FAILED, kind = error.kind(), "tokens are judged tomorrow: {error}");
    }
}

/// Says of each inbox that nobody empties, once a day, how old its oldest file is.
pub(super) async fn look_into_inboxes(house: Arc<House>) {
    let (now, plan) = (house.clock.now(), house.plan());
    let known = match house.ledger.targets().await {
        Ok(known) => known,
        Err(error) => return inboxes_wait(&error),
    };
    for target in &plan.settings.delivery.targets {
        let Handover::Inbox(inbox) = &target.handover else { continue };
        let (name, told) = (&target.name, known.get(&target.name).and_then(|row| row.stale_told_at));
        let outcome = match stale::oldest(inbox, now).await {
            Some(stale) => {
                // A time that is to come was written by a clock that has been set back since.
                let recently = told.filter(|told| *told <= now && now.duration_since(*told) < TOLD_AGAIN);
                if recently.is_none() {
                    let (file, age) = (stale.file.display().to_string(), stale::age(stale.since, now));
                    tracing::warn!(event = event::INBOX_STALE, target_name = name, file, since = %stale.since,
                        "nobody empties the inbox {} of {name}: {file} lies there for {age}; see whether the business \
                         software runs", inbox.inbox.display());
                }
                house.ledger.record_stale(name, Some((stale, recently.unwrap_or(now)))).await
            }
            None if told.is_some() => house.ledger.record_stale(name, None).await,
            None => continue,
        };
        if let Err(error) = outcome {
            return inboxes_wait(&error);
        }
    }
}

fn inboxes_wait(error: &LedgerError) {
    tracing::warn!(event = event::LEDGER_FAILED, kind = error.kind(), "inboxes are looked into in an hour: {error}");
}

/// A copy of the ledger, where the last one is a day old.
pub(super) async fn back_up(house: Arc<House>) {
    let now = house.clock.now();
    let state = house.plan().settings.state.clone();
    match house.ledger.back_up(&state.backup, state.reserve, now).await {
        Ok(None) => {}
        Ok(Some(path)) => {
            house.note(Matter::BackupFailed, None);
            tracing::info!(event = event::BACKUP_DONE, path = %path.display(), "the ledger is copied to {}", path.display());
        }
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            house.note(Matter::BackupFailed, Some(format!("{error}{cause}")));
            tracing::error!(
                event = event::BACKUP_FAILED,
                remedy = error.remedy(),
                "{error}{cause}; it is tried again in an hour"
            );
        }
    }
}
