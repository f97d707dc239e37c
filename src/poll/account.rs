//! An account of FAST-Parapheur: its certificate is read and judged anew for each poll, for settings hold paths, never
//! clients: ten thousand clients with their certificates would be a gigabyte.

use std::sync::Arc;

use super::source::{Platform, Way, route};
use crate::config::{Connector, FastAccount, SecretError};
use crate::connector::fast::rest::Rest;
use crate::connector::fast::soap::Soap;
use crate::connector::fast::webdav::Webdav;
use crate::feed::Kind;
use crate::http::Client;
use crate::identity::{Identity, IdentityError, Weight};
use crate::ledger::CertificateFacts;

/// An account that this configuration holds.
#[derive(Debug)]
pub struct Account {
    /// Its settings.
    pub settings: FastAccount,
    /// Its platform.
    pub platform: Arc<Platform>,
    /// The interface by which it collects.
    pub connector: Connector,
}

/// The way to what `kind` holds for `account`, shown `identity`; else why there is none, and what to do.
pub(super) fn way(account: &Account, kind: Kind, identity: &Identity) -> Result<Way, String> {
    let platform = &account.platform;
    let tls =
        identity.client_config(platform.verifier.clone()).map_err(|error| format!("{error}: {}", error.remedy()))?;
    let client = Client::new(tls, &route(platform)).map_err(|error| error.to_string())?;
    let (base_url, siren) = (&platform.base_url, &account.settings.siren);
    match account.connector {
        Connector::Rest => {
            let way = Rest::new(client, base_url, siren, kind);
            way.map(Way::Rest).ok_or_else(|| format!("{kind} is not to be had over REST: correct `connector`"))
        }
        Connector::Webdav => Ok(Way::Webdav(Webdav::new(client, base_url, siren, kind, &account.settings.circuits))),
        Connector::Soap => Ok(Way::Soap(Soap::new(client, base_url, siren, kind, &account.settings.circuits))),
    }
}

/// Reads the certificate of `account`, off the threads that others wait for: opening a PKCS#12 takes milliseconds.
pub(super) async fn identity(account: &Arc<Account>) -> Result<Identity, String> {
    let account = Arc::clone(account);
    let loaded = tokio::task::spawn_blocking(move || load(&account.settings).map_err(|error| error.line())).await;
    loaded.unwrap_or_else(|error| Err(format!("reading the certificate was cut short: {error}")))
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
