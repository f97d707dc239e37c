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

/// Still draining.
pub(super) fn extend() {
    tell(&[NotifyState::ExtendTimeoutUsec(EXTENSION)]);
}

/// One sentence on what is going on.
pub(super) fn status(running: usize, feeds: usize) {
    let sentence = match running {
        0 => format!("waiting for the next poll of {feeds} feeds"),
        _ => format!("polling {running} of {feeds} feeds"),
    };
    tell(&[NotifyState::Status(&sentence)]);
}
