//! Section 3 of the contract: what a configuration may say, and what is said about a wrong one.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]

mod apis;
mod clients;
mod faults;
mod settings;
mod sources;

use std::path::PathBuf;

use tempfile::TempDir;
use vaguemestre::config::{self, Loaded, Settings, Weight};

const ACCOUNT: &str = "[[fast.accounts]]\nname = \"mairie\"\nsiren = \"552032534\"\ncertificate = \"mairie.p12\"\n";

/// A configuration in a folder of its own.
struct Setup {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// With `main` as the main file.
    fn new(main: &str) -> Self {
        let setup = Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() };
        setup.write("vaguemestre.toml", main);
        setup
    }

    /// With a main file that holds `text` and one account that is right.
    fn beside_account(text: &str) -> Self {
        Self::new(&format!("{text}\n{ACCOUNT}"))
    }

    fn file(self, name: &str, text: &str) -> Self {
        self.write(&format!("conf.d/{name}"), text);
        self
    }

    fn variable(mut self, name: &str, text: &str) -> Self {
        self.environment.push((name.to_owned(), text.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn load(&self) -> Loaded {
        config::load(&self.path("vaguemestre.toml"), self.environment.iter().cloned())
    }

    /// The settings of a configuration about which there is nothing to say.
    fn settings(&self) -> Settings {
        let loaded = self.load();
        assert!(loaded.findings.is_empty(), "{}", told(&loaded));
        loaded.settings.unwrap()
    }

    /// Asserts that a finding of `weight` holds all of `words` in its line.
    #[track_caller]
    fn tells(&self, weight: Weight, words: &[&str]) {
        let loaded = self.load();
        let line = |finding: &config::Finding| words.iter().all(|word| finding.to_string().contains(word));
        let found = loaded.findings.iter().any(|finding| finding.weight == weight && line(finding));
        assert!(found, "no {weight} with {words:?} in:\n{}", told(&loaded));
        let errors = loaded.findings.iter().any(|finding| finding.weight == Weight::Error);
        assert_eq!(loaded.settings.is_none(), errors, "errors, and only errors, withhold the settings");
    }
}

fn told(loaded: &Loaded) -> String {
    loaded.findings.iter().map(|finding| format!("{finding}\n")).collect()
}
