//! Takes what is new to those who are told, at least once each, in the background: one who cannot be reached holds up nobody.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::Notice;
use super::pace::Pace;
use crate::archive::layout::hex;
use crate::clock::Clock;
use crate::config::{AlertTarget, AlertWay, Http, SecretError, Settings};
use crate::delivery::facts::Facts;
use crate::delivery::webhook::Hook;
use crate::delivery::{self, Refusal};
use crate::ledger::{AlertTargetRow, Ledger, LedgerError};
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
    paces: Mutex<HashMap<String, Pace>>,
    tongue: Tongue,
}

impl Herald {
    /// A herald who has told nobody anything yet, as far as his legs go; what was told stands in the ledger.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self { ledger, clock, paces: Mutex::default(), tongue: Tongue::English }
    }

    /// The same, who speaks `tongue` to people; what programs read stays as it is.
    #[must_use]
    pub fn speaking(self, tongue: Tongue) -> Self {
        Self { tongue, ..self }
    }

    /// Tells each of those that `settings` name what they were not told yet, side by side.
    ///
    /// # Errors
    /// When the ledger fails: then some may be told the same once more.
    pub async fn tell(&self, settings: &Settings) -> Result<(), LedgerError> {
        let known = self.ledger.alert_targets().await?;
        let row = |target: &AlertTarget| {
            let known = known.iter().find(|row| row.name == target.name).cloned();
            known.unwrap_or_else(|| AlertTargetRow { name: target.name.clone(), ..AlertTargetRow::default() })
        };
        let each = settings.alerts.iter().map(|target| self.tell_one(target, row(target), settings));
        join_all(each).await.into_iter().collect::<Result<Vec<()>, _>>()?;
        let names: Vec<String> = settings.alerts.iter().map(|target| target.name.clone()).collect();
        if known.iter().any(|row| !names.contains(&row.name)) || self.is_over().await? {
            self.ledger.tidy_alerts(names).await?;
        }
        Ok(())
    }

    async fn is_over(&self) -> Result<bool, LedgerError> {
        Ok(self.ledger.alerts().await?.iter().any(|row| row.cleared_at.is_some()))
    }

    async fn tell_one(
        &self,
        target: &AlertTarget,
        row: AlertTargetRow,
        settings: &Settings,
    ) -> Result<(), LedgerError> {
        let now = self.clock.now();
        // A time far ahead was set by a clock that has been set back since.
        let latest = now + SignedDuration::try_from(LONGEST_PAUSE).unwrap_or(SignedDuration::ZERO);
        if row.next_try_at.is_some_and(|next| next > now && next <= latest) {
            return Ok(());
        }
        let rows = self.ledger.alerts_after(row.told).await?;
        let Some(last) = rows.last().map(|row| row.change) else { return Ok(()) };
        let Some(notice) = Notice::of(rows, row.told, target.severity, settings, now) else {
            return self.ledger.record_alert_target(AlertTargetRow { told: last, ..row }).await;
        };
        if !self.paces_allow(&target.name) {
            return Ok(());
        }
        let key = self.key(&target.name, last);
        let (name, summary, count) = (target.name.as_str(), notice.summary(), notice.count());
        match send(target, &notice, &key, (&settings.http, self.tongue), now).await {
            Ok(()) => {
                tracing::info!(event = event::ALERT_SENT, target_name = name, count, "told {name}: {summary}");
                let told = AlertTargetRow { name: row.name, told: last, ..AlertTargetRow::default() };
                self.ledger.record_alert_target(told).await
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

    fn paces_allow(&self, name: &str) -> bool {
        let now = Instant::now();
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        paces.entry(name.to_owned()).or_insert_with(|| Pace::new(now)).allows(now)
    }

    /// What tells a notice to `name`, up to the change `last`, from all others: the same at every try.
    fn key(&self, name: &str, last: i64) -> String {
        let mut hash = Sha256::new();
        hash.update(self.ledger.seed());
        hash.update(format!("{name}\0{last}"));
        hex(&hash.finalize())[..KEY].to_owned()
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
