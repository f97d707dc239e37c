//! The accounts that work by tokens, in the words all their platforms share.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

use super::Grant;
use crate::config::{
    DouaneAccount, PISTE_SANDBOX_TOKEN_URL, PISTE_TOKEN_URL, PisteAccount, PisteEnvironment, SecretRef, Settings,
};

/// A client of a token server.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// `douane/siege`.
    pub account: String,
    /// How it asks.
    pub grant: Grant,
    /// What the platform calls it.
    pub name: String,
    /// Where its password or secret is.
    pub secret: SecretRef,
    /// Where tokens are asked for.
    pub token_url: String,
    /// Another address that may be meant, where the client is unknown at this one.
    pub other_url: Option<&'static str>,
    /// A token is renewed this long before it expires at the earliest; at most a tenth of its life.
    pub margin: Duration,
}

impl Client {
    /// Tells this client at this address from every other, in the ledger: an HMAC under the installation's seed.
    pub(super) fn identity(&self, seed: &[u8; 32]) -> String {
        digest(seed, &["identity", &self.token_url, &self.name])
    }

    /// Tells its credentials from those it had before.
    pub(super) fn credentials(&self, seed: &[u8; 32], secret: &SecretString) -> String {
        digest(seed, &["credentials", &self.token_url, &self.name, secret.expose_secret()])
    }
}

fn digest(seed: &[u8; 32], parts: &[&str]) -> String {
    // A key is filled up with zeros to the size of a block (RFC 2104).
    let mut key = [0; 64];
    key[..seed.len()].copy_from_slice(seed);
    let mut mac = Hmac::<Sha256>::new(&key.into());
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All clients of `settings`.
#[must_use]
pub fn accounts(settings: &Settings) -> Vec<Client> {
    let mut clients = Vec::new();
    if let Some(douane) = &settings.douane {
        clients.extend(douane.accounts.iter().map(|DouaneAccount { name, username, password }| Client {
            account: format!("douane/{name}"),
            grant: Grant::Password,
            name: username.clone(),
            secret: password.clone(),
            token_url: douane.token_url.clone(),
            other_url: None,
            margin: douane.margin,
        }));
    }
    if let Some(piste) = &settings.piste {
        // The guide gives production's address for the sandbox as well; public clients use another.
        let other_url = match piste.environment {
            PisteEnvironment::Sandbox if piste.token_url == PISTE_TOKEN_URL => Some(PISTE_SANDBOX_TOKEN_URL),
            PisteEnvironment::Sandbox => Some(PISTE_TOKEN_URL),
            PisteEnvironment::Production => None,
        };
        clients.extend(piste.accounts.iter().map(|PisteAccount { name, client_id, client_secret }| Client {
            account: format!("piste/{name}"),
            grant: Grant::ClientCredentials,
            name: client_id.clone(),
            secret: client_secret.clone(),
            token_url: piste.token_url.clone(),
            other_url,
            margin: piste.margin,
        }));
    }
    clients
}

/// The accounts of these platforms that cannot work for a fault in their own table, with that fault.
#[must_use]
pub fn unusable(settings: &Settings) -> Vec<(String, String)> {
    let douane = settings.douane.iter().flat_map(|douane| &douane.unusable).map(|account| ("douane", account));
    let piste = settings.piste.iter().flat_map(|piste| &piste.unusable).map(|account| ("piste", account));
    douane
        .chain(piste)
        .map(|(platform, account)| (format!("{platform}/{}", account.name), account.problem.clone()))
        .collect()
}
