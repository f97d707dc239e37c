//! systemd, played: it hears that the daemon is alive and how everything goes, hands over credentials, and ends a daemon that
//! hangs.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use common::{Daemon, PATIENCE, SIREN, Town};
use tokio::net::UnixDatagram;
use tokio::time::timeout;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

/// A daemon that hangs has not said that it is alive for so long. The unit waits three minutes.
const WATCHDOG: Duration = Duration::from_secs(5);
const SIGABRT: i32 = 6;

struct Systemd {
    socket: UnixDatagram,
}

impl Systemd {
    fn listen(path: &Path) -> Self {
        Self { socket: UnixDatagram::bind(path).unwrap() }
    }

    async fn message(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Waits for a message with `part`.
    async fn hear(&self, part: &str) -> String {
        let heard = async {
            loop {
                let message = self.message().await;
                if message.contains(part) {
                    return message;
                }
            }
        };
        timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("never heard {part}"))
    }

    /// Waits until nothing was heard for the time of the watchdog.
    async fn miss(&self) {
        while timeout(WATCHDOG, self.message()).await.is_ok() {}
    }
}

fn start(town: &Town, path: &Path) -> Daemon {
    let mut command = town.command(&["run"]);
    command.env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "5000000");
    Daemon::spawn(command, town.folder.path())
}

#[tokio::test]
async fn a_daemon_that_hangs_is_ended_by_the_watchdog_and_goes_on_after_a_new_start() {
    let town = Town::with_interval("1s").await;
    let path = town.folder.path().join("notify");
    let systemd = Systemd::listen(&path);
    let mut daemon = start(&town, &path);
    systemd.hear("READY=1").await;
    for _ in 0..3 {
        systemd.hear("WATCHDOG=1").await;
    }
    daemon.signal("STOP");
    systemd.miss().await;
    // As systemd does: WatchdogSignal=.
    daemon.signal("ABRT");
    daemon.signal("CONT");
    assert_eq!(daemon.wait().await.signal(), Some(SIGABRT));
    town.put_many(Kind::Chorus, 1, 1, 2000);
    let daemon = start(&town, &path);
    systemd.hear("WATCHDOG=1").await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "1").await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_ledger_that_does_not_answer_is_no_sign_of_life() {
    let town = Town::with_interval("1s").await;
    let path = town.folder.path().join("notify");
    let systemd = Systemd::listen(&path);
    let daemon = start(&town, &path);
    systemd.hear("WATCHDOG=1").await;
    // Its tables are gone: every look at it fails.
    let ledger = town.state().join("ledger.sqlite");
    common::query_file(&ledger, "ALTER TABLE feeds RENAME TO gone").await;
    systemd.miss().await;
    common::query_file(&ledger, "ALTER TABLE gone RENAME TO feeds").await;
    systemd.hear("WATCHDOG=1").await;
    drop(daemon);
}

#[tokio::test]
async fn the_status_line_says_what_is_next_and_what_fails() {
    let town = Town::with_interval("1s").await;
    town.platform.set_fault(
        Matcher::listing(SIREN, Kind::Chorus),
        Fault::Status(500, "oops".into(), Vec::new()),
        Times::Always,
    );
    let path = town.folder.path().join("notify");
    let systemd = Systemd::listen(&path);
    let daemon = start(&town, &path);
    let told = systemd.hear("1 failing: fast/mairie/chorus: ").await;
    assert!(told.contains("next poll ") && told.contains("2 feeds well"), "{told}");
    assert!(daemon.stop().await.success());
}

/// As systemd leaves credentials: for their owner alone.
fn close(file: &Path) {
    std::fs::set_permissions(file, Permissions::from_mode(0o400)).unwrap();
}

#[tokio::test]
async fn a_password_is_taken_from_the_credentials_that_systemd_hands_over() {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    let credentials = town.folder.path().join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let folder = town.folder.path();
    let made = std::process::Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", "pass:sans accent 42", "-out", "mairie.p12", "-in"])
        .arg(mairie.rsplit('"').nth(1).unwrap())
        .current_dir(folder)
        .status();
    assert!(made.unwrap().success());
    close(&folder.join("mairie.p12"));
    let with = format!(
        "[[fast.accounts]]\nname = \"mairie\"\nsiren = \"{SIREN}\"\ncertificate = \"mairie.p12\"\n\
         certificate_password = {{ credential = \"mairie-p12\" }}\n"
    );
    town.configure("1s", "", &with);
    town.put_many(Kind::Chorus, 1, 1, 2000);
    let path = town.folder.path().join("notify");
    let systemd = Systemd::listen(&path);
    let begin = || {
        let mut command = town.command(&["run"]);
        command.env("NOTIFY_SOCKET", &path).env("CREDENTIALS_DIRECTORY", &credentials);
        Daemon::spawn(command, town.folder.path())
    };
    let daemon = begin();
    let told = systemd.hear("1 account unusable").await;
    assert!(told.contains("0 feeds well"), "{told}");
    assert!(daemon.stop().await.success());
    std::fs::write(credentials.join("mairie-p12"), "sans accent 42\n").unwrap();
    close(&credentials.join("mairie-p12"));
    let daemon = begin();
    systemd.hear("3 feeds well").await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "1").await;
    assert!(daemon.stop().await.success());
}
