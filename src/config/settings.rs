//! What is wanted, once everything has been checked: plain data, without a secret in it.
//!
//! The structs have the shape of the file, so that what `config` prints reads back. They are made by
//! [`load`](super::load) only, after every leaf has been checked; all paths in them are absolute.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::alerts::AlertTarget;
use super::apis::{Douane, Entreprise, Piste};
pub use super::noun::listen::Listen;
use super::noun::{size, span};
use super::pattern::Patterns;
use super::secret::SecretRef;
pub use super::targets::{FACTS, Handover, Inbox, Program, Webhook};
use crate::feed::{FeedName, Kind};
use crate::schedule::Window;

/// The whole effective configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// `[state]`.
    pub state: State,
    /// `[schedule]`.
    pub schedule: Schedule,
    /// `[http]`.
    pub http: Http,
    /// `[fast]`, where that platform is used.
    pub fast: Option<Fast>,
    /// `[douane]`, where that platform is used.
    pub douane: Option<Douane>,
    /// `[piste]`, where that platform is used.
    pub piste: Option<Piste>,
    /// `[entreprise]`, where that platform is used.
    pub entreprise: Option<Entreprise>,
    /// `[token]`.
    #[serde(default)]
    pub token: TokenService,
    /// `[admin]`.
    #[serde(default)]
    pub admin: Admin,
    /// `[archive]`.
    pub archive: Archive,
    /// `[delivery]`.
    #[serde(default)]
    pub delivery: Delivery,
    /// `[log]`.
    pub log: Log,
    /// `[[alerts]]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertTarget>,
}

/// Where the daemon keeps what it knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Holds the ledger, the archive and the default inbox.
    pub directory: PathBuf,
    /// Free space, in bytes, below which nothing is collected.
    #[serde(with = "size")]
    pub reserve: u64,
    /// Where the daily copies of the ledger go; `backup` in the state directory unless the configuration says otherwise.
    #[serde(default)]
    pub backup: PathBuf,
}

/// When feeds are listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Time between the starts of two listings of a feed.
    #[serde(with = "span")]
    pub interval: Duration,
    /// The most that chance adds to each interval.
    #[serde(with = "span")]
    pub jitter: Duration,
    /// No listing starts this close to a full hour.
    #[serde(with = "span")]
    pub avoid_hour: Duration,
    /// A feed that brings nothing for so long is worth a warning; zero: never.
    #[serde(with = "span")]
    pub silent_after: Duration,
}

/// How the network is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// `http://host:port` of the proxy; none: connect directly.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy.
    pub no_proxy: Vec<String>,
    /// PEM file of authorities trusted beside the system's roots.
    pub ca_certificate: Option<PathBuf>,
    /// Connections open at a time, in all.
    pub connections: usize,
}

/// FAST-Parapheur and its accounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fast {
    /// Where the platform is, without a slash at the end: `https://parapheur.dfast.fr`.
    #[serde(default)]
    pub base_url: String,
    /// Scheme, host and port of `base_url` (the port only if it is not the scheme's own): names the platform in the
    /// ledger, and bounds where certificates may go.
    #[serde(skip)]
    pub origin: String,
    /// Whether the platform is on this machine, where the platform's rules are not floors.
    #[serde(skip)]
    pub loopback: bool,
    /// The interface used.
    pub connector: Connector,
    /// That of `[fast]`, else that of `[http]`.
    pub ca_certificate: Option<PathBuf>,
    /// That of `[fast]`, else that of `[http]`.
    pub proxy: Option<String>,
    /// Daily spans of Paris time in which the platform must not be called.
    pub maintenance: Vec<Window>,
    /// Added on both sides of each span of `maintenance`.
    #[serde(with = "span")]
    pub guard: Duration,
    /// To the first byte, and for any stretch under 1 KiB/s.
    #[serde(with = "span")]
    pub timeout: Duration,
    /// The largest document taken, in bytes.
    #[serde(with = "size")]
    pub max_document: u64,
    /// Documents fetched at a time, per account.
    pub concurrency: usize,
    /// The accounts whose tables are well-formed, in the order of the files: there may be thousands, and their feeds share them.
    #[serde(default)]
    pub accounts: Vec<Arc<FastAccount>>,
    /// The accounts that cannot work for a fault in their own table.
    #[serde(skip)]
    pub unusable: Vec<UnusableAccount>,
}

impl Fast {
    /// The interface by which `account` collects.
    #[must_use]
    pub fn connector_of(&self, account: &FastAccount) -> Connector {
        account.connector.unwrap_or(self.connector)
    }
}

/// The interfaces of FAST-Parapheur, each with a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Connector {
    /// The REST web service (guide v3.4, §2.6).
    Rest,
    /// The SOAP web service, which knows the same documents by the same ids (§2.5).
    Soap,
    /// The shared folders (§4).
    Webdav,
}

/// One identity on FAST-Parapheur: a SIREN with its certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FastAccount {
    /// The account's own name, e.g. `mairie`; unique on the platform.
    pub name: String,
    /// Nine digits.
    pub siren: String,
    /// Free text for people: whose account this is.
    pub label: Option<String>,
    /// Free text for people: whom to call.
    pub contact: Option<String>,
    /// Whether the account is polled at all.
    pub enabled: bool,
    /// PKCS#12, or PEM holding the chain and, unless `key` is set, the key.
    pub certificate: PathBuf,
    /// PEM of the private key, if apart.
    pub key: Option<PathBuf>,
    /// Opens `certificate` or `key`.
    pub certificate_password: Option<SecretRef>,
    /// The certificate that follows: taken up by itself when the present one has ended or is refused.
    pub next_certificate: Option<PathBuf>,
    /// PEM of its private key, if apart.
    pub next_key: Option<PathBuf>,
    /// Opens `next_certificate` or `next_key`.
    pub next_certificate_password: Option<SecretRef>,
    /// The kinds that are collected; never empty.
    pub feeds: Vec<Kind>,
    /// What becomes of the documents that the first listing shows.
    pub first_poll: FirstPoll,
    /// The interface used, where it is not that of `[fast]`.
    pub connector: Option<Connector>,
    /// Over WebDAV: only these folders under `out/`, all where it is empty. Over SOAP: the circuits whose signed documents
    /// are collected.
    pub circuits: Vec<String>,
    /// Over WebDAV: when a file collected is removed from the platform.
    pub release: Release,
    /// Its feeds' own `silent_after`, where it is not that of `[schedule]`.
    #[serde(default, with = "span::perhaps", skip_serializing_if = "Option::is_none")]
    pub silent_after: Option<Duration>,
}

impl FastAccount {
    /// The names of the account's feeds.
    pub fn feed_names(&self) -> impl Iterator<Item = FeedName> {
        self.feeds.iter().map(|&kind| FeedName::fast(&self.name, kind))
    }
}

/// When a platform whose files stay is told that one was collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// As soon as our own copy is safe.
    Stored,
    /// Once every target has it.
    Delivered,
}

/// What becomes of the documents that an account's first listing shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirstPoll {
    /// They are collected like all others.
    Collect,
    /// They are recorded as skipped: a register kept elsewhere has them.
    Skip,
}

/// How other programs of the machine are given tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenService {
    /// The Unix socket that answers them; none: off.
    pub socket: Option<PathBuf>,
}

/// Where metrics, health and the page for people are to be had.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Admin {
    /// Where it listens; none: off.
    pub listen: Option<Listen>,
}

/// An account left out for a fault in its own table.
#[derive(Clone, Debug, PartialEq)]
pub struct UnusableAccount {
    /// The account's own name, or its place among the tables of its file (`accounts[2]`) where it has no valid one.
    pub name: String,
    /// The faults, in one line.
    pub problem: String,
}

/// How long the daemon's own copies live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Archive {
    /// Documents delivered everywhere are purged after this.
    #[serde(with = "span")]
    pub keep: Duration,
}

/// To whom documents are handed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Never empty; in the order of the files.
    pub targets: Vec<Target>,
}

/// Somewhere documents are handed to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Unique among targets.
    pub name: String,
    /// Which feeds it wants.
    pub feeds: Patterns,
    /// How they are handed to it.
    #[serde(flatten)]
    pub handover: Handover,
}

impl Target {
    /// Whether documents of `feed` are handed to this target.
    #[must_use]
    pub fn wants(&self, feed: &FeedName) -> bool {
        self.feeds.matches(feed)
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// How lines are written.
    pub format: LogFormat,
    /// The least weighty events that are written.
    pub level: LogLevel,
}

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Journald under systemd, else text.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Levels of the log, by their effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// Something was not done as wanted, and will be tried again.
    Warn,
    /// What was done.
    Info,
    /// How it was done.
    Debug,
    /// Every step of it.
    Trace,
}

impl LogLevel {
    /// The level as `tracing` knows it.
    #[must_use]
    pub const fn as_tracing(self) -> tracing::Level {
        match self {
            Self::Error => tracing::Level::ERROR,
            Self::Warn => tracing::Level::WARN,
            Self::Info => tracing::Level::INFO,
            Self::Debug => tracing::Level::DEBUG,
            Self::Trace => tracing::Level::TRACE,
        }
    }
}
