//! Where the story takes place: a temporary directory, the platform, and what was put on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use bytes::Bytes;
use tempfile::TempDir;

use super::apis::Apis;
use super::narration::Narration;
use super::story::{Act, Post, Trouble};
use crate::feed::{FeedName, Kind};
use crate::simulator::keys::Standing;
use crate::simulator::samples::Verdict;
use crate::simulator::{Fault, Keys, Matcher, Mtom, Platform, Times};

/// The account that is collected for; no such town.
pub(super) const ACCOUNT: &str = "mairie";
/// Its SIREN.
pub(super) const SIREN: &str = "213400179";
/// Two more accounts, collected for over the other interfaces: name, SIREN, interface, kinds.
pub(super) const OTHERS: [(&str, &str, &str, &[Kind]); 2] = [
    ("ccas", "263400111", "soap", &[Kind::Acquittements, Kind::Chorus]),
    ("ecole", "213400187", "webdav", &[Kind::Acquittements, Kind::Signes]),
];
/// Between two listings of a feed; 30 minutes in life.
pub(super) const INTERVAL: Duration = Duration::from_secs(4);

/// The temporary directory is removed when this is dropped, unless it is to be kept.
pub(super) struct Stage {
    folder: TempDir,
    keep: bool,
    platform: Platform,
    apis: Apis,
    posted: Vec<Posted>,
}

/// A document on the platform.
struct Posted {
    feed: FeedName,
    id: String,
    bytes: Bytes,
    /// How many times the daemon has to ask for it.
    requests: usize,
}

impl Posted {
    /// Whether it was handed over; behind the name of a file stands what tells its versions apart.
    fn is_in(&self, heard: &Narration) -> bool {
        let file = format!("{}@", self.id);
        heard.delivered.iter().any(|id| *id == self.id || id.starts_with(&file))
    }
}

impl Stage {
    /// Makes certificates, starts the platform and writes the configuration.
    pub(super) async fn build(keep: bool) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("vaguemestre-demo-")
            .disable_cleanup(keep)
            .tempdir()
            .context("cannot make a temporary directory (see $TMPDIR)")?;
        let keys = Keys::generate()?;
        keys.write_authority(folder.path())?;
        keys.client("Mairie de demonstration", Standing::Valid)?.write(folder.path(), "mairie.pem")?;
        let platform = Platform::start(&keys).await?;
        platform.open(SIREN);
        OTHERS.iter().for_each(|(_, siren, ..)| platform.open(siren));
        platform.adjust(|it| it.mtom = Mtom::Related { quoted: true, encoded: false });
        let apis = Apis::start(folder.path()).await?;
        let stage = Self { folder, keep, platform, apis, posted: Vec::new() };
        std::fs::write(stage.config(), stage.configuration() + &stage.apis.configuration())?;
        Ok(stage)
    }

    /// What a town hall would write, in a hurry that only a platform on this very machine allows.
    fn configuration(&self) -> String {
        let others = OTHERS.map(|(name, siren, connector, kinds)| {
            format!(
                "\n[[fast.accounts]]\nname = \"{name}\"\nsiren = \"{siren}\"\ncertificate = \"mairie.pem\"\n\
                 connector = \"{connector}\"\nfeeds = {:?}\n",
                kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()
            )
        });
        let others = others.concat();
        format!(
            r#"[state]
directory = "state"
reserve = "1MiB"

[schedule]
interval = "{}s"
jitter = "2s"
avoid_hour = "0s"

[fast]
base_url = "{}"
ca_certificate = "authority.pem"
maintenance = []
guard = "0s"
max_document = "1MiB"

[[fast.accounts]]
name = "{ACCOUNT}"
siren = "{SIREN}"
certificate = "mairie.pem"
{others}
[log]
format = "json"
level = "debug"
"#,
            INTERVAL.as_secs(),
            self.address(),
        )
    }

    /// Lets an act happen; troubles first, so that none of its documents escapes them.
    pub(super) fn perform(&mut self, act: &Act) {
        for trouble in act.troubles {
            match trouble {
                Trouble::HtmlInstead(id) => {
                    self.platform.set_fault(Matcher::download(id), Fault::HtmlWith200, Times::Once);
                }
                Trouble::Outage(kind) => {
                    let fault = Fault::Status(503, Bytes::from_static(b"Service Unavailable"), Vec::new());
                    self.platform.set_fault(Matcher::listing(SIREN, *kind), fault, Times::Once);
                }
                Trouble::Shaken => self.apis.shake(),
                Trouble::ListsAgain => self.platform.adjust(|it| it.keep_listing = true),
            }
        }
        if act.elsewhere {
            self.put_elsewhere();
        }
        for post in act.posts {
            self.put(post);
            let spoilt = |trouble: &&Trouble| matches!(trouble, Trouble::HtmlInstead(id) if *id == post.id());
            if let Some(posted) = self.posted.last_mut() {
                posted.requests += act.troubles.iter().filter(spoilt).count();
            }
        }
    }

    /// Listings show only what was not collected yet.
    pub(super) fn list_truly(&self) {
        self.platform.adjust(|it| it.keep_listing = false);
    }

    /// A document comes.
    pub(super) fn put(&mut self, post: &Post) {
        let bytes = Bytes::from(post.bytes());
        self.platform.put(SIREN, post.kind(), post.id(), bytes.clone());
        let feed = FeedName::fast(ACCOUNT, post.kind());
        self.posted.push(Posted { feed, id: post.id().to_string(), bytes, requests: 1 });
    }

    /// Documents come to the accounts that are collected for over SOAP and WebDAV.
    fn put_elsewhere(&mut self) {
        let [(soap, soap_siren, ..), (webdav, webdav_siren, ..)] = OTHERS;
        for post in [Post::Acquittement(6101, Verdict::Accepted), Post::Chorus(6301)] {
            let bytes = Bytes::from(post.bytes());
            self.platform.put(soap_siren, post.kind(), post.id(), bytes.clone());
            let feed = FeedName::fast(soap, post.kind());
            self.posted.push(Posted { feed, id: post.id().to_string(), bytes, requests: 1 });
        }
        let acquittement = Post::Acquittement(7101, Verdict::Accepted).bytes();
        let signed = b"%PDF-1.7\n% a contract, signed\n%%EOF\n".to_vec();
        for (kind, path, bytes) in [
            (Kind::Acquittements, "PES/TesoT/acquittement n\u{b0}1.xml", acquittement),
            (Kind::Signes, "Marches/contrat sign\u{e9}.pdf", signed),
        ] {
            self.platform.put_file(webdav_siren, path, bytes.clone());
            let feed = FeedName::fast(webdav, kind);
            self.posted.push(Posted { feed, id: path.to_owned(), bytes: bytes.into(), requests: 1 });
        }
    }

    /// Whether all documents are handed over, and all feeds were listed well.
    pub(super) fn is_complete(&self, heard: &Narration) -> bool {
        let listed = |kind| heard.polled_well.contains(FeedName::fast(ACCOUNT, kind).as_str());
        let all = self.posted.iter().all(|posted| posted.is_in(heard));
        all && self.apis.is_complete(heard) && Kind::USUAL.into_iter().all(listed)
    }

    /// The story takes too long: what it waits for.
    pub(super) fn overdue(&self, heard: &Narration, limit: Duration) -> anyhow::Error {
        let missing = self.posted.iter().filter(|posted| !posted.is_in(heard));
        let missing: Vec<String> = missing.map(|posted| format!("{}/{}", posted.feed, posted.id)).collect();
        let what = if missing.is_empty() {
            format!("a good listing of each feed, or {}", self.apis.missing(heard))
        } else {
            missing.join(", ")
        };
        anyhow!("not within {} s: {what}", limit.as_secs())
    }

    /// Compares what was put on the platform with what was asked of it and lies in the inbox. Answers the documents
    /// there are, and those that had to be asked for more than once.
    pub(super) fn verify(&self) -> anyhow::Result<(usize, Vec<&str>)> {
        for Posted { feed, id, bytes, requests } in &self.posted {
            let folder = self.state().join(format!("inbox/{feed}"));
            let files = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
            let same = |file: &std::fs::DirEntry| std::fs::read(file.path()).is_ok_and(|found| found == *bytes);
            let copies = files.filter_map(Result::ok).filter(same).count();
            ensure!(copies == 1, "{} has {copies} copies of {id} as the platform sent it", folder.display());
            let asked = self.platform.downloads_of(id);
            ensure!(asked == *requests, "{id} of {feed} was asked for {asked} times instead of {requests}");
        }
        let left = self.platform.files(OTHERS[1].1);
        ensure!(left.is_empty(), "{left:?} are safe here and still lie in the shared folders");
        let again = self.posted.iter().filter(|posted| posted.requests > 1).map(|posted| posted.id.as_str());
        Ok((self.posted.len(), again.collect()))
    }

    /// Versions that the other platforms' answers made, requests for tokens, and calls of API Entreprise.
    pub(super) fn verify_apis(&self) -> anyhow::Result<(usize, usize, usize)> {
        self.apis.verify()
    }

    pub(super) fn address(&self) -> String {
        format!("https://{}", self.platform.address())
    }

    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn config(&self) -> PathBuf {
        self.folder().join("vaguemestre.toml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder().join("daemon.log")
    }

    pub(super) fn state(&self) -> PathBuf {
        self.folder().join("state")
    }
}
