//! The real daemon, as a child process whose log is read here and kept in a file.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::stage::Stage;

/// The daemon stops at once when idle, and has nothing to finish that takes longer than this.
const STOP: Duration = Duration::from_secs(10);
/// Lines that are shown when something goes wrong.
const RECENT: usize = 12;

/// Killed when dropped.
pub(super) struct Daemon {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    recent: VecDeque<String>,
}

impl Daemon {
    pub(super) fn start(stage: &Stage) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--config").arg(stage.config()).arg("run");
        // What the environment tells a daemon is not meant for this one.
        let ours = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("VAGUEMESTRE");
        std::env::vars_os().map(|(name, _)| name).filter(ours).for_each(|name| {
            command.env_remove(name);
        });
        command.env_remove("NOTIFY_SOCKET").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut log = File::create(stage.log())?;
        let mut child = command.spawn().context("the daemon cannot be started")?;
        let (sender, lines) = mpsc::unbounded_channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                    // The story goes on without the file, and the file without the story.
                    let _ = log.write_all(&line).and_then(|()| log.write_all(b"\n"));
                    let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
                }
            });
        }
        Ok(Self { child, lines, recent: VecDeque::with_capacity(RECENT) })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its log; `None` once it has ended.
    pub(super) async fn next(&mut self) -> Option<String> {
        let line = self.lines.recv().await?;
        self.recent.truncate(RECENT - 1);
        self.recent.push_front(line.clone());
        Some(line)
    }

    /// The last lines of its log, in their order.
    pub(super) fn recent(&self) -> impl Iterator<Item = &String> {
        self.recent.iter().rev()
    }

    /// How it ended, once its log has.
    pub(super) fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait()
    }

    /// SIGTERM, then its end.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(i32::try_from(self.id())?), Signal::SIGTERM)?;
        timeout(STOP, async { while self.next().await.is_some() {} })
            .await
            .with_context(|| format!("the daemon did not stop within {} s of SIGTERM", STOP.as_secs()))?;
        let status = self.wait()?;
        ensure!(status.success(), "the daemon did not stop well: {status}");
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
