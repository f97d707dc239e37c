//! A town without a daemon: each pass is a `vaguemestre poll`, so that a test says what comes when.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use vaguemestre::feed::Kind;
use vaguemestre::simulator::Call;
use vaguemestre::simulator::keys::Standing;

use super::{SIREN, Town, sample};

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Town {
    /// Account `mairie` with the feed of acquittements alone, due again at once; `fast` is added to `[fast]`, `account` to
    /// the account, `tables` at the end.
    pub async fn by_hand(fast: &str, account: &str, tables: &str) -> Self {
        let town = Self::bare().await;
        let mairie = town.account("mairie", SIREN, Standing::Valid);
        town.configure("1ms", fast, &format!("{mairie}feeds = [\"acquittements\"]\n{account}\n{tables}"));
        town
    }

    /// Puts a well-formed acquittement on the platform; answers its bytes.
    pub fn put(&self, number: u64) -> Vec<u8> {
        let bytes = sample(Kind::Acquittements, number, 3000);
        self.platform.put(SIREN, Kind::Acquittements, number, bytes.clone());
        bytes
    }

    /// Runs a command to its end.
    pub async fn say(&self, arguments: &[&str]) -> Said {
        self.run(arguments).await.into()
    }

    /// One pass over all feeds.
    pub async fn poll(&self) -> Said {
        self.say(&["poll", "fast/*"]).await
    }

    /// The state of an acquittement of `mairie`.
    pub async fn state_of(&self, id: impl ToString) -> String {
        self.about(id, "state").await
    }

    /// What the ledger says, in columns, of an acquittement of `mairie`.
    pub async fn about(&self, id: impl ToString, columns: &str) -> String {
        let id = id.to_string();
        let rows = self.query(&format!("SELECT {columns} FROM documents WHERE remote_id = '{id}'")).await;
        rows.into_iter().next().map_or_else(String::new, |row| row.join(" "))
    }

    /// `status --json`, of the only feed.
    pub async fn feed_status(&self) -> serde_json::Value {
        let said = self.say(&["status", "--json"]).await;
        serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["feeds"][0].clone()
    }

    /// How many downloads were asked for in all.
    pub fn downloads(&self) -> usize {
        self.platform.requests().iter().filter(|request| request.call == Some(Call::Download)).count()
    }

    /// How many listings were asked for in all.
    pub fn listings(&self) -> usize {
        self.platform.requests().iter().filter(|request| request.call == Some(Call::List)).count()
    }

    /// Where a document lies in the default inbox.
    pub fn in_inbox(&self, id: impl ToString) -> std::path::PathBuf {
        self.inbox().join(format!("fast/mairie/acquittements/{id}-PES{id}.xml", id = id.to_string()))
    }

    /// Files below a folder of the state directory, hidden folders included, by their paths.
    pub fn every_file(&self, folder: &str) -> Vec<std::path::PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
                if entry.path().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
            }
        }
        let mut found = Vec::new();
        walk(&self.state().join(folder), &mut found);
        found.sort();
        found
    }
}

/// The permissions of a file or folder.
pub fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
