//! The documents of a feed, side by side: who is next, and what each try means for the others.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;

use super::fetch::{Try, fetch};
use super::judgement::{self, Terms};
use super::{Feed, Poller, Remainder, Summary};
use crate::connector::{Connector, ConnectorError};
use crate::intake::IntakeError;
use crate::ledger::{Claimed, Condition, Cursor, LedgerError, Open, Outcome, Refusal};
use crate::log::event;

/// Documents looked up at a time.
const PAGE: u32 = 500;
/// Answers in a row that say nothing about their documents end the poll (F7).
const SILENT: usize = 3;

/// Fetches all open documents of `feed`. Answers how it went, what remains, and when the platform may be asked again.
pub(super) async fn documents<C: Connector>(
    poller: &Poller,
    feed: &Feed,
    poll: i64,
    way: &C,
) -> Result<(Summary, Remainder, Option<Timestamp>), LedgerError> {
    let terms = Terms { started: poller.clock.now(), interval: feed.account.platform.cadence.interval() };
    let mut pass = Pass { poller, feed, terms, tally: Tally::default(), silent: Vec::new(), broken: Vec::new() };
    let mut queue = Queue { cursor: (-1, -1), page: VecDeque::new(), exhausted: false };
    let mut places = Places { own_in_use: false };
    let mut work = FuturesUnordered::<BoxFuture<'_, Result<Done, LedgerError>>>::new();
    let mut fetching = 0;
    loop {
        while pass.tally.end.is_none() && fetching < feed.account.platform.concurrency {
            let Some(open) = queue.peek(poller, feed).await? else { break };
            let Some(place) = places.take(poller, feed, fetching).await else { break };
            queue.advance();
            fetching += 1;
            work.push(async move { Ok(Done::Tried(fetch(poller, feed, way, open).await?, place)) }.boxed());
        }
        match work.next().await.transpose()? {
            None => break,
            Some(Done::Tried(Try::Sealed(sealed), place)) => {
                // The place is free again while this document is synced with its neighbours.
                fetching -= 1;
                places.give_back(place);
                pass.answered().await?;
                let document = sealed.document.clone();
                work.push(
                    async move { Ok(Done::Kept(document, poller.intake.keep(sealed, Some(poll)).await)) }.boxed(),
                );
            }
            Some(Done::Tried(outcome, place)) => {
                fetching -= 1;
                places.give_back(place);
                pass.judge(outcome).await?;
            }
            Some(Done::Kept(_, Ok(()))) => pass.tally.fetched += 1,
            Some(Done::Kept(document, Err(error))) => pass.judge(Try::Disk(document, error)).await?,
        }
    }
    pass.finish().await
}

enum Done {
    Tried(Try, Place),
    Kept(Claimed, Result<(), IntakeError>),
}

/// Documents yet to be tried, page by page.
struct Queue {
    cursor: Cursor,
    page: VecDeque<Open>,
    exhausted: bool,
}

impl Queue {
    async fn peek(&mut self, poller: &Poller, feed: &Feed) -> Result<Option<Open>, LedgerError> {
        if self.page.is_empty() && !self.exhausted {
            let now = poller.clock.now();
            let page = poller.ledger.open_documents(&feed.name, &poller.run, now, self.cursor, PAGE).await?;
            self.exhausted = page.len() < PAGE as usize;
            self.page.extend(page);
        }
        Ok(self.page.front().cloned())
    }

    fn advance(&mut self) {
        if let Some(open) = self.page.pop_front() {
            self.cursor = open.cursor;
        }
    }
}

/// What one download holds while it runs: one of its account's slots, and a connection.
struct Place {
    _slot: OwnedSemaphorePermit,
    /// `None`: it uses the poll's own connection.
    extra: Option<OwnedSemaphorePermit>,
}

/// Gives out places, and takes them back one by one: a download that hangs keeps its own place, and no other.
struct Places {
    /// Whether the poll's own connection serves a download.
    own_in_use: bool,
}

impl Places {
    /// A place for one more download beside `fetching`: waits for the first one, takes others only where they are free.
    async fn take(&mut self, poller: &Poller, feed: &Feed, fetching: usize) -> Option<Place> {
        let slots = Arc::clone(&feed.account.slots);
        let slot = if fetching > 0 {
            slots.try_acquire_owned().ok()?
        } else {
            let mut stopping = poller.stopping.clone();
            tokio::select! {
                slot = slots.acquire_owned() => slot.ok()?,
                _ = stopping.wait_for(|stopping| *stopping) => return None,
            }
        };
        let extra =
            if self.own_in_use { Some(Arc::clone(&poller.connections).try_acquire_owned().ok()?) } else { None };
        self.own_in_use = true;
        Some(Place { _slot: slot, extra })
    }

    fn give_back(&mut self, place: Place) {
        if place.extra.is_none() {
            self.own_in_use = false;
        }
    }
}

#[derive(Debug, Default)]
struct Tally {
    fetched: u64,
    failed: u64,
    /// The first thing that went wrong with a document.
    fault: Option<String>,
    /// Why no more documents are tried.
    end: Option<End>,
}

/// Why a pass ends before all documents were tried.
#[derive(Debug)]
enum End {
    /// The platform or the way to it: the next poll tries again.
    Platform(String, Option<Timestamp>),
    /// Our own disk or ledger: taken up again soon.
    Disk(String),
    /// The daemon stops.
    Stopped,
}

struct Pass<'a> {
    poller: &'a Poller,
    feed: &'a Feed,
    terms: Terms,
    tally: Tally,
    /// Answers in a row that said nothing about their documents: counted once another answer shows that the platform
    /// works, and not at all if there are three.
    silent: Vec<(Claimed, String)>,
    /// Transfers that broke: counted only if others went through.
    broken: Vec<(Claimed, String)>,
}

impl Pass<'_> {
    /// What a try means for its document, and for the pass.
    async fn judge(&mut self, outcome: Try) -> Result<(), LedgerError> {
        match outcome {
            Try::Sealed(_) | Try::NotOurs => Ok(()),
            Try::Stopped => {
                self.end(End::Stopped);
                Ok(())
            }
            Try::NoRoom => {
                self.end(End::Disk(
                    "free space is below [state] reserve: nothing is collected until there is room".into(),
                ));
                Ok(())
            }
            // The file is safe in the archive, and the claim stands: the next start adopts it.
            Try::Disk(_, IntakeError::Stopping) => {
                self.end(End::Stopped);
                Ok(())
            }
            Try::Disk(document, error) => {
                let text = String::from(error);
                self.end(End::Disk(text.clone()));
                self.uncounted(document, text, true).await
            }
            Try::TooLarge(document, limit) => {
                self.answered().await?;
                self.refuse(&document, judgement::too_large(&document, limit)).await
            }
            Try::Refused(document, reason, path, sha256) => {
                self.answered().await?;
                let refusal = judgement::refused(&document, &self.terms, &reason.to_string(), path, sha256);
                self.refuse(&document, refusal).await
            }
            Try::Failed(document, error) => self.failed(document, error).await,
        }
    }

    async fn failed(&mut self, document: Claimed, error: ConnectorError) -> Result<(), LedgerError> {
        let text = error.to_string();
        match error {
            ConnectorError::Unknown { detail } => {
                self.answered().await?;
                self.refuse(&document, judgement::unknown(&document, detail)).await
            }
            ConnectorError::Answered { .. } | ConnectorError::NotAListing { .. } => {
                self.answered().await?;
                self.counted(document, text, false).await
            }
            ConnectorError::Unavailable { .. } => {
                self.silent.push((document, text.clone()));
                if self.silent.len() >= SILENT {
                    self.end(End::Platform(format!("{text}, {SILENT} times in a row"), None));
                }
                Ok(())
            }
            ConnectorError::Broken { .. } => {
                self.broken.push((document, text.clone()));
                // With nothing going through, waiting out the time limit for each of thousands would help nobody.
                if self.tally.fetched == 0 && self.broken.len() >= 2 * self.feed.account.platform.concurrency.max(2) {
                    self.end(End::Platform(text, None));
                }
                Ok(())
            }
            ConnectorError::Access(_) => {
                self.end(End::Platform(text.clone(), None));
                self.uncounted(document, text, false).await
            }
            ConnectorError::Later { wait, .. } => {
                let until = self.poller.clock.now().checked_add(wait.min(super::LONGEST_WAIT)).ok();
                self.end(End::Platform(text.clone(), until));
                self.uncounted(document, text, false).await
            }
        }
    }

    /// The platform has answered about a document: what it said nothing about before counts, unless the poll ends.
    async fn answered(&mut self) -> Result<(), LedgerError> {
        if self.tally.end.is_some() {
            return Ok(());
        }
        for (document, text) in std::mem::take(&mut self.silent) {
            self.counted(document, text, false).await?;
        }
        Ok(())
    }

    fn end(&mut self, end: End) {
        self.tally.end.get_or_insert(end);
    }

    async fn counted(&mut self, document: Claimed, error: String, in_doubt: bool) -> Result<(), LedgerError> {
        let condition = self.terms.counted(&document);
        let refusal = Refusal { id: document.id, condition, in_doubt, error: Some(error), quarantine: None };
        self.refuse(&document, refusal).await
    }

    async fn uncounted(&mut self, document: Claimed, error: String, in_doubt: bool) -> Result<(), LedgerError> {
        let refusal =
            Refusal { id: document.id, condition: Condition::Open, in_doubt, error: Some(error), quarantine: None };
        self.poller.ledger.refuse(refusal).await
    }

    async fn refuse(&mut self, document: &Claimed, refusal: Refusal) -> Result<(), LedgerError> {
        let error = refusal.error.clone().unwrap_or_default();
        tell(document, &refusal.condition, &error);
        if refusal.condition != Condition::Gone {
            self.tally.failed += 1;
            self.tally.fault.get_or_insert_with(|| format!("{}: {error}", document.remote_id));
        }
        self.poller.ledger.refuse(refusal).await
    }

    async fn finish(mut self) -> Result<(Summary, Remainder, Option<Timestamp>), LedgerError> {
        let ended = self.tally.end.is_some();
        for (document, text) in std::mem::take(&mut self.silent) {
            if ended {
                self.uncounted(document, text, false).await?
            } else {
                self.counted(document, text, false).await?
            }
        }
        let went_through = self.tally.fetched > 0;
        for (document, text) in std::mem::take(&mut self.broken) {
            self.tally.fault.get_or_insert_with(|| format!("{}: {text}", document.remote_id));
            if went_through {
                self.counted(document, text, true).await?;
            } else {
                self.tally.failed += 1;
                self.uncounted(document, text, true).await?;
            }
        }
        let Tally { fetched, failed, fault, end } = self.tally;
        let (outcome, error, remainder, not_before) = match end {
            Some(End::Platform(error, until)) => (Outcome::Failed, Some(error), Remainder::None, until),
            Some(End::Disk(error)) => (Outcome::Failed, Some(error), Remainder::Disk, None),
            Some(End::Stopped) => {
                (Outcome::Interrupted, Some("the daemon was stopped".to_owned()), Remainder::None, None)
            }
            None if failed > 0 => (Outcome::Partial, fault, Remainder::None, None),
            None => (Outcome::Ok, None, Remainder::None, None),
        };
        Ok((Summary { outcome, listed: None, fetched, failed, error }, remainder, not_before))
    }
}

fn tell(document: &Claimed, condition: &Condition, error: &str) {
    let Claimed { feed, remote_id, .. } = document;
    match condition {
        Condition::Open => {}
        Condition::Failed(next) => tracing::warn!(event = event::DOCUMENT_FAILED, feed = %feed, remote_id, error,
            next_try = %next, "{remote_id} of {feed} failed, and is tried again: {error}"),
        Condition::Abandoned => tracing::error!(event = event::DOCUMENT_ABANDONED, feed = %feed, remote_id, error,
            "{remote_id} of {feed} is abandoned: {error}; see `vaguemestre retry` and `dismiss`"),
        Condition::Gone => tracing::warn!(event = event::DOCUMENT_GONE, feed = %feed, remote_id, error,
            "{remote_id} of {feed} is gone: someone else has collected it ({error})"),
        Condition::Lost => tracing::error!(event = event::DOCUMENT_LOST, feed = %feed, remote_id, error,
            "{remote_id} of {feed} is lost: {error}; ask FAST support for it, then `vaguemestre retry` or `dismiss`"),
    }
}
