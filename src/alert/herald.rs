//! Takes what is new to those who are told, at least once each, in the background: one who cannot be reached holds up nobody.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::Notice;
use super::notice::whose;
use super::pace::Pace;
use crate::archive::layout::hex;
use crate::clock::Clock;
use crate::config::{AlertTarget, AlertWay, Http, SecretError, Settings};
use crate::delivery::facts::Facts;
use crate::delivery::webhook::Hook;
use crate::delivery::{self, Refusal};
use crate::ledger::{AlertRow, AlertTargetRow, Ledger, LedgerError};
use crate::log::event;
use crate::tongue::Tongue;

/// Pauses after failures: doubling from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(900);
/// Hexadecimal digits of a notice's key.
const KEY: usize = 32;

/// Tells those whom `[[alerts]]` names.
#[derive(Debug)]
pub struct Herald {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    memory: Mutex<Memory>,
    tongue: Tongue,
}

/// What is remembered of those who are told, by their names.
#[derive(Debug, Default)]
struct Memory {
    paces: HashMap<String, Pace>,
    /// The last change that each was told by this process.
    told: HashMap<String, i64>,
    /// Those who are being told something.
    busy: HashSet<String>,
    /// What was told though it could not be written down, by kind and subject.
    cried: HashSet<(String, String)>,
}

impl Herald {
    /// A herald who has told nobody anything yet, as far as his legs go; what was told stands in the ledger.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, clock, memory: Mutex::default(), tongue: Tongue::English }
    }

    /// The same, who speaks `tongue` to people; what programs read stays as it is.
    #[must_use]
    pub fn speaking(self, tongue: Tongue) -> Self {
        Self { tongue, ..self }
    }

    /// Whether `name` is not being told something this moment; then it counts as being told, until [`Herald::tell`] has ended.
    #[must_use]
    pub fn begins(&self, name: &str) -> bool {
        self.lock().busy.insert(name.to_owned())
    }

    /// Tells `target`, for which the herald [begins](Herald::begins), what it was not told yet.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn tell(&self, target: &AlertTarget, settings: &Settings) -> Result<(), LedgerError> {
        let _turn = Turn { herald: self, name: &target.name };
        let known = self.ledger.alert_targets().await?.into_iter().find(|row| row.name == target.name);
        let mut row =
            known.unwrap_or_else(|| AlertTargetRow { name: target.name.clone(), ..AlertTargetRow::default() });
        // Where the ledger could not be written, what was told is known here.
        row.told = row.told.max(self.lock().told.get(&target.name).copied().unwrap_or_default());
        let now = self.clock.now();
        // A time far ahead was set by a clock that has been set back since.
        let latest = now + SignedDuration::try_from(LONGEST_PAUSE).unwrap_or(SignedDuration::ZERO);
        if row.next_try_at.is_some_and(|next| next > now && next <= latest) {
            return Ok(());
        }
        let rows = self.ledger.alerts_after(row.told).await?;
        let Some(last) = rows.last().cloned() else {
            // What could not be told is over, and forgotten: so is that.
            return if row.error.is_some() {
                self.ledger.record_alert_target(row.without_error()).await
            } else {
                Ok(())
            };
        };
        let Some(notice) = Notice::of(rows, row.told, target.severity, |subject| whose(subject, settings)) else {
            return self.ledger.record_alert_target(AlertTargetRow { told: last.change, ..row.without_error() }).await;
        };
        if !self.paces_allow(&target.name) {
            return Ok(());
        }
        let key = self.key(&target.name, &last);
        let (name, summary, count) = (target.name.as_str(), notice.summary(), notice.count());
        match send(target, &notice, &key, (&settings.http, self.tongue), now).await {
            Ok(()) => {
                tracing::info!(event = event::ALERT_SENT, target_name = name, count, "told {name}: {summary}");
                self.told(name, last.change);
                self.ledger.record_alert_target(AlertTargetRow { told: last.change, ..row.without_error() }).await
            }
            Err(error) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << row.attempts.clamp(0, 10)).min(LONGEST_PAUSE);
                let next = now + SignedDuration::try_from(pause).unwrap_or(SignedDuration::ZERO);
                if row.error.as_deref() != Some(error.as_str()) {
                    tracing::error!(
                        event = event::ALERT_FAILED,
                        target_name = name,
                        error,
                        "{name} could not be told «{summary}»: {error}; it is tried again"
                    );
                }
                let failed = AlertTargetRow {
                    attempts: row.attempts + 1,
                    next_try_at: Some(next),
                    failing_since: row.failing_since.or(Some(now)),
                    error: Some(error),
                    ..row
                };
                self.ledger.record_alert_target(failed).await
            }
        }
    }

    /// Those of `rows`, which could not be written down, that were not told yet by [`Herald::cry`]: they count as told from now
    /// on.
    #[must_use]
    pub fn unheard(&self, rows: Vec<AlertRow>) -> Vec<AlertRow> {
        let mut memory = self.lock();
        rows.into_iter().filter(|row| memory.cried.insert((row.kind.clone(), row.subject.clone()))).collect()
    }

    /// Tells `target` of `rows`, once and whatever comes of it: the ledger cannot be written, and remembers nothing. What is
    /// still amiss when it can be is told in the usual way then.
    pub async fn cry(&self, target: &AlertTarget, rows: Vec<AlertRow>, settings: &Settings) {
        let now = self.clock.now();
        let rows: Vec<AlertRow> = rows.into_iter().map(|row| AlertRow { raised_at: now, ..row }).collect();
        let Some(last) = rows.last().cloned() else { return };
        let whose = |subject: &str| whose(subject, settings);
        let Some(notice) = Notice::of(rows, 0, target.severity, whose) else { return };
        let (name, summary, count) = (target.name.as_str(), notice.summary(), notice.count());
        match send(target, &notice, &self.key(name, &last), (&settings.http, self.tongue), now).await {
            Ok(()) => tracing::info!(event = event::ALERT_SENT, target_name = name, count, "told {name}: {summary}"),
            Err(error) => tracing::error!(
                event = event::ALERT_FAILED,
                target_name = name,
                error,
                "{name} could not be told «{summary}»: {error}"
            ),
        }
    }

    /// Forgets those whom `settings` no longer name, and what is over and was told to all.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn tidy(&self, settings: &Settings) -> Result<(), LedgerError> {
        let names: Vec<String> = settings.alerts.iter().map(|target| target.name.clone()).collect();
        self.lock().told.retain(|name, _| names.contains(name));
        let known = self.ledger.alert_targets().await?;
        if known.iter().any(|row| !names.contains(&row.name)) || self.ledger.alerts_are_over().await? {
            self.ledger.tidy_alerts(names).await?;
        }
        Ok(())
    }

    /// Remembers that `name` was told all up to `change`: the ledger, where that stands, can be written.
    fn told(&self, name: &str, change: i64) {
        let mut memory = self.lock();
        memory.told.insert(name.to_owned(), change);
        memory.cried.clear();
    }

    fn paces_allow(&self, name: &str) -> bool {
        let now = Instant::now();
        self.lock().paces.entry(name.to_owned()).or_insert_with(|| Pace::new(now)).allows(now)
    }

    /// What tells a notice to `name`, up to the change `last`, from all others: the same at every try. Numbers of changes may
    /// begin anew, where nothing was amiss and nobody was to be told for a while; times do not.
    fn key(&self, name: &str, last: &AlertRow) -> String {
        let mut hash = Sha256::new();
        hash.update(self.ledger.seed());
        hash.update(format!("{name}\0{}\0{}", last.change, last.changed_at()));
        hex(&hash.finalize())[..KEY].to_owned()
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody is being told something, until this is dropped.
struct Turn<'a> {
    herald: &'a Herald,
    name: &'a str,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.herald.lock().busy.remove(self.name);
    }
}

/// Sends `target` a test, in `tongue`.
///
/// # Errors
/// Why it did not arrive.
pub async fn test(target: &AlertTarget, http: &Http, tongue: Tongue, now: Timestamp) -> Result<(), String> {
    let notice = Notice::test(now);
    let key = hex(&Sha256::digest(format!("{}\0{now}", target.name)))[..KEY].to_owned();
    send(target, &notice, &key, (http, tongue), now).await
}

async fn send(
    target: &AlertTarget,
    notice: &Notice,
    key: &str,
    (http, tongue): (&Http, Tongue),
    now: Timestamp,
) -> Result<(), String> {
    let json = notice.json(key);
    match &target.way {
        AlertWay::Command(program) => {
            delivery::judge_program(program)?;
            let facts = Facts::new(vec![
                ("summary", Cow::Owned(tongue.say(&notice.summary()).into_owned())),
                ("count", Cow::Owned(notice.count().to_string())),
                ("json", Cow::Owned(json)),
            ]);
            delivery::command::call(program, &facts, tongue.say(&notice.text()).as_bytes()).await
        }
        AlertWay::Webhook(webhook) => {
            let hook = Hook::open(webhook, &Arc::new(http.clone())).await?;
            hook.post(json, key, now).await.map_err(|refusal| match refusal {
                Refusal::Document(error) | Refusal::Away { error, .. } => error,
            })
        }
    }
}

/// What is wrong with `target` on this machine, if anything is; the flag says whether that can be told here at all.
#[must_use]
pub fn judge(target: &AlertTarget) -> Option<(String, bool)> {
    match &target.way {
        AlertWay::Command(program) => delivery::judge_program(program).err().map(|what| (what, true)),
        AlertWay::Webhook(webhook) => match delivery::judge_secret(webhook) {
            Ok(()) => None,
            Err(error @ SecretError::OutsideService(_)) => Some((error.to_string(), false)),
            Err(error) => Some((error.to_string(), true)),
        },
    }
}
