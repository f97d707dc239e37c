//! A request for each document, or for each notice of alerts, which tells the facts: no bytes of a document, for these would
//! make requests of any size.
//!
//! The body is JSON, and the same at every try; so is the header `Idempotency-Key`. Where there is a secret, the header
//! `X-Vaguemestre-Signature` holds `sha256=` and the HMAC-SHA256, in hexadecimal, of the header `X-Vaguemestre-Timestamp`
//! (seconds since 1970), a point, and the body. Any 2xx means taken. No redirect is followed.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{LONGEST_PAUSE, Refusal, facts};
use crate::archive::layout::hex;
use crate::config::{Address, Http, SecretError, SecretRef, Webhook};
use crate::http::verifier::ServerVerifier;
use crate::http::{Answer, Client, HttpError, Route, anonymous_tls};
use crate::ledger::Pending;
use crate::words::presentable;

/// Bytes of an answer that are read.
const READ: usize = 64 << 10;
/// Characters of these that are told.
const TOLD: usize = 200;

/// The way to a webhook, made anew for each batch: its secret and the authorities may have changed.
pub(crate) struct Hook {
    client: Client,
    url: String,
    secret: Option<SecretString>,
    timeout: Duration,
}

impl Hook {
    /// Makes the way to `webhook`.
    ///
    /// # Errors
    /// Why there is none, and what to do.
    pub(crate) async fn open(webhook: &Webhook, http: &Arc<Http>) -> Result<Self, String> {
        let (webhook, http) = (webhook.clone(), Arc::clone(http));
        spawn_blocking(move || make(webhook, &http)).await.map_err(|error| error.to_string())?
    }

    /// Tells of `pending`.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(super) async fn tell(&self, target: &str, pending: &Pending, now: Timestamp) -> Result<(), Refusal> {
        let key = facts::key(target, pending);
        self.post(body(pending, &key), &key, now).await
    }

    /// Posts `body`, JSON, known by `key`.
    ///
    /// # Errors
    /// Why it was not taken.
    pub(crate) async fn post(&self, body: String, key: &str, now: Timestamp) -> Result<(), Refusal> {
        let at = now.as_second().to_string();
        let signature = self.secret.as_ref().map(|secret| sign(secret, &at, body.as_bytes()));
        let mut headers = vec![("content-type", "application/json"), ("idempotency-key", key)];
        if let Some(signature) = &signature {
            headers.extend([("x-vaguemestre-timestamp", at.as_str()), ("x-vaguemestre-signature", signature.as_str())]);
        }
        let whole = async {
            let mut answer = self.client.request(Method::POST, &self.url, &headers, body.into_bytes()).await?;
            // Of an answer that says enough by its status the rest may well break off.
            let words = answer.body.read(READ).await.ok().flatten().unwrap_or_default();
            Ok((answer, words))
        };
        match timeout(self.timeout, whole).await {
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                Err(away(format!("{} did not answer within {seconds} s", self.client.host())))
            }
            Ok(Err(error @ (HttpError::Broken { .. } | HttpError::Stalled { .. }))) => {
                Err(Refusal::Document(error.to_string()))
            }
            Ok(Err(error)) => Err(away(error.to_string())),
            Ok(Ok((answer, words))) => judge(self.client.host(), &answer, &words),
        }
    }
}

fn away(error: String) -> Refusal {
    Refusal::Away { error, pause: None }
}

fn make(webhook: Webhook, http: &Http) -> Result<Hook, String> {
    let Webhook { webhook: url, timeout, secret } = webhook;
    let place = url.split_once('?').map_or(url.as_str(), |(place, _)| place);
    let address = Address::parse(place).map_err(|fault| format!("{place} {fault}"))?;
    let secret = secret.as_ref().map(read).transpose()?;
    let verifier =
        address.origin.starts_with("https://").then(|| ServerVerifier::new(http.ca_certificate.as_deref())).transpose();
    let verifier = verifier.map_err(|error| format!("{error}; {}", error.remedy()))?;
    let route = Route {
        origin: address.origin,
        loopback: address.loopback,
        proxy: http.proxy.clone(),
        no_proxy: http.no_proxy.clone(),
        timeout,
        keep_alive: 1,
        public_only: false,
        clocks: None,
    };
    let client = anonymous_tls(verifier).and_then(|tls| Client::new(tls, &route)).map_err(|error| error.to_string())?;
    Ok(Hook { client, url, secret, timeout })
}

/// Whether the secret of `webhook` can be read, where it has one. This blocks.
///
/// # Errors
/// Why not.
pub fn judge_secret(webhook: &Webhook) -> Result<(), SecretError> {
    webhook.secret.as_ref().map_or(Ok(()), |place| place.read(&|name| std::env::var(name).ok()).map(drop))
}

fn read(place: &SecretRef) -> Result<SecretString, String> {
    let secret = place.read(&|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
    if secret.expose_secret().is_empty() {
        return Err("its secret is empty: write it into its place".to_owned());
    }
    Ok(secret)
}

/// What is told of a document.
fn body(pending: &Pending, key: &str) -> String {
    let summary = pending.summary.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    json!({
        "feed": pending.feed.as_str(),
        "remote_id": pending.remote_id,
        "name": pending.name,
        "sha256": pending.sha256,
        "size": pending.size,
        "media_type": pending.media_type,
        "circuit": pending.circuit,
        "label": pending.label,
        "stored_at": pending.stored_at,
        "summary": summary,
        "delivery": key,
    })
    .to_string()
}

fn sign(secret: &SecretString, at: &str, body: &[u8]) -> String {
    // A key of any length is one (RFC 2104, §2): this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return String::new() };
    mac.update(at.as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

/// What an answer means.
fn judge(host: &str, answer: &Answer, words: &[u8]) -> Result<(), Refusal> {
    let status = answer.status;
    if (200..300).contains(&status) {
        return Ok(());
    }
    let error = match (answer.location(), presentable(&String::from_utf8_lossy(words), TOLD)) {
        (Some(place), _) if (300..400).contains(&status) => {
            let place = presentable(place, TOLD);
            format!("{host} answered {status} and points to {place}: no redirect is followed; correct `webhook`")
        }
        (_, words) if words.is_empty() => format!("{host} answered {status}"),
        (_, words) => format!("{host} answered {status}: {words}"),
    };
    let longest = Duration::from_secs(LONGEST_PAUSE.unsigned_abs());
    match answer.retry_after() {
        Some(pause) => Err(Refusal::Away { error, pause: Some(pause.min(longest)) }),
        None => Err(Refusal::Document(error)),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_signature_is_that_of_the_time_a_point_and_the_body() {
        // By `printf '1700000000.{}' | openssl dgst -sha256 -hmac key`.
        let signature = super::sign(&"key".to_owned().into(), "1700000000", b"{}");
        assert_eq!(signature, SIGNATURE);
    }

    const SIGNATURE: &str = "sha256=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
}
