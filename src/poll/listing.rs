//! The listing of a feed: one request, or one for each folder; each is recorded before it leaves (F1).

use std::collections::{HashSet, VecDeque};

use super::fetch::wait_while;
use super::{Claim, Feed, Poller};
use crate::connector::{Access, Cause, Connector, ConnectorError, Listing};
use crate::ledger::{ClaimTerms, Due, LedgerError};
use crate::schedule::{Calendar, Seed};
use crate::step::step;

/// Requests in a row that meet no answer end a listing: what remains would fare no better.
const FAILURES: usize = 3;

/// What came of a listing.
#[derive(Debug)]
pub(super) struct Listed {
    /// All that was shown.
    pub(super) listing: Listing,
    /// Why that is not all there is.
    pub(super) cut: Option<Cut>,
}

/// Why a listing shows a part only.
#[derive(Debug)]
pub(super) enum Cut {
    /// The first thing that went wrong.
    Fault(ConnectorError),
    /// The daemon stops.
    Stopped,
}

/// Lists `feed`, whose first request the claim has recorded.
///
/// # Errors
/// When the ledger fails: then no further request has left.
pub(super) async fn list<C: Connector>(
    poller: &Poller,
    feed: &Feed,
    due: &Due,
    claim: &Claim,
    way: &C,
) -> Result<Listed, LedgerError> {
    let mut pages = VecDeque::from(way.first_pages());
    let (mut listing, mut seen) = (Listing::default(), HashSet::new());
    let (mut fault, mut failures, mut first) = (None, 0, true);
    while let Some(page) = pages.pop_front() {
        if !std::mem::take(&mut first) && !may_leave(poller, feed, due, claim).await? {
            return Ok(Listed { listing, cut: Some(Cut::Stopped) });
        }
        step("list");
        let listed = way.list(&page).await;
        step("listed");
        match listed {
            Ok(part) => {
                failures = 0;
                listing.refused.extend(part.refused);
                listing.duplicates += part.duplicates;
                listing.notes.extend(part.notes);
                pages.extend(part.further);
                for document in part.documents {
                    if seen.insert(document.id.clone()) {
                        listing.documents.push(document);
                    } else {
                        listing.duplicates += 1;
                    }
                }
            }
            Err(error) => {
                failures = if is_no_answer(&error) { failures + 1 } else { 0 };
                let ends = ends_all(&error) || failures >= FAILURES;
                if ends || fault.is_none() {
                    fault = Some(error);
                }
                if ends {
                    break;
                }
            }
        }
    }
    Ok(Listed { listing, cut: fault.map(Cut::Fault) })
}

/// Whether an error would meet all further requests as well: that of one folder or circuit is its own affair.
pub(super) fn ends_all(error: &ConnectorError) -> bool {
    match error {
        ConnectorError::Access(Access { cause, .. }) => {
            !matches!(cause, Cause::Unauthorized | Cause::NotThere | Cause::Redirect)
        }
        ConnectorError::Later { .. } => true,
        _ => false,
    }
}

fn is_no_answer(error: &ConnectorError) -> bool {
    matches!(error, ConnectorError::Broken { .. } | ConnectorError::Unavailable { .. })
}

/// Waits until a further request may leave, and records it; false when the daemon stops, or the feed is ours no more.
async fn may_leave(poller: &Poller, feed: &Feed, due: &Due, claim: &Claim) -> Result<bool, LedgerError> {
    if !wait_while(poller, feed, Calendar::listing_hold).await {
        return Ok(false);
    }
    let (now, boot) = (poller.clock.now(), poller.clock.boot());
    let next = feed.cadence.next(&Seed(poller.ledger.seed()), feed.name.as_str(), due.planned, now);
    poller.ledger.claim_further(&feed.name, ClaimTerms { run: claim.token.clone(), now, boot, next }).await
}
