//! The daemon at work, and what its log says.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::process::Running;

/// How often the log is looked into: less than what is measured can tell.
const LOOK: Duration = Duration::from_millis(2);
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A daemon.
#[derive(Debug)]
pub struct Daemon {
    /// The process.
    pub process: Running,
    log: PathBuf,
    read: u64,
    rest: String,
}

/// `binary` with `arguments` and a configuration.
pub fn command(binary: &Path, config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.arg("--config").arg(config).args(arguments).stdin(Stdio::null());
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").env_remove("RUNTIME_DIRECTORY");
    command
}

impl Daemon {
    /// Starts `binary` with its log beside `config`; with the runtime directory that systemd gives, where one is named.
    pub fn start(binary: &Path, config: &Path, runtime: Option<&Path>) -> anyhow::Result<Self> {
        let log = config.with_extension("log");
        let mut command = command(binary, config, &["run"]);
        if let Some(runtime) = runtime {
            command.env("RUNTIME_DIRECTORY", runtime);
        }
        command.stdout(Stdio::null()).stderr(File::create(&log)?);
        Ok(Self { process: Running::start(&mut command)?, log, read: 0, rest: String::new() })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits for the next event of this name.
    pub async fn event(&mut self, name: &str) -> anyhow::Result<Value> {
        let begun = Instant::now();
        let wanted = format!("\"event\":\"{name}\"");
        loop {
            while let Some(line) = self.line()? {
                if line.contains(&wanted) {
                    return Ok(serde_json::from_str(&line)?);
                }
                anyhow::ensure!(!line.contains("\"level\":\"ERROR\""), "the daemon says: {line}");
            }
            if let Some(status) = self.process.0.try_wait()? {
                anyhow::bail!("the daemon ended ({status}) before {name}: {}", std::fs::read_to_string(&self.log)?);
            }
            anyhow::ensure!(begun.elapsed() < PATIENCE, "{name} does not come");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The next whole line.
    fn line(&mut self) -> anyhow::Result<Option<String>> {
        if !self.rest.contains('\n') {
            let mut file = File::open(&self.log)?;
            file.seek(SeekFrom::Start(self.read))?;
            let mut bytes = Vec::new();
            self.read += file.read_to_end(&mut bytes)? as u64;
            self.rest += &String::from_utf8(bytes)?;
        }
        let Some((line, rest)) = self.rest.split_once('\n') else { return Ok(None) };
        let (line, rest) = (line.to_owned(), rest.to_owned());
        self.rest = rest;
        Ok(Some(line))
    }

    /// SIGTERM, then its end.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await
    }
}
