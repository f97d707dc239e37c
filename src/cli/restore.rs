//! `vaguemestre restore`: a copy of the ledger put in its place.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Context, Outcome, exit, operator, print, runtime};
use crate::daemon::restore::{self, RestoreError, Restored, Source};
use crate::ledger::{Action, Ledger};
use crate::words::counted;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The copy: one of those in [state] backup, or one that was made by hand
    #[arg(value_name = "FILE")]
    copy: PathBuf,
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    let actor = operator::actor();
    let copy = std::path::absolute(&arguments.copy)?;
    let explain = |error: RestoreError| print::with_remedy(error.remedy(), error);
    let source = Source::open(copy.clone()).map_err(explain)?;
    context.enter(&settings)?;
    let directory = settings.state.directory.clone();
    let restored = runtime()?.block_on(async {
        let restored = restore::restore(settings, source, Arc::clone(&context.clock)).await?;
        let ledger = Ledger::open_beside_daemon(&directory).await?;
        let action = Action { actor, command: "restore".to_owned(), detail: copy.display().to_string() };
        let recorded = ledger.record_action(action, context.clock.now()).await;
        ledger.close().await;
        recorded?;
        Ok::<_, RestoreError>(restored)
    });
    let restored = restored.map_err(explain)?;
    let mut out = std::io::stdout().lock();
    out.write_all(tell(&restored, &copy).as_bytes())?;
    Ok(exit::DONE)
}

fn tell(restored: &Restored, copy: &std::path::Path) -> String {
    let Restored { aside, set_aside, adopted, unknown, unknown_count, first_poll } = restored;
    let mut lines = vec![format!("the ledger is the one of {} now", copy.display())];
    if let Some(aside) = aside {
        lines.push(format!("the one before lies in {}; remove it once all is well", aside.display()));
    }
    let are = if *adopted == 1 { "is" } else { "are" };
    lines.push(format!(
        "{} of the archive that it did not know {are} recorded, and handed over again once the daemon runs",
        counted(*adopted, "document")
    ));
    if *set_aside > 0 {
        lines.push(format!("{} that had not fully arrived went to archive/quarantine", counted(*set_aside, "file")));
    }
    if *unknown_count > 0 {
        lines.push(format!(
            "{} of the archive of which no feed of the configuration is known:",
            counted(*unknown_count, "file")
        ));
        lines.extend(unknown.iter().map(|path| format!("  {}", path.display())));
    }
    if first_poll.is_some() {
        lines.push(format!("the first poll is due at {} (Paris); start the daemon", print::paris_time(*first_poll)));
    }
    lines.join("\n") + "\n"
}
