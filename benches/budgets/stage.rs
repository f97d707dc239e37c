//! A folder on a real disk, with an authority, a certificate of a client, and documents.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use tempfile::TempDir;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Keys, samples};

/// The account of all benchmarks with one.
pub const SIREN: &str = "213400172";

/// What one benchmark works in; removed at its end.
#[derive(Debug)]
pub struct Stage {
    folder: TempDir,
    made: AtomicU32,
    /// Issues certificates.
    pub keys: Keys,
    /// The authority, as PEM.
    pub authority: PathBuf,
    /// The client's certificate and key, as PEM.
    pub client: PathBuf,
}

/// Figures taken in memory would say nothing about syncs.
pub fn refuse_memory(folder: &Path) -> anyhow::Result<()> {
    let kind = statfs(folder)?.filesystem_type();
    anyhow::ensure!(kind != TMPFS_MAGIC, "{} lies in memory: name a folder on a disk (--folder)", folder.display());
    Ok(())
}

impl Stage {
    /// A new one below `folder`.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("budget-").tempdir_in(folder)?;
        // Servers that drop their rights read certificates and documents here.
        open_to_all(folder.path())?;
        let keys = Keys::generate()?;
        let authority = keys.write_authority(folder.path())?;
        let client = keys.client("mairie", Standing::Valid)?.write(folder.path(), "mairie.pem")?;
        Ok(Self { folder, made: AtomicU32::new(1), keys, authority, client })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A new folder of it. Nothing is removed before the end: some file systems are slow for minutes where thousands of files
    /// were.
    pub fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.vacant(name);
        std::fs::create_dir(&path)?;
        open_to_all(&path)?;
        Ok(path)
    }

    /// The place of a new folder.
    pub fn vacant(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}-{}", self.made.fetch_add(1, Ordering::Relaxed)))
    }

    /// Writes acknowledgements of about `size` bytes, numbered from 1, into a folder of it.
    pub fn documents(&self, name: &str, count: u32, size: usize) -> anyhow::Result<PathBuf> {
        let folder = self.fresh(name)?;
        for number in 1..=count {
            let bytes = document(number, size);
            std::fs::write(folder.join(format!("{number}.xml")), bytes)?;
        }
        Ok(folder)
    }

    /// Writes the configuration of a daemon of one account whose state directory is `state`, with `fast` in its section and
    /// `rest` at the end.
    pub fn configure(&self, state: &Path, base_url: &str, fast: &str, rest: &str) -> anyhow::Result<PathBuf> {
        let account = format!(
            "[[fast.accounts]]\nname = \"mairie\"\nsiren = \"{SIREN}\"\ncertificate = \"{}\"\n{rest}",
            self.client.display()
        );
        self.configure_accounts(state, base_url, ("1h", fast), &account)
    }

    /// The same with `accounts`, and their interval.
    pub fn configure_accounts(
        &self,
        state: &Path,
        base_url: &str,
        (interval, fast): (&str, &str),
        accounts: &str,
    ) -> anyhow::Result<PathBuf> {
        let file = state.with_extension("toml");
        let mut text = String::new();
        writeln!(text, "[state]\ndirectory = \"{}\"\nreserve = \"64MiB\"", state.display())?;
        writeln!(text, "[schedule]\ninterval = \"{interval}\"\njitter = \"0s\"\navoid_hour = \"0s\"")?;
        writeln!(text, "[fast]\nbase_url = \"{base_url}\"\nca_certificate = \"{}\"", self.authority.display())?;
        writeln!(
            text,
            "maintenance = []\nguard = \"0s\"\n{fast}\n[log]\nformat = \"json\"\nlevel = \"info\"\n{accounts}"
        )?;
        std::fs::write(&file, text).with_context(|| file.display().to_string())?;
        Ok(file)
    }
}

/// An acknowledgement of about `size` bytes; each is another.
pub fn document(number: u32, size: usize) -> Vec<u8> {
    samples::acquittement(number.into(), &format!("PES{number}"), samples::Verdict::Accepted, size)
}

/// Lets every user read a folder.
pub fn open_to_all(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// Everything written so far is on the disk: nobody is charged for what another has left.
pub fn settle() {
    nix::unistd::sync();
}
