//! What all watches of the platform share: the quotas, the ban, the calls in flight, and who was refused.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::config;
use crate::connector::ConnectorError;
use crate::connector::entreprise::Api;
use crate::http::HttpError;
use crate::ledger::{Ledger, LedgerError};
use crate::log::event;
use crate::quota::{self, Ban, Gate, Want};
use crate::schedule::to_the_minute;

/// While the network is down, or a provider is in maintenance, it is looked at again after this.
const PAUSE: SignedDuration = SignedDuration::from_mins(1);
/// A `/ping` answers for all calls that met silence so shortly after it.
const FRESH: SignedDuration = SignedDuration::from_secs(15);
/// A witness that does not take a connection in so long is none.
const WITNESS: Duration = Duration::from_secs(5);

/// Why nothing may be asked, and when to look again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Halt {
    pub(super) reason: String,
    pub(super) look_again: Timestamp,
}

/// The platform, as all its watches share it.
#[derive(Debug)]
pub struct Desk {
    /// Lets calls through, as the quotas allow.
    pub gate: Gate,
    /// Scheme, host and port: names the platform in the ledger.
    pub origin: String,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    ban: tokio::sync::Mutex<Watcher>,
    flights: Mutex<HashSet<String>>,
    /// Accounts that were refused, and until when they are left alone.
    refused: Mutex<HashMap<String, Timestamp>>,
    /// Accounts whose token was accepted since the configuration was read.
    proven: Mutex<HashSet<String>>,
    /// By account: held by the one call that shows whether its token is accepted.
    proofs: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    /// After trouble, `/ping` comes before the next call.
    distrusted: AtomicBool,
    generation: AtomicU64,
    /// None: the platform is on this machine.
    witnesses: Option<Witnesses>,
}

/// What shows whether the network works; hosts with their ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// The platform itself, where this machine has to find its address: none behind a proxy.
    pub own: Option<String>,
    /// Others.
    pub others: Vec<String>,
}

#[derive(Debug)]
struct Watcher {
    ban: Ban,
    /// When `/ping` was last answered.
    answered: Option<Timestamp>,
}

/// A call in flight: the same one may not leave until this is dropped.
#[derive(Debug)]
pub(super) struct Alone<'a> {
    desk: &'a Desk,
    url: String,
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        locked(&self.desk.flights).remove(&self.url);
    }
}

impl Desk {
    /// The platform at `origin` as the ledger remembers it. `share` percent of its quotas are ours; `witnesses`
    /// show whether the network works; there are none where the platform is on this machine.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn open(
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        origin: &str,
        share: u8,
        witnesses: Option<Witnesses>,
        stopping: watch::Receiver<bool>,
    ) -> Result<Self, LedgerError> {
        let gate = Gate::restore(&ledger, Arc::clone(&clock), share, stopping).await?;
        let ban = Watcher { ban: Ban(ledger.ban(origin).await?), answered: None };
        Ok(Self {
            gate,
            origin: origin.to_owned(),
            ledger,
            clock,
            ban: tokio::sync::Mutex::new(ban),
            flights: Mutex::default(),
            refused: Mutex::default(),
            proven: Mutex::default(),
            proofs: Mutex::default(),
            distrusted: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            witnesses,
        })
    }

    /// What calls of `watch` take from (Q1).
    #[must_use]
    pub fn wants(watch: &config::Watch) -> Vec<Want> {
        let (group, limit) = match (quota::special(&watch.path), watch.group) {
            (Some((name, limit)), _) => (name, limit),
            (None, group @ config::Group::Json) => (group.as_str(), quota::JSON),
            (None, group @ config::Group::Document) => (group.as_str(), quota::DOCUMENTS),
        };
        let account = &watch.account;
        let mut wants = vec![
            Want { bucket: quota::IP.to_owned(), limit: quota::PER_IP, told: false },
            Want { bucket: format!("{account}/{group}"), limit, told: true },
        ];
        if let Some(limit) = watch.limit {
            wants.push(Want { bucket: format!("entreprise/{account}/{}", watch.name), limit, told: false });
        }
        wants
    }

    /// Reserves the call to `url`; `None` where the same is in flight (Q4).
    pub(super) fn alone(&self, url: &str) -> Option<Alone<'_>> {
        let new = locked(&self.flights).insert(url.to_owned());
        new.then(|| Alone { desk: self, url: url.to_owned() })
    }

    /// Waits until nobody tries out the token of `account`; the first call with it holds what this answers, so that a token
    /// that is refused is refused once.
    pub(super) async fn prove(&self, account: &str) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        if locked(&self.proven).contains(account) {
            return None;
        }
        let proof = Arc::clone(locked(&self.proofs).entry(account.to_owned()).or_default());
        let proof = proof.lock_owned().await;
        (!locked(&self.proven).contains(account)).then_some(proof)
    }

    /// The token of `account` is accepted.
    pub(super) fn accept(&self, account: &str) {
        if !locked(&self.proven).contains(account) {
            locked(&self.proven).insert(account.to_owned());
        }
    }

    /// Remembers the quotas of `wants` as they are now.
    pub(super) async fn remember(&self, wants: &[Want]) -> Result<(), LedgerError> {
        self.ledger.record_quotas(self.gate.rows(wants)).await
    }

    /// Takes note of an answer: after one that refuses a call too many, silence is a ban.
    pub(super) async fn heard(&self, status: u16) -> Result<(), LedgerError> {
        if status != 429 {
            return Ok(());
        }
        let mut watcher = self.ban.lock().await;
        watcher.ban.refused(self.clock.now());
        self.ledger.record_ban(&self.origin, watcher.ban.0.clone()).await
    }

    /// After trouble, the next pass begins with `/ping`.
    pub(super) fn distrust(&self) {
        self.distrusted.store(true, Ordering::Relaxed);
    }

    /// None of the account's watches asks before `until`, from this moment on.
    pub(super) fn leave_alone(&self, account: &str, until: Timestamp) {
        locked(&self.refused).insert(account.to_owned(), until);
    }

    /// The account was refused: none of its watches asks before `until`, whatever becomes of this process.
    pub(super) async fn refuse(&self, account: &str, text: &str, until: Timestamp) -> Result<(), LedgerError> {
        self.leave_alone(account, until);
        self.ledger.hold_account(account, until).await?;
        let news = self.ledger.judge_account(account, None, Some(text.to_owned()), self.clock.now()).await?;
        if news {
            tracing::error!(event = event::ACCOUNT_UNUSABLE, account, "account {account} cannot work: {text}");
        }
        Ok(())
    }

    /// Whether `account` was refused, and is to be left alone.
    pub(super) fn is_refused(&self, account: &str) -> bool {
        let now = self.clock.now();
        locked(&self.refused).get(account).is_some_and(|&until| until > now)
    }

    /// A changed configuration may have cured what was refused; passes that work by the old one end, and begin anew.
    pub fn begin_anew(&self) {
        locked(&self.refused).clear();
        locked(&self.proven).clear();
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes with each configuration.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Why nothing may be asked now, if so. A ban is probed once an hour; after trouble `/ping` goes first.
    pub(super) async fn banned(&self, api: &Api, path: &str) -> Result<Option<Halt>, LedgerError> {
        let mut watcher = self.ban.lock().await;
        let now = self.clock.now();
        if watcher.ban.is_on() {
            let next = watcher.ban.next_probe(now);
            if now < next {
                return Ok(Some(halt_of(&mut watcher.ban, now)));
            }
            watcher.ban.probe(now);
            self.ledger.record_ban(&self.origin, watcher.ban.0.clone()).await?;
            return match api.ping(path).await {
                Ok(_) => {
                    self.end_ban(&mut watcher.ban, "the platform answers again").await?;
                    Ok(None)
                }
                Err(_) => Ok(Some(halt_of(&mut watcher.ban, now))),
            };
        }
        if !self.distrusted.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match api.ping(path).await {
            Ok(status) if matches!(status.as_str(), "bad_gateway" | "maintenance") => {
                let reason = format!("the provider behind it is not available, the platform says ({status})");
                Ok(Some(Halt { reason, look_again: later(now, PAUSE) }))
            }
            Ok(_) => {
                self.distrusted.store(false, Ordering::Relaxed);
                watcher.answered = Some(now);
                Ok(None)
            }
            Err(error) => self.silent(&mut watcher.ban, error).await.map(Some),
        }
    }

    /// A call met silence. Answers why nothing more may be asked, unless `/ping` is answered: then it was that call alone.
    pub(super) async fn unanswered(&self, api: &Api, path: &str) -> Result<Option<Halt>, LedgerError> {
        let mut watcher = self.ban.lock().await;
        let now = self.clock.now();
        if watcher.ban.is_on() {
            return Ok(Some(halt_of(&mut watcher.ban, now)));
        }
        let fresh = |at: Timestamp| at <= now && now.duration_since(at) < FRESH;
        if watcher.answered.is_some_and(fresh) {
            return Ok(None);
        }
        match api.ping(path).await {
            Ok(_) => {
                watcher.answered = Some(self.clock.now());
                Ok(None)
            }
            Err(error) => self.silent(&mut watcher.ban, error).await.map(Some),
        }
    }

    /// Neither a call nor `/ping` is answered: a ban, if the network otherwise works or a refusal came before (Q3).
    async fn silent(&self, ban: &mut Ban, error: HttpError) -> Result<Halt, LedgerError> {
        let now = self.clock.now();
        if !is_silence(&error) {
            // Something on the way speaks up, or our own settings do: no ban does.
            let reason = ConnectorError::from(error).to_string();
            return Ok(Halt { reason, look_again: later(now, PAUSE) });
        }
        if !ban.follows_refusal(now) && !self.network_works().await {
            let reason = format!("neither calls nor /ping are answered, and the network seems down ({error})");
            return Ok(Halt { reason, look_again: later(now, PAUSE) });
        }
        ban.suspect(error.to_string(), now);
        self.ledger.record_ban(&self.origin, ban.0.clone()).await?;
        let halt = halt_of(ban, now);
        let (origin, reason) = (&self.origin, &halt.reason);
        tracing::error!(event = event::BAN_SUSPECTED, origin, until = ban.until().map(tracing_time), "{reason}");
        Ok(halt)
    }

    async fn network_works(&self) -> bool {
        let Some(Witnesses { own, others }) = &self.witnesses else { return true };
        // A name that leads nowhere is no ban.
        if let Some(own) = own
            && !matches!(timeout(WITNESS, lookup_host(own)).await, Ok(Ok(_)))
        {
            return false;
        }
        for witness in others {
            if matches!(timeout(WITNESS, TcpStream::connect(witness)).await, Ok(Ok(_))) {
                return true;
            }
        }
        // Without anybody else to ask, a name server that answers is all there is.
        others.is_empty() && own.is_some()
    }

    /// Lifts a ban and opens closed quotas, for an operator knows better. Answers whether there was a ban.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn lift(&self) -> Result<bool, LedgerError> {
        let mut watcher = self.ban.lock().await;
        let was = watcher.ban.is_on();
        watcher.ban.0.refused_at = None;
        self.end_ban(&mut watcher.ban, "an operator lifts it").await?;
        locked(&self.refused).clear();
        self.gate.reopen();
        self.ledger.reopen_quotas().await?;
        Ok(was)
    }

    async fn end_ban(&self, ban: &mut Ban, why: &str) -> Result<(), LedgerError> {
        if ban.is_on() {
            let origin = &self.origin;
            tracing::info!(event = event::BAN_LIFTED, origin, "{origin} is asked again: {why}");
        }
        ban.lift();
        self.ledger.record_ban(&self.origin, ban.0.clone()).await
    }
}

/// Whether nothing at all was answered, as by a platform that has banned this machine.
fn is_silence(error: &HttpError) -> bool {
    matches!(
        error,
        HttpError::NoAnswer { .. }
            | HttpError::Unreachable { .. }
            | HttpError::Stalled { .. }
            | HttpError::Broken { .. }
    )
}

/// What a ban means for a pass.
fn halt_of(ban: &mut Ban, now: Timestamp) -> Halt {
    let until = ban.until().map_or_else(|| "it ends".to_owned(), to_the_minute);
    let reason = format!(
        "API Entreprise answers nothing ({}): this machine's address seems banned, until {until} (Paris) at the latest; \
         nothing is asked but one /ping an hour; if you know better: `vaguemestre lift entreprise/ACCOUNT`",
        ban.0.reason
    );
    Halt { reason, look_again: ban.next_probe(now) }
}

fn tracing_time(time: Timestamp) -> tracing::field::DisplayValue<Timestamp> {
    tracing::field::display(time)
}

fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
