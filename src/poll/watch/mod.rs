//! One pass of a watch: the subjects that are due, side by side, as fast as the quotas allow.
//!
//! This file holds the walk; [`rota`] when each subject is asked about, [`ask`] one call and what its answer means,
//! [`desk`] what all watches of the platform share: the quotas, the ban, the calls in flight.

mod ask;
pub mod desk;
pub mod rota;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

pub use desk::{Desk, Witnesses};
pub use rota::Rota;

use super::tally::Verdict;
use super::{Claim, Feed, Poller, Remainder, Seen, Summary};
use crate::config::{self, EntrepriseAccount, Member};
use crate::connector::entreprise::Api;
use crate::ledger::{DueSubject, LedgerError, Outcome};
use crate::log::event;
use crate::quota::Want;
use ask::{Asked, Meaning};

/// Subjects looked up at a time.
const PAGE: u32 = 500;
/// Calls side by side: enough for every call of a minute to take its whole time limit.
pub const CONCURRENCY: usize = 32;
/// Calls in a row that met trouble end a pass.
const TROUBLE: u32 = 3;
/// The next look after that.
const TROUBLE_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// A refused account or watch is left alone for so long (Q4).
pub(super) const REFUSED_PAUSE: SignedDuration = SignedDuration::from_hours(24);
/// Free space may have come back after this.
const DISK_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// A watch of this configuration.
#[derive(Debug)]
pub struct Watch {
    /// Its settings, its subjects among them.
    pub settings: config::Watch,
    /// Its account.
    pub account: EntrepriseAccount,
    /// When it asks.
    pub rota: Rota,
    /// Passes of it begin so far apart, at the least.
    pub gap: SignedDuration,
    /// What its calls take from.
    pub wants: Vec<Want>,
    /// Subjects with an object of their own.
    objects: HashMap<String, String>,
    /// What it shares with the platform's other watches.
    pub desk: Arc<Desk>,
}

impl Watch {
    /// The watch `settings` of `account`.
    #[must_use]
    pub fn new(settings: config::Watch, account: EntrepriseAccount, gap: SignedDuration, desk: Arc<Desk>) -> Self {
        let own = |member: &Member| Some((member.id.clone(), member.object.clone()?));
        let objects = settings.members.iter().filter_map(own).collect();
        let rota = Rota { every: settings.every, hours: settings.hours, pace: settings.pace };
        let wants = Desk::wants(&settings);
        Self { settings, account, rota, gap, wants, objects, desk }
    }

    /// What a call about `subject` is for (Q5): its own object, the watch's, or the account's.
    fn object(&self, subject: &str) -> &str {
        let own = self.objects.get(subject).or(self.settings.object.as_ref());
        own.unwrap_or(&self.account.object)
    }
}

/// The way of a watch: its API, and the token in hand.
#[derive(Debug)]
pub(super) struct Door {
    /// The watch it is for.
    pub(super) watch: Arc<Watch>,
    pub(super) api: Api,
    pub(super) token: SecretString,
}

/// Why a pass ends before all that is due was asked about.
#[derive(Debug)]
enum End {
    /// The platform or the way to it; the next look.
    Platform(String, Timestamp),
    /// It refuses us: not before then.
    Refused(String, Timestamp),
    /// Our own disk.
    Disk(String),
    /// The watch's hours are over, or the configuration has changed: the next pass goes on.
    Closed,
    /// The daemon stops.
    Stopped,
}

/// A pass under way.
struct Round<'a> {
    poller: &'a Poller,
    feed: &'a Feed,
    claim: &'a Claim,
    watch: &'a Watch,
    door: &'a Door,
    /// Nothing more is asked.
    over: AtomicBool,
    /// The configuration it works by.
    generation: u64,
}

#[derive(Debug, Default)]
struct Count {
    asked: usize,
    fetched: u64,
    failed: u64,
    /// The first thing that went wrong.
    fault: Option<String>,
    /// Calls in a row that met trouble.
    trouble: u32,
    end: Option<End>,
    failure: Option<LedgerError>,
}

/// Asks about every subject of `feed` that is due. Whatever happens, calls that have left are heard out.
///
/// # Errors
/// When the ledger failed.
pub(super) async fn pass(
    poller: &Poller,
    feed: &Feed,
    claim: &Claim,
    door: &Door,
) -> Result<(Verdict, Seen), LedgerError> {
    let watch = &*door.watch;
    poller.ledger.drop_unkept_versions(Some(&feed.name)).await?;
    if let Some(banned) = watch.desk.banned(&door.api, &watch.settings.path).await? {
        let verdict = Verdict::failed(banned.reason, None);
        return Ok((verdict, Seen { next: Some(banned.look_again), ..Seen::default() }));
    }
    let round =
        Round { poller, feed, claim, watch, door, over: AtomicBool::new(false), generation: watch.desk.generation() };
    let mut count = Count::default();
    round.run(&mut count).await;
    round.finish(count).await
}

impl Round<'_> {
    async fn run(&self, count: &mut Count) {
        let mut calls = FuturesUnordered::new();
        let (mut queue, mut taken, mut exhausted) = (VecDeque::<DueSubject>::new(), HashSet::new(), false);
        loop {
            if self.generation != self.watch.desk.generation() {
                self.end(count, End::Closed);
            }
            let open = count.end.is_none() && count.failure.is_none();
            if !open {
                self.over.store(true, Ordering::Relaxed);
            } else if calls.len() < if count.asked > 0 { CONCURRENCY } else { 1 } {
                // One call shows whether path and rights are right: where they are not, it is the only one.
                if queue.is_empty() && !exhausted {
                    match self.page(&taken).await {
                        Ok(page) => {
                            exhausted = page.is_empty();
                            taken.extend(page.iter().map(|due| due.subject.clone()));
                            queue.extend(page);
                        }
                        Err(error) => count.failure = Some(error),
                    }
                    continue;
                }
                if let Some(due) = queue.pop_front() {
                    calls.push(self.ask(due));
                    continue;
                }
            }
            match calls.next().await {
                Some(Ok(asked)) => self.judge(asked, count).await,
                Some(Err(error)) => {
                    count.failure.get_or_insert(error);
                }
                None => return,
            }
        }
    }

    /// The next subjects that are due and not dealt with by this pass.
    async fn page(&self, taken: &HashSet<String>) -> Result<Vec<DueSubject>, LedgerError> {
        let limit = PAGE + u32::try_from(CONCURRENCY).unwrap_or(0);
        let now = self.poller.clock.now();
        let mut page = self.poller.ledger.due_subjects(&self.feed.name, now, limit).await?;
        page.retain(|due| !taken.contains(&due.subject));
        Ok(page)
    }

    /// What a call means for the pass.
    async fn judge(&self, asked: Asked, count: &mut Count) {
        let Asked { subject, called, meaning } = asked;
        count.asked += usize::from(called);
        let now = self.poller.clock.now();
        let (text, trouble) = match meaning {
            Meaning::Fine { new } => {
                count.trouble = 0;
                count.fetched += u64::from(new);
                return;
            }
            Meaning::Waits => return,
            Meaning::Stopped => return self.end(count, End::Stopped),
            Meaning::Closed => return self.end(count, End::Closed),
            Meaning::Disk(text) => return self.end(count, End::Disk(text)),
            Meaning::Refused(text) => {
                let until = now.saturating_add(REFUSED_PAUSE).unwrap_or(Timestamp::MAX);
                return self.end(count, End::Refused(text, until));
            }
            Meaning::Failed { text, trouble } => (text, trouble),
            Meaning::Unanswered(text) => {
                match self.watch.desk.unanswered(&self.door.api, &self.watch.settings.path).await {
                    Ok(None) => (text, true),
                    Ok(Some(end)) => {
                        return self.end(count, End::Platform(format!("{text}: {}", end.reason), end.look_again));
                    }
                    Err(error) => {
                        count.failure.get_or_insert(error);
                        return;
                    }
                }
            }
        };
        count.failed += 1;
        count.fault.get_or_insert_with(|| format!("{subject}: {text}"));
        count.trouble = if trouble { count.trouble + 1 } else { 0 };
        if count.trouble >= TROUBLE {
            self.watch.desk.distrust();
            let next = now.saturating_add(TROUBLE_PAUSE).unwrap_or(Timestamp::MAX);
            self.end(count, End::Platform(format!("{text}, {TROUBLE} times in a row"), next));
        }
    }

    /// The watch cannot work: said in `status` until it can, unless its whole account cannot.
    async fn bar(&self, text: &str) -> Result<(), LedgerError> {
        if self.watch.desk.is_refused(self.feed.name.account_name()) {
            return Ok(());
        }
        let (name, now) = (self.feed.name.to_string(), self.poller.clock.now());
        for (watch, problem) in self.poller.ledger.bar_accounts(vec![(name, text.to_owned())], now).await? {
            tracing::error!(event = event::ACCOUNT_UNUSABLE, feed = watch, "{watch} cannot work: {problem}");
        }
        Ok(())
    }

    fn end(&self, count: &mut Count, end: End) {
        self.over.store(true, Ordering::Relaxed);
        count.end.get_or_insert(end);
    }

    async fn finish(self, count: Count) -> Result<(Verdict, Seen), LedgerError> {
        let Count { asked, fetched, failed, fault, end, failure, .. } = count;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let now = self.poller.clock.now();
        let due = self.poller.ledger.next_subject(&self.feed.name).await?;
        let soonest = now.saturating_add(self.watch.gap).unwrap_or(Timestamp::MAX);
        let idle = now.saturating_add(REFUSED_PAUSE).unwrap_or(Timestamp::MAX);
        let mut next = self.watch.rota.hours.opens_at(due.unwrap_or(idle).max(soonest));
        let (mut outcome, mut error, mut not_before) = (Outcome::Ok, None, None);
        match end {
            Some(End::Platform(text, at)) => (outcome, error, next) = (Outcome::Failed, Some(text), next.max(at)),
            Some(End::Refused(text, until)) => {
                self.bar(&text).await?;
                (outcome, error, not_before) = (Outcome::Failed, Some(text), Some(until));
            }
            Some(End::Disk(text)) => {
                let at = now.saturating_add(DISK_PAUSE).unwrap_or(Timestamp::MAX);
                (outcome, error, next) = (Outcome::Failed, Some(text), at);
            }
            Some(End::Stopped) => (outcome, error) = (Outcome::Interrupted, Some("the daemon was stopped".to_owned())),
            Some(End::Closed) | None if failed > 0 => (outcome, error) = (Outcome::Partial, fault),
            Some(End::Closed) | None => {}
        }
        if asked > 0 && outcome != Outcome::Failed {
            self.poller.ledger.unbar(self.feed.name.as_str()).await?;
        }
        let summary = Summary { outcome, listed: None, fetched, failed, error };
        let verdict = Verdict { summary, remainder: Remainder::None, not_before, ended: false };
        let listed = (outcome != Outcome::Failed).then_some(asked);
        Ok((verdict, Seen { listed, next: Some(next), ..Seen::default() }))
    }
}
