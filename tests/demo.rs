//! `demo`: the whole program shown to a newcomer; ends by itself, and leaves nothing behind.
#![cfg(feature = "simulator")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// What the demo promises for itself.
const LIMIT: Duration = Duration::from_secs(60);

/// The demo as a process, with a directory of its own for temporary files.
struct Demo {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    told: String,
    temporary: TempDir,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = command()
            .arg("demo")
            .args(arguments)
            .env("TMPDIR", temporary.path())
            // Whatever this machine is set to, and whatever its own daemon is told.
            .env("TZ", "Pacific/Noumea")
            .env("LC_ALL", "C")
            .env("VAGUEMESTRE_CONFIG", "/nowhere")
            .env("VAGUEMESTRE__SCHEDULE__INTERVAL", "12h")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, told: String::new(), temporary }
    }

    /// Reads on to a line that holds `text`, and answers it.
    async fn wait_for(&mut self, text: &str) -> String {
        let found = timeout(LIMIT, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.told.push_str(&line);
                self.told.push('\n');
                if line.contains(text) {
                    return Some(line);
                }
            }
            None
        });
        let found = found.await.ok().flatten();
        found.unwrap_or_else(|| panic!("no `{text}` in:\n{}", self.told))
    }

    /// The process id of the daemon, as the demo tells it.
    async fn daemon(&mut self) -> u32 {
        let line = self.wait_for("daemon    process ").await;
        line.split(|c: char| !c.is_ascii_digit()).find(|word| !word.is_empty()).unwrap().parse().unwrap()
    }

    fn signal(&self, signal: &str) {
        kill(signal, self.child.id().unwrap());
    }

    /// Reads to the end; answers how it ended, and what it wrote to standard error.
    async fn end(&mut self) -> (ExitStatus, String) {
        timeout(LIMIT, async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                self.told.push_str(&line);
                self.told.push('\n');
            }
            let mut errors = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
            (self.child.wait().await.unwrap(), errors)
        })
        .await
        .unwrap_or_else(|_| panic!("the demo does not end:\n{}", self.told))
    }

    fn remains(&self) -> Vec<PathBuf> {
        std::fs::read_dir(self.temporary.path()).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vaguemestre"));
    command.kill_on_drop(true);
    command
}

fn kill(signal: &str, process: u32) {
    let status = std::process::Command::new("kill").args([&format!("-{signal}"), &process.to_string()]).status();
    assert!(status.unwrap().success());
}

fn runs(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[tokio::test]
async fn the_demo_ends_by_itself_with_all_documents_collected_and_leaves_nothing() {
    let mut demo = Demo::start(&[]);
    let daemon = demo.daemon().await;
    let (status, errors) = demo.end().await;
    assert!(status.success(), "{errors}\n{}", demo.told);
    assert_eq!(errors, "");
    for id in [4101, 4102, 4103, 4104, 4201, 4202, 4203, 4301, 4302, 4303, 6101, 6301] {
        // Behind the id stands the name that a document gives itself, in the inbox.
        let lines = |start: &str, end: &str| {
            let named = |line: &str| {
                line.split(start).nth(1).is_some_and(|rest| rest.starts_with(['.', '-']) && rest.contains(end))
            };
            demo.told.lines().filter(|line| named(line)).count()
        };
        assert_eq!(lines(&format!("/{id}"), ".xml"), 1, "{id} is handed over once:\n{}", demo.told);
        assert_eq!(lines(&format!("    {id}"), ".xml "), 2, "{id} is in archive and inbox:\n{}", demo.told);
    }
    for promised in [
        "FAILED     fast/mairie/chorus 4302",
        "HEALED     fast/mairie/chorus 4302",
        "answers 503",
        "HEALED     fast/mairie/pes-retour works again",
        "REFUSED    Hélios refuses PES_4102.xml (4102 of fast/mairie/acquittements)",
        "stored     fast/ecole/signes Marches/contrat signé.pdf@",
        "10 feeds, 10 well, 21 documents held",
        "ledger.sqlite \"SELECT",
        "14 documents collected, each downloaded once",
        "7 versions of what the other platforms say, one per change, by 4 tokens",
    ] {
        assert!(demo.told.contains(promised), "{promised}:\n{}", demo.told);
    }
    assert!(!demo.told.contains("NOT RUNNING") && !demo.told.contains("ERROR:"), "{}", demo.told);
    let warnings: Vec<&str> = demo.told.lines().filter(|line| line.contains("WARNING")).collect();
    let [only] = warnings[..] else { panic!("{}", demo.told) };
    assert!(only.contains("Hélios refused 1 deposit of fast/mairie/acquittements"), "{}", demo.told);
    assert_eq!(demo.remains(), Vec::<PathBuf>::new());
    assert!(!runs(daemon));
}

#[tokio::test]
async fn with_keep_the_demo_stays_up_until_a_signal_and_leaves_its_directory() {
    let mut demo = Demo::start(&["--keep"]);
    let daemon = demo.daemon().await;
    demo.wait_for("until Ctrl-C").await;
    let folder = demo.remains().pop().unwrap();
    let config = folder.join("vaguemestre.toml");
    let status = command().arg("--config").arg(&config).arg("status").output().await.unwrap();
    assert!(
        status.status.success() && String::from_utf8_lossy(&status.stdout).contains("10 feeds, 10 well"),
        "{status:?}"
    );
    demo.wait_for("inbox/fast/mairie/pes-retour/5002-PESRT_21340017900018_00005002.xml").await;
    demo.signal("TERM");
    let (status, errors) = demo.end().await;
    assert!(status.success(), "{errors}\n{}", demo.told);
    assert!(folder.join("state/inbox/fast/mairie/pes-retour/5002-PESRT_21340017900018_00005002.xml").exists());
    assert!(folder.join("state/ledger.sqlite").exists() && folder.join("daemon.log").exists());
    assert!(!runs(daemon));
}

#[tokio::test]
async fn an_interrupted_demo_leaves_no_process_and_no_file() {
    for signal in ["INT", "TERM", "HUP"] {
        let mut demo = Demo::start(&[]);
        let daemon = demo.daemon().await;
        demo.wait_for("ready: 10 feeds").await;
        demo.signal(signal);
        let (status, errors) = demo.end().await;
        assert_eq!(status.code(), Some(1));
        assert!(errors.contains("interrupted"), "{errors}");
        assert_eq!(demo.remains(), Vec::<PathBuf>::new());
        assert!(!runs(daemon));
    }
}

#[tokio::test]
async fn a_daemon_that_dies_fails_the_demo_with_its_last_words() {
    let mut demo = Demo::start(&[]);
    let daemon = demo.daemon().await;
    demo.wait_for("ready: 10 feeds").await;
    kill("KILL", daemon);
    let (status, errors) = demo.end().await;
    assert_eq!(status.code(), Some(1));
    assert!(errors.contains("the daemon ended by itself: signal: 9"), "{errors}");
    assert!(demo.told.contains("last words") && demo.told.contains("daemon.ready"), "{}", demo.told);
    assert_eq!(demo.remains(), Vec::<PathBuf>::new());
}
