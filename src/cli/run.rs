//! `vaguemestre run`: the daemon.

use std::sync::Arc;

use anyhow::Context as _;

use super::{Context, Outcome, exit, print, runtime};
use crate::admin::Tally;
use crate::config::Weight;
use crate::daemon::{self, HouseError};
use crate::log::{self, event};

pub(super) fn execute(context: &Context) -> Outcome {
    let file = context.config.clone();
    let load = move || crate::config::load(&file, std::env::vars());
    let loaded = load();
    let Some(settings) = loaded.settings else {
        print::faults(context.tongue, loaded.findings);
        return Ok(exit::CONFIGURATION);
    };
    let tally = Arc::new(Tally::default());
    log::start_with(settings.log.format, context.verbosity.level(settings.log.level), Some(Tally::layer(&tally)));
    for finding in &loaded.findings {
        match finding.weight {
            Weight::Note => tracing::info!(event = event::CONFIG_FINDING, key = finding.place.key, "{finding}"),
            _ => tracing::warn!(event = event::CONFIG_FINDING, key = finding.place.key, "{finding}"),
        }
    }
    context.enter(&settings)?;
    let (runtime, clock) = (runtime()?, Arc::clone(&context.clock));
    // Not on this thread, which every tick would have to wake as well.
    let work = runtime.spawn(async move { daemon::run(settings, &load, clock, tally).await });
    let outcome = runtime.block_on(work);
    // What a second signal left behind is not waited for.
    runtime.shutdown_background();
    match outcome.context("the daemon broke off: this is a defect, what was running is taken up at the next start")? {
        Ok(()) => Ok(exit::DONE),
        Err(error) => Err(explain(error)),
    }
}

fn explain(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<HouseError>() {
        Ok(error) => print::with_remedy(error.remedy(), error),
        Err(error) => error,
    }
}
