//! API Entreprise: one call, and what its answer means. The quotas it takes from are counted before it leaves, and
//! whatever it says of them is handed on; this module asks once, and nothing again.

mod answer;
mod call;
mod document;
#[cfg(fuzzing)]
#[path = "../../fuzzing/entreprise.rs"]
pub mod fuzzing;
pub mod jwt;
pub mod rights;

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

pub use answer::{Answered, Meaning, Scope};
pub use call::Call;
pub use document::DocumentError;

use super::Download;
use crate::config::Group;
use crate::content::json;
use crate::http::verifier::ServerVerifier;
use crate::http::{Carried, Client, HttpError, Route};

/// Bytes of an answer that are read.
const LARGEST: usize = 8 << 20;
/// `/ping` and `/privileges` are quick or not at all.
const PROBE: Duration = Duration::from_secs(10);

/// The API, as one account calls it for one watch.
#[derive(Debug)]
pub struct Api {
    client: Client,
    base_url: String,
    group: Group,
    /// For a whole call.
    timeout: Duration,
    /// How documents are fetched, wherever they are.
    route: Route,
    verifier: Arc<ServerVerifier>,
}

impl Api {
    /// The API at `base_url`, called through `client`. Documents are reached as `route` says, whose origin does not count,
    /// from servers that `verifier` accepts.
    #[must_use]
    pub fn new(
        client: Client,
        base_url: &str,
        group: Group,
        timeout: Duration,
        route: Route,
        verifier: Arc<ServerVerifier>,
    ) -> Self {
        Self { client, base_url: base_url.to_owned(), group, timeout, route, verifier }
    }

    /// The limit of a whole call.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The address of `call`, which tells it from every other.
    #[must_use]
    pub fn url(&self, call: &Call<'_>) -> String {
        format!("{}{}", self.base_url, call.target())
    }

    /// Makes `call` with the account's `token`.
    ///
    /// # Errors
    /// Where nothing was answered, or not in time.
    pub async fn ask(&self, call: &Call<'_>, token: &SecretString) -> Result<Answered, HttpError> {
        let url = self.url(call);
        let carried = Carried { bearer: Some(token), ..Carried::default() };
        let asked = async {
            let answer = self.client.get_with(&url, "application/json", &carried).await?;
            Answered::read(answer, self.group, &call.path()).await
        };
        match timeout(self.timeout, asked).await {
            Ok(answered) => answered,
            Err(_) => Err(HttpError::NoAnswer { host: self.client.host().to_owned(), seconds: self.timeout.as_secs() }),
        }
    }

    /// Whether the platform answers at all: asked without a token, and at no cost. Answers what it says of the provider
    /// behind `path`, such as `ok` or `maintenance`.
    ///
    /// # Errors
    /// Where nothing was answered.
    pub async fn ping(&self, path: &str) -> Result<String, HttpError> {
        let url = format!("{}/ping/{}", self.base_url, rights::provider(path));
        let (code, body) = self.probe(&url, None).await?;
        let status = body.ok().and_then(|body| json(&body).ok());
        let status = status.as_ref().and_then(|value| value.get("status")).and_then(Value::as_str);
        Ok(status.map_or_else(|| format!("status {code}"), super::words::shown))
    }

    /// The rights of `token`, at no cost.
    ///
    /// # Errors
    /// Where nothing was answered. The inner error says what was answered instead of rights.
    pub async fn privileges(&self, token: &SecretString) -> Result<Result<Vec<String>, String>, HttpError> {
        let url = format!("{}/privileges", self.base_url);
        let (status, body) = self.probe(&url, Some(token)).await?;
        Ok(rights::read(status, &body?))
    }

    /// The status of an answer, and its body, if that comes whole within [`PROBE`] as well.
    async fn probe(
        &self,
        url: &str,
        token: Option<&SecretString>,
    ) -> Result<(u16, Result<Vec<u8>, HttpError>), HttpError> {
        let carried = Carried { bearer: token, ..Carried::default() };
        let late = |_| HttpError::NoAnswer { host: self.client.host().to_owned(), seconds: PROBE.as_secs() };
        let end = Instant::now() + PROBE;
        let asked = self.client.get_with(url, "application/json", &carried);
        let mut answer = timeout_at(end, asked).await.map_err(late)??;
        let body = timeout_at(end, answer.body.read(LARGEST)).await.map_err(late).and_then(|body| body);
        let body = body.map(Option::unwrap_or_default);
        let said = if answer.status == 200 { body } else { body.map(|body| answer.discreet(&body).into_bytes()) };
        Ok((answer.status, said))
    }

    /// Fetches the document at `url`, without a token (Q6).
    ///
    /// # Errors
    /// Why it cannot be fetched; never names more of the address than its host, for who has the address has the document.
    pub async fn document(&self, url: &str) -> Result<Download, DocumentError> {
        document::fetch(url, &self.route, &self.verifier).await
    }
}
