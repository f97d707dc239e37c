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
    /// A document was handed to a target.
    pub const DELIVERY_DONE: &str = "delivery.done";
    /// A target could not take a document.
    pub const DELIVERY_FAILED: &str = "delivery.failed";
    /// Work waits for a window to end.
    pub const WINDOW_WAITING: &str = "window.waiting";
    /// A certificate has few days left.
    pub const CERTIFICATE_EXPIRING: &str = "certificate.expiring";
    /// Free space is below the reserve, or the disk fails.
    pub const DISK_LOW: &str = "disk.low";
    /// A changed configuration was not taken up.
    pub const CONFIG_REJECTED: &str = "config.rejected";
    /// An operator's command was carried out.
    pub const OPERATOR_COMMAND: &str = "operator.command";
}
