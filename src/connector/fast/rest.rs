//! FAST over REST (guide v3.4, §2.6), with the account's certificate.

use super::refusal::{self, Asked};
use super::{GivesAgain, listing, plain};
use crate::connector::{Connector, ConnectorError, Download, Listing, Page};
use crate::content::platform_error;
use crate::feed::{Kind, RemoteDocument};
use crate::http::{Client, reattempt};

/// The interface, below the platform's address.
const BASE: &str = "/parapheur-ws/rest/v1/documents/v2";
/// Bytes of a listing that are read: a million ids have about ten million.
const LARGEST_LISTING: usize = 32 << 20;

/// A feed of one account over REST.
#[derive(Debug)]
pub struct Rest {
    client: Client,
    base_url: String,
    siren: String,
    word: &'static str,
}

impl Rest {
    /// What `kind` holds for the account `siren` at `base_url`, called through `client`, which holds its certificate; `None`
    /// for what this interface does not list.
    #[must_use]
    pub fn new(client: Client, base_url: &str, siren: &str, kind: Kind) -> Option<Self> {
        let (base_url, siren) = (format!("{base_url}{BASE}"), siren.to_owned());
        Some(Self { client, base_url, siren, word: word(kind)? })
    }
}

impl Rest {
    async fn download(&self, url: &str) -> Result<Download, ConnectorError> {
        let mut answer = reattempt::until_connected(|| self.client.get(url, "*/*")).await?;
        if answer.status != 200 {
            return Err(refusal::of_status(answer, Asked::Document).await);
        }
        plain::uncoded(&answer)?;
        let head = answer.body.next().await?;
        plain::download(answer, head).await
    }
}

/// The platform's word for a kind, in its addresses (§2.6.10–2.6.15).
const fn word(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Acquittements => Some("ack"),
        Kind::PesRetour => Some("pes-retour"),
        Kind::Chorus => Some("chorus"),
        Kind::Signes => None,
    }
}

impl Connector for Rest {
    async fn list(&self, _page: &Page) -> Result<Listing, ConnectorError> {
        let url = format!("{}/{}/{}/remaining", self.base_url, self.siren, self.word);
        let mut answer = self.client.get(&url, "application/json").await?;
        if answer.status != 200 {
            return Err(refusal::of_status(answer, Asked::List).await);
        }
        let not_a_listing = |detail: String| ConnectorError::NotAListing { detail };
        plain::uncoded(&answer).map_err(|error| not_a_listing(error.to_string()))?;
        let body = answer.body.read(LARGEST_LISTING).await?;
        let body = body.ok_or_else(|| not_a_listing(format!("it is larger than {} MiB", LARGEST_LISTING >> 20)))?;
        if let Some(error) = platform_error(&body) {
            return Err(refusal::of_platform_error(&error, 200, Asked::List));
        }
        listing::parse(&body).map_err(not_a_listing)
    }

    async fn fetch(&self, document: &RemoteDocument) -> Result<Download, ConnectorError> {
        self.download(&format!("{}/{}/{}/download", self.base_url, document.id, self.word)).await
    }
}

impl GivesAgain for Rest {
    async fn fetch_again(&self, id: &str) -> Result<Download, ConnectorError> {
        self.download(&format!("{}/{id}/download?fdc=false&acquit=true", self.base_url)).await
    }
}
