//! One call about one subject, and what its answer means.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;

use super::Round;
use super::rota::COOLING;
use crate::connector::entreprise::{self, Call, Scope};
use crate::http::HttpError;
use crate::ledger::{DueSubject, LedgerError, NewCall, SubjectAnswer};
use crate::poll::version::{self, Kept, Subject};

/// A part of the answer was missing (206): asked for again after this, unless the answer says when.
const PARTIAL_PAUSE: Duration = Duration::from_secs(3600);
/// The answer's file is fetched once more after this, where that failed.
const FILE_PAUSE: Duration = Duration::from_secs(300);

/// A call that has ended, or did not leave.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) subject: String,
    /// Whether a request left.
    pub(super) called: bool,
    pub(super) meaning: Meaning,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Meaning {
    /// An answer is recorded, as a new version or otherwise.
    Fine { new: bool },
    /// Not now: it stays due.
    Waits,
    /// The daemon stops.
    Stopped,
    /// The watch's hours are over.
    Closed,
    /// The account or the watch is refused: nothing more is asked.
    Refused(String),
    /// It failed; whether that says something of the platform, and not just of this subject.
    Failed { text: String, trouble: bool },
    /// Nothing was answered.
    Unanswered(String),
    /// Our own disk.
    Disk(String),
}

impl Round<'_> {
    /// Asks about `due`, once the quotas allow it, and records what the answer says.
    pub(super) async fn ask(&self, due: DueSubject) -> Result<Asked, LedgerError> {
        let subject = due.subject.clone();
        let call = self.call(&subject);
        let asked = |called, meaning| Ok(Asked { subject: subject.clone(), called, meaning });
        // The server holds a lock on each call: the same one never leaves twice at a time (Q4).
        let Some(_alone) = self.watch.desk.alone(&self.door.api.url(&call)) else {
            self.put_off(&due).await?;
            return asked(false, Meaning::Waits);
        };
        let account = self.feed.name.account_name();
        let _proof = self.watch.desk.prove(account).await;
        let Some(permit) = self.watch.desk.gate.enter(&self.watch.wants).await else {
            return asked(false, Meaning::Stopped);
        };
        let Some(_connection) = self.poller.connection(self.feed).await else {
            permit.unused();
            return asked(false, Meaning::Stopped);
        };
        let now = self.poller.clock.now();
        if self.is_over() || self.watch.desk.is_refused(account) {
            permit.unused();
            return asked(false, Meaning::Waits);
        }
        if !self.watch.rota.hours.is_open(now) {
            permit.unused();
            return asked(false, Meaning::Closed);
        }
        let promised = (!self.poller.room.allows_listing()).then_some(crate::poll::room::LOW);
        if let Some(obstacle) = self.poller.obstacle().or(promised) {
            permit.unused();
            return asked(false, Meaning::Disk(obstacle.to_owned()));
        }
        let row = self.begin(&call, &subject, now).await?;
        let answered = self.door.api.ask(&call, &self.door.token).await;
        let (status, request_id) = match &answered {
            Ok(answered) => {
                // Before the answer lets others through: they would all be refused as well.
                self.heed(&answered.meaning);
                permit.answered(&answered.facts);
                (Some(answered.facts.status), answered.request_id.clone())
            }
            Err(_) => {
                drop(permit);
                (None, None)
            }
        };
        // What the answer told of the platform's clock first: after a crash a call counts by that, or as unanswered.
        self.watch.desk.remember(&self.watch.wants).await?;
        self.poller.ledger.finish_call(row, status, request_id, self.poller.clock.now()).await?;
        let meaning = match answered {
            Ok(answered) => {
                self.watch.desk.heard(answered.facts.status).await?;
                self.mean(&due, now, answered).await?
            }
            Err(error) => self.unheard(&due, error).await?,
        };
        asked(true, meaning)
    }

    /// Whether nothing more is asked: the pass ends, or the configuration it works by is no longer the present one.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || self.generation != self.watch.desk.generation()
    }

    /// Stops what a refusal stops.
    fn heed(&self, meaning: &entreprise::Meaning) {
        if !matches!(meaning, entreprise::Meaning::Stop { scope: Scope::Account, .. }) {
            self.watch.desk.accept(self.feed.name.account_name());
        }
        if let entreprise::Meaning::Stop { scope, .. } = meaning {
            self.over.store(true, Ordering::Relaxed);
            if *scope == Scope::Account {
                let until = self.poller.clock.now().saturating_add(super::REFUSED_PAUSE).unwrap_or(Timestamp::MAX);
                self.watch.desk.leave_alone(self.feed.name.account_name(), until);
            }
        }
    }

    fn call<'c>(&'c self, subject: &'c str) -> Call<'c> {
        Call {
            path: &self.watch.settings.path,
            subject,
            context: &self.watch.account.context,
            recipient: &self.watch.account.recipient,
            object: self.watch.object(subject),
            query: &self.watch.settings.query,
        }
    }

    /// What must be known before the call leaves: that it does (Q5), and that it is not repeated at once after a crash.
    async fn begin(&self, call: &Call<'_>, subject: &str, now: Timestamp) -> Result<i64, LedgerError> {
        let ledger = &self.poller.ledger;
        let until = now.saturating_add(self.door.api.timeout() + COOLING).unwrap_or(Timestamp::MAX);
        let row = NewCall {
            account: self.feed.name.account_name().to_owned(),
            feed: self.feed.name.clone(),
            path: call.path(),
            context: call.context.to_owned(),
            recipient: call.recipient.to_owned(),
            object: call.object.to_owned(),
        };
        let (row, asked) =
            tokio::join!(ledger.begin_call(row, now), ledger.ask_subject(&self.feed.name, subject, now, until));
        asked?;
        row
    }

    /// What an answer means for its subject.
    async fn mean(
        &self,
        due: &DueSubject,
        asked: Timestamp,
        answered: entreprise::Answered,
    ) -> Result<Meaning, LedgerError> {
        let status = answered.facts.status;
        match answered.meaning {
            entreprise::Meaning::Version { body, document_url } => {
                self.version(due, asked, status, &body, document_url).await
            }
            entreprise::Meaning::Answer { text } => {
                let next = self.watch.rota.again(&due.subject, asked, self.claim.started);
                self.record(due, Some(status), Some(text), next, 0).await?;
                Ok(Meaning::Fine { new: false })
            }
            entreprise::Meaning::Partial { after } => {
                let text = "some of it is not available for now: the version held stays";
                self.retry(due, Some(status), text, Some(after.unwrap_or(PARTIAL_PAUSE))).await?;
                Ok(Meaning::Fine { new: false })
            }
            entreprise::Meaning::Retry { after, text, trouble } => {
                self.retry(due, Some(status), &text, after).await?;
                Ok(Meaning::Failed { text, trouble })
            }
            entreprise::Meaning::Quota => {
                // Its bucket is closed until the server counts anew: the subject is still due, and nothing is lost.
                let now = self.poller.clock.now();
                self.record(due, Some(status), None, now, due.setbacks).await?;
                Ok(Meaning::Waits)
            }
            entreprise::Meaning::Stop { scope, text } => {
                let now = self.poller.clock.now();
                let next = self.watch.rota.hours.opens_at(now);
                self.record(due, Some(status), Some(text.clone()), next, due.setbacks).await?;
                if scope == Scope::Account {
                    let until = now.saturating_add(super::REFUSED_PAUSE).unwrap_or(Timestamp::MAX);
                    self.watch.desk.refuse(self.feed.name.account_name(), &text, until).await?;
                }
                Ok(Meaning::Refused(text))
            }
            entreprise::Meaning::Unreadable { text } => {
                self.retry(due, Some(status), &text, None).await?;
                Ok(Meaning::Failed { text, trouble: true })
            }
        }
    }

    /// Keeps an answer, or the file it points to, unless it says what the latest version says.
    async fn version(
        &self,
        due: &DueSubject,
        asked: Timestamp,
        status: u16,
        body: &[u8],
        document_url: Option<String>,
    ) -> Result<Meaning, LedgerError> {
        let (id, ignore) = (due.subject.as_str(), self.watch.settings.ignore.as_slice());
        let subject = Subject { id, asked, poll: self.claim.poll, ignore };
        let kept = match document_url {
            None => version::keep(self.poller, self.feed, subject, body).await?,
            // At once, for it expires (Q6).
            Some(url) => match self.door.api.document(&url).await {
                Ok(file) => version::keep_file(self.poller, self.feed, subject, file).await?,
                Err(error) => Kept::Refused(error.to_string()),
            },
        };
        let text = match kept {
            Kept::New | Kept::Same => {
                let next = self.watch.rota.again(id, asked, self.claim.started);
                self.record(due, Some(status), None, next, 0).await?;
                return Ok(Meaning::Fine { new: matches!(kept, Kept::New) });
            }
            Kept::Disk(text) => {
                self.record(due, Some(status), None, self.poller.clock.now(), due.setbacks).await?;
                return Ok(Meaning::Disk(text));
            }
            Kept::Refused(text) => text,
            Kept::Broken(error) => error.to_string(),
            Kept::TooLarge(limit) => format!("its file is larger than {limit} bytes, and is not taken"),
        };
        self.retry(due, Some(status), &text, Some(FILE_PAUSE)).await?;
        Ok(Meaning::Failed { text, trouble: false })
    }

    async fn unheard(&self, due: &DueSubject, error: HttpError) -> Result<Meaning, LedgerError> {
        let text = error.to_string();
        let wait = COOLING.saturating_mul(2_u32.saturating_pow(due.setbacks.min(6)));
        self.retry(due, None, &text, Some(wait)).await?;
        Ok(Meaning::Unanswered(text))
    }

    /// The subject is due again after a pause that doubles, or the one the platform asks for.
    async fn retry(
        &self,
        due: &DueSubject,
        status: Option<u16>,
        text: &str,
        wait: Option<Duration>,
    ) -> Result<(), LedgerError> {
        let setbacks = due.setbacks.saturating_add(1);
        let next = self.watch.rota.retry(setbacks, wait, self.poller.clock.now());
        self.record(due, status, Some(text.to_owned()), next, setbacks).await
    }

    /// The same call is under way for another watch: after a while, then.
    async fn put_off(&self, due: &DueSubject) -> Result<(), LedgerError> {
        let now = self.poller.clock.now();
        let next = now.saturating_add(COOLING).unwrap_or(Timestamp::MAX);
        self.poller.ledger.ask_subject(&self.feed.name, &due.subject, now, next).await
    }

    async fn record(
        &self,
        due: &DueSubject,
        status: Option<u16>,
        answer: Option<String>,
        next_at: Timestamp,
        setbacks: u32,
    ) -> Result<(), LedgerError> {
        let answer = SubjectAnswer { status, answer, next_at: Some(next_at), setbacks, validators: None };
        self.poller.ledger.answer_subject(&self.feed.name, &due.subject, answer, self.poller.clock.now()).await
    }
}
