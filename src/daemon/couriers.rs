//! The couriers at work: one for each target, exchanged when the configuration changes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::archive::write::Folders;
use crate::clock::Clock;
use crate::config::{Delivery, Http, Target};
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
    at_work: HashMap<String, AtWork>,
    /// One for each target that was ever served: whoever succeeds a courier waits for what that one is about.
    turns: HashMap<String, Arc<Mutex<()>>>,
    tasks: JoinSet<()>,
}

/// A courier at work, and what ends that.
#[derive(Debug)]
struct AtWork {
    target: Target,
    http: Arc<Http>,
    stopping: watch::Sender<bool>,
}

impl Couriers {
    pub(super) fn new(root: Arc<PathBuf>, ledger: Ledger, clock: Arc<dyn Clock>, stored: watch::Receiver<()>) -> Self {
        let folders = Arc::new(Folders::default());
        let (at_work, turns, tasks) = (HashMap::new(), HashMap::new(), JoinSet::new());
        Self { root, ledger, clock, folders, stored, at_work, turns, tasks }
    }

    fn courier(&mut self, target: &Target, http: &Arc<Http>) -> Courier {
        Courier {
            root: Arc::clone(&self.root),
            ledger: self.ledger.clone(),
            clock: Arc::clone(&self.clock),
            http: Arc::clone(http),
            target: target.clone(),
            folders: Arc::clone(&self.folders),
            turn: Arc::clone(self.turns.entry(target.name.clone()).or_default()),
        }
    }

    /// Sees to it that just the targets of `delivery` are served, webhooks reached by `http`: unchanged ones notice nothing, a
    /// batch on its way is finished.
    pub(super) fn serve(&mut self, delivery: &Delivery, http: &Http) {
        self.at_work.retain(|_, at_work| {
            let stays = delivery.targets.contains(&at_work.target) && *at_work.http == *http;
            if !stays {
                at_work.stopping.send_replace(true);
            }
            stays
        });
        let http = Arc::new(http.clone());
        for target in &delivery.targets {
            if !self.at_work.contains_key(&target.name) {
                let (stopping, stopped) = watch::channel(false);
                let courier = self.courier(target, &http);
                self.tasks.spawn(courier.work(self.stored.clone(), stopped));
                let at_work = AtWork { target: target.clone(), http: Arc::clone(&http), stopping };
                self.at_work.insert(target.name.clone(), at_work);
            }
        }
    }

    /// Delivers what is due, once, to all targets side by side; `stopping` ends that between two.
    pub(super) async fn deliver_once(
        &mut self,
        delivery: &Delivery,
        http: &Http,
        stopping: &watch::Receiver<bool>,
    ) -> Result<(), LedgerError> {
        let http = Arc::new(http.clone());
        let couriers: Vec<Courier> = delivery.targets.iter().map(|target| self.courier(target, &http)).collect();
        let deliver = |courier: Courier| async move {
            while courier.deliver(stopping).await?.goes_on() {}
            Ok(())
        };
        try_join_all(couriers.into_iter().map(deliver)).await?;
        Ok(())
    }

    /// Stops all, and waits for what is on its way.
    pub(super) async fn stop(&mut self) {
        for at_work in std::mem::take(&mut self.at_work).into_values() {
            at_work.stopping.send_replace(true);
        }
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
