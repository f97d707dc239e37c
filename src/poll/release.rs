//! The platform is told what is safe here, where its documents stay until they are removed: it wants its folders empty.
//! What could not be removed is tried again at each poll, and told until it is done.

use futures_util::stream::{self, StreamExt as _};

use super::fetch::wait_while;
use super::{Feed, Poller};
use crate::connector::{Connector, ConnectorError, Released};
use crate::feed::FeedName;
use crate::ledger::{LedgerError, Unreleased};
use crate::log::event;
use crate::schedule::Calendar;

/// Documents looked up at a time.
const PAGE: u32 = 200;
/// Removals in a row that fail end the round: the rest would fare no better.
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
    let (mut after, mut failures) = (0, 0);
    loop {
        let page = poller.ledger.releases_due(name, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id;
        let mut told = stream::iter(page)
            .map(|document| async move {
                let outcome = tell(poller, feed, way, &document).await;
                (document, outcome)
            })
            .buffered(feed.lane.concurrency);
        while let Some((document, outcome)) = told.next().await {
            let Some(outcome) = outcome else { return Ok(()) };
            failures = if outcome.is_ok() { 0 } else { failures + 1 };
            settle(poller, name, document, outcome).await?;
            if failures >= FAILURES {
                return Ok(());
            }
        }
    }
}

/// Tells the platform of one document, twice if need be; `None` when the daemon stops.
async fn tell<C: Connector>(
    poller: &Poller,
    feed: &Feed,
    way: &C,
    document: &Unreleased,
) -> Option<Result<Released, ConnectorError>> {
    let mut outcome = None;
    for _ in 0..2 {
        let slot = feed.lane.slots.acquire();
        if !wait_while(poller, feed, Calendar::request_hold).await {
            return None;
        }
        let _slot = slot.await.ok()?;
        let told = way.release(&document.remote).await;
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
    let outcome = match outcome {
        Ok(released) => {
            let what = match released {
                Released::Gone => "is safe here, and no longer on the platform",
                Released::Replaced => "is safe here; another file has taken its place, and is left for the next poll",
            };
            tracing::debug!(event = event::DOCUMENT_RELEASED, feed = %name, remote_id, "{remote_id} of {name} {what}");
            Ok(())
        }
        Err(error) => {
            tracing::warn!(event = event::RELEASE_FAILED, feed = %name, remote_id, kind = error.kind(), %error,
                "{remote_id} of {name} is safe here and could not be removed from the platform: {error}; it is tried again at \
                 the next poll");
            Err(error.to_string())
        }
    };
    poller.ledger.settle_release(document.id, outcome, poller.clock.now()).await
}
