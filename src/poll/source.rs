//! Where the documents of a feed come from, and the way there, made anew for each poll.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::account::{self, Account};
use super::watch::{Door, Watch};
use super::{Feed, Poller};
use crate::config::{self, FirstPoll, SecretRef};
use crate::connector::entreprise::Api;
use crate::connector::entreprise::jwt::Jwt;
use crate::connector::fast::rest::Rest;
use crate::connector::fast::soap::Soap;
use crate::connector::fast::webdav::Webdav;
use crate::connector::resource::{Items, Resource};
use crate::connector::{Cause, ConnectorError};
use crate::feed::Kind;
use crate::http::skew::SkewWatch;
use crate::http::verifier::ServerVerifier;
use crate::http::{Client, Route, anonymous_tls};
use crate::ledger::{CertificateFacts, LedgerError};
use crate::log::event;

/// A platform, as all its accounts share it.
#[derive(Debug)]
pub struct Platform {
    /// Its word: `fast`, `douane`, `piste`, `entreprise`.
    pub name: &'static str,
    /// Where it is, without a slash at the end.
    pub base_url: String,
    /// Scheme, host and port.
    pub origin: String,
    /// Whether that is this machine.
    pub loopback: bool,
    /// `http://host:port` of a proxy.
    pub proxy: Option<String>,
    /// Hosts reached without it.
    pub no_proxy: Vec<String>,
    /// To the first byte, and for any stretch under 1 KiB/s.
    pub timeout: Duration,
    /// Connections kept open between requests.
    pub concurrency: usize,
    /// Judges its certificate; one for all accounts.
    pub verifier: Arc<ServerVerifier>,
    /// Connections that it may have open at a time: one that is slow leaves some for every other platform.
    pub share: Arc<Semaphore>,
}

/// What an account may do at a time, over all its feeds.
#[derive(Debug)]
pub struct Lane {
    /// Documents fetched at a time.
    pub concurrency: usize,
    /// A place for each.
    pub slots: Arc<Semaphore>,
    /// The largest document taken, in bytes.
    pub max_document: u64,
}

impl Lane {
    /// Room for `concurrency` documents at a time, of at most `max_document` bytes each.
    #[must_use]
    pub fn new(concurrency: usize, max_document: u64) -> Self {
        Self { concurrency, slots: Arc::new(Semaphore::new(concurrency)), max_document }
    }
}

/// Where the documents of a feed come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// FAST-Parapheur: what an account is given of one kind.
    Fast(Arc<Account>, Kind),
    /// Douane or PISTE: something that is kept when it changes, or a list whose items are.
    Resource(Arc<Platform>, Arc<config::Resource>),
    /// API Entreprise: something asked about many subjects.
    Watch(Arc<Platform>, Arc<Watch>),
}

impl Source {
    /// The platform.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        match self {
            Self::Fast(account, _) => &account.platform,
            Self::Resource(platform, _) | Self::Watch(platform, _) => platform,
        }
    }

    /// Who the platform says this is, whatever its name: origin, and what it files it under there.
    #[must_use]
    pub fn identity(&self) -> (&str, &str) {
        match self {
            Self::Fast(account, _) => (&account.platform.origin, &account.settings.siren),
            // These are known by their names alone: another address is another way to the same.
            Self::Resource(platform, resource) => (platform.name, &resource.account),
            Self::Watch(platform, watch) => (platform.name, &watch.settings.account),
        }
    }

    /// Whether its documents are files, which stay on the platform until they are removed.
    #[must_use]
    pub fn keeps_files(&self) -> bool {
        matches!(self, Self::Fast(account, _) if account.connector == config::Connector::Webdav)
    }

    /// When files are removed from the platform.
    #[must_use]
    pub fn release(&self) -> config::Release {
        match self {
            Self::Fast(account, _) => account.settings.release,
            Self::Resource(..) | Self::Watch(..) => config::Release::Stored,
        }
    }

    /// Whether what its first listing shows is only recorded.
    #[must_use]
    pub fn skips_first_listing(&self) -> bool {
        match self {
            Self::Fast(account, _) => account.settings.first_poll == FirstPoll::Skip,
            Self::Resource(..) | Self::Watch(..) => false,
        }
    }
}

/// The way to the documents of a feed.
#[derive(Debug)]
pub(super) enum Way {
    /// FAST-Parapheur over REST.
    Rest(Rest),
    /// FAST-Parapheur over SOAP.
    Soap(Soap),
    /// FAST-Parapheur over WebDAV.
    Webdav(Webdav),
    /// The items of a list.
    Items(Items),
    /// Something that changes.
    Resource(Resource, Arc<config::Resource>),
    /// A watch.
    Watch(Door),
}

impl Poller {
    /// Makes the way to `feed` for one poll, and records what that shows of its account. The inner error says why the
    /// account cannot work, and what to do.
    pub(super) async fn connect(&self, feed: &Feed) -> Result<Result<Way, String>, LedgerError> {
        Ok(self.connect_shown(feed).await?.map(|(way, _)| way))
    }

    /// The same, with the serial number of the certificate that is shown, where another may take its place.
    pub(super) async fn connect_shown(
        &self,
        feed: &Feed,
    ) -> Result<Result<(Way, Option<String>), String>, LedgerError> {
        match &feed.source {
            Source::Fast(account, kind) => {
                let account::Choice { identity, successor } = self.choose(feed, account).await?;
                let certificate = identity.as_ref().ok().map(account::facts);
                let shown = certificate.as_ref().map(|facts| facts.serial.clone());
                let shown = shown.filter(|_| account.settings.next_certificate.is_some());
                let outcome = identity.and_then(|identity| match account::fatal(&identity, self.clock.now()) {
                    Some(problem) => Err(problem),
                    None => account::way(account, *kind, &identity, self.clocks()),
                });
                self.record(feed, certificate, outcome.as_ref().err().cloned()).await?;
                self.ledger.record_successor(feed.name.account_name(), successor).await?;
                Ok(outcome.map(|way| (way, shown)))
            }
            Source::Resource(platform, resource) => Ok(self.gateway(feed, platform, resource).map(|way| (way, None))),
            Source::Watch(platform, watch) => {
                let door = open_door(platform, watch, self.clocks()).await;
                let expires = door.as_ref().ok().and_then(|door| Jwt::read(&door.token)?.expires_at);
                self.ledger.record_expiry(feed.name.account_name(), expires).await?;
                self.record(feed, None, door.as_ref().err().cloned()).await?;
                Ok(door.map(|door| (Way::Watch(door), None)))
            }
        }
    }

    /// Takes note of what a listing says of the certificate `serial` that was shown: whether another is to be tried.
    pub(super) async fn judge_certificate(
        &self,
        feed: &Feed,
        serial: &str,
        fault: Option<&ConnectorError>,
    ) -> Result<(), LedgerError> {
        let account = feed.name.account_name();
        match fault {
            None => self.ledger.accept_certificate(account, serial).await,
            Some(ConnectorError::Access(access)) if access.cause.is_about_the_certificate() => {
                // One feed that is not enabled says nothing about the certificate, as long as others let it in.
                let alone = access.cause == Cause::Unauthorized;
                self.ledger.refuse_certificate(account, serial, alone.then_some(&feed.name)).await
            }
            Some(_) => Ok(()),
        }
    }

    /// Chooses between the certificates of an account, and says so where it is another than last time.
    async fn choose(&self, feed: &Feed, account: &Arc<Account>) -> Result<account::Choice, LedgerError> {
        if account.settings.next_certificate.is_none() {
            return Ok(account::choose(account, None, self.clock.now()).await);
        }
        let name = feed.name.account_name();
        let known = self.ledger.account(name).await?;
        let refused = known.as_ref().and_then(|row| row.refused_serial.clone());
        let choice = account::choose(account, refused, self.clock.now()).await;
        if let (Some(before), Ok(now)) = (known.and_then(|row| row.certificate), &choice.identity)
            && before.serial != now.serial
        {
            let (serial, subject) = (&now.serial, &now.subject);
            tracing::info!(event = event::CERTIFICATE_CHANGED, account = name, serial, subject, not_after = %now.not_after,
                "{name} goes on with another certificate: {serial} of {subject}, valid until {}", now.not_after);
        }
        Ok(choice)
    }

    fn clocks(&self) -> Clocks {
        Some(Arc::clone(&self.clocks))
    }

    fn gateway(&self, feed: &Feed, platform: &Platform, settings: &Arc<config::Resource>) -> Result<Way, String> {
        let client = client(platform, platform.timeout, self.clocks())?;
        let resource = Resource::new(client, &platform.base_url, Arc::clone(&self.tokens), feed.name.account_name());
        Ok(match &settings.items {
            Some(items) => Way::Items(Items::new(resource, &settings.path, &items.id, &items.path)),
            None => Way::Resource(resource, Arc::clone(settings)),
        })
    }

    /// Writes what is known of the account's certificate, and says what is wrong with it, once.
    async fn record(
        &self,
        feed: &Feed,
        certificate: Option<CertificateFacts>,
        problem: Option<String>,
    ) -> Result<(), LedgerError> {
        let name = feed.name.account_name();
        let news = self.ledger.judge_account(name, certificate, problem.clone(), self.clock.now()).await?;
        if let Some(problem) = problem.filter(|_| news) {
            tracing::error!(event = event::ACCOUNT_UNUSABLE, account = name, "account {name} cannot work: {problem}");
        }
        Ok(())
    }
}

/// Compares the clocks of those who answer with ours; `None`: nobody does.
pub type Clocks = Option<Arc<SkewWatch>>;

/// A client without a certificate.
fn client(platform: &Platform, timeout: Duration, clocks: Clocks) -> Result<Client, String> {
    let verifier = platform.base_url.starts_with("https://").then(|| Arc::clone(&platform.verifier));
    let route = Route { timeout, clocks, ..route(platform) };
    anonymous_tls(verifier).and_then(|tls| Client::new(tls, &route)).map_err(|error| error.to_string())
}

/// Reads the token of a watch's account, and makes its way to the API; else why there is none, and what to do.
async fn open_door(platform: &Platform, watch: &Arc<Watch>, clocks: Clocks) -> Result<Door, String> {
    let token = read_token(&watch.account.token).await?;
    let api = api(platform, watch.settings.group, watch.settings.timeout, clocks)?;
    Ok(Door { watch: Arc::clone(watch), api, token })
}

/// The way to API Entreprise, whole calls lasting up to `timeout`.
///
/// # Errors
/// Why there is none.
pub fn api(platform: &Platform, group: config::Group, timeout: Duration, clocks: Clocks) -> Result<Api, String> {
    let client = client(platform, timeout, clocks)?;
    let (route, verifier) = (route(platform), Arc::clone(&platform.verifier));
    Ok(Api::new(client, &platform.base_url, group, timeout, route, verifier))
}

/// Reads an account's token, off the threads that others wait for.
///
/// # Errors
/// Why it cannot be read, and what to do.
pub async fn read_token(place: &SecretRef) -> Result<SecretString, String> {
    let place = place.clone();
    let read = tokio::task::spawn_blocking(move || place.read(&|name| std::env::var(name).ok())).await;
    match read {
        Ok(Ok(token)) if token.expose_secret().trim().is_empty() => {
            Err("its token is empty: write it into its place".to_owned())
        }
        Ok(Ok(token)) => Ok(token),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("reading its token was cut short: {error}")),
    }
}

/// How `platform` is reached.
#[must_use]
pub fn route(platform: &Platform) -> Route {
    Route {
        origin: platform.origin.clone(),
        loopback: platform.loopback,
        proxy: platform.proxy.clone(),
        no_proxy: platform.no_proxy.clone(),
        timeout: platform.timeout,
        keep_alive: platform.concurrency,
        public_only: false,
        clocks: None,
    }
}
