//! An account's way to its platform, made anew for each poll: settings hold paths, never clients, for ten thousand
//! clients with their certificates would be a gigabyte.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{Feed, Poller};
use crate::config::{FastAccount, SecretError};
use crate::connector::fast::rest::Rest;
use crate::http::verifier::ServerVerifier;
use crate::http::{Client, Route};
use crate::identity::{Identity, IdentityError, Weight};
use crate::ledger::{CertificateFacts, LedgerError};
use crate::log::event;
use crate::schedule::Cadence;

/// A platform, as all its accounts share it.
#[derive(Debug)]
pub struct Platform {
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
    /// The largest document taken, in bytes.
    pub max_document: u64,
    /// Documents fetched at a time, per account.
    pub concurrency: usize,
    /// When its feeds may be listed.
    pub cadence: Cadence,
    /// Judges its certificate; one for all accounts.
    pub verifier: Arc<ServerVerifier>,
}

/// An account that this configuration holds.
#[derive(Debug)]
pub struct Account {
    /// Its settings.
    pub settings: FastAccount,
    /// Its platform.
    pub platform: Arc<Platform>,
    /// Documents it may fetch at a time, over all its feeds.
    pub slots: Arc<Semaphore>,
}

impl Poller {
    /// Reads and judges the account's certificate, records what is new about it, and makes the client for one poll.
    /// The inner error says why the account cannot work, and what to do.
    pub(super) async fn connect(&self, feed: &Feed) -> Result<Result<Rest, String>, LedgerError> {
        let account = Arc::clone(&feed.account);
        // Reading files and opening a PKCS#12 takes milliseconds: not on a thread that others wait for.
        let loaded = tokio::task::spawn_blocking(move || load(&account.settings).map_err(|error| error.line())).await;
        let now = self.clock.now();
        let identity = loaded.unwrap_or_else(|error| Err(format!("reading the certificate was cut short: {error}")));
        let certificate = identity.as_ref().ok().map(facts);
        let outcome = identity.and_then(|identity| match fatal(&identity, now) {
            Some(problem) => Err(problem),
            None => way(feed, &identity),
        });
        self.record(feed, certificate, outcome.as_ref().err().cloned()).await?;
        Ok(outcome)
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

fn way(feed: &Feed, identity: &Identity) -> Result<Rest, String> {
    let platform = &feed.account.platform;
    let tls =
        identity.client_config(platform.verifier.clone()).map_err(|error| format!("{error}: {}", error.remedy()))?;
    let client = Client::new(tls, &route(platform)).map_err(|error| error.to_string())?;
    Ok(Rest::new(client, &platform.base_url, &feed.account.settings.siren))
}

/// Why an account's certificate could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Its password.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl AccountError {
    /// What the operator does about it; `None` where the error says it already.
    #[must_use]
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::Secret(_) => None,
            Self::Identity(error) => Some(error.remedy()),
        }
    }

    /// Both in one line.
    #[must_use]
    pub fn line(&self) -> String {
        self.remedy().map_or_else(|| self.to_string(), |remedy| format!("{self}: {remedy}"))
    }
}

/// Reads the account's password and certificate.
///
/// # Errors
/// What is wrong with either.
pub fn load(settings: &FastAccount) -> Result<Identity, AccountError> {
    let environment = |name: &str| std::env::var(name).ok();
    let password = settings.certificate_password.as_ref().map(|secret| secret.read(&environment)).transpose()?;
    Ok(Identity::load(&settings.certificate, settings.key.as_deref(), password.as_ref())?)
}

/// Why this certificate cannot be used at `now`, if it cannot (F8: then no request is made).
#[must_use]
pub fn fatal(identity: &Identity, now: jiff::Timestamp) -> Option<String> {
    let judgement = identity.findings(now).into_iter().find(|judgement| judgement.weight == Weight::Problem)?;
    Some(format!("{}: {}", judgement.message, judgement.remedy))
}

/// What `status` tells of a certificate.
#[must_use]
pub fn facts(identity: &Identity) -> CertificateFacts {
    CertificateFacts {
        subject: identity.subject.clone(),
        serial: identity.serial.clone(),
        not_after: identity.not_after,
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
    }
}
