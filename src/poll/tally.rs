//! What each try means for its document and for the others (F7), and how the pass ends.

use jiff::Timestamp;

use super::fetch::Try;
use super::judgement::{self, Terms};
use super::{Feed, Poller, Remainder, Summary};
use crate::connector::ConnectorError;
use crate::intake::IntakeError;
use crate::ledger::{Claimed, Condition, LedgerError, Outcome, Refusal};
use crate::log::event;

/// Answers in a row that say nothing about their documents end the poll.
const SILENT: usize = 3;
/// A file that differs from what was listed is taken for one that is being written, so many times.
const PATIENT: i64 = 2;
const STOPPED: &str = "the daemon was stopped";

impl Verdict {
    /// There was nothing to do.
    pub(super) fn nothing() -> Self {
        let summary = Summary { outcome: Outcome::Ok, listed: None, fetched: 0, failed: 0, error: None };
        Self { summary, remainder: Remainder::None, not_before: None, ended: false }
    }

    /// It failed before any document was tried.
    pub(super) fn failed(error: String, not_before: Option<Timestamp>) -> Self {
        let summary = Summary { outcome: Outcome::Failed, listed: None, fetched: 0, failed: 0, error: Some(error) };
        Self { summary, remainder: Remainder::None, not_before, ended: true }
    }

    /// The daemon stopped before any document was tried.
    pub(super) fn stopped() -> Self {
        let error = Some(STOPPED.to_owned());
        let summary = Summary { outcome: Outcome::Interrupted, listed: None, fetched: 0, failed: 0, error };
        Self { summary, remainder: Remainder::None, not_before: None, ended: true }
    }

    /// What came of further documents of the same pass.
    pub(super) fn add(&mut self, other: Self) {
        let Summary { outcome, fetched, failed, error, .. } = other.summary;
        let weight = |outcome| match outcome {
            Outcome::Ok => 0,
            Outcome::Partial => 1,
            Outcome::Failed => 2,
            Outcome::Interrupted => 3,
        };
        // What went wrong with a document, where others came: the pass as a whole did not fail.
        let came = self.summary.fetched + fetched > 0;
        let worst = if weight(outcome) > weight(self.summary.outcome) { outcome } else { self.summary.outcome };
        self.ended |= other.ended;
        self.summary.outcome = if worst == Outcome::Failed && came && !self.ended { Outcome::Partial } else { worst };
        self.summary.fetched += fetched;
        self.summary.failed += failed;
        self.summary.error = self.summary.error.take().or(error);
        self.not_before = self.not_before.max(other.not_before);
        if other.remainder != Remainder::None {
            self.remainder = other.remainder;
        }
    }
}

impl Verdict {
    /// Whether further requests may be made: neither the platform nor the disk, nor a stop, has ended the pass.
    pub(super) fn may_go_on(&self) -> bool {
        !self.ended
    }

    /// Its listing had shown a part only: for `error`, or because the daemon stops.
    pub(super) fn cut_short(&mut self, error: Option<String>, not_before: Option<Timestamp>) {
        self.summary.outcome = if error.is_some() { Outcome::Failed } else { Outcome::Interrupted };
        self.summary.error = error.or_else(|| Some(STOPPED.to_owned()));
        self.not_before = self.not_before.max(not_before);
    }
}

/// How a pass ended.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) summary: Summary,
    /// What it left behind.
    pub(super) remainder: Remainder,
    /// The platform asked not to be called before.
    pub(super) not_before: Option<Timestamp>,
    /// It ended before all documents were tried.
    pub(super) ended: bool,
}

#[derive(Debug, Default)]
struct Count {
    /// Documents that came, whether they are kept yet or not.
    came: u64,
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

/// How a pass is going.
pub(super) struct Tally<'a> {
    poller: &'a Poller,
    feed: &'a Feed,
    terms: Terms,
    count: Count,
    /// The ledger failed: no more is begun, and the pass ends as that.
    failure: Option<LedgerError>,
    /// Answers in a row that said nothing about their documents: counted once another answer shows that the platform
    /// works, and not at all if there are three.
    silent: Vec<(Claimed, String)>,
    /// Transfers that broke: counted only if others went through.
    broken: Vec<(Claimed, String)>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(poller: &'a Poller, feed: &'a Feed, started: Timestamp) -> Self {
        let terms = Terms { started, interval: feed.cadence.interval() };
        Self { poller, feed, terms, count: Count::default(), failure: None, silent: Vec::new(), broken: Vec::new() }
    }

    /// Whether more documents may be tried.
    pub(super) fn goes_on(&self) -> bool {
        self.count.end.is_none() && self.failure.is_none()
    }

    /// Takes note of a ledger that failed.
    pub(super) fn note<T>(&mut self, outcome: Result<T, LedgerError>) -> Option<T> {
        outcome.map_err(|error| self.failure.get_or_insert(error)).ok()
    }

    /// A document has come, and is to be kept.
    pub(super) fn came(&mut self) {
        self.count.came += 1;
    }

    /// A document is stored.
    pub(super) fn stored(&mut self) {
        self.count.fetched += 1;
    }

    /// The daemon stops.
    pub(super) fn stop(&mut self) {
        self.end(End::Stopped);
    }

    /// What a try means for its document, and for the pass.
    pub(super) async fn judge(&mut self, outcome: Try) -> Result<(), LedgerError> {
        match outcome {
            Try::Sealed(_) | Try::NotOurs | Try::PassedOver => Ok(()),
            Try::Stopped => {
                self.end(End::Stopped);
                Ok(())
            }
            Try::Obstructed(why) => {
                self.end(End::Disk(why.to_owned()));
                Ok(())
            }
            // The file is safe in the archive, and the claim stands: the next start adopts it.
            Try::Disk(_, IntakeError::Stopping) => {
                self.end(End::Stopped);
                Ok(())
            }
            Try::Disk(document, error) => {
                self.poller.intake.heed(&error);
                // Should the platform no longer have it, an operator can still accept these bytes.
                let quarantine = match &error {
                    IntakeError::Unsynced { aside, .. } => aside.clone(),
                    _ => None,
                };
                let text = String::from(error);
                self.end(End::Disk(text.clone()));
                let (id, condition) = (document.id, Condition::Open);
                let refusal = Refusal { id, condition, in_doubt: true, error: Some(text), quarantine };
                self.poller.ledger.refuse(refusal).await
            }
            Try::TooLarge(document, limit) => {
                self.answered().await?;
                self.refuse(&document, judgement::too_large(&document, limit)).await
            }
            Try::Refused(document, reason, path, sha256) => {
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
                if self.count.came == 0 && self.broken.len() >= 2 * self.feed.lane.concurrency.max(2) {
                    self.end(End::Platform(text, None));
                }
                Ok(())
            }
            // What goes on differing is not being written: that is told, and ends like any other failure.
            ConnectorError::Changed { .. } if document.setbacks >= PATIENT => {
                self.answered().await?;
                self.counted(document, text, false).await
            }
            ConnectorError::Changed { detail } => {
                self.answered().await?;
                tracing::debug!(event = event::DOCUMENT_WAITING, feed = %document.feed, remote_id = document.remote_id,
                    "{} of {} waits: {text}", document.remote_id, document.feed);
                self.uncounted(document, detail, false).await
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
    pub(super) async fn answered(&mut self) -> Result<(), LedgerError> {
        if self.count.end.is_some() {
            return Ok(());
        }
        for (document, text) in std::mem::take(&mut self.silent) {
            self.counted(document, text, false).await?;
        }
        Ok(())
    }

    fn end(&mut self, end: End) {
        self.count.end.get_or_insert(end);
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
            self.count.failed += 1;
            self.count.fault.get_or_insert_with(|| format!("{}: {error}", document.remote_id));
        }
        self.poller.ledger.refuse(refusal).await
    }

    /// The end: what was held back is counted or not, and the pass has an outcome.
    pub(super) async fn finish(mut self) -> Result<Verdict, LedgerError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let ended = self.count.end.is_some();
        for (document, text) in std::mem::take(&mut self.silent) {
            if ended {
                self.uncounted(document, text, false).await?
            } else {
                self.counted(document, text, false).await?
            }
        }
        let (went_through, broke) = (self.count.came > 0, !self.broken.is_empty());
        for (document, text) in std::mem::take(&mut self.broken) {
            self.count.fault.get_or_insert_with(|| format!("{}: {text}", document.remote_id));
            if went_through {
                self.counted(document, text, true).await?;
            } else {
                self.count.failed += 1;
                self.uncounted(document, text, true).await?;
            }
        }
        let Count { fetched, failed, fault, end, .. } = self.count;
        let (outcome, error, remainder, not_before) = match end {
            Some(End::Platform(error, until)) => (Outcome::Failed, Some(error), Remainder::None, until),
            Some(End::Disk(error)) => (Outcome::Failed, Some(error), Remainder::Disk, None),
            Some(End::Stopped) => (Outcome::Interrupted, Some(STOPPED.to_owned()), Remainder::None, None),
            None if broke && fetched == 0 => (Outcome::Failed, fault, Remainder::None, None),
            None if failed > 0 => (Outcome::Partial, fault, Remainder::None, None),
            None => (Outcome::Ok, None, Remainder::None, None),
        };
        let summary = Summary { outcome, listed: None, fetched, failed, error };
        Ok(Verdict { summary, remainder, not_before, ended })
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
            "{remote_id} of {feed} is lost: {error}; ask the support of its platform for it, then `vaguemestre retry` or `dismiss`"),
    }
}
