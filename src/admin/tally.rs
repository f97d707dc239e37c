//! What is counted while the daemon runs: off the log's events, whatever the log itself shows.
//!
//! A layer beside the log's own sees every event that has a name, debug ones included; it reads the few fields that it counts by
//! and never the sentence, which is put into words only where a line is written.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::{Context, Filter};

use crate::log::event;

/// The labels of a series: names and values.
pub(super) type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// Seconds by which polls are counted: from an empty listing to a night's backlog.
const BUCKETS: [f64; 9] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1800.0];

/// Counts of this run. Cheap to share; never blocks for long.
#[derive(Debug)]
pub struct Tally {
    pub(super) events: Counters<2>,
    pub(super) polls: Counters<2>,
    pub(super) durations: Family<Labels<1>, Histogram, fn() -> Histogram>,
    pub(super) documents: Counters<1>,
    pub(super) bytes: Counters<1>,
    pub(super) deliveries: Counters<2>,
    pub(super) tokens: Counters<2>,
    rejected: AtomicBool,
    backup_failed: AtomicBool,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            events: Family::default(),
            polls: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            documents: Family::default(),
            bytes: Family::default(),
            deliveries: Family::default(),
            tokens: Family::default(),
            rejected: AtomicBool::new(false),
            backup_failed: AtomicBool::new(false),
        }
    }
}

impl Tally {
    /// The layer that counts into `tally`, to be put beside the log's own.
    pub fn layer<S>(tally: &Arc<Self>) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
    {
        Counting(Arc::clone(tally)).with_filter(named::<S>())
    }

    /// Whether the last change of the configuration was not taken up.
    pub(super) fn configuration_is_rejected(&self) -> bool {
        self.rejected.load(Ordering::Relaxed)
    }

    /// Whether the last copy of the ledger failed.
    pub(super) fn backup_fails(&self) -> bool {
        self.backup_failed.load(Ordering::Relaxed)
    }

    fn count(&self, level: &tracing::Level, seen: Seen) {
        self.events
            .get_or_create(&[("event", seen.event.clone()), ("level", level.as_str().to_ascii_lowercase())])
            .inc();
        let platform = || seen.feed.as_deref().or(seen.account.as_deref()).map(platform).unwrap_or_default();
        let target = || seen.target.clone().unwrap_or_default();
        match seen.event.as_str() {
            event::POLL_FINISHED => {
                let outcome = seen.outcome.unwrap_or_default();
                self.polls.get_or_create(&[("platform", platform()), ("outcome", outcome)]).inc();
                let seconds = Duration::from_millis(seen.duration_ms).as_secs_f64();
                self.durations.get_or_create(&[("platform", platform())]).observe(seconds);
            }
            event::DOCUMENT_STORED => {
                self.documents.get_or_create(&[("platform", platform())]).inc();
                self.bytes.get_or_create(&[("platform", platform())]).inc_by(seen.size);
            }
            event::DELIVERY_DONE => self.delivery(target(), "done"),
            event::DELIVERY_FAILED => self.delivery(target(), "failed"),
            event::DELIVERY_ABANDONED => self.delivery(target(), "abandoned"),
            event::TOKEN_OBTAINED => self.token(platform(), "obtained"),
            event::TOKEN_REFUSED => self.token(platform(), "refused"),
            event::TOKEN_FAILED => self.token(platform(), "failed"),
            event::CONFIG_REJECTED => self.rejected.store(true, Ordering::Relaxed),
            event::CONFIG_RELOADED => self.rejected.store(false, Ordering::Relaxed),
            event::BACKUP_FAILED => self.backup_failed.store(true, Ordering::Relaxed),
            event::BACKUP_DONE => self.backup_failed.store(false, Ordering::Relaxed),
            _ => {}
        }
    }

    fn delivery(&self, target: String, outcome: &str) {
        self.deliveries.get_or_create(&[("target", target), ("outcome", outcome.to_owned())]).inc();
    }

    fn token(&self, platform: String, outcome: &str) {
        self.tokens.get_or_create(&[("platform", platform), ("outcome", outcome.to_owned())]).inc();
    }
}

/// Events that have a name, of any level, and nothing else.
fn named<S>() -> FilterFn<fn(&Metadata<'_>) -> bool>
where
    FilterFn<fn(&Metadata<'_>) -> bool>: Filter<S>,
{
    let named: fn(&Metadata<'_>) -> bool = |metadata| metadata.is_event() && metadata.fields().field("event").is_some();
    filter_fn(named).with_max_level_hint(LevelFilter::DEBUG)
}

/// The part of a feed's or an account's name that is its platform.
fn platform(name: &str) -> String {
    name.split('/').next().unwrap_or_default().to_owned()
}

#[derive(Debug)]
struct Counting(Arc<Tally>);

impl<S: Subscriber> Layer<S> for Counting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen::default();
        event.record(&mut seen);
        if !seen.event.is_empty() {
            self.0.count(event.metadata().level(), seen);
        }
    }
}

/// The fields of an event that are counted by.
#[derive(Default)]
struct Seen {
    event: String,
    feed: Option<String>,
    account: Option<String>,
    target: Option<String>,
    outcome: Option<String>,
    size: u64,
    duration_ms: u64,
}

impl Seen {
    fn text(&mut self, name: &str) -> Option<&mut Option<String>> {
        match name {
            "feed" => Some(&mut self.feed),
            "account" => Some(&mut self.account),
            "target_name" => Some(&mut self.target),
            "outcome" => Some(&mut self.outcome),
            _ => None,
        }
    }
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            value.clone_into(&mut self.event);
        } else if let Some(place) = self.text(field.name()) {
            *place = Some(value.to_owned());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "size" => self.size = value,
            "duration_ms" => self.duration_ms = value,
            _ => {}
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.record_u64(field, value);
        }
    }

    // Names of feeds come as what they display.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if let Some(place) = self.text(field.name()) {
            *place = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Fails whoever puts it into words.
    struct Unspoken;

    impl fmt::Display for Unspoken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("put into words though no line is written")
        }
    }

    #[test]
    fn events_are_counted_below_the_level_of_the_log_and_their_sentences_are_not_put_into_words() {
        let tally = Arc::new(Tally::default());
        let shown = tracing_subscriber::fmt::layer().with_writer(std::io::sink).with_filter(LevelFilter::INFO);
        let registry = tracing_subscriber::registry().with(shown).with(Tally::layer(&tally));
        tracing::subscriber::with_default(registry, || {
            for (outcome, duration_ms) in [("ok", 1500_u64), ("failed", 20)] {
                tracing::debug!(
                    event = event::POLL_FINISHED,
                    feed = "fast/mairie/chorus",
                    outcome,
                    duration_ms,
                    "{}",
                    Unspoken
                );
            }
            let feed = "douane/siege/suivi";
            tracing::debug!(event = event::DOCUMENT_STORED, feed = %feed, size = 4096_i64, sha256 = %Unspoken, "{}", Unspoken);
            tracing::debug!("{}", Unspoken);
        });
        let polls = |outcome: &str| {
            tally.polls.get_or_create(&[("platform", "fast".into()), ("outcome", outcome.into())]).get()
        };
        assert_eq!((polls("ok"), polls("failed")), (1, 1));
        let bytes = [("platform", "douane".to_owned())];
        let mut sheet = super::super::sheet::Sheet::default();
        sheet.counted("took_seconds", "How long", tally.durations.clone());
        assert!(sheet.text().contains("took_seconds_sum{platform=\"fast\"} 1.52"), "{}", sheet.text());
        assert_eq!(tally.bytes.get_or_create(&bytes).get(), 4096);
        let counted = [("event", event::POLL_FINISHED.to_owned()), ("level", "debug".to_owned())];
        assert_eq!(tally.events.get_or_create(&counted).get(), 2);
    }

    #[test]
    fn what_was_rejected_or_failed_is_over_once_it_is_done() {
        let tally = Arc::new(Tally::default());
        let registry = tracing_subscriber::registry().with(Tally::layer(&tally));
        tracing::subscriber::with_default(registry, || {
            assert!(!tally.configuration_is_rejected() && !tally.backup_fails());
            tracing::error!(event = event::CONFIG_REJECTED, "no");
            tracing::error!(event = event::BACKUP_FAILED, "no");
            assert!(tally.configuration_is_rejected() && tally.backup_fails());
            tracing::info!(event = event::CONFIG_RELOADED, "yes");
            tracing::info!(event = event::BACKUP_DONE, "yes");
            assert!(!tally.configuration_is_rejected() && !tally.backup_fails());
        });
    }
}
