//! What must be so: documents and their deliveries as plain values.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use vaguemestre::config::Release;
use vaguemestre::feed::DocumentState;
use vaguemestre::ledger::Condition;

/// A try later than this was set by a clock set back since.
pub const LATEST_TRY: SignedDuration = SignedDuration::from_hours(12);
/// Likewise of deliveries.
pub const LATEST_DELIVERY: SignedDuration = SignedDuration::from_hours(1);

/// A delivery of a document's present copy.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub ordered: Timestamp,
    pub made: bool,
    /// When it is tried again, if it failed.
    pub next: Option<Timestamp>,
}

impl Delivery {
    pub fn is_due(&self, now: Timestamp) -> bool {
        !self.made && self.next.is_none_or(|next| next <= now || next > now + LATEST_DELIVERY)
    }
}

/// A document, as the ledger must have it.
#[derive(Clone, Debug)]
pub struct Document {
    pub feed: usize,
    pub remote_id: String,
    /// The file's path, of the feed of files.
    pub path: Option<String>,
    pub state: DocumentState,
    pub attempts: i64,
    pub interruptions: i64,
    pub setbacks: i64,
    pub next_try: Option<Timestamp>,
    pub claimed_by: String,
    /// Path and SHA-256 of bytes set aside.
    pub quarantine: Option<(String, String)>,
    /// Where its copy lies.
    pub copy: Option<String>,
    pub released: bool,
    pub release_failed: bool,
    pub deliveries: BTreeMap<String, Delivery>,
}

impl Document {
    pub fn new(feed: usize, remote_id: &str, path: Option<String>, state: DocumentState) -> Self {
        Self {
            feed,
            remote_id: remote_id.to_owned(),
            path,
            state,
            attempts: 0,
            interruptions: 0,
            setbacks: 0,
            next_try: None,
            claimed_by: String::new(),
            quarantine: None,
            copy: None,
            released: false,
            release_failed: false,
            deliveries: BTreeMap::new(),
        }
    }

    pub fn is_held(&self) -> bool {
        matches!(self.state, DocumentState::Stored | DocumentState::Delivered)
    }

    pub fn is_open(&self, run: &str, now: Timestamp) -> bool {
        match self.state {
            DocumentState::Listed => true,
            DocumentState::Failed => self.next_try.is_some_and(|next| next <= now || next > now + LATEST_TRY),
            DocumentState::Fetching => self.claimed_by != run,
            _ => false,
        }
    }

    pub fn may_be_claimed(&self, run: &str) -> bool {
        match self.state {
            DocumentState::Listed | DocumentState::Failed => true,
            DocumentState::Fetching => self.claimed_by != run,
            _ => false,
        }
    }

    pub fn claim(&mut self, run: &str) {
        if self.state == DocumentState::Fetching {
            self.interruptions += 1;
            self.setbacks += 1;
        }
        self.state = DocumentState::Fetching;
        run.clone_into(&mut self.claimed_by);
    }

    /// Stored, or delivered where nobody waits for it.
    pub fn settle(&mut self) {
        let waiting = self.deliveries.values().any(|delivery| !delivery.made);
        self.state = if waiting { DocumentState::Stored } else { DocumentState::Delivered };
    }

    pub fn refuse(&mut self, condition: &Condition, in_doubt: bool, quarantine: Option<(String, String)>) {
        let ended = match condition {
            Condition::Open => {
                self.state = if self.attempts > 0 { DocumentState::Failed } else { DocumentState::Listed };
                None
            }
            Condition::Failed(next) => {
                self.next_try = Some(*next);
                self.state = DocumentState::Failed;
                None
            }
            Condition::Abandoned => Some(DocumentState::Abandoned),
            Condition::Gone => Some(DocumentState::Gone),
            Condition::Lost => Some(DocumentState::Lost),
        };
        match ended {
            // A held document asked for again, and not given, stays held.
            Some(_) if self.copy.is_some() => self.settle(),
            Some(state) => self.state = state,
            None => {}
        }
        self.attempts += i64::from(*condition != Condition::Open);
        self.interruptions += i64::from(in_doubt);
        self.setbacks += 1;
        self.quarantine = quarantine.or(self.quarantine.take());
    }

    pub fn keep(&mut self, copy: String, targets: &[String], now: Timestamp) {
        self.copy = Some(copy);
        (self.next_try, self.quarantine) = (None, None);
        for target in targets {
            self.deliveries.insert(target.clone(), Delivery { ordered: now, made: false, next: None });
        }
        self.state = if targets.is_empty() { DocumentState::Delivered } else { DocumentState::Stored };
    }

    pub fn reopen(&mut self) {
        self.state = DocumentState::Listed;
        (self.attempts, self.next_try) = (0, None);
    }

    pub fn is_to_be_released(&self, release: Release) -> bool {
        let safe = match release {
            Release::Stored => self.is_held(),
            Release::Delivered => self.state == DocumentState::Delivered,
        };
        safe && self.path.is_some() && !self.released && self.copy.is_some()
    }

    /// Another file (`remote_id`) has taken the place of this one. Answers whether this row becomes that file's.
    pub fn is_replaced(&mut self, remote_id: &str, known: bool) -> bool {
        if !matches!(self.state, DocumentState::Listed | DocumentState::Failed) {
            return false;
        }
        if self.copy.is_some() {
            self.settle();
            self.next_try = None;
        } else if self.interruptions > 0 {
            (self.state, self.next_try) = (DocumentState::Lost, None);
        } else if self.quarantine.is_some() || known {
            (self.state, self.next_try) = (DocumentState::Gone, None);
        } else {
            remote_id.clone_into(&mut self.remote_id);
            self.reopen();
            self.setbacks = 0;
            return true;
        }
        false
    }
}
