//! What the configuration makes of the facts: when a feed is late, when it has been silent for too long.

use std::collections::HashMap;
use std::time::Duration;

use jiff::SignedDuration;

use crate::config::Settings;
use crate::feed::FeedName;
use crate::ledger::ConditionRow;

/// What is expected of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Habit {
    /// It is asked for this often.
    pub(super) interval: SignedDuration,
    /// Without a document for so long something may be amiss; `None`: it may be silent for ever.
    pub(super) silent_after: Option<SignedDuration>,
}

/// What the configuration expects.
#[derive(Debug)]
pub struct Terms<'a> {
    /// The configuration.
    pub(super) settings: &'a Settings,
    /// Whether inboxes are looked into; else what housekeeping last saw there is told.
    pub(super) look: bool,
    /// What the daemon knows to be amiss with itself; `None`: what it has written of that into the ledger.
    pub(super) known: Option<Vec<ConditionRow>>,
    usual: Habit,
    particular: HashMap<FeedName, Habit>,
}

impl<'a> Terms<'a> {
    /// The terms of `settings`; with `look`, inboxes are looked into, which may take some seconds where a share hangs.
    #[must_use]
    pub fn new(settings: &'a Settings, look: bool) -> Self {
        let silence = |length: Duration| SignedDuration::try_from(length).ok().filter(|length| !length.is_zero());
        let span = |length: Duration| SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
        let schedule = &settings.schedule;
        let usual = Habit { interval: span(schedule.interval), silent_after: silence(schedule.silent_after) };
        let mut particular = HashMap::new();
        let mut paced = |platform: &str, account: &str, name: &str, every: Duration| {
            if let Ok(feed) = format!("{platform}/{account}/{name}").parse() {
                particular.insert(feed, Habit { interval: span(every), ..usual });
            }
        };
        for it in settings.douane.iter().flat_map(|douane| &douane.resources) {
            paced("douane", &it.account, &it.name, it.every);
        }
        for it in settings.piste.iter().flat_map(|piste| &piste.resources) {
            paced("piste", &it.account, &it.name, it.every);
        }
        for it in settings.entreprise.iter().flat_map(|entreprise| &entreprise.watches) {
            paced("entreprise", &it.account, &it.name, it.every);
        }
        for account in settings.fast.iter().flat_map(|fast| &fast.accounts) {
            if let Some(length) = account.silent_after {
                let habit = Habit { silent_after: silence(length), ..usual };
                particular.extend(account.feed_names().map(|feed| (feed, habit)));
            }
        }
        Self { settings, look, known: None, usual, particular }
    }

    /// The same in the daemon itself, which knows what is amiss with it, whether the ledger can be written or not.
    #[must_use]
    pub fn knowing(self, conditions: Vec<ConditionRow>) -> Self {
        Self { known: Some(conditions), ..self }
    }

    /// What is expected of `feed`.
    pub(super) fn of(&self, feed: &FeedName) -> Habit {
        self.particular.get(feed).copied().unwrap_or(self.usual)
    }
}
