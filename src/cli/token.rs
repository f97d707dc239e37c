//! `vaguemestre token`: a valid access token, from the store that all processes share.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::operator::{self, Unanswered};
use super::{Context, Outcome, exit, print, runtime};
use crate::config::Settings;
use crate::daemon::operate::{self, Answer, Order};
use crate::http::skew::SkewWatch;
use crate::ledger::{Ledger, LedgerError};
use crate::state::{Role, StateDirectory, StateError, daemon};
use crate::token::{self, Client, Manager, Token, TokenError, held};

/// How long others may hold the state directory without leaving a token in it.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the state directory is looked at while another process works in it.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The account, e.g. douane/siege
    account: String,
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    let client = find(&settings, &arguments.account).map_err(|error| print::with_remedy(error.remedy(), error))?;
    context.enter(&settings)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(obtain(context, &settings, &client));
    // A request that another caller may still wait for is not.
    runtime.shutdown_background();
    match outcome? {
        Ok(token) => {
            writeln!(std::io::stdout(), "{}", token.access_token.expose_secret())?;
            Ok(exit::DONE)
        }
        Err(answer) => {
            print::refusal(context.tongue, &answer.text);
            Ok(answer.exit_code)
        }
    }
}

fn find(settings: &Settings, account: &str) -> Result<Client, TokenError> {
    if let Some((account, problem)) = token::unusable(settings).into_iter().find(|(name, _)| name == account) {
        return Err(TokenError::Unusable { account, problem });
    }
    let client = token::accounts(settings).into_iter().find(|client| client.account == account);
    client.ok_or_else(|| TokenError::Unknown(account.to_owned()))
}

/// The token that is held, or one obtained by the daemon, or by ourselves under the lock. The inner error is an answer to
/// print: why there is none, and what to do.
pub(super) async fn obtain(
    context: &Context,
    settings: &Settings,
    client: &Client,
) -> anyhow::Result<Result<Token, Answer>> {
    let directory = &settings.state.directory;
    let deadline = Instant::now() + PATIENCE;
    let mut margin = client.margin;
    loop {
        if let Some(token) = look(context, directory, client, margin).await? {
            return Ok(Ok(token));
        }
        if daemon(directory).is_none() {
            match StateDirectory::hold(directory, Role::Command, context.clock.now()).await {
                Ok(_lock) => return alone(context, settings, client).await,
                // Another command works, and may well leave a token; or a daemon was started in between.
                Err(StateError::Held { .. }) if Instant::now() < deadline => {}
                Err(error) => return Err(print::with_remedy(error.remedy(), error)),
            }
            tokio::time::sleep(LOOK).await;
            continue;
        }
        let order = Order::Token { account: client.account.clone() };
        match operator::ask(context, directory, &order, &operator::actor()).await {
            Ok(answer) if answer.exit_code != 0 => return Ok(Err(answer)),
            Ok(_) if Instant::now() > deadline => return Err(operator::unanswered()),
            // It is in the ledger now, however short its life.
            Ok(_) => margin = Duration::ZERO,
            Err(error) if Instant::now() > deadline => return Err(error),
            // The daemon has gone, or is only just making the ledger.
            Err(error) if error.is::<Unanswered>() || is_passing(&error) => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The token in the ledger, if there is a ledger and a token that is good.
async fn look(context: &Context, directory: &Path, client: &Client, margin: Duration) -> anyhow::Result<Option<Token>> {
    let ledger = match Ledger::open_reading(directory).await {
        Ok(ledger) => ledger,
        Err(error) if is_young(&error) => return Ok(None),
        Err(error) => return Err(operator::explain(error)),
    };
    let token = held(&ledger, client, margin, &*context.clock).await;
    ledger.close().await;
    token.map_err(operator::explain)
}

/// Nobody else works on the state directory: we hold it.
async fn alone(context: &Context, settings: &Settings, client: &Client) -> anyhow::Result<Result<Token, Answer>> {
    let ledger = Ledger::open(&settings.state.directory, context.clock.now()).await.map_err(operator::explain)?;
    let (_running, stopping) = watch::channel(false);
    let manager = Arc::new(Manager::new(
        ledger.clone(),
        Arc::clone(&context.clock),
        Arc::new(SkewWatch::new(Arc::clone(&context.clock))),
        stopping,
    ));
    manager.serve(vec![client.clone()], crate::daemon::assemble::way(settings));
    let outcome = match manager.token(&client.account).await {
        Ok(token) => Ok(token),
        Err(error) => Err(operate::refuse(&error)),
    };
    ledger.close().await;
    Ok(outcome)
}

/// A ledger that is being made or migrated by whoever holds the directory.
fn is_young(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Missing(_) | LedgerError::Older { .. })
}

fn is_passing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<LedgerError>().is_some_and(is_young)
}
