//! The only place of ours that reads a clock.
//!
//! Wall time says when windows open and certificates expire; boot time says how long something has really lasted,
//! whatever was done to the wall clock. Both are read through libc, so that a faked clock is obeyed.

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// What time it is, for whoever needs to know.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall time, as the machine believes it.
    fn now(&self) -> Timestamp;
    /// Time since the machine booted, sleep included.
    fn boot(&self) -> BootTime;
}

/// A moment on the boot-time clock: comparable only with moments of the same boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootTime {
    /// The kernel's identifier of this boot (empty where the kernel gives none: then never the same boot).
    pub id: String,
    /// Time since that boot.
    pub elapsed: Duration,
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    boot_id: String,
}

impl SystemClock {
    /// Clocks of this machine, with the identifier of its present boot.
    #[must_use]
    pub fn new() -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self { boot_id: boot_id.trim().to_owned() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn boot(&self) -> BootTime {
        match clock_gettime(ClockId::CLOCK_BOOTTIME) {
            Ok(time) => BootTime { id: self.boot_id.clone(), elapsed: time.into() },
            // Without a boot clock the wall clock alone decides, as after a reboot.
            Err(_) => BootTime { id: String::new(), elapsed: Duration::ZERO },
        }
    }
}

/// A clock that tests set and move; both its clocks stand still otherwise.
#[derive(Debug)]
pub struct SetClock {
    inner: Mutex<(Timestamp, BootTime)>,
}

impl SetClock {
    /// A clock that shows `now`, on a machine booted an hour before.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let boot = BootTime { id: "boot-1".to_owned(), elapsed: Duration::from_secs(3600) };
        Self { inner: Mutex::new((now, boot)) }
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut inner = self.lock();
        inner.0 += by;
        inner.1.elapsed += by;
    }

    /// Sets the wall clock, as an administrator or NTP does; boot time goes on.
    pub fn set_wall(&self, now: Timestamp) {
        self.lock().0 = now;
    }

    /// Reboots the machine: the boot clock begins again under another identifier.
    pub fn reboot(&self, id: &str) {
        self.lock().1 = BootTime { id: id.to_owned(), elapsed: Duration::ZERO };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, BootTime)> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn boot(&self) -> BootTime {
        self.lock().1.clone()
    }
}

/// `time` as the ledger, the log and JSON write it: RFC 3339 in UTC with milliseconds (sorts as text).
#[must_use]
pub fn stamp(time: Timestamp) -> String {
    format!("{time:.3}")
}
