//! What systemd is told, over its notify socket; without one, nothing happens.

use sd_notify::NotifyState;

use crate::log::event;

/// How much longer systemd shall wait while we drain, in microseconds.
const EXTENSION: u32 = 30_000_000;

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(event = event::DAEMON_FAULT, %error, "systemd could not be told");
    }
}

/// The daemon is up.
pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("waiting for the next poll")]);
}

/// The daemon stops, and takes as long as its downloads may.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: running downloads finish first")]);
    extend();
}

/// Whether systemd listens.
pub(super) fn listens() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// The dispatcher turns, and the ledger has answered: all that the watchdog asks.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Still draining.
pub(super) fn extend() {
    tell(&[NotifyState::ExtendTimeoutUsec(EXTENSION)]);
}

/// One sentence on what is going on.
pub(super) fn status(sentence: &str) {
    tell(&[NotifyState::Status(sentence)]);
}
