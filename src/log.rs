//! The log: names of events, and how lines are written.

/// Names of the events that scripts may match (field `event` of every line).
pub mod event {
    /// The daemon is up: it polls from now on.
    pub const DAEMON_READY: &str = "daemon.ready";
    /// The daemon stops: nothing new begins.
    pub const DAEMON_STOPPING: &str = "daemon.stopping";
    /// A poll began.
    pub const POLL_STARTED: &str = "poll.started";
    /// A poll ended.
    pub const POLL_FINISHED: &str = "poll.finished";
    /// A feed began to fail, or goes on failing (said once a day).
    pub const FEED_FAILING: &str = "feed.failing";
    /// A feed that failed works again.
    pub const FEED_RECOVERED: &str = "feed.recovered";
    /// An account cannot work.
    pub const ACCOUNT_UNUSABLE: &str = "account.unusable";
    /// A document is durable in the archive and recorded.
    pub const DOCUMENT_STORED: &str = "document.stored";
    /// A try failed; there will be another.
    pub const DOCUMENT_FAILED: &str = "document.failed";
    /// No more tries.
    pub const DOCUMENT_ABANDONED: &str = "document.abandoned";
    /// The platform no longer has the document.
    pub const DOCUMENT_GONE: &str = "document.gone";
    /// Asked for, interrupted, and no longer there.
    pub const DOCUMENT_LOST: &str = "document.lost";
    /// Hélios refused a deposit.
    pub const DOCUMENT_REJECTED: &str = "document.rejected";
    /// A file is still being written, or another has taken its place: left for the next poll.
    pub const DOCUMENT_WAITING: &str = "document.waiting";
    /// Copies and remains older than `[archive] keep` were removed.
    pub const ARCHIVE_PURGED: &str = "archive.purged";
    /// The ledger was copied.
    pub const BACKUP_DONE: &str = "backup.done";
    /// The ledger could not be copied; tried again an hour later.
    pub const BACKUP_FAILED: &str = "backup.failed";
    /// A file turned out to be of a kind that its account does not collect: left where it is.
    pub const DOCUMENT_PASSED_OVER: &str = "document.passed_over";
    /// A file that is safe here was removed from its platform.
    pub const DOCUMENT_RELEASED: &str = "document.released";
    /// A file that is safe here could not be removed from its platform.
    pub const RELEASE_FAILED: &str = "release.failed";
    /// A token was obtained.
    pub const TOKEN_OBTAINED: &str = "token.obtained";
    /// A platform refused an account's credentials.
    pub const TOKEN_REFUSED: &str = "token.refused";
    /// No token for now, for another reason than a refusal: asked for again by itself.
    pub const TOKEN_FAILED: &str = "token.failed";
    /// This machine's clock differs from a platform's.
    pub const CLOCK_SKEW: &str = "clock.skew";
    /// Metrics, health and the page are to be had.
    pub const ADMIN_OPENED: &str = "admin.opened";
    /// They are not, where the configuration wants them; tried again every minute.
    pub const ADMIN_FAILED: &str = "admin.failed";
    /// A document was handed to a target.
    pub const DELIVERY_DONE: &str = "delivery.done";
    /// A target could not take a document.
    pub const DELIVERY_FAILED: &str = "delivery.failed";
    /// A document could not be handed to a target for a week: no more tries.
    pub const DELIVERY_ABANDONED: &str = "delivery.abandoned";
    /// Nothing can be handed to a target (its program or secret is missing): its documents wait.
    pub const TARGET_UNUSABLE: &str = "target.unusable";
    /// A target that could be handed nothing can be again.
    pub const TARGET_RECOVERED: &str = "target.recovered";
    /// Nobody empties an inbox; said once a day.
    pub const INBOX_STALE: &str = "inbox.stale";
    /// Work waits for a window to end.
    pub const WINDOW_WAITING: &str = "window.waiting";
    /// Calls wait for a quota.
    pub const QUOTA_WAITING: &str = "quota.waiting";
    /// The platform no longer answers this machine: a ban is assumed.
    pub const BAN_SUSPECTED: &str = "ban.suspected";
    /// It answers again, or an operator knows better.
    pub const BAN_LIFTED: &str = "ban.lifted";
    /// An account's token (JWT) has few days left.
    pub const TOKEN_EXPIRING: &str = "token.expiring";
    /// A certificate has few days left.
    pub const CERTIFICATE_EXPIRING: &str = "certificate.expiring";
    /// Something is amiss of which no other event tells.
    pub const ALERT_RAISED: &str = "alert.raised";
    /// It is over.
    pub const ALERT_CLEARED: &str = "alert.cleared";
    /// Those whom `[[alerts]]` names were told.
    pub const ALERT_SENT: &str = "alert.sent";
    /// They could not be told; tried again.
    pub const ALERT_FAILED: &str = "alert.failed";
    /// An account goes on with another certificate.
    pub const CERTIFICATE_CHANGED: &str = "certificate.changed";
    /// There is little room on the disk: free space is below twice the reserve, or what is safe already cannot be placed or recorded.
    pub const DISK_LOW: &str = "disk.low";
    /// The archive's disk failed: nothing is collected until it takes a probe file.
    pub const DISK_FAILED: &str = "disk.failed";
    /// A changed configuration was taken up.
    pub const CONFIG_RELOADED: &str = "config.reloaded";
    /// A changed configuration was not taken up.
    pub const CONFIG_REJECTED: &str = "config.rejected";
    /// What `check` says of the configuration, said at start.
    pub const CONFIG_FINDING: &str = "config.finding";
    /// A feed has another name than in earlier runs.
    pub const FEED_RENAMED: &str = "feed.renamed";
    /// An entry of a listing is no id: left alone.
    pub const LISTING_REFUSED: &str = "listing.refused";
    /// Work that an earlier run left was taken up.
    pub const DAEMON_RESUMED: &str = "daemon.resumed";
    /// Something of the daemon's own does not work as it should.
    pub const DAEMON_FAULT: &str = "daemon.fault";
    /// The ledger could not be read or written.
    pub const LEDGER_FAILED: &str = "ledger.failed";
    /// There is no ledger yet.
    pub const LEDGER_MISSING: &str = "ledger.missing";
    /// There is room on the disk again, or it works again.
    pub const DISK_RECOVERED: &str = "disk.recovered";
    /// An operator's command was carried out.
    pub const OPERATOR_COMMAND: &str = "operator.command";
}

use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Identity, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

use crate::clock::{Clock as _, SystemClock, stamp};
use crate::config::{LogFormat, LogLevel};

/// Crates beneath ours say how they do it; only errors of theirs matter to an operator.
const BENEATH: Level = Level::WARN;

/// Starts the log, on standard error: journald's own fields under systemd, else text, or JSON. Later calls change
/// nothing.
pub fn start(format: LogFormat, level: LogLevel) {
    start_with(format, level, None::<Identity>);
}

/// The same, with a `beside` that sees what it wants to see, whatever the level of the log.
pub fn start_with(format: LogFormat, level: LogLevel, beside: Option<impl Layer<Registry> + Send + Sync>) {
    let wanted = LevelFilter::from_level(level.as_tracing());
    let filter = Targets::new().with_default(wanted.min(BENEATH.into())).with_target("vaguemestre", wanted);
    let filter = filter.with_target("tokio_cron_scheduler", LevelFilter::ERROR);
    let journal = if format == LogFormat::Auto && under_systemd() { tracing_journald::layer().ok() } else { None };
    let registry = tracing_subscriber::registry().with(beside);
    // A second call finds a log in place already, and leaves it.
    let _ = match (format, journal) {
        (_, Some(journal)) => {
            let journal = journal.with_field_prefix(None).with_syslog_identifier("vaguemestre".to_owned());
            registry.with(journal.with_filter(filter)).try_init()
        }
        (LogFormat::Json, None) => {
            let lines = tracing_subscriber::fmt::layer()
                .json()
                .flatten_event(true)
                .with_target(false)
                .with_current_span(false)
                .with_span_list(false)
                .with_timer(Utc(SystemClock::new()))
                .with_writer(std::io::stderr);
            registry.with(lines.with_filter(filter)).try_init()
        }
        (_, None) => {
            let coloured =
                std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            let lines = tracing_subscriber::fmt::layer()
                .with_target(false)
                .with_ansi(coloured)
                .with_timer(Utc(SystemClock::new()))
                .with_writer(std::io::stderr);
            registry.with(lines.with_filter(filter)).try_init()
        }
    };
}

/// Whether standard error is journald's.
fn under_systemd() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some()
}

/// Times of the log, as in the ledger.
struct Utc(SystemClock);

impl FormatTime for Utc {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&stamp(self.0.now()))
    }
}
