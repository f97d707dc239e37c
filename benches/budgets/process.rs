//! What the kernel says of processes: memory at its highest, time of the processors, wake-ups.

use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::resource::{UsageWho, getrusage};
use tokio::time::Instant;

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What a process has cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Time of the processors.
    pub cpu: Duration,
    /// Wake-ups: times a thread had nothing to do, and was called again. Of threads that live.
    pub wakeups: u64,
}

/// A command that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    /// From start to end.
    pub wall: Duration,
    /// Time of the processors.
    pub cpu: Duration,
    /// Memory at its highest, in bytes.
    pub peak: u64,
    /// How it ended.
    pub status: ExitStatus,
}

/// Runs `command` to its end.
pub async fn run(command: &mut Command) -> anyhow::Result<Ran> {
    let before = children()?;
    let begun = Instant::now();
    let mut child =
        command.spawn().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(high_water(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            break status;
        }
        tokio::time::sleep(LOOK).await;
    };
    Ok(Ran { wall: begun.elapsed(), cpu: children()?.saturating_sub(before), peak, status })
}

/// Time of the processors that children waited for have taken.
fn children() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_secs(value.tv_sec().unsigned_abs()) + Duration::from_micros(value.tv_usec().unsigned_abs())
    };
    Ok(time(usage.user_time()) + time(usage.system_time()))
}

/// Resident memory at its highest, in bytes.
pub fn high_water(pid: u32) -> anyhow::Result<u64> {
    memory(pid, "VmHWM:")
}

/// Resident memory, in bytes.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    memory(pid, "VmRSS:")
}

fn memory(pid: u32, field: &str) -> anyhow::Result<u64> {
    Ok(status_field(&format!("/proc/{pid}/status"), field)? * 1024)
}

fn status_field(path: &str, field: &str) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)).context("the process is ending")?;
    Ok(value.split_whitespace().next().context("no number")?.parse()?)
}

/// What `pid` has cost since it began: its threads that have ended included, but for their wake-ups.
pub fn cost(pid: u32) -> anyhow::Result<Cost> {
    let ticks = ticks(pid)?;
    let (mut precise, mut wakeups) = (Duration::ZERO, 0);
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        // A thread may end while it is looked at.
        let on_processor = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
        precise += Duration::from_nanos(
            on_processor.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default(),
        );
        let status = thread.join("status").display().to_string();
        wakeups += status_field(&status, "voluntary_ctxt_switches:").unwrap_or_default();
    }
    Ok(Cost { cpu: ticks.max(precise), wakeups })
}

/// Time of the processors as `/proc/PID/stat` counts it, in hundredths of a second.
fn ticks(pid: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = text.rsplit_once(')').context("not a stat")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut field = || fields.next().and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    Ok(Duration::from_millis((field() + field()) * 10))
}

/// The same of `pid` and all its children, as of a server with workers.
pub fn family(pid: u32) -> anyhow::Result<Duration> {
    let mut total = ticks(pid)?;
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        let Some(child) = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()) else { continue };
        if parent(&path) == Some(pid) {
            total += ticks(child).unwrap_or_default();
        }
    }
    Ok(total)
}

fn parent(path: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(path.join("stat")).ok()?;
    text.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// A process that ends with this handle.
#[derive(Debug)]
pub struct Running(pub Child);

impl Running {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn();
        child.map(Self).with_context(|| format!("{} cannot be started", command.get_program().display()))
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.ask_to_end();
        let begun = Instant::now();
        while self.0.try_wait()?.is_none() {
            anyhow::ensure!(begun.elapsed() < Duration::from_secs(60), "it does not end");
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    fn ask_to_end(&self) {
        if let Ok(pid) = i32::try_from(self.0.id()) {
            // It may have ended already.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            // A server ends its workers when it is asked to, and leaves them behind when it is killed.
            self.ask_to_end();
            let _ = self.0.wait();
        }
    }
}
