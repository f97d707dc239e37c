//! One pass of one feed: gates, listing, documents, end. The heart, to be read in one sitting:
//! this file holds the walk, [`listing`] what a feed holds, [`pass`] its documents side by side, [`tally`] what each means for the others, [`fetch`] one document,
//! [`judgement`] what a
//! failed try costs, [`release`] what the platform is told, [`room`] the room on the disk.

pub mod account;
mod fetch;
mod judgement;
mod listing;
mod pass;
mod recover;
mod release;
mod report;
pub mod room;
pub mod source;
mod tally;
mod version;
mod visit;
pub mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

pub use account::Account;
use report::{Remainder, Seen};
pub use report::{Report, Summary};
pub use room::Room;
pub use source::{Lane, Platform, Source};

use crate::clock::Clock;
use crate::connector::{Connector, ConnectorError};
use crate::feed::FeedName;
use crate::http::skew::SkewWatch;
use crate::intake::{DISTRUST, Intake, IntakeError};
use crate::ledger::{ClaimTerms, Due, Ledger, LedgerError, ListingTerms};
use crate::log::event;
use crate::schedule::{Cadence, LastListing, Seed};
use crate::token::Manager;
use listing::{Cut, Listed};
use source::Way;
use tally::Verdict;
use visit::Place;

/// A platform that asks to be left alone for longer is asked again after this all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);
/// Entries of a listing that are no documents, and are told one by one.
const SHOWN: usize = 20;
/// Documents that were left because our own disk failed are taken up again after this.
const DISK_PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// What all polls share.
#[derive(Debug)]
pub struct Poller {
    /// What is known.
    pub ledger: Ledger,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where bodies become documents.
    pub intake: Intake,
    /// This run's name, in every claim.
    pub run: String,
    /// Passes begun: tells their claims apart.
    pub passes: AtomicU64,
    /// Room on the disk (F9).
    pub room: Room,
    /// Gives tokens.
    pub tokens: Arc<Manager>,
    /// Compares the platforms' clocks with ours.
    pub clocks: Arc<SkewWatch>,
    /// Connections open at a time, in all.
    pub connections: Arc<Semaphore>,
    /// Turns true when the daemon stops: nothing new begins.
    pub stopping: tokio::sync::watch::Receiver<bool>,
}

/// A connection that may be open, given back when this is dropped.
struct Connection {
    _share: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

/// A pass that has its feed.
#[derive(Clone, Debug)]
struct Claim {
    /// The row of the poll.
    poll: i64,
    /// What stands in the feed's `claimed_by`.
    token: String,
    /// When the pass began.
    started: Timestamp,
    /// The same for measuring how long it takes, whatever is done to the clock.
    began: Instant,
}

/// A feed that this configuration holds.
#[derive(Clone, Debug)]
pub struct Feed {
    /// Its name.
    pub name: FeedName,
    /// When it may be listed.
    pub cadence: Arc<Cadence>,
    /// What its account may do at a time.
    pub lane: Arc<Lane>,
    /// Where it comes from.
    pub source: Source,
    /// The feed whose listings show its documents: it is never listed by itself.
    pub led_by: Option<FeedName>,
    /// The feed whose documents its own listings show as well.
    pub leads: Option<FeedName>,
}

impl Poller {
    /// A new token for a pass: what stands in its feed's `claimed_by` while it lasts. Documents bear the run's name.
    #[must_use]
    pub fn token(&self) -> String {
        format!("{}/{}", self.run, self.passes.fetch_add(1, Ordering::Relaxed))
    }

    /// Why our own disk allows no listing and no download (F9); `None` where it does.
    #[must_use]
    pub fn obstacle(&self) -> Option<&'static str> {
        if self.room.is_low() {
            Some(room::LOW)
        } else if !self.intake.trusts_disk() {
            Some(DISTRUST)
        } else {
            None
        }
    }

    /// Polls `feed`: lists it, then fetches what is not held. Obeys every rule; answers `Postponed` where one forbids it.
    ///
    /// # Errors
    /// When the ledger fails: then [`Poller::let_go`] of the token's claims.
    pub async fn poll(&self, feed: &Feed, due: &Due, token: &str) -> Result<Report, LedgerError> {
        let Some(connection) = self.connection(feed).await else { return Ok(Report::Busy) };
        let seed = Seed(self.ledger.seed());
        let name = feed.name.as_str();
        let (way, shown) = match self.connect_shown(feed).await? {
            Ok(way) => way,
            Err(problem) => {
                // No request leaves: the next look is at the next due time, and the last listing stays what it was.
                if due.planned <= self.clock.now() {
                    let next = feed.cadence.next(&seed, name, due.planned, self.clock.now());
                    self.ledger.plan_anew(vec![(due.clone(), next)]).await?;
                }
                let Some(claim) = self.claim_resumption(feed, token).await? else { return Ok(Report::Busy) };
                return self.end(feed, &claim, Verdict::failed(problem, None), Seen::default()).await;
            }
        };
        // The disk may have filled while this waited for its turn.
        if let Some(obstacle) = self.obstacle() {
            return Ok(Report::Obstructed(obstacle));
        }
        if let Some(until) = self.postpone(feed, due).await? {
            return Ok(Report::Postponed(until));
        }
        let (now, boot) = (self.clock.now(), self.clock.boot());
        let next = feed.cadence.next(&seed, name, due.planned, now);
        let terms = ClaimTerms { run: token.to_owned(), now, boot, next };
        let Some(poll) = self.ledger.claim_listing(due, terms).await? else { return Ok(Report::Busy) };
        let claim = Claim { poll, token: token.to_owned(), started: now, began: Instant::now() };
        tracing::debug!(event = event::POLL_STARTED, feed = name, "listing {name}");
        match way {
            Way::Rest(way) => self.list(feed, due, &claim, &way, shown).await,
            Way::Soap(way) => self.list(feed, due, &claim, &way, shown).await,
            Way::Webdav(way) => self.list(feed, due, &claim, &way, shown).await,
            Way::Items(way) => self.list(feed, due, &claim, &way, None).await,
            Way::Resource(way, settings) => {
                let place = Place { path: &settings.path, ignore: &settings.ignore };
                let (verdict, seen) = visit::visit(self, feed, &claim, &way, place).await?;
                self.end(feed, &claim, verdict, seen).await
            }
            Way::Watch(door) => {
                // Each of its calls takes a place of its own, and it may last for hours.
                drop(connection);
                let (verdict, seen) = watch::pass(self, feed, &claim, &door).await?;
                self.end(feed, &claim, verdict, seen).await
            }
        }
    }

    /// Lists `feed` and fetches what is not held; `shown` is the certificate by which, where another may take its place.
    async fn list<C: Connector>(
        &self,
        feed: &Feed,
        due: &Due,
        claim: &Claim,
        way: &C,
        shown: Option<String>,
    ) -> Result<Report, LedgerError> {
        let Listed { listing, cut } = listing::list(self, feed, due, claim, way).await?;
        if let Some(serial) = shown {
            let fault = match &cut {
                Some(Cut::Fault(error)) => Some(error),
                Some(Cut::Stopped) | None => None,
            };
            self.judge_certificate(feed, &serial, fault).await?;
        }
        // What was there at the first listing is only known from the whole of it.
        let skips = feed.source.skips_first_listing() && !due.listed_before;
        match cut {
            // Nothing was shown: there is nothing to record.
            Some(Cut::Fault(error)) if listing.documents.is_empty() || skips => {
                let verdict = Verdict::failed(error.to_string(), self.asked_to_wait(&error));
                self.end(feed, claim, verdict, Seen::default()).await
            }
            Some(Cut::Stopped) if skips => self.end(feed, claim, Verdict::stopped(), Seen::default()).await,
            cut => self.collect(feed, due, claim, way, Listed { listing, cut }).await,
        }
    }

    /// Fetches what an interruption or an operator left to be fetched, without a listing.
    ///
    /// # Errors
    /// As [`Poller::poll`].
    pub async fn resume(&self, feed: &Feed, token: &str) -> Result<Report, LedgerError> {
        let Some(_connection) = self.connection(feed).await else { return Ok(Report::Busy) };
        let Some(claim) = self.claim_resumption(feed, token).await? else { return Ok(Report::Busy) };
        let verdict = match self.connect(feed).await? {
            Ok(Way::Rest(way)) => self.documents(feed, &claim, &way).await?,
            Ok(Way::Soap(way)) => self.documents(feed, &claim, &way).await?,
            Ok(Way::Webdav(way)) => self.documents(feed, &claim, &way).await?,
            Ok(Way::Items(way)) => self.documents(feed, &claim, &way).await?,
            // What changes is asked for anew: nothing of it waits.
            Ok(Way::Resource(..) | Way::Watch(_)) => Verdict::nothing(),
            Err(problem) => Verdict::failed(problem, None),
        };
        self.end(feed, &claim, verdict, Seen::default()).await
    }

    async fn claim_resumption(&self, feed: &Feed, token: &str) -> Result<Option<Claim>, LedgerError> {
        let started = self.clock.now();
        let poll = self.ledger.claim_resumption(&feed.name, token.to_owned(), started).await?;
        Ok(poll.map(|poll| Claim { poll, token: token.to_owned(), started, began: Instant::now() }))
    }

    async fn collect<C: Connector>(
        &self,
        feed: &Feed,
        due: &Due,
        claim: &Claim,
        way: &C,
        Listed { listing, cut }: Listed,
    ) -> Result<Report, LedgerError> {
        for entry in listing.refused.iter().take(SHOWN) {
            tracing::warn!(event = event::LISTING_REFUSED, feed = %feed.name, entry, "the listing of {} holds an entry that is no document", feed.name);
        }
        let terms = ListingTerms {
            skip: feed.source.skips_first_listing() && !due.listed_before,
            whole: cut.is_none(),
            release: feed.source.release(),
            shared_with: feed.leads.clone(),
            ..ListingTerms::at(self.clock.now())
        };
        let recorded = self.ledger.record_listing(&feed.name, &listing.documents, terms).await?;
        let closed = matches!(&cut, Some(Cut::Fault(error)) if listing::ends_all(error));
        let mut verdict = if closed { Verdict::nothing() } else { self.documents(feed, claim, way).await? };
        match &cut {
            Some(Cut::Fault(error)) => verdict.cut_short(Some(error.to_string()), self.asked_to_wait(error)),
            Some(Cut::Stopped) => verdict.cut_short(None, None),
            None => {}
        }
        let seen = Seen {
            listed: Some(listing.documents.len()),
            // A file that is held lies there until it is removed.
            held: if feed.source.keeps_files() { 0 } else { recorded.held },
            refused: listing.refused.len(),
            note: Some(listing.notes.join("; ")).filter(|note| !note.is_empty()),
            next: None,
        };
        self.end(feed, claim, verdict, seen).await
    }

    /// Fetches what is open, of the feed and of one that it leads, then tells the platform what is safe.
    async fn documents<C: Connector>(&self, feed: &Feed, claim: &Claim, way: &C) -> Result<Verdict, LedgerError> {
        let mut verdict = pass::documents(self, feed, claim, way).await?;
        if let Some(led) = feed.leads.clone().filter(|_| verdict.may_go_on()) {
            let led = Feed { name: led, ..feed.clone() };
            verdict.add(pass::documents(self, &led, claim, way).await?);
        }
        if feed.source.keeps_files() && verdict.may_go_on() {
            for name in [Some(&feed.name), feed.leads.as_ref()].into_iter().flatten() {
                release::release(self, feed, name, way).await?;
            }
        }
        Ok(verdict)
    }

    /// After a pass that broke off (the ledger failed, its task died): lets go of what it had claimed, once everything
    /// that had arrived is recorded, so that it is taken up again. Does nothing where it had claimed nothing; gives up when
    /// the daemon stops, for the next start does the same.
    pub async fn let_go(&self, feed: &FeedName, token: &str) {
        let mut stopping = self.stopping.clone();
        let mut pause = Duration::from_secs(1);
        self.intake.settled().await;
        while let Err(error) =
            self.ledger.release_claim(feed, token.to_owned(), self.run.clone(), self.clock.now() + DISK_PAUSE).await
        {
            tracing::debug!(event = event::LEDGER_FAILED, kind = error.kind(), "{feed} stays claimed for now: {error}");
            tokio::select! {
                () = tokio::time::sleep(pause) => pause = (pause * 2).min(Duration::from_secs(60)),
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    /// F1, F2, the full hour and what the platform asked for, judged at the last moment; where they forbid it, the feed
    /// is planned anew.
    async fn postpone(&self, feed: &Feed, due: &Due) -> Result<Option<Timestamp>, LedgerError> {
        let cadence = &feed.cadence;
        let (now, boot) = (self.clock.now(), self.clock.boot());
        let seed = Seed(self.ledger.seed());
        let last = due.last_listed.clone().map(|(wall, boot)| LastListing { wall, boot });
        let wait = last.as_ref().and_then(|last| cadence.wait_before_listing(last, now, &boot));
        let asked = due.asked_to_wait(now);
        let until = match wait {
            Some(wait) => {
                if let Some(corrected) = last.as_ref().and_then(|last| last.corrected(now, &boot)) {
                    self.ledger.correct_listing(&feed.name, corrected.wall, &corrected.boot).await?;
                }
                // As if the last listing had been planned when it started: the rest of the interval, and chance.
                let interval = SignedDuration::try_from(cadence.interval()).unwrap_or(SignedDuration::MAX);
                let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::ZERO);
                let planned = now.saturating_add(wait).and_then(|t| t.checked_sub(interval)).unwrap_or(now);
                cadence.next(&seed, feed.name.as_str(), planned, planned)
            }
            None if asked.is_none() && cadence.calendar().listing_hold(now).is_none() => return Ok(None),
            None => now,
        };
        let until = cadence.postponed(&seed, feed.name.as_str(), until.max(asked.unwrap_or(now)));
        // A look ahead of its time (an operator's) leaves the plan as it is.
        if due.planned <= now {
            self.ledger.plan_anew(vec![(due.clone(), until)]).await?;
        }
        tracing::debug!(event = event::WINDOW_WAITING, feed = %feed.name, until = %until, "not yet: {}", feed.name);
        Ok(Some(until))
    }

    fn asked_to_wait(&self, error: &ConnectorError) -> Option<Timestamp> {
        match error {
            ConnectorError::Later { wait, .. } => self.clock.now().checked_add(*wait.min(&LONGEST_WAIT)).ok(),
            _ => None,
        }
    }

    /// A place among the connections that may be open; `None` when the daemon stops first.
    async fn connection(&self, feed: &Feed) -> Option<Connection> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            _ = stopping.wait_for(|stopping| *stopping) => None,
            connection = self.connection_in_turn(feed) => connection,
        }
    }

    /// The same, without an end to the wait: a place among those of the platform, then among all.
    async fn connection_in_turn(&self, feed: &Feed) -> Option<Connection> {
        let share = Arc::clone(&feed.source.platform().share).acquire_owned().await.ok()?;
        let all = Arc::clone(&self.connections).acquire_owned().await.ok()?;
        Some(Connection { _share: share, _all: all })
    }
}

impl From<IntakeError> for String {
    fn from(error: IntakeError) -> Self {
        match &error {
            IntakeError::Disk { source, .. } | IntakeError::Unsynced { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        }
    }
}
