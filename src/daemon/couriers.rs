//! The couriers at work: one for each target, exchanged when the configuration changes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::archive::write::Folders;
use crate::clock::Clock;
use crate::config::Target;
use crate::delivery::Courier;
use crate::ledger::{Ledger, LedgerError};

/// A stop waits for batches on their way, but not for a target that hangs: what it holds is delivered again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves the targets of the present configuration.
#[derive(Debug)]
pub(super) struct Couriers {
    root: Arc<PathBuf>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    folders: Arc<Folders>,
    stored: watch::Receiver<()>,
    at_work: HashMap<String, (Target, watch::Sender<bool>)>,
    tasks: JoinSet<()>,
}

impl Couriers {
    pub(super) fn new(root: Arc<PathBuf>, ledger: Ledger, clock: Arc<dyn Clock>, stored: watch::Receiver<()>) -> Self {
        let folders = Arc::new(Folders::default());
        Self { root, ledger, clock, folders, stored, at_work: HashMap::new(), tasks: JoinSet::new() }
    }

    fn courier(&self, target: &Target) -> Courier {
        Courier {
            root: Arc::clone(&self.root),
            ledger: self.ledger.clone(),
            clock: Arc::clone(&self.clock),
            target: target.clone(),
            folders: Arc::clone(&self.folders),
        }
    }

    /// Sees to it that just these targets are served: unchanged ones notice nothing, a batch on its way is finished.
    pub(super) fn serve(&mut self, targets: &[Target]) {
        self.at_work.retain(|_, (target, stopping)| {
            let stays = targets.contains(target);
            if !stays {
                stopping.send_replace(true);
            }
            stays
        });
        for target in targets {
            if !self.at_work.contains_key(&target.name) {
                let (stopping, stopped) = watch::channel(false);
                self.tasks.spawn(self.courier(target).work(self.stored.clone(), stopped));
                self.at_work.insert(target.name.clone(), (target.clone(), stopping));
            }
        }
    }

    /// Delivers what is due to `targets`, once, to all side by side.
    pub(super) async fn deliver_once(&self, targets: &[Target]) -> Result<(), LedgerError> {
        let deliver = |target| {
            let courier = self.courier(target);
            async move {
                while courier.deliver().await? > 0 {}
                Ok(())
            }
        };
        try_join_all(targets.iter().map(deliver)).await?;
        Ok(())
    }

    /// Stops all, and waits for what is on its way.
    pub(super) async fn stop(&mut self) {
        self.serve(&[]);
        let ended = timeout(PATIENCE, async { while self.tasks.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            tracing::warn!(
                "{} deliveries hang and are not waited for any longer; they are made again after the next start",
                self.tasks.len()
            );
            self.tasks.shutdown().await;
        }
    }
}
