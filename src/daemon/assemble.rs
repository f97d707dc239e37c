//! From settings to the feeds this process polls: the platform, its accounts, what the ledger knows of them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::apis;

use crate::config::{Connector, Fast, FastAccount, Settings};
use crate::feed::{FeedName, Kind};
use crate::http::verifier::{ServerVerifier, TrustError};
use crate::ledger::{Conflict, FeedIdentity, Ledger, LedgerError};
use crate::log::event;
use crate::poll::watch::Desk;
use crate::poll::{Account, Feed, Lane, Platform, Source};
use crate::schedule::{Cadence, Calendar, NoTimeLeft};
use crate::token::{self, Manager, Way};

/// The feeds of this configuration, by name.
pub type Catalog = HashMap<FeedName, Feed>;

/// Settings that this machine cannot fulfil.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The authorities to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Windows that leave no time.
    #[error(transparent)]
    Time(#[from] NoTimeLeft),
    /// The client for a platform.
    #[error("{address} cannot be called: {what}")]
    Client {
        /// The platform.
        address: String,
        /// Why.
        what: String,
    },
    /// The address of a platform.
    #[error("{address} {fault}")]
    Address {
        /// As it is written.
        address: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl AssemblyError {
    /// What the operator does about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Trust(error) => error.remedy(),
            Self::Address { .. } | Self::Client { .. } => "correct its address, or [http]".to_owned(),
            Self::Time(_) => "correct [fast] maintenance and guard, [schedule] avoid_hour".to_owned(),
            Self::Ledger(error) => error.remedy().to_owned(),
        }
    }
}

/// When the feeds of `fast` may be listed.
///
/// # Errors
/// When the windows leave no time.
pub fn cadence(settings: &Settings, fast: &Fast) -> Result<Cadence, AssemblyError> {
    let calendar = Calendar::new(&fast.maintenance, fast.guard, settings.schedule.avoid_hour)?;
    Ok(Cadence::new(settings.schedule.interval, settings.schedule.jitter, calendar, fast.loopback))
}

/// The platform as all its accounts share it.
///
/// # Errors
/// When its authorities or its windows cannot be used.
pub fn platform(settings: &Settings, fast: &Fast) -> Result<Platform, AssemblyError> {
    Ok(Platform {
        name: "fast",
        base_url: fast.base_url.clone(),
        origin: fast.origin.clone(),
        loopback: fast.loopback,
        proxy: fast.proxy.clone(),
        no_proxy: settings.http.no_proxy.clone(),
        timeout: fast.timeout,
        concurrency: fast.concurrency,
        verifier: ServerVerifier::new(fast.ca_certificate.as_deref())?,
        share: share(settings),
    })
}

/// What one platform may take of the connections that may be open: as much as leaves an eighth to each other one, were all
/// the rest as slow as can be.
pub(super) fn share(settings: &Settings) -> Arc<Semaphore> {
    let Settings { fast, douane, piste, entreprise, http, .. } = settings;
    let used = [
        fast.as_ref().is_some_and(|it| !it.accounts.is_empty()),
        douane.as_ref().is_some_and(|it| !it.resources.is_empty()),
        piste.as_ref().is_some_and(|it| !it.resources.is_empty()),
        entreprise.as_ref().is_some_and(|it| !it.accounts.is_empty()),
    ];
    let others = used.into_iter().filter(|used| *used).count().saturating_sub(1);
    let left = http.connections.saturating_sub((http.connections / 8).max(1));
    let share = left.checked_div(others).unwrap_or(http.connections);
    Arc::new(Semaphore::new(share.max(1)))
}

/// The feeds of the configuration; nothing is written yet.
///
/// # Errors
/// When this machine cannot fulfil the settings.
pub(super) fn feeds(settings: &Settings, desk: Option<&Arc<Desk>>) -> Result<Catalog, AssemblyError> {
    let mut catalog = Catalog::new();
    apis::resources(settings, &mut catalog)?;
    if let Some(desk) = desk {
        apis::watches(settings, desk, &mut catalog)?;
    }
    let Some(fast) = settings.fast.as_ref().filter(|fast| !fast.accounts.is_empty()) else { return Ok(catalog) };
    let cadence = Arc::new(cadence(settings, fast)?);
    let platform = Arc::new(platform(settings, fast)?);
    for settings in fast.accounts.iter().filter(|account| account.enabled) {
        let connector = fast.connector_of(settings);
        let account = Arc::new(Account { settings: Arc::clone(settings), platform: Arc::clone(&platform), connector });
        let lane = Arc::new(Lane::new(fast.concurrency, fast.max_document));
        let pair = shared_listing(connector, settings);
        for &kind in &settings.feeds {
            let name = FeedName::fast(&settings.name, kind);
            let (cadence, lane) = (Arc::clone(&cadence), Arc::clone(&lane));
            let source = Source::Fast(Arc::clone(&account), kind);
            let other = |role: Kind, other: Kind| (pair && kind == role).then(|| FeedName::fast(&settings.name, other));
            let led_by = other(Kind::Signes, Kind::Acquittements);
            let leads = other(Kind::Acquittements, Kind::Signes);
            catalog.insert(name.clone(), Feed { name, cadence, lane, source, led_by, leads });
        }
    }
    Ok(catalog)
}

/// The feeds that are listed with another, each with that one.
#[must_use]
pub fn leaders(settings: &Settings) -> HashMap<FeedName, FeedName> {
    let Some(fast) = &settings.fast else { return HashMap::new() };
    let pairs = fast.accounts.iter().filter(|account| shared_listing(fast.connector_of(account), account));
    pairs
        .map(|account| {
            let name = |kind| FeedName::fast(&account.name, kind);
            (name(Kind::Signes), name(Kind::Acquittements))
        })
        .collect()
}

/// Whether acknowledgements and signed files lie in the same folders, and are both wanted: then one listing serves both, for
/// no folder may be listed more often than the platform allows.
fn shared_listing(connector: Connector, account: &FastAccount) -> bool {
    let wanted = |kind| account.feeds.contains(&kind);
    connector == Connector::Webdav && wanted(Kind::Acquittements) && wanted(Kind::Signes)
}

/// How token servers are reached.
#[must_use]
pub fn way(settings: &Settings) -> Way {
    let http = &settings.http;
    Way { proxy: http.proxy.clone(), no_proxy: http.no_proxy.clone(), ca_certificate: http.ca_certificate.clone() }
}

/// What the platform calls these feeds.
pub(super) fn identities(catalog: &Catalog) -> Vec<FeedIdentity> {
    let identity = |feed: &Feed| {
        let (origin, siren) = feed.source.identity();
        FeedIdentity {
            feed: feed.name.clone(),
            origin: origin.to_owned(),
            siren: siren.to_owned(),
            led_by: feed.led_by.clone(),
            files: feed.source.keeps_files(),
        }
    };
    catalog.values().map(identity).collect()
}

/// Registers `catalog` in the ledger and records accounts that cannot work. Answers the feeds that can be polled.
pub(super) async fn register(
    settings: &Settings,
    mut catalog: Catalog,
    ledger: &Ledger,
    tokens: &Manager,
    now: Timestamp,
) -> Result<Catalog, AssemblyError> {
    let registration = ledger.register(identities(&catalog), now).await?;
    for (old, new) in &registration.renamed {
        tracing::info!(event = event::FEED_RENAMED, feed = %new, "{old} is now called {new}; its history goes with it");
    }
    let unusable = settings.fast.iter().flat_map(|fast| &fast.unusable);
    let mut problems: Vec<(String, String)> =
        unusable.map(|account| (format!("fast/{}", account.name), account.problem.clone())).collect();
    problems.extend(token::unusable(settings));
    problems.extend(apis::unusable(settings));
    for Conflict { feed, origin, siren } in registration.conflicts {
        let account = feed.account_name().to_owned();
        // All of it stays out: one feed under the wrong SIREN is a mistake in the account, not in the feed.
        catalog.retain(|name, _| name.account_name() != account);
        let problem = format!(
            "{feed} belongs, in the ledger, to SIREN {siren} at {origin}: give the account a new name, so that what was \
             collected for the other stays apart"
        );
        problems.push((account, problem));
    }
    let mut clients = Vec::new();
    for client in token::accounts(settings) {
        let problem = tokens.problem(&client).await?;
        clients.push((client.account, problem));
    }
    clients.extend(apis::judge_tokens(settings, ledger).await?);
    ledger.retire_tokens(clients.iter().map(|(account, _)| account.clone()).collect()).await?;
    let others = problems.iter().map(|(account, _)| account).chain(clients.iter().map(|(account, _)| account));
    ledger.retire_accounts(others.cloned().collect()).await?;
    let mut news = ledger.bar_accounts(problems, now).await?;
    news.extend(ledger.judge_clients(clients, now).await?);
    for (account, problem) in news {
        tracing::error!(event = event::ACCOUNT_UNUSABLE, account, "account {account} cannot work: {problem}");
    }
    Ok(catalog)
}
