//! SIGHUP: the configuration read anew, all or nothing. Work in progress goes on; unchanged feeds notice nothing.

use std::sync::Arc;

use super::house::{House, Plan};
use super::{Load, assemble};
use crate::config::{Settings, Weight};
use crate::feed::FeedName;
use crate::ledger::LedgerError;
use crate::log::event;
use crate::status::Matter;
use crate::words::counted;

/// Why a changed configuration was not taken up: the old one stays.
#[derive(Debug, thiserror::Error)]
enum Rejected {
    /// It has errors, each logged.
    #[error("it has {}", counted(*.0, "error"))]
    Errors(usize),
    /// The state directory cannot change under a running daemon.
    #[error("[state] directory has changed: that needs a restart")]
    Directory,
    /// An account was renamed while one of its feeds is being polled.
    #[error("{0} is to be renamed and is being polled this moment: reload again when its poll has ended")]
    Busy(FeedName),
    /// This machine cannot fulfil it.
    #[error(transparent)]
    Assembly(#[from] assemble::AssemblyError),
    /// The ledger fails.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Takes up a changed configuration; `polled` are the feeds being polled. Answers whether it was taken up.
pub(super) async fn reload(house: &House, load: &Load, polled: impl Fn(&str) -> bool) -> bool {
    match take_up(house, load, polled).await {
        Ok(feeds) => {
            house.note(Matter::ConfigRejected, None);
            tracing::info!(event = event::CONFIG_RELOADED, feeds, "configuration reloaded: {feeds} feeds");
            true
        }
        Err(rejected) => {
            let message = format!("the changed configuration is not taken up, the old one stays: {rejected}");
            tracing::error!(event = event::CONFIG_REJECTED, "{message}");
            house.note(Matter::ConfigRejected, Some(message));
            false
        }
    }
}

async fn take_up(house: &House, load: &Load, polled: impl Fn(&str) -> bool) -> Result<usize, Rejected> {
    let loaded = load();
    for finding in &loaded.findings {
        match finding.weight {
            Weight::Error => tracing::error!(event = event::CONFIG_REJECTED, key = finding.place.key, "{finding}"),
            Weight::Problem => tracing::warn!(event = event::CONFIG_FINDING, key = finding.place.key, "{finding}"),
            Weight::Note => tracing::debug!(event = event::CONFIG_FINDING, key = finding.place.key, "{finding}"),
        }
    }
    let errors = loaded.findings.iter().filter(|finding| finding.weight == Weight::Error).count();
    let settings: Settings = loaded.settings.ok_or(Rejected::Errors(errors))?;
    if settings.state.directory != house.plan().settings.state.directory {
        return Err(Rejected::Directory);
    }
    let desk = house.desk_for(&settings).await?;
    let feeds = assemble::feeds(&settings, desk.as_ref())?;
    for (old, new) in house.ledger.renames(assemble::identities(&feeds)).await? {
        if polled(&old) {
            return Err(Rejected::Busy(new));
        }
    }
    let catalog = assemble::register(&settings, feeds, &house.ledger, &house.tokens, house.clock.now()).await?;
    let count = catalog.len();
    house.adopt(Arc::new(Plan::new(settings, catalog, desk))).await?;
    Ok(count)
}
