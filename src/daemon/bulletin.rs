//! `status.json` in the runtime directory, for agents that may not read the ledger: what `status --json` prints, written anew
//! whenever something has changed, for the daemon's group to read.

use std::ffi::OsString;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::log::event;
use crate::status::Overview;

/// Where systemd says that files of a run belong (`RuntimeDirectory=`).
const FOLDER: &str = "RUNTIME_DIRECTORY";
const NAME: &str = "status.json";

/// The file, and whether it could be written.
#[derive(Debug)]
pub(super) struct Bulletin {
    path: Option<PathBuf>,
    /// It could not be written, which was said.
    told: bool,
}

impl Bulletin {
    /// The bulletin of this run; none where systemd has made no runtime directory.
    pub(super) fn new() -> Self {
        let folder = std::env::var_os(FOLDER).filter(|folder: &OsString| !folder.is_empty());
        Self { path: folder.map(|folder| PathBuf::from(folder).join(NAME)), told: false }
    }

    /// Writes it anew.
    pub(super) async fn publish(&mut self, overview: Arc<Overview>) {
        let Some(path) = self.path.clone() else { return };
        let written = tokio::task::spawn_blocking(move || write(&path, &overview)).await;
        match written.map_err(std::io::Error::from).and_then(|outcome| outcome) {
            Ok(()) => self.told = false,
            Err(error) if std::mem::replace(&mut self.told, true) => drop(error),
            Err(error) => {
                tracing::warn!(event = event::DAEMON_FAULT, %error, "{NAME} cannot be written to the runtime directory");
            }
        }
    }
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
