//! An acknowledgement fetched once more by hand, where the archive has lost it: what the platform has given out before, it gives
//! together with the file that was deposited, in one archive.

use super::fetch::{self, Try};
use super::source::Way;
use super::{Feed, Poller};
use crate::connector::fast::Again;
use crate::feed::DocumentState;
use crate::ledger::{Claimed, Condition, LedgerError, Refusal};

impl Poller {
    /// Fetches the acknowledgement `claimed` of `feed` once more, and keeps it. The inner error says why that was not possible:
    /// then the document is as it `was` before.
    ///
    /// # Errors
    /// When the ledger fails: the document is taken up by the next poll.
    pub async fn recover(
        &self,
        feed: &Feed,
        claimed: Claimed,
        was: DocumentState,
    ) -> Result<Result<String, String>, LedgerError> {
        let id = claimed.id;
        let outcome = match self.connect(feed).await? {
            Ok(Way::Rest(way)) => Ok(fetch::fetch_claimed(self, feed, &Again(way), claimed).await),
            Ok(Way::Soap(way)) => Ok(fetch::fetch_claimed(self, feed, &Again(way), claimed).await),
            Ok(_) => Err("only FAST over REST or SOAP gives an acknowledgement twice".to_owned()),
            Err(problem) => Err(problem),
        };
        let why = match outcome {
            Ok(Try::Sealed(sealed)) => match self.intake.keep(sealed, None).await {
                Ok(()) => return Ok(Ok("fetched once more, with the file deposited, and handed over".to_owned())),
                Err(error) => {
                    self.intake.heed(&error);
                    String::from(error)
                }
            },
            Ok(Try::Refused(_, reason, path, _)) => format!("{reason}; the bytes are set aside in {path}"),
            Ok(Try::TooLarge(_, limit)) => format!("it is larger than max_document ({limit} bytes)"),
            Ok(Try::Failed(_, error)) => error.to_string(),
            Ok(Try::Disk(_, error)) => {
                self.intake.heed(&error);
                String::from(error)
            }
            Ok(Try::Obstructed(why)) => why.to_owned(),
            Ok(Try::Stopped | Try::PassedOver | Try::NotOurs) => "the daemon is stopping".to_owned(),
            Err(why) => why,
        };
        // A held document that is called gone stays held.
        let condition = if was == DocumentState::Lost { Condition::Lost } else { Condition::Gone };
        let why = format!("could not be recovered: {why}");
        let refusal = Refusal { id, condition, in_doubt: false, error: Some(why.clone()), quarantine: None };
        self.ledger.refuse(refusal).await?;
        Ok(Err(why))
    }
}
