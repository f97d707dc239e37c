//! The gate all calls of API Entreprise pass.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};

use super::Want;
use super::book::{Book, Wait};
use super::bucket::Facts;
use super::server_time::{MINUTE, ServerTime, minute};
use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, QuotaRow};
use crate::log::event;

/// A long wait is cut into pieces, for the clocks may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// After a start, calls begun so recently by an earlier run may fill the server's present minute.
const RECENT: SignedDuration = SignedDuration::from_secs(120);

/// Lets calls through as the quotas allow. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    book: Mutex<Book>,
    changed: Notify,
    clock: Arc<dyn Clock>,
    stopping: watch::Receiver<bool>,
    /// The closure last told.
    told: Mutex<Option<String>>,
}

/// A call that may leave. Dropped without a word it counts as one that was never answered.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    id: u64,
    wants: Vec<Want>,
    left: i64,
    open: bool,
}

impl Gate {
    /// Opens the gate with what the ledger remembers: limits that answers told, buckets that refusals closed, the skew of
    /// the clocks, and the calls of an earlier run. `share` percent of each quota are ours.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn restore(
        ledger: &Ledger,
        clock: Arc<dyn Clock>,
        share: u8,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, LedgerError> {
        let rows = ledger.quotas().await?;
        let now = clock.now();
        let (wall, millis) = (now.as_millisecond(), boot(&*clock));
        let skew = rows.iter().max_by_key(|row| row.at).map(|row| (row.skew_from_ms, row.skew_to_ms));
        let time = match skew {
            Some(skew) => ServerTime::remembered(skew, wall, millis),
            None => ServerTime::guess(wall, millis),
        };
        let mut book = Book::new(time, share);
        let remembered =
            |row: QuotaRow| (row.bucket, (row.per_minute, row.closed_until.map(Timestamp::as_millisecond)));
        book.remembered = rows.into_iter().map(remembered).collect();
        let since = now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN);
        let (recent, unanswered) = ledger.recent_calls(since, now).await?;
        if recent > 0 {
            book.leave_this_minute(millis);
        }
        book.ghosts = unanswered.into_iter().map(|at| millis - (wall - at.as_millisecond()).max(0)).collect();
        let (book, changed, told) = (Mutex::new(book), Notify::new(), Mutex::default());
        Ok(Self { inner: Arc::new(Inner { book, changed, clock, stopping, told }) })
    }

    /// Another share, from now on.
    pub fn share(&self, share: u8) {
        self.book().share = share;
        self.inner.changed.notify_waiters();
    }

    /// Opens what refusals have closed: an operator knows better.
    pub fn reopen(&self) {
        let mut book = self.book();
        book.remembered.values_mut().for_each(|(_, closed)| *closed = None);
        book.buckets.values_mut().for_each(|bucket| bucket.closed_until = None);
        drop(book);
        self.inner.changed.notify_waiters();
    }

    /// Waits until a call that takes from all of `wants` may leave; `None` when the daemon stops first.
    pub async fn enter(&self, wants: &[Want]) -> Option<Permit> {
        let mut stopping = self.inner.stopping.clone();
        loop {
            let changed = self.inner.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that no change is missed in between.
            changed.as_mut().enable();
            let wait = match self.try_enter(wants) {
                Ok(permit) => return Some(permit),
                Err(wait) => wait,
            };
            self.tell(&wait);
            let pause = Duration::from_millis(wait.millis.unsigned_abs()).min(LOOK_AGAIN);
            tokio::select! {
                biased;
                () = stops(&mut stopping) => return None,
                () = tokio::time::sleep(pause) => {}
                () = changed => {}
            }
        }
    }

    fn try_enter(&self, wants: &[Want]) -> Result<Permit, Wait> {
        let now = boot(&*self.inner.clock);
        let id = self.book().reserve(wants, now)?;
        Ok(Permit { gate: self.clone(), id, wants: wants.to_vec(), left: now, open: true })
    }

    /// Says once of each closure by a refusal until when it lasts; what waits for the turn of a minute is no news.
    fn tell(&self, wait: &Wait) {
        let now = self.inner.clock.now();
        let until = now.saturating_add(SignedDuration::from_millis(wait.millis)).unwrap_or(Timestamp::MAX);
        let bucket = &wait.bucket;
        let mut told = self.inner.told.lock().unwrap_or_else(PoisonError::into_inner);
        let closure = format!("{bucket} {}", until.as_second() / 10);
        if !wait.closed {
            tracing::debug!(event = event::QUOTA_WAITING, bucket, until = %until, "calls wait for quota {bucket}");
        } else if told.as_deref() != Some(closure.as_str()) {
            tracing::info!(event = event::QUOTA_WAITING, bucket, until = %until,
                "quota {bucket} is used up, the platform says: no call before {until}");
            *told = Some(closure);
        }
    }

    /// What there is to remember of the buckets of `wants`.
    #[must_use]
    pub fn rows(&self, wants: &[Want]) -> Vec<QuotaRow> {
        let (wall, now) = (self.inner.clock.now(), boot(&*self.inner.clock));
        let book = self.book();
        let (skew_from_ms, skew_to_ms) = book.time.skew(wall.as_millisecond(), now);
        let present = minute(book.time.latest(now));
        let at = |server: i64| Timestamp::from_millisecond(server).ok();
        let row = |want: &Want| {
            let bucket = book.buckets.get(&want.bucket)?;
            Some(QuotaRow {
                bucket: want.bucket.clone(),
                per_minute: bucket.limit,
                minute: at(present.saturating_mul(MINUTE)),
                used: bucket.used(present, now, book.time),
                left: bucket.left(now, book.time, book.share),
                closed_until: bucket.closed_until.filter(|&until| until > book.time.earliest(now)).and_then(at),
                skew_from_ms,
                skew_to_ms,
                at: wall,
            })
        };
        wants.iter().filter_map(row).collect()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.inner.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The call was answered.
    pub fn answered(mut self, facts: &Facts) {
        self.open = false;
        let now = boot(&*self.gate.inner.clock);
        self.gate.book().answer(self.id, &self.wants, facts, self.left, now);
        self.gate.inner.changed.notify_waiters();
    }

    /// The call does not leave after all.
    pub fn unused(mut self) {
        self.open = false;
        self.gate.book().take_back(self.id, &self.wants);
        self.gate.inner.changed.notify_waiters();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.open {
            self.gate.book().lose(self.id, &self.wants);
            self.gate.inner.changed.notify_waiters();
        }
    }
}

fn boot(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.boot().elapsed.as_millis()).unwrap_or(i64::MAX)
}

async fn stops(stopping: &mut watch::Receiver<bool>) {
    // A sender that has gone will never say so.
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}
