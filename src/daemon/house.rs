//! Everything that works on one state directory, put together and taken apart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::{Notify, Semaphore, watch};

use super::apis;
use super::assemble::{self, Catalog};
use super::couriers::Couriers;
use crate::admin::{Admin, Life, Sources, Tally};
use crate::clock::{Clock, stamp};
use crate::config::{Address, Settings};
use crate::http::skew::SkewWatch;
use crate::intake::{self, DISTRUST, Intake, IntakeError};
use crate::ledger::{AlertRow, ConditionRow, Ledger, LedgerError};
use crate::log::event;
use crate::poll::watch::Desk;
use crate::poll::{Poller, Room};
use crate::state::{Role, StateDirectory, StateError};
use crate::status::{Matter, Overview};
use crate::token::service::Counter;
use crate::token::{self, Manager};

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

/// What a look over everything has found; none before the first.
pub type Sight = Option<Arc<Overview>>;

/// What is wanted now: exchanged whole by a reload, kept by whoever still works by the old one.
#[derive(Debug)]
pub struct Plan {
    /// The settings.
    pub settings: Settings,
    /// The feeds.
    pub catalog: Catalog,
    /// API Entreprise, where it is configured.
    pub desk: Option<Arc<Desk>>,
    /// The platforms that have feeds.
    pub platforms: BTreeSet<String>,
}

impl Plan {
    /// The plan that follows from `settings`.
    pub(super) fn new(settings: Settings, catalog: Catalog, desk: Option<Arc<Desk>>) -> Self {
        let platforms = catalog.keys().map(|feed| feed.platform().to_owned()).collect();
        Self { settings, catalog, desk, platforms }
    }

    /// Scheme, host and port of all who are asked.
    pub(super) fn origins(&self) -> BTreeSet<String> {
        let platforms = self.catalog.values().map(|feed| feed.source.platform().origin.clone());
        let clients = token::accounts(&self.settings);
        let tokens = clients.iter().filter_map(|client| Address::parse(&client.token_url).ok()).map(|it| it.origin);
        platforms.chain(tokens).collect()
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
    /// Polls feeds.
    pub poller: Arc<Poller>,
    /// Gives tokens.
    pub tokens: Arc<Manager>,
    plan: RwLock<Arc<Plan>>,
    couriers: tokio::sync::Mutex<Couriers>,
    counter: tokio::sync::Mutex<Counter>,
    admin: tokio::sync::Mutex<Option<Admin>>,
    /// How the daemon lives.
    pub life: Arc<Life>,
    /// How far the archive has been looked through for what is kept no longer.
    pub(super) purge: super::retention::Purge,
    /// Calls the couriers.
    waiting: watch::Sender<()>,
    /// Something has happened that an overview speaks of.
    stir: Notify,
    /// Somebody is to be told something.
    herald: Notify,
    /// What is amiss and could not be written down.
    unwritten: Mutex<Vec<AlertRow>>,
    /// What is amiss with the daemon itself.
    conditions: Mutex<BTreeMap<Matter, ConditionRow>>,
    /// What the last look over everything showed; none before the first.
    sight: watch::Sender<Sight>,
    stopping: watch::Sender<bool>,
}

impl House {
    /// Takes the state directory as `role`, opens the ledger, registers the feeds, takes up what earlier runs left.
    ///
    /// # Errors
    /// What keeps it shut; nothing was changed that a later start would not do as well.
    pub async fn open(settings: Settings, role: Role, clock: Arc<dyn Clock>) -> Result<Self, HouseError> {
        let state = StateDirectory::hold(&settings.state.directory, role, clock.now()).await?;
        Self::open_held(state, settings, clock).await
    }

    /// The same of a state directory that is held already.
    ///
    /// # Errors
    /// As [`House::open`].
    pub(super) async fn open_held(
        state: StateDirectory,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HouseError> {
        let now = clock.now();
        let root = Arc::new(state.path().to_owned());
        let ledger = Ledger::open(&root, now).await?;
        let interrupted = ledger.release_dead_claims(now).await?;
        if interrupted > 0 {
            tracing::info!(
                event = event::DAEMON_RESUMED,
                polls = interrupted,
                "taking up {interrupted} polls that an earlier run left unfinished"
            );
        }
        ledger.tidy_requests(now).await?;
        let (stopping, stopped) = watch::channel(false);
        let clocks = Arc::new(SkewWatch::new(Arc::clone(&clock)));
        let tokens = Arc::new(Manager::new(ledger.clone(), Arc::clone(&clock), Arc::clone(&clocks), stopped.clone()));
        tokens.serve(token::accounts(&settings), assemble::way(&settings));
        let desk = apis::desk(&settings, &ledger, &clock, &stopped).await?;
        let feeds = assemble::feeds(&settings, desk.as_ref())?;
        let catalog = assemble::register(&settings, feeds, &ledger, &tokens, now).await?;
        let targets = &settings.delivery.targets;
        ledger.retire_targets(targets.iter().map(|target| target.name.clone()).collect()).await?;
        let (stored, waiting) = watch::channel(());
        let intake =
            Intake::start(&root, ledger.clone(), Arc::clone(&clock), targets.clone(), stored.clone(), stopped.clone())?;
        let adopted = intake::adopt(&intake, &ledger).await?;
        if adopted != intake::Adopted::default() {
            let intake::Adopted { documents, remains } = adopted;
            tracing::info!(
                event = event::DAEMON_RESUMED,
                documents,
                remains,
                "adopted {documents} documents that had arrived; {remains} remains went \
                to the quarantine"
            );
        }
        let poller = Poller {
            ledger: ledger.clone(),
            clock: Arc::clone(&clock),
            intake,
            run: format!("{}-{}", std::process::id(), stamp(now)),
            passes: AtomicU64::new(0),
            room: Room::new(Arc::clone(&root), settings.state.reserve),
            connections: Arc::new(Semaphore::new(settings.http.connections)),
            tokens: Arc::clone(&tokens),
            clocks,
            stopping: stopped,
        };
        // What had not arrived of a version is asked for anew.
        ledger.drop_unkept_versions(None).await?;
        // What lasts until the next try goes on over a restart; another configuration has just been taken up.
        let lasts = [Matter::BackupFailed, Matter::AdminFailed];
        let standing = ledger.conditions().await?.into_iter().filter_map(|row| {
            let matter = lasts.into_iter().find(|matter| matter.as_str() == row.kind)?;
            Some((matter, row))
        });
        let couriers = Couriers::new(root, ledger.clone(), Arc::clone(&clock), waiting);
        let house = Self {
            counter: tokio::sync::Mutex::new(Counter::new(Arc::clone(&tokens), Arc::clone(&clock))),
            admin: tokio::sync::Mutex::default(),
            life: Arc::new(Life::new(now)),
            state,
            ledger,
            clock,
            poller: Arc::new(poller),
            tokens,
            plan: RwLock::new(Arc::new(Plan::new(settings, catalog, desk))),
            couriers: tokio::sync::Mutex::new(couriers),
            purge: super::retention::Purge::default(),
            waiting: stored,
            stir: Notify::new(),
            herald: Notify::new(),
            unwritten: Mutex::default(),
            conditions: Mutex::new(standing.collect()),
            sight: watch::Sender::new(None),
            stopping,
        };
        apis::enrol(&house, &house.plan().catalog, true).await?;
        Ok(house)
    }

    /// The desk for `settings`: the present one, where that is still of the same platform.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(super) async fn desk_for(&self, settings: &Settings) -> Result<Option<Arc<Desk>>, LedgerError> {
        let origin = settings.entreprise.as_ref().and_then(|it| Address::parse(&it.base_url).ok());
        match self.plan().desk.clone().filter(|desk| origin.is_some_and(|address| address.origin == desk.origin)) {
            Some(desk) => Ok(Some(desk)),
            None => apis::desk(settings, &self.ledger, &self.clock, &self.poller.stopping).await,
        }
    }

    /// What is wanted now.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Works by `plan` from now on; what is in progress goes on by the old one.
    ///
    /// # Errors
    /// When the ledger fails: then the old plan stays.
    pub(super) async fn adopt(&self, plan: Arc<Plan>) -> Result<(), LedgerError> {
        let targets = &plan.settings.delivery.targets;
        self.ledger.retire_targets(targets.iter().map(|target| target.name.clone()).collect()).await?;
        self.poller.intake.deliver_to(targets.clone());
        self.poller.room.keep_free(plan.settings.state.reserve);
        let (old, new) = (self.plan().settings.http.connections, plan.settings.http.connections);
        if new >= old {
            self.poller.connections.add_permits(new - old);
        } else {
            self.poller.connections.forget_permits(old - new);
        }
        self.couriers.lock().await.serve(&plan.settings.delivery, &plan.settings.http);
        self.tokens.serve(token::accounts(&plan.settings), assemble::way(&plan.settings));
        self.counter.lock().await.serve(plan.settings.token.socket.as_deref()).await;
        if let Some(admin) = &*self.admin.lock().await {
            admin.serve(plan.settings.admin.listen.clone());
        }
        if let (Some(desk), Some(entreprise)) = (&plan.desk, &plan.settings.entreprise) {
            desk.gate.share(entreprise.share);
            desk.begin_anew();
        }
        apis::enrol(self, &plan.catalog, true).await?;
        *self.plan.write().unwrap_or_else(std::sync::PoisonError::into_inner) = plan;
        Ok(())
    }

    /// Puts the couriers to work in the background.
    pub async fn start_deliveries(&self) {
        let plan = self.plan();
        self.couriers.lock().await.serve(&plan.settings.delivery, &plan.settings.http);
    }

    /// Has the couriers look at what waits, now.
    pub(super) fn call_couriers(&self) {
        self.waiting.send_replace(());
    }

    /// Something has happened that an overview speaks of: look soon.
    pub(super) fn stir(&self) {
        self.stir.notify_one();
    }

    /// Waits until something has happened since this was last waited for.
    pub(super) async fn stirred(&self) {
        self.stir.notified().await;
    }

    /// Something is amiss with the daemon itself, or (`None`) no longer is.
    pub(super) fn note(&self, matter: Matter, message: Option<String>) {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let before = conditions.remove(&matter);
        let changed = before.as_ref().map(|row| &row.message) != message.as_ref();
        if let Some(message) = message {
            let since = before.map_or_else(|| Some(self.clock.now()), |row| row.since);
            conditions.insert(matter, ConditionRow { kind: matter.as_str().to_owned(), message, since });
        }
        drop(conditions);
        if changed {
            self.stir();
        }
    }

    /// What is amiss with the daemon itself.
    pub(super) fn conditions(&self) -> Vec<ConditionRow> {
        let distrust = !self.poller.intake.trusts_disk();
        self.note(Matter::DiskFailed, distrust.then(|| DISTRUST.to_owned()));
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Has those be told who are to be.
    pub(super) fn call_herald(&self) {
        self.herald.notify_one();
    }

    /// What is amiss and could not be written down is to be told all the same.
    pub(super) fn unwritten(&self, rows: Vec<AlertRow>) {
        *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner) = rows;
        self.call_herald();
    }

    /// Takes what could not be written down.
    pub(super) fn take_unwritten(&self) -> Vec<AlertRow> {
        std::mem::take(&mut *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until somebody is to be told something.
    pub(super) async fn herald_called(&self) {
        self.herald.notified().await;
    }

    /// Shows what a look over everything has found to those who want to see it; it is kept for nobody.
    pub(super) fn show(&self, overview: &Arc<Overview>) {
        if self.sight.receiver_count() > 0 {
            self.sight.send_replace(Some(Arc::clone(overview)));
        }
    }

    /// What looks over everything find, from the next one on.
    #[must_use]
    pub fn sight(&self) -> watch::Receiver<Sight> {
        self.stir();
        self.sight.subscribe()
    }

    /// Turns true when nothing new is to begin.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Gives tokens to other programs, where that is wanted.
    pub async fn open_counter(&self) {
        self.counter.lock().await.serve(self.plan().settings.token.socket.as_deref()).await;
    }

    /// Tells browsers and monitoring how everything goes, where that is wanted.
    pub async fn open_admin(self: &Arc<Self>, tally: Arc<Tally>) {
        let house = Arc::downgrade(self);
        let sight = move || house.upgrade().map(|house| house.sight());
        let (life, ledger, clock) = (Arc::clone(&self.life), self.ledger.clone(), Arc::clone(&self.clock));
        let house = Arc::downgrade(self);
        let complain = move |fault| {
            if let Some(house) = house.upgrade() {
                house.note(Matter::AdminFailed, fault);
            }
        };
        let sources = Sources::new(sight, complain, life, tally, ledger, clock);
        let listen = self.plan().settings.admin.listen.clone();
        *self.admin.lock().await = Some(Admin::start(sources, listen));
    }

    /// Delivers what is due, once, and returns.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn deliver_once(&self) -> Result<(), LedgerError> {
        let Settings { delivery, http, .. } = &self.plan().settings;
        self.couriers.lock().await.deliver_once(delivery, http, &self.stopping.subscribe()).await
    }

    /// Nothing new begins from now on.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits for the couriers and closes the ledger. The lock goes with the house.
    pub async fn close(&self) {
        self.stop();
        self.counter.lock().await.close();
        self.couriers.lock().await.stop().await;
        if let Some(admin) = self.admin.lock().await.take() {
            admin.close().await;
        }
        self.ledger.close().await;
    }
}
