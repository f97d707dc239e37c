//! T1–T6: tokens are asked for only when they must be, never twice, and never with a password that was refused.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "../common/mod.rs"]
mod common;

mod flights;
mod leaks;
mod processes;

mod refusals;
mod service;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tokio::sync::watch;
use vaguemestre::clock::SetClock;
use vaguemestre::config;
use vaguemestre::http::skew::SkewWatch;
use vaguemestre::ledger::Ledger;
use vaguemestre::simulator::oauth::Tokens;
use vaguemestre::token::{self, Manager, TokenError, Way};

const ACCOUNT: &str = "douane/siege";
/// Everything that forms and JSON treat in a special way.
const PASSWORD: &str = "p&ss+w%rd= é\"ü~ 12";

/// A token server, a state directory, and a clock that stands still.
struct Office {
    folder: TempDir,
    server: Tokens,
    clock: Arc<SetClock>,
}

impl Office {
    async fn open() -> Self {
        let server = Tokens::start().await.unwrap();
        server.know("COMPTE-API", PASSWORD);
        server.know("application", PASSWORD);
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(SetClock::at("2026-11-22T10:00:00Z".parse().unwrap()));
        let office = Self { folder, server, clock };
        office.password(PASSWORD);
        office.configure("", "");
        office
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the password, or the secret, of both accounts.
    fn password(&self, text: &str) {
        write_secret(&self.path("password"), text);
    }

    /// Writes a configuration with both accounts; `douane` and `rest` are added to it.
    fn configure(&self, douane: &str, rest: &str) {
        let text = format!(
            "[state]\ndirectory = \"state\"\nreserve = \"1MiB\"\n[log]\nlevel = \"trace\"\nformat = \"json\"\n\
             [douane]\ntoken_url = \"{}\"\n{douane}\n[[douane.accounts]]\nname = \"siege\"\nusername = \"COMPTE-API\"\n\
             password = {{ file = \"password\" }}\n[piste]\nenvironment = \"sandbox\"\ntoken_url = \"{}\"\n\
             [[piste.accounts]]\nname = \"sne\"\nclient_id = \"application\"\nclient_secret = {{ file = \"password\" }}\n\
             {rest}\n",
            self.server.douane_url(),
            self.server.piste_url(),
        );
        std::fs::write(self.path("vaguemestre.toml"), text).unwrap();
    }

    /// A manager on the ledger, as a process has one.
    async fn manager(&self) -> Desk {
        use vaguemestre::clock::Clock as _;
        let state = self.path("state");
        std::fs::create_dir_all(&state).unwrap();
        let ledger = Ledger::open(&state, self.clock.now()).await.unwrap();
        let (running, stopping) = watch::channel(false);
        let manager = Arc::new(Manager::new(
            ledger.clone(),
            self.clock.clone(),
            Arc::new(SkewWatch::new(self.clock.clone())),
            stopping,
        ));
        let loaded = config::load(&self.path("vaguemestre.toml"), std::iter::empty());
        let settings = loaded.settings.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
        manager.serve(token::accounts(&settings), Way::default());
        Desk { manager, ledger, running }
    }

    fn asked(&self) -> usize {
        self.server.requests().len()
    }
}

fn write_secret(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A manager and its ledger.
struct Desk {
    manager: Arc<Manager>,
    ledger: Ledger,
    running: watch::Sender<bool>,
}

impl Desk {
    async fn token(&self) -> Result<String, TokenError> {
        self.manager.token(ACCOUNT).await.map(|token| token.access_token.expose_secret().to_owned())
    }

    async fn reject(&self, token: &str) {
        self.manager.reject(ACCOUNT, &token.to_owned().into()).await.unwrap();
    }

    /// What 200 tasks get that need a token at once, where the one they had was `rejected`.
    async fn crowd(&self, rejected: Option<&str>) -> Vec<Result<String, TokenError>> {
        let one = || async {
            if let Some(rejected) = rejected {
                self.reject(rejected).await;
            }
            tokio::task::yield_now().await;
            self.token().await
        };
        futures_util::future::join_all((0..200).map(|_| one())).await
    }

    /// The process ends.
    async fn close(self) {
        self.ledger.close().await;
    }
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
