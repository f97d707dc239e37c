//! Signals, from crate signal-hook, as something to await.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tokio::sync::mpsc;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM, SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// The signals that come.
pub(crate) struct Signals {
    arrived: mpsc::UnboundedReceiver<Signal>,
}

impl Signals {
    /// Listens from now on: none of these signals kills the process any more.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (sender, arrived) = mpsc::unbounded_channel();
        let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let signal = if signal == SIGHUP { Signal::Reload } else { Signal::Stop };
                if sender.send(signal).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { arrived })
    }

    /// The next signal. Never returns where there is none.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.arrived.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}
