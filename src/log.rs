//! Names of the events that scripts may match (field `event` of every line).

/// The daemon is up: it polls from now on.
pub const DAEMON_READY: &str = "daemon.ready";
