//! `status.json` in the runtime directory, for agents that may not read the ledger: what `status --json` prints, written anew
//! whenever something has changed, for the daemon's group to read.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::{House, apis};
use crate::feed::FeedName;
use crate::ledger::LedgerError;
use crate::log::event;
use crate::status::{self, Overview, Recipients};

/// Where systemd says that files of a run belong (`RuntimeDirectory=`).
const FOLDER: &str = "RUNTIME_DIRECTORY";
const NAME: &str = "status.json";
/// It is written not more often than this, for with thousands of feeds it is long, and once in a while whatever happens.
const OFTEN: Duration = Duration::from_secs(5);
const SELDOM: Duration = Duration::from_secs(60);

/// The file, and when it was written last.
#[derive(Debug)]
pub(super) struct Bulletin {
    path: Option<PathBuf>,
    written: Option<Instant>,
    stale: bool,
    /// It could not be written, which was said.
    told: bool,
}

impl Bulletin {
    /// The bulletin of this run; none where systemd has made no runtime directory.
    pub(super) fn new() -> Self {
        let folder = std::env::var_os(FOLDER).filter(|folder: &OsString| !folder.is_empty());
        let path = folder.map(|folder| PathBuf::from(folder).join(NAME));
        Self { path, written: None, stale: false, told: false }
    }

    /// Something has happened that it speaks of.
    pub(super) fn is_stale(&mut self) {
        self.stale = true;
    }

    /// Writes it anew where that is due.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(super) async fn publish(&mut self, house: &House) -> Result<(), LedgerError> {
        let Some(path) = self.path.clone() else { return Ok(()) };
        let due = self.written.is_none_or(|at| at.elapsed() >= if self.stale { OFTEN } else { SELDOM });
        if !due {
            return Ok(());
        }
        (self.written, self.stale) = (Some(Instant::now()), false);
        let overview = overview(house).await?;
        let written = tokio::task::spawn_blocking(move || write(&path, &overview)).await;
        match written.map_err(std::io::Error::from).and_then(|outcome| outcome) {
            Ok(()) => self.told = false,
            Err(error) if std::mem::replace(&mut self.told, true) => drop(error),
            Err(error) => {
                tracing::warn!(event = event::DAEMON_FAULT, %error, "{NAME} cannot be written to the runtime directory");
            }
        }
        Ok(())
    }
}

async fn overview(house: &House) -> Result<Overview, LedgerError> {
    let plan = house.plan();
    let settings = &plan.settings;
    let interval = |feed: &FeedName| apis::every(settings, feed).unwrap_or(settings.schedule.interval);
    // Inboxes are not looked into: one may hang, and this is written in between ticks.
    let targets = Recipients { targets: &settings.delivery.targets, look: false };
    status::overview(&house.ledger, house.state.path(), interval, targets, house.clock.now(), |_| true).await
}

/// Whole or not at all, for others read it at any moment. Not synced: it is of this run only.
fn write(path: &std::path::Path, overview: &Overview) -> std::io::Result<()> {
    let fresh = path.with_extension("json.new");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&fresh)?);
    serde_json::to_writer(&mut file, overview)?;
    file.write_all(b"\n")?;
    file.into_inner()?.set_permissions(Permissions::from_mode(0o640))?;
    std::fs::rename(fresh, path)
}
