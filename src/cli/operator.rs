//! Orders of operators: handed to the daemon that holds the state directory, or carried out here.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Context, Outcome, print, runtime};
use crate::config::Settings;
use crate::daemon::operate::{self, Answer, Order};
use crate::daemon::{House, HouseError};
use crate::ledger::{Ledger, LedgerError, RequestState};
use crate::state::{Role, StateError, daemon};

/// How often a request's row is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Another command that works on the state directory is waited for this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon went away while it was asked.
#[derive(Debug, thiserror::Error)]
#[error("the daemon stopped before it could answer")]
pub(super) struct Unanswered;

pub(super) fn execute(context: &Context, order: &Order) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    let actor = actor();
    context.enter(&settings)?;
    let answer = runtime()?.block_on(give(context, settings, order, &actor))?;
    std::io::stdout().write_all(answer.text.as_bytes())?;
    Ok(answer.exit_code)
}

pub(super) fn unanswered() -> anyhow::Error {
    print::with_remedy("start it again, and give the command again", Unanswered)
}

/// The user who gives the command, also behind sudo.
pub(super) fn actor() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::current()).ok().flatten();
    let name = user.map_or_else(|| nix::unistd::Uid::current().to_string(), |user| user.name);
    match std::env::var("SUDO_USER") {
        Ok(behind) if name == "root" => behind,
        _ => name,
    }
}

async fn give(context: &Context, settings: Settings, order: &Order, actor: &str) -> anyhow::Result<Answer> {
    let directory = settings.state.directory.clone();
    let given_up = Instant::now() + PATIENCE;
    let mut told = false;
    let house = loop {
        if daemon(&directory).is_some() {
            return ask(context, &directory, order, actor).await;
        }
        match House::open(settings.clone(), Role::Command, Arc::clone(&context.clock)).await {
            Ok(house) => break Arc::new(house),
            // A daemon was started in between, or another command works: that one answers no requests.
            Err(HouseError::State(StateError::Held { holder, .. })) if Instant::now() < given_up => {
                if holder.role == Role::Command && !context.verbosity.quiet && !std::mem::replace(&mut told, true) {
                    print::aside(context.tongue, &format!("waiting for another command to end: {holder}"));
                }
            }
            Err(error) => return Err(print::with_remedy(error.remedy(), error)),
        }
        tokio::time::sleep(LOOK).await;
    };
    let answer = operate::obey_alone(&house, order, actor).await;
    house.close().await;
    answer.map_err(explain)
}

pub(super) async fn ask(
    context: &Context,
    directory: &std::path::Path,
    order: &Order,
    actor: &str,
) -> anyhow::Result<Answer> {
    let ledger = Ledger::open_beside_daemon(directory).await.map_err(explain)?;
    let arguments = serde_json::to_string(order)?;
    let id = ledger.ask(actor, order.name(), arguments, context.clock.now()).await.map_err(explain)?;
    loop {
        match ledger.request_state(id).await.map_err(explain)? {
            Some(RequestState::Done { answer, exit_code }) => {
                ledger.close().await;
                return Ok(Answer { text: answer, exit_code });
            }
            Some(RequestState::Pending | RequestState::Running) if daemon(directory).is_some() => {}
            _ => return Err(unanswered()),
        }
        tokio::time::sleep(LOOK).await;
    }
}

pub(super) fn explain(error: LedgerError) -> anyhow::Error {
    print::with_remedy(error.remedy(), error)
}
