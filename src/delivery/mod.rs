//! Documents leave: each target has a courier that hands over what waits for it, in the order of storing, at least once.
//!
//! A delivery that fails steps aside and is tried again with growing pauses; it holds no other back. After a week of failures
//! it is abandoned, until an operator revives it. A target that hangs (a share whose server is away) keeps a thread of its
//! courier's, and nobody else's. Documents wait, and no try counts, while what a target needs is not there: its program, its
//! secret.

pub(crate) mod command;
mod crew;
pub(crate) mod facts;
mod inbox;
pub mod stale;
pub(crate) mod webhook;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use command::judge as judge_program;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, oneshot, watch};
use tokio::task::spawn_blocking;
pub use webhook::judge_secret;

use crate::archive::layout::hex;
use crate::archive::write::Folders;
use crate::clock::Clock;
use crate::config::{Handover, Http, Inbox, Program, Target};
use crate::ledger::{Ledger, LedgerError, Pending, Setback, Settled};
use crate::log::event;
use facts::Facts;
use webhook::Hook;

/// Deliveries to an inbox made together.
const BATCH: u32 = 128;
/// Documents often come in numbers: a courier that is called waits so long for the rest, and takes them together.
const GATHERING: Duration = Duration::from_millis(100);
/// Deliveries taken up together where each is made, and recorded, by itself.
const HANDFUL: u32 = 8;
/// Without being called, a courier looks for deliveries whose pause has ended this often.
const ROUND: Duration = Duration::from_secs(15);
/// Pauses after failures: doubling from the first to the last, in seconds.
const FIRST_PAUSE: i64 = 30;
const LONGEST_PAUSE: i64 = 3600;
/// What has failed for so long is tried no more.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Serves one target until the daemon stops.
#[derive(Clone, Debug)]
pub struct Courier {
    /// The state directory.
    pub root: Arc<PathBuf>,
    /// What waits.
    pub ledger: Ledger,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How webhooks are reached.
    pub http: Arc<Http>,
    /// Whom it serves.
    pub target: Target,
    /// Folders of inboxes that are durable.
    pub folders: Arc<Folders>,
    /// Held while a program or webhook is at work: one document at a time, also while one courier succeeds another.
    pub turn: Arc<Mutex<()>>,
}

/// What a look at what waits came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Deliveries tried.
    pub tried: usize,
    /// The target cannot be reached: nothing is tried before this has passed.
    pub pause: Option<Duration>,
}

impl Round {
    /// Whether there may be more to do at once.
    #[must_use]
    pub fn goes_on(self) -> bool {
        self.tried > 0 && self.pause.is_none()
    }
}

/// Why a document was not handed over.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It was not taken; others may be.
    Document(String),
    /// The target is away: others would fare no better. It may say for how long.
    Away { error: String, pause: Option<Duration> },
}

/// Where a document was put, where that is a place in the file system; or why it was not handed over.
type Handed = Result<Option<PathBuf>, Refusal>;

impl Courier {
    /// Delivers whatever waits, whenever something was `stored`, until `stopping`.
    pub async fn work(self, mut stored: watch::Receiver<()>, mut stopping: watch::Receiver<bool>) {
        if let Err(error) = self.judge().await {
            self.complain(&error);
        }
        loop {
            let round = match self.deliver(&stopping).await {
                Ok(round) => round,
                Err(error) => {
                    self.complain(&error);
                    Round::default()
                }
            };
            if *stopping.borrow() {
                return;
            }
            if round.goes_on() {
                continue;
            }
            let wait = round.pause.unwrap_or_default().max(ROUND);
            tokio::select! {
                () = called(&mut stored), if round.pause.is_none() => {}
                () = tokio::time::sleep(wait) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return,
            }
        }
    }

    fn complain(&self, error: &LedgerError) {
        let (name, remedy) = (&self.target.name, error.remedy());
        tracing::warn!(
            event = event::LEDGER_FAILED,
            target_name = name,
            kind = error.kind(),
            "deliveries to {name} wait: {error}: {remedy}"
        );
    }

    /// Delivers some of what is due, until `stopping`.
    ///
    /// # Errors
    /// When the ledger fails: the deliveries are made again, which changes nothing where they were made.
    pub async fn deliver(&self, stopping: &watch::Receiver<bool>) -> Result<Round, LedgerError> {
        match &self.target.handover {
            Handover::Inbox(inbox) => {
                let due = self.due(BATCH).await?;
                let handed = if due.is_empty() { Vec::new() } else { self.copy(inbox, due).await };
                let tried = handed.len();
                if tried > 0 {
                    self.settle(handed).await?;
                }
                Ok(Round { tried, pause: None })
            }
            Handover::Command(_) | Handover::Webhook(_) => {
                let _turn = self.turn.lock().await;
                let due = self.due(HANDFUL).await?;
                if !due.is_empty() {
                    return self.one_by_one(due, stopping).await;
                }
                // What was amiss may have been mended since; nothing else would tell.
                if self.ledger.target_problem(&self.target.name).await?.is_some() {
                    self.judge().await?;
                }
                Ok(Round::default())
            }
        }
    }

    async fn due(&self, limit: u32) -> Result<Vec<Pending>, LedgerError> {
        self.ledger.deliveries_due(&self.target.name, self.clock.now(), limit).await
    }

    /// What the target needs; `None`, and its documents wait, where that is not there.
    async fn judge(&self) -> Result<Option<Means<'_>>, LedgerError> {
        let means = match &self.target.handover {
            Handover::Inbox(_) => Ok(Means::Inbox),
            Handover::Command(program) => command::judge(program).map(|()| Means::Command(program)),
            Handover::Webhook(webhook) => {
                Hook::open(webhook, &self.http).await.map(|hook| Means::Webhook(Box::new(hook)))
            }
        };
        let (name, problem) = (&self.target.name, means.as_ref().err().cloned());
        if self.ledger.judge_target(name, problem.clone(), self.clock.now()).await? {
            match &problem {
                Some(problem) => tracing::error!(
                    event = event::TARGET_UNUSABLE,
                    target_name = name,
                    error = problem,
                    "nothing can be delivered to {name}, and its documents wait: {problem}"
                ),
                None => {
                    tracing::info!(event = event::TARGET_RECOVERED, target_name = name, "deliveries to {name} go on")
                }
            }
        }
        Ok(means.ok())
    }

    /// Hands over one after the other, each recorded before the next is begun.
    async fn one_by_one(&self, due: Vec<Pending>, stopping: &watch::Receiver<bool>) -> Result<Round, LedgerError> {
        let Some(means) = self.judge().await? else { return Ok(Round { tried: 0, pause: Some(ROUND) }) };
        let mut tried = 0;
        for pending in due {
            if *stopping.borrow() {
                break;
            }
            let handed = means.hand_over(self, &pending).await;
            tried += 1;
            let away = match &handed {
                Err(Refusal::Away { pause, .. }) => Some(pause.unwrap_or(ROUND)),
                _ => None,
            };
            self.settle(vec![(pending, handed)]).await?;
            if away.is_some() {
                return Ok(Round { tried, pause: away });
            }
        }
        Ok(Round { tried, pause: None })
    }

    /// Copies `due` into an inbox, on a thread of its own: those that all share are few, and none may wait for a target that
    /// hangs.
    async fn copy(&self, inbox: &Inbox, due: Vec<Pending>) -> Vec<(Pending, Handed)> {
        let (answer, answered) = oneshot::channel();
        let (root, folders) = (Arc::clone(&self.root), Arc::clone(&self.folders));
        let (inbox, batch, mark) = (inbox.clone(), due.clone(), self.mark());
        let thread = std::thread::Builder::new().name("courier".to_owned()).spawn(move || {
            // Nobody listens any more where the daemon did not wait.
            let _ = answer.send(inbox::hand_over(&root, &folders, &mark, &inbox, batch));
        });
        let fault = match thread {
            Ok(_) => match answered.await {
                Ok(handed) => {
                    let outcome = |outcome: Result<_, _>| outcome.map(Some).map_err(Refusal::Document);
                    return handed.into_iter().map(|(pending, handed)| (pending, outcome(handed))).collect();
                }
                Err(_) => "the courier died: this is a defect".to_owned(),
            },
            Err(error) => format!("no thread could be started: {error}"),
        };
        tracing::error!(target_name = self.target.name, "deliveries to {} failed: {fault}", self.target.name);
        due.into_iter().map(|pending| (pending, Err(Refusal::Document(fault.clone())))).collect()
    }

    /// Tells our unfinished copies from those of another installation that shares the inbox.
    fn mark(&self) -> String {
        hex(&Sha256::digest(self.ledger.seed())[..8])
    }

    /// Records how deliveries went, and says so.
    async fn settle(&self, handed: Vec<(Pending, Handed)>) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let settled = handed.into_iter().map(|(pending, outcome)| self.tell(pending, outcome, now)).collect();
        self.ledger.settle_deliveries(settled, now).await
    }

    fn tell(&self, pending: Pending, outcome: Handed, now: Timestamp) -> Settled {
        let Pending { id, created_at, feed, remote_id, attempts, failing_since, .. } = pending;
        let target = self.target.name.as_str();
        let outcome = match outcome {
            Ok(path) => {
                let path = path.map(|path| path.display().to_string());
                tracing::info!(event = event::DELIVERY_DONE, feed = %feed, remote_id, target_name = target, path,
                    "delivered {remote_id} of {feed} to {target}");
                Ok(())
            }
            Err(refusal) => {
                let (error, asked) = match refusal {
                    Refusal::Document(error) => (error, 0),
                    Refusal::Away { error, pause } => (error, pause.map_or(0, |pause| pause.as_secs().cast_signed())),
                };
                if failing_since.is_some_and(|since| now.duration_since(since) >= GIVEN_UP_AFTER) {
                    tracing::error!(event = event::DELIVERY_ABANDONED, feed = %feed, remote_id, target_name = target, error,
                        "{remote_id} of {feed} could not be delivered to {target} for a week and is tried no more ({error}); \
                         once that is mended: vaguemestre replay {feed} {remote_id}");
                    Err(Setback { error, next: None })
                } else {
                    let next = now + SignedDuration::from_secs(pause(attempts).max(asked));
                    tracing::warn!(event = event::DELIVERY_FAILED, feed = %feed, remote_id, target_name = target, error,
                        next_try = %next, "{remote_id} of {feed} could not be delivered to {target}: {error}");
                    Err(Setback { error, next: Some(next) })
                }
            }
        };
        Settled { id, created_at, feed, remote_id, outcome }
    }
}

/// Waits until something was stored, and a moment for more of it.
async fn called(stored: &mut watch::Receiver<()>) {
    match stored.changed().await {
        Ok(()) => tokio::time::sleep(GATHERING).await,
        Err(_) => std::future::pending().await,
    }
}

/// What a target needs, at hand.
enum Means<'a> {
    Inbox,
    Command(&'a Program),
    Webhook(Box<Hook>),
}

impl Means<'_> {
    async fn hand_over(&self, courier: &Courier, pending: &Pending) -> Handed {
        match self {
            Self::Inbox => {}
            Self::Command(program) => {
                let path = courier.root.join(&pending.archive_path);
                verified(&path, &pending.sha256).await?;
                command::call(program, &Facts::of(pending, &path), &[]).await.map_err(Refusal::Document)?;
            }
            Self::Webhook(hook) => hook.tell(&courier.target.name, pending, courier.clock.now()).await?,
        }
        Ok(None)
    }
}

/// What is handed over is what was stored.
async fn verified(path: &Path, sha256: &str) -> Result<(), Refusal> {
    let (path, sha256) = (path.to_owned(), sha256.to_owned());
    let verified = spawn_blocking(move || facts::verify(&path, &sha256)).await;
    verified.unwrap_or_else(|error| Err(error.to_string())).map_err(Refusal::Document)
}

/// Seconds before the next try, after `attempts` earlier ones.
fn pause(attempts: i64) -> i64 {
    let doubled = u32::try_from(attempts).ok().and_then(|exponent| 2_i64.checked_pow(exponent));
    doubled.and_then(|factor| FIRST_PAUSE.checked_mul(factor)).map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    #[test]
    fn pauses_grow_to_an_hour_and_stay() {
        let pauses: Vec<i64> = [0, 1, 2, 6, 7, 60, 900].map(super::pause).into();
        assert_eq!(pauses, [30, 60, 120, 1920, 3600, 3600, 3600]);
    }
}
