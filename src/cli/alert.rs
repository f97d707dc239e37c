//! `vaguemestre alert`: sends a test to those who are told alerts, by the way they would be told.

use std::io::Write as _;

use anyhow::bail;
use clap::Args;

use super::{Context, Outcome, exit, print, runtime};
use crate::alert;
use crate::config::AlertTarget;

/// There is nobody to send a test to.
#[derive(Debug, thiserror::Error)]
#[error("nobody is told alerts: the configuration has no [[alerts]]")]
struct Nobody;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Names of `[[alerts]]`; none: all of them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    context.enter(&settings)?;
    let known = |name: &String| settings.alerts.iter().any(|target| target.name == *name);
    if let Some(unknown) = arguments.names.iter().find(|name| !known(name)) {
        bail!("no table [[alerts]] is named {unknown}");
    }
    if settings.alerts.is_empty() {
        return Err(print::with_remedy("add a table [[alerts]]: `man vaguemestre.toml` says how", Nobody));
    }
    let wanted = |target: &&AlertTarget| arguments.names.is_empty() || arguments.names.contains(&target.name);
    let mut code = exit::DONE;
    let runtime = runtime()?;
    for target in settings.alerts.iter().filter(wanted) {
        let outcome = runtime.block_on(alert::test(target, &settings.http, context.tongue, context.clock.now()));
        let mut out = std::io::stdout().lock();
        match outcome {
            Ok(()) => writeln!(out, "{}", context.tongue.say(&format!("{}: a test was taken", target.name)))?,
            Err(error) => {
                writeln!(out, "{}{}{}", target.name, context.tongue.colon(), context.tongue.say(&error))?;
                code = exit::FAILURE;
            }
        }
    }
    Ok(code)
}
