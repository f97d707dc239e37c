//! The platform is told what is safe here, where its documents stay until they are removed: it wants its folders empty.
//! What could not be removed is tried again at each poll, and told until it is done.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::Semaphore;

use super::fetch::wait_while;
use super::pass::take_place;
use super::{Feed, Poller};
use crate::connector::{Connector, ConnectorError, Released};
use crate::feed::FeedName;
use crate::ledger::{LedgerError, Unreleased};
use crate::log::event;
use crate::schedule::Calendar;
use crate::step::step;

/// Documents looked up at a time.
const PAGE: u32 = 200;
/// Removals in a row to which the platform gave no answer about the file end the round: the rest would fare no better.
const FAILURES: usize = 3;

/// Removes from the platform what is safe here of the feed `name`, which is `feed` or one that rides along.
///
/// # Errors
/// When the ledger fails: what was removed is removed again, which changes nothing.
pub(super) async fn release<C: Connector>(
    poller: &Poller,
    feed: &Feed,
    name: &FeedName,
    way: &C,
) -> Result<(), LedgerError> {
    let mut round = Round { failures: 0, failed: HashSet::new(), own: Arc::new(Semaphore::new(1)) };
    // Those that would not go before come last, so that they keep no other waiting.
    for stubborn in [false, true] {
        let mut after = 0;
        loop {
            let page = poller.ledger.releases_due(name, stubborn, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            if !round.tell_all(poller, feed, name, way, page).await? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// One round over what is to be removed.
struct Round {
    /// Removals in a row to which the platform gave no answer about the file.
    failures: usize,
    /// Rows that would not go in this round.
    failed: HashSet<i64>,
    /// The poll's own connection.
    own: Arc<Semaphore>,
}

impl Round {
    /// Tells the platform of a page of documents, side by side; false where the round is over.
    async fn tell_all<C: Connector>(
        &mut self,
        poller: &Poller,
        feed: &Feed,
        name: &FeedName,
        way: &C,
        page: Vec<Unreleased>,
    ) -> Result<bool, LedgerError> {
        let page: Vec<Unreleased> = page.into_iter().filter(|document| !self.failed.contains(&document.id)).collect();
        let mut told = stream::iter(page)
            .map(|document| {
                let own = Arc::clone(&self.own);
                async move {
                    let outcome = tell(poller, feed, way, &document, own).await;
                    (document, outcome)
                }
            })
            .buffered(feed.lane.concurrency);
        while let Some((document, outcome)) = told.next().await {
            let Some(outcome) = outcome else { return Ok(false) };
            match &outcome {
                Ok(_) => self.failures = 0,
                Err(ConnectorError::Access(_) | ConnectorError::Later { .. }) => self.failures = FAILURES,
                Err(ConnectorError::Unavailable { .. } | ConnectorError::Broken { .. }) => self.failures += 1,
                // An answer about this file, and no other.
                Err(_) => {}
            }
            if outcome.is_err() {
                self.failed.insert(document.id);
            }
            settle(poller, name, document, outcome).await?;
            if self.failures >= FAILURES {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Tells the platform of one document, twice if need be; `None` when the daemon stops.
async fn tell<C: Connector>(
    poller: &Poller,
    feed: &Feed,
    way: &C,
    document: &Unreleased,
    own: Arc<Semaphore>,
) -> Option<Result<Released, ConnectorError>> {
    let mut outcome = None;
    for _ in 0..2 {
        let _place = take_place(poller, feed, Arc::clone(&own)).await?;
        if !wait_while(poller, feed, Calendar::request_hold).await {
            return None;
        }
        step("release");
        let told = way.release(&document.remote).await;
        step("released");
        let again = matches!(told, Err(ConnectorError::Broken { .. } | ConnectorError::Unavailable { .. }));
        outcome = Some(told);
        if !again {
            break;
        }
    }
    outcome
}

async fn settle(
    poller: &Poller,
    name: &FeedName,
    document: Unreleased,
    outcome: Result<Released, ConnectorError>,
) -> Result<(), LedgerError> {
    let remote_id = &document.remote.id;
    let (released, error) = match outcome {
        Ok(Released::Gone) => {
            tracing::debug!(event = event::DOCUMENT_RELEASED, feed = %name, remote_id,
                "{remote_id} of {name} is safe here, and no longer on the platform");
            (true, None)
        }
        Ok(Released::Replaced) => {
            tracing::debug!(event = event::DOCUMENT_RELEASED, feed = %name, remote_id,
                "{remote_id} of {name} is safe here; another file has taken its place, and is left for the next poll");
            // Where the next listing shows the very same again, this is why it could not be removed.
            (true, Some("the platform says that another file has taken its place".to_owned()))
        }
        Err(error) => {
            tracing::warn!(event = event::RELEASE_FAILED, feed = %name, remote_id, kind = error.kind(), %error,
                "{remote_id} of {name} is safe here and could not be removed from the platform: {error}; it is tried again at \
                 the next poll");
            (false, Some(error.to_string()))
        }
    };
    poller.ledger.settle_release(document.id, released, error, poller.clock.now()).await
}
