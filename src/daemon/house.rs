//! Everything that works on one state directory, put together and taken apart.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::assemble::{self, Catalog};
use crate::clock::{Clock, stamp};
use crate::config::Settings;
use crate::delivery::Courier;
use crate::intake::{self, Intake, IntakeError};
use crate::ledger::{Ledger, LedgerError};
use crate::poll::Poller;
use crate::state::{StateDirectory, StateError};

/// What keeps the house shut.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] IntakeError),
    /// The configuration, judged against this machine.
    #[error(transparent)]
    Assembly(#[from] assemble::AssemblyError),
}

impl HouseError {
    /// What the operator does about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::State(error) => error.remedy().to_owned(),
            Self::Ledger(error) => error.remedy().to_owned(),
            Self::Archive(_) => "check the disk of the state directory, its owner and its free space".to_owned(),
            Self::Assembly(error) => error.remedy(),
        }
    }
}

/// One state directory at work.
#[derive(Debug)]
pub struct House {
    /// Held by us alone.
    pub state: StateDirectory,
    /// What is known.
    pub ledger: Ledger,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What is wanted.
    pub settings: Arc<Settings>,
    /// The feeds.
    pub catalog: Catalog,
    /// Polls them.
    pub poller: Arc<Poller>,
    couriers: Vec<Courier>,
    couriers_at_work: Mutex<JoinSet<()>>,
    stored: watch::Receiver<()>,
    stopping: watch::Sender<bool>,
}

impl House {
    /// Takes the state directory, opens the ledger, registers the feeds, takes up what earlier runs left.
    ///
    /// # Errors
    /// What keeps it shut; nothing was changed that a later start would not do as well.
    pub async fn open(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, HouseError> {
        let now = clock.now();
        let state = StateDirectory::hold(&settings.state.directory, now).await?;
        let root = Arc::new(state.path().to_owned());
        let ledger = Ledger::open(&root, now).await?;
        let interrupted = ledger.release_dead_claims(now).await?;
        if interrupted > 0 {
            tracing::info!(polls = interrupted, "taking up {interrupted} polls that an earlier run left unfinished");
        }
        ledger.tidy_requests(now).await?;
        let catalog = assemble::catalog(&settings, &ledger, now).await?;
        let targets: Arc<[_]> = settings.delivery.targets.clone().into();
        ledger.retire_targets(targets.iter().map(|target| target.name.clone()).collect()).await?;
        let (stopping, stopped) = watch::channel(false);
        let (stored, waiting) = watch::channel(());
        let intake =
            Intake::start(&root, ledger.clone(), Arc::clone(&clock), targets.clone(), stored, stopped.clone())?;
        let adopted = intake::adopt(&intake, &ledger).await?;
        if adopted != intake::Adopted::default() {
            tracing::info!(
                documents = adopted.documents,
                remains = adopted.remains,
                "adopted {} documents that had arrived; {} remains went to the quarantine",
                adopted.documents,
                adopted.remains
            );
        }
        let courier =
            |target| Courier { root: Arc::clone(&root), ledger: ledger.clone(), clock: Arc::clone(&clock), target };
        let couriers = targets.iter().cloned().map(courier).collect();
        let poller = Poller {
            ledger: ledger.clone(),
            clock: Arc::clone(&clock),
            intake,
            run: format!("{}-{}", std::process::id(), stamp(now)),
            reserve: settings.state.reserve,
            connections: Arc::new(Semaphore::new(settings.http.connections)),
            running: AtomicU64::new(0),
            stopping: stopped,
            judged: Mutex::new(HashMap::new()),
        };
        Ok(Self {
            state,
            ledger,
            clock,
            settings: Arc::new(settings),
            catalog,
            poller: Arc::new(poller),
            couriers,
            couriers_at_work: Mutex::new(JoinSet::new()),
            stored: waiting,
            stopping,
        })
    }

    /// Puts the couriers to work in the background.
    pub fn start_deliveries(&self) {
        let mut at_work = self.couriers_at_work.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for courier in &self.couriers {
            at_work.spawn(courier.clone().work(self.stored.clone(), self.stopping.subscribe()));
        }
    }

    /// Delivers what is due, once, and returns.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn deliver_once(&self) -> Result<(), LedgerError> {
        for courier in &self.couriers {
            while courier.deliver().await? > 0 {}
        }
        Ok(())
    }

    /// Nothing new begins from now on.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits for the couriers and closes the ledger. The lock goes with the house.
    pub async fn close(&self) {
        self.stop();
        let mut at_work =
            std::mem::take(&mut *self.couriers_at_work.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        while at_work.join_next().await.is_some() {}
        self.ledger.close().await;
    }
}
