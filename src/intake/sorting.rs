//! Which feed a file belongs to, by what it is: the folder of a circuit holds acknowledgements and signed files alike.

use super::place::tag_of;
use super::syncing::Syncing;
use super::{Intake, IntakeError, Sealed};
use crate::archive::layout;
use crate::content::MediaType;
use crate::content::summary::Kind as Content;
use crate::feed::{FeedName, Kind};
use crate::log::event;

impl Intake {
    /// Gives a sealed document to the feed it belongs to. `None` where its account does not collect such: then it is left
    /// on the platform, and not asked for again.
    ///
    /// # Errors
    /// When the disk or the ledger fails.
    pub async fn sort(&self, mut sealed: Sealed) -> Result<Option<Sealed>, IntakeError> {
        let Some(kind) = misplaced(&sealed) else { return Ok(Some(sealed)) };
        let document = &sealed.document;
        let owner = self.ledger.sibling(&document.feed, kind).await?;
        // Whatever is XML is handed over as it came, though nobody knows what it says.
        if owner.is_none() && sealed.summary.is_none() && sealed.media_type == MediaType::Xml {
            return Ok(Some(sealed));
        }
        let what = match kind {
            Kind::Acquittements => "an acknowledgement",
            _ => "a signed file",
        };
        let feed = FeedName::fast(document.feed.account(), kind);
        let why = match owner {
            Some(owner) => {
                let stem = layout::stem_of_other(&document.stem, &document.feed, &owner);
                if self.ledger.reassign(document.id, owner.clone(), stem.clone()).await? {
                    (sealed.document.feed, sealed.document.stem) = (owner, stem);
                    // Its tag names another feed now.
                    sealed.syncing = match sealed.syncing.outcome().await {
                        Ok(_) => Syncing::begin(sealed.path.clone(), tag_of(&sealed.document)),
                        Err(error) => Syncing::failed(error),
                    };
                    return Ok(Some(sealed));
                }
                format!("it is {what}, and {feed} knows it already: left to that")
            }
            None => {
                format!(
                    "it is {what}, and {feed} is not collected: left on the platform; add \"{kind}\" to the account's feeds"
                )
            }
        };
        tracing::warn!(event = event::DOCUMENT_PASSED_OVER, feed = %document.feed, remote_id = document.remote_id,
            "{} of {}: {why}", document.remote_id, document.feed);
        self.ledger.pass_over(document.id, why).await?;
        self.discard(sealed).await?;
        Ok(None)
    }
}

/// The kind of feed that `sealed` belongs to, where that is not its own.
fn misplaced(sealed: &Sealed) -> Option<Kind> {
    let document = &sealed.document;
    document.file.as_ref()?;
    let is_acquittement = sealed.summary.as_ref().is_some_and(|summary| summary.kind == Content::Acquittement);
    let signes = document.feed.kind() == Kind::Signes.as_str();
    match (document.feed.kind() == Kind::Acquittements.as_str(), is_acquittement) {
        (true, false) => Some(Kind::Signes),
        (false, true) if signes => Some(Kind::Acquittements),
        _ => None,
    }
}
