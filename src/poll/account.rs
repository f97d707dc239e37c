//! An account of FAST-Parapheur: its certificate is read and judged anew for each poll, for settings hold paths, never
//! clients: ten thousand clients with their certificates would be a gigabyte.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;

use super::source::{Clocks, Platform, Way, route};
use crate::config::{Connector, FastAccount, SecretError};
use crate::connector::fast::rest::Rest;
use crate::connector::fast::soap::Soap;
use crate::connector::fast::webdav::Webdav;
use crate::feed::Kind;
use crate::http::{Client, Route};
use crate::identity::{Identity, IdentityError, Weight};
use crate::ledger::{CertificateFacts, Span};

/// An account that this configuration holds.
#[derive(Debug)]
pub struct Account {
    /// Its settings.
    pub settings: Arc<FastAccount>,
    /// Its platform.
    pub platform: Arc<Platform>,
    /// The interface by which it collects.
    pub connector: Connector,
}

/// The way to what `kind` holds for `account`, shown `identity`; else why there is none, and what to do.
pub(super) fn way(account: &Account, kind: Kind, identity: &Identity, clocks: Clocks) -> Result<Way, String> {
    let platform = &account.platform;
    let tls =
        identity.client_config(platform.verifier.clone()).map_err(|error| format!("{error}: {}", error.remedy()))?;
    let client = Client::new(tls, &Route { clocks, ..route(platform) }).map_err(|error| error.to_string())?;
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

/// The certificate that an account shows, or why it has none; and what is known of the one that follows on it.
#[derive(Debug)]
pub struct Choice {
    /// The certificate to show.
    pub identity: Result<Identity, String>,
    /// When the one that follows is valid, or why it cannot be used; `None` where there is none, or it is the one shown.
    pub successor: Option<Result<Span, String>>,
}

/// Reads the certificates of `account` and chooses between them, off the threads that others wait for: opening a PKCS#12 takes
/// milliseconds. `refused` is the serial number of the one that the platform refused last.
pub(super) async fn choose(account: &Arc<Account>, refused: Option<String>, now: Timestamp) -> Choice {
    let account = Arc::clone(account);
    let chosen = tokio::task::spawn_blocking(move || choice(&account.settings, refused.as_deref(), now)).await;
    chosen.unwrap_or_else(|error| Choice {
        identity: Err(format!("reading the certificate was cut short: {error}")),
        successor: None,
    })
}

/// The present certificate, as long as it is valid and not refused; else the one that follows, once that is valid.
fn choice(settings: &FastAccount, refused: Option<&str>, now: Timestamp) -> Choice {
    let present = load(settings).map_err(|error| error.line());
    let Some(next) = load_next(settings) else { return Choice { identity: present, successor: None } };
    let fails = |identity: &Identity| fatal(identity, now).is_some();
    let ends = present.as_ref().map_or(true, fails);
    let is_refused = |identity: &Identity| refused == Some(identity.serial.as_str());
    match next {
        Ok(next) => {
            let wanted = ends || (present.as_ref().is_ok_and(is_refused) && !is_refused(&next));
            let span = Span { not_before: next.not_before, not_after: next.not_after };
            let usable = !fails(&next);
            match (wanted && usable, present) {
                (true, _) => Choice { identity: Ok(next), successor: None },
                (false, present) => Choice { identity: present, successor: Some(judged(&next, span, now)) },
            }
        }
        Err(error) => Choice { identity: present, successor: Some(Err(error.line())) },
    }
}

/// The span of a certificate that follows; why not, where it will never be of use.
fn judged(next: &Identity, span: Span, now: Timestamp) -> Result<Span, String> {
    // That it is not valid yet is as it should be.
    match fatal(next, now.max(next.not_before)) {
        Some(problem) => Err(problem),
        None => Ok(span),
    }
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

/// Reads the certificate that follows, where one is named.
#[must_use]
pub fn load_next(settings: &FastAccount) -> Option<Result<Identity, AccountError>> {
    let certificate = settings.next_certificate.as_ref()?;
    let environment = |name: &str| std::env::var(name).ok();
    let password = settings.next_certificate_password.as_ref().map(|secret| secret.read(&environment)).transpose();
    let load = |password: Option<SecretString>| {
        Ok(Identity::load(certificate, settings.next_key.as_deref(), password.as_ref())?)
    };
    Some(password.map_err(AccountError::from).and_then(load))
}

/// Why this certificate cannot be used at `now`, if it cannot (F8: then no request is made).
#[must_use]
pub fn fatal(identity: &Identity, now: Timestamp) -> Option<String> {
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
