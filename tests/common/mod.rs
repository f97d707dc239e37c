//! A town for the tests: a simulated platform, a configuration in a folder of its own, and the real binary.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses its own part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a helper of a test fails it by a panic")]
#![allow(clippy::print_stdout, reason = "what cannot run here says so")]

pub mod browse;
pub mod by_hand;
pub mod gateway;
pub mod hook;
pub mod mounts;
pub mod order;
pub mod shares;
pub mod shop;
pub mod stage;
pub mod strace;
pub mod wire;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tempfile::TempDir;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Keys, Platform, samples};

/// Says that something cannot be tried here, and why; with `CI=true` that is a failure.
pub fn skip(why: &str) {
    println!("skipped: {why}");
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
}

pub const SIREN: &str = "213400172";
/// Longer than anything here takes, also on a slow machine that is busy with something else; reached only by a promise that is
/// broken.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// How often something outside this process is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub struct Town {
    pub folder: TempDir,
    pub authority: PathBuf,
    pub keys: Keys,
    pub platform: Platform,
}

impl Town {
    /// A platform with SIREN [`SIREN`], and one account `mairie` with all three feeds. `interval` as in the file.
    pub async fn with_interval(interval: &str) -> Self {
        let town = Self::bare().await;
        town.configure(interval, "", &town.account("mairie", SIREN, Standing::Valid));
        town
    }

    /// The platform and the folder, without a configuration.
    pub async fn bare() -> Self {
        let keys = Keys::generate().unwrap();
        let platform = Platform::start(&keys).await.unwrap();
        platform.open(SIREN);
        let folder = tempfile::tempdir().unwrap();
        let authority = keys.write_authority(folder.path()).unwrap();
        Self { folder, authority, keys, platform }
    }

    /// The table of an account whose certificate is issued and written into the folder.
    pub fn account(&self, name: &str, siren: &str, standing: Standing) -> String {
        let path = self.keys.client(name, standing).unwrap().write(self.folder.path(), name).unwrap();
        self.platform.open(siren);
        format!(
            "[[fast.accounts]]\nname = \"{name}\"\nsiren = \"{siren}\"\ncertificate = \"{}\"\n",
            path.file_name().unwrap().to_str().unwrap()
        )
    }

    /// Writes the configuration; `fast` is added to section `[fast]`, `tables` at the end.
    pub fn configure(&self, interval: &str, fast: &str, tables: &str) {
        let max_document = if fast.contains("max_document") { "" } else { "max_document = \"16MiB\"\n" };
        let text = format!(
            "[state]\ndirectory = \"state\"\nreserve = \"1MiB\"\n[schedule]\ninterval = \"{interval}\"\njitter = \"0s\"\n\
             avoid_hour = \"0s\"\n[fast]\nbase_url = \"{}\"\nca_certificate = \"{}\"\nmaintenance = []\nguard = \"0s\"\n\
             {max_document}{fast}\n[log]\nformat = \"json\"\nlevel = \"debug\"\n{tables}",
            self.platform.base_url(),
            self.authority.display(),
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("vaguemestre.toml")
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn inbox(&self) -> PathBuf {
        self.state().join("inbox")
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vaguemestre"));
        command.arg("--config").arg(self.config()).args(arguments);
        command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").stdin(Stdio::null());
        // Whatever the developer speaks.
        command.env("LC_ALL", "C");
        command
    }

    /// Runs a command to its end, without holding up the simulated platform.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = tokio::process::Command::from(self.command(arguments));
        tokio::time::timeout(PATIENCE, command.output()).await.expect("the command ends").unwrap()
    }

    /// Starts the daemon and waits until it is ready.
    pub async fn start(&self) -> Daemon {
        let daemon = self.spawn();
        daemon.wait_event("daemon.ready").await;
        daemon
    }

    /// Starts the daemon.
    pub fn spawn(&self) -> Daemon {
        Daemon::spawn(self.command(&["run"]), self.folder.path())
    }

    /// Puts `count` well-formed documents of `kind` on the platform, from `first` on; answers their ids and bytes.
    pub fn put_many(&self, kind: Kind, first: u64, count: u64, size: usize) -> Vec<(String, Vec<u8>)> {
        (first..first + count)
            .map(|number| {
                let bytes = sample(kind, number, size);
                self.platform.put(SIREN, kind, number, bytes.clone());
                (number.to_string(), bytes)
            })
            .collect()
    }

    /// Rows of a query on the ledger, each column as text (`NULL` is empty).
    pub async fn query(&self, sql: &str) -> Vec<Vec<String>> {
        query_at(&self.state(), sql).await
    }

    /// One value of the ledger.
    pub async fn value(&self, sql: &str) -> String {
        self.query(sql).await.into_iter().next().and_then(|row| row.into_iter().next()).unwrap_or_default()
    }

    /// Waits until a query on the ledger answers `expected`.
    pub async fn wait_value(&self, sql: &str, expected: &str) {
        let mut last = String::new();
        let reached = tokio::time::timeout(PATIENCE, async {
            loop {
                // Not made yet, or made and without its tables yet.
                let made = self.state().join("ledger.sqlite").exists()
                    && !self.query("SELECT 1 FROM sqlite_schema WHERE name = 'operator_actions'").await.is_empty();
                if made {
                    last = self.value(sql).await;
                    if last == expected {
                        return;
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        let reached = reached.await.is_ok();
        assert!(reached, "{sql}: {last:?} instead of {expected:?}");
    }

    /// Every file of the inbox, by its path below it; hidden folders are left out.
    pub fn inbox_files(&self) -> Vec<PathBuf> {
        files(&self.inbox())
    }

    /// The table of an account whose SIREN the platform may not know.
    pub fn stranger(&self, name: &str, siren: &str, standing: Standing) -> String {
        self.keys.client(name, standing).unwrap().write(self.folder.path(), name).unwrap();
        format!("[[fast.accounts]]\nname = \"{name}\"\nsiren = \"{siren}\"\ncertificate = \"{name}\"\n")
    }

    /// What `status --json` prints, and its exit code.
    pub async fn status(&self) -> (Value, Option<i32>) {
        let output = self.run(&["status", "--json"]).await;
        (serde_json::from_slice(&output.stdout).unwrap(), output.status.code())
    }
}

/// What a command wrote to standard output.
pub fn told(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What a command wrote to standard error.
pub fn complained(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Where the default inbox has a [`sample`] of account `mairie`: behind its id stands the name it gives itself.
pub fn inbox_path(kind: Kind, number: u64) -> PathBuf {
    let name = match kind {
        Kind::Acquittements => format!("-PES{number}"),
        Kind::PesRetour => format!("-PESRT_21340017200018_{number:08}"),
        Kind::Chorus | Kind::Signes => String::new(),
    };
    format!("fast/mairie/{kind}/{number}{name}.xml").into()
}

/// A well-formed document of `kind`.
pub fn sample(kind: Kind, number: u64, size: usize) -> Vec<u8> {
    match kind {
        Kind::Acquittements => samples::acquittement(number, &format!("PES{number}"), samples::Verdict::Accepted, size),
        Kind::PesRetour => samples::pes_retour(number, "21340017200018", size),
        Kind::Chorus => samples::chorus(number, 1, size),
        Kind::Signes => {
            [b"%PDF-1.7\n", vec![b' '; size].as_slice(), format!("\n% {number}\n%%EOF\n").as_bytes()].concat()
        }
    }
}

/// Every file below `root`, hidden folders left out, by its path below it.
pub fn files(root: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.map(Result::unwrap) {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            if path.is_dir() { walk(&path, root, found) } else { found.push(path.strip_prefix(root).unwrap().into()) }
        }
    }
    let mut found = Vec::new();
    walk(root, root, &mut found);
    found.sort();
    found
}

/// The daemon as a process; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with its log in a file of `folder`.
    pub fn spawn(mut command: Command, folder: &Path) -> Self {
        let number = std::fs::read_dir(folder).unwrap().count();
        let log = folder.join(format!("daemon-{number}.log"));
        let child = command.stderr(File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap();
        Self { child, log }
    }

    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// What it has logged, line by line; lines that are not JSON come as strings.
    pub fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into())).collect()
    }

    /// Logged events of that name.
    pub fn events(&self, name: &str) -> Vec<Value> {
        self.log().into_iter().filter(|line| line["event"] == name).collect()
    }

    /// Waits until an event of that name was logged, and answers the first.
    pub async fn wait_event(&self, name: &str) -> Value {
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(event) = self.events(name).into_iter().next() {
                    return event;
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {name}: {:#?}", self.log()))
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([&format!("-{signal}"), &self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end.
    pub async fn wait(&mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(status) = self.child.try_wait().unwrap() {
                    return status;
                }
                tokio::time::sleep(LOOK).await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("the daemon does not end: {:#?}", self.log()))
    }

    /// SIGTERM, then its end.
    pub async fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait().await
    }

    /// SIGKILL, then its end.
    pub async fn kill(mut self) {
        self.child.kill().unwrap();
        self.wait().await;
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Rows of a query on the ledger in `folder`, each column as text (`NULL` is empty).
pub async fn query_at(folder: &Path, sql: &str) -> Vec<Vec<String>> {
    query_file(&folder.join("ledger.sqlite"), sql).await
}

/// The same of any ledger's file.
pub async fn query_file(path: &Path, sql: &str) -> Vec<Vec<String>> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
    let mut connection = options.connect().await.unwrap();
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap();
    let text = |row: &sqlx::sqlite::SqliteRow, index: usize| {
        row.try_get_unchecked::<Option<String>, _>(index).unwrap().unwrap_or_default()
    };
    let rows = rows.iter().map(|row| (0..row.len()).map(|index| text(row, index)).collect()).collect();
    connection.close().await.unwrap();
    rows
}

/// Ids that the ledger holds, and those whose whole body lies sealed beside it, or in its place already. Read from a copy: the dead daemon's
/// write-ahead log is for the next daemon to recover.
pub async fn held_at_death(town: &Town) -> BTreeSet<String> {
    let mut held = BTreeSet::new();
    let copy = tempfile::tempdir().unwrap();
    for file in ["ledger.sqlite", "ledger.sqlite-wal"] {
        if town.state().join(file).exists() {
            std::fs::copy(town.state().join(file), copy.path().join(file)).unwrap();
        }
    }
    if !copy.path().join("ledger.sqlite").exists() {
        return held;
    }
    let tables = query_at(copy.path(), "SELECT name FROM sqlite_schema WHERE name = 'documents'").await;
    if tables.is_empty() {
        return held;
    }
    for row in query_at(copy.path(), "SELECT id, remote_id, state, stem FROM documents").await {
        let sealed = std::fs::read_dir(town.state().join("archive/.incoming")).is_ok_and(|mut entries| {
            entries.any(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.starts_with(&format!("{}.", row[0]))
                    && Path::new(&name).extension().is_some_and(|it| it == "sealed")
            })
        });
        let ends = ["xml", "pdf", "zip", "bin"];
        let placed =
            !row[3].is_empty() && ends.iter().any(|end| town.state().join(format!("{}.{end}", row[3])).exists());
        if sealed || placed || matches!(row[2].as_str(), "stored" | "delivered") {
            held.insert(row[1].clone());
        }
        assert_ne!(row[2], "abandoned", "{row:?}");
    }
    held
}
