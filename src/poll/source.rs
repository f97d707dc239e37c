//! Where the documents of a feed come from, and the way there, made anew for each poll.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::account::{self, Account};
use super::{Feed, Poller};
use crate::config::FirstPoll;
use crate::connector::fast::rest::Rest;
use crate::feed::Kind;
use crate::http::Route;
use crate::http::verifier::ServerVerifier;
use crate::ledger::{CertificateFacts, LedgerError};
use crate::log::event;

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
    /// Connections kept open between requests.
    pub concurrency: usize,
    /// Judges its certificate; one for all accounts.
    pub verifier: Arc<ServerVerifier>,
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
}

impl Source {
    /// Who the platform says this is, whatever its name: origin, and what it files it under there.
    #[must_use]
    pub fn identity(&self) -> (&str, &str) {
        match self {
            Self::Fast(account, _) => (&account.platform.origin, &account.settings.siren),
        }
    }

    /// Whether what its first listing shows is only recorded.
    #[must_use]
    pub fn skips_first_listing(&self) -> bool {
        match self {
            Self::Fast(account, _) => account.settings.first_poll == FirstPoll::Skip,
        }
    }
}

/// The way to the documents of a feed.
#[derive(Debug)]
pub(super) enum Way {
    /// FAST-Parapheur over REST.
    Rest(Rest),
}

impl Poller {
    /// Makes the way to `feed` for one poll, and records what that shows of its account. The inner error says why the
    /// account cannot work, and what to do.
    pub(super) async fn connect(&self, feed: &Feed) -> Result<Result<Way, String>, LedgerError> {
        match &feed.source {
            Source::Fast(account, kind) => {
                let identity = account::identity(account).await;
                let certificate = identity.as_ref().ok().map(account::facts);
                let outcome = identity.and_then(|identity| match account::fatal(&identity, self.clock.now()) {
                    Some(problem) => Err(problem),
                    None => account::way(account, *kind, &identity).map(Way::Rest),
                });
                self.record(feed, certificate, outcome.as_ref().err().cloned()).await?;
                Ok(outcome)
            }
        }
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
