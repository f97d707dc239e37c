//! The documents of a feed, side by side: who is next, and where there is a place for it.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fetch::{Arrived, Try, check, fetch};
use super::tally::{Tally, Verdict};
use super::{Claim, Connection, Feed, Poller, judgement};
use crate::connector::Connector;
use crate::intake::IntakeError;
use crate::ledger::{Claimed, Cursor, LedgerError, Open, OpenTerms};

/// Documents looked up at a time.
const PAGE: u32 = 500;
/// Documents on their way at most, for each of its account's places: those that have come are checked while others come.
const ARRIVING: usize = 2;
/// Documents that may wait to be kept; then downloads wait too, for what is not kept is not safe.
const KEEPING: usize = 128;

enum Done<'a> {
    Asked(Result<Result<Arrived<'a>, Try>, LedgerError>),
    Checked(Try),
    Kept(Claimed, Result<(), IntakeError>),
}

/// Fetches all open documents of `feed`. Whatever happens, downloads that run are finished and kept before it returns.
///
/// # Errors
/// When the ledger failed: what it could not record is in doubt, and taken up by the next pass.
pub(super) async fn documents<C: Connector>(
    poller: &Poller,
    feed: &Feed,
    claim: &Claim,
    way: &C,
) -> Result<Verdict, LedgerError> {
    let mut tally = Tally::new(poller, feed, claim.started);
    let mut queue = Queue { cursor: (-1, -1), page: VecDeque::new(), exhausted: false };
    let own = Arc::new(Semaphore::new(1));
    let mut work = FuturesUnordered::<BoxFuture<'_, Done<'_>>>::new();
    let mut place: Option<BoxFuture<'_, Option<Place>>> = None;
    let (mut fetching, mut keeping) = (0, 0);
    loop {
        let may = tally.goes_on() && fetching < ARRIVING * feed.lane.concurrency && keeping < KEEPING;
        let more = may && tally.note(queue.holds_more(poller, feed).await).unwrap_or(false);
        if more {
            place.get_or_insert_with(|| take_place(poller, feed, Arc::clone(&own)).boxed());
        } else {
            place = None;
        }
        if work.is_empty() && place.is_none() {
            return tally.finish().await;
        }
        tokio::select! {
            biased;
            Some(done) = work.next(), if !work.is_empty() => match done {
                Done::Asked(Ok(Ok(arrived))) => {
                    let answered = tally.answered().await;
                    tally.note(answered);
                    work.push(async move { Done::Checked(check(poller, arrived).await) }.boxed());
                }
                Done::Checked(Try::Sealed(sealed)) => {
                    (fetching, keeping) = (fetching - 1, keeping + 1);
                    tally.came();
                    let document = sealed.document.clone();
                    let keep = async move { Done::Kept(document, poller.intake.keep(sealed, Some(claim.poll)).await) };
                    work.push(keep.boxed());
                }
                Done::Asked(Ok(Err(tried))) | Done::Checked(tried) => {
                    fetching -= 1;
                    let judged = tally.judge(tried).await;
                    tally.note(judged);
                }
                Done::Asked(Err(error)) => {
                    fetching -= 1;
                    tally.note::<()>(Err(error));
                }
                Done::Kept(_, Ok(())) => {
                    keeping -= 1;
                    tally.stored();
                }
                Done::Kept(document, Err(error)) => {
                    keeping -= 1;
                    let judged = tally.judge(Try::Disk(document, error)).await;
                    tally.note(judged);
                }
            },
            taken = wait(&mut place), if place.is_some() => {
                place = None;
                match (taken, queue.next()) {
                    (Some(place), Some(open)) => {
                        fetching += 1;
                        work.push(async move { Done::Asked(fetch(poller, feed, way, open, place).await) }.boxed());
                    }
                    _ => tally.stop(),
                }
            }
        }
    }
}

async fn wait(place: &mut Option<BoxFuture<'_, Option<Place>>>) -> Option<Place> {
    match place {
        Some(place) => place.await,
        None => std::future::pending().await,
    }
}

/// Documents yet to be tried, page by page.
struct Queue {
    cursor: Cursor,
    page: VecDeque<Open>,
    exhausted: bool,
}

impl Queue {
    async fn holds_more(&mut self, poller: &Poller, feed: &Feed) -> Result<bool, LedgerError> {
        if self.page.is_empty() && !self.exhausted {
            let now = poller.clock.now();
            let latest = judgement::latest_try(now, feed.cadence.interval());
            let (run, cursor, files) = (&poller.run, self.cursor, feed.source.keeps_files());
            let terms = OpenTerms { now, latest, files };
            let page = poller.ledger.open_documents(&feed.name, run, terms, cursor, PAGE).await?;
            self.exhausted = page.len() < PAGE as usize;
            self.page.extend(page);
        }
        Ok(!self.page.is_empty())
    }

    fn next(&mut self) -> Option<Open> {
        let next = self.page.pop_front()?;
        self.cursor = next.cursor;
        Some(next)
    }
}

/// What one download holds until its last byte has come, and one removal until it ends: one of its account's slots, and a
/// connection. A download that hangs keeps its own place, and no other.
pub(super) struct Place {
    _slot: OwnedSemaphorePermit,
    /// The poll's own, or another.
    _connection: Result<OwnedSemaphorePermit, Connection>,
}

/// Waits for a place, in turn with the account's other feeds; the poll's `own` connection serves as well as another.
/// `None` when the daemon stops first.
pub(super) async fn take_place(poller: &Poller, feed: &Feed, own: Arc<Semaphore>) -> Option<Place> {
    let mut stopping = poller.stopping.clone();
    let place = async {
        let slot = Arc::clone(&feed.lane.slots).acquire_owned().await.ok()?;
        let connection = tokio::select! {
            biased;
            connection = own.acquire_owned() => Ok(connection.ok()?),
            connection = poller.connection_in_turn(feed) => Err(connection?),
        };
        Some(Place { _slot: slot, _connection: connection })
    };
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => None,
        place = place => place,
    }
}
