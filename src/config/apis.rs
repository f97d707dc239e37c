//! What is wanted of the platforms with HTTP APIs: Douane, PISTE, API Entreprise. Plain data, as all of
//! [`settings`](super::settings).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::noun::{percent, rate, span};
use super::secret::SecretRef;
use super::settings::UnusableAccount;
use crate::schedule::Hours;

/// The APIs of French customs and their accounts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Douane {
    /// Which of the two independent installations.
    pub environment: DouaneEnvironment,
    /// Where tokens are asked for.
    #[serde(default)]
    pub token_url: String,
    /// Where the APIs are, without a slash at the end.
    #[serde(default)]
    pub api_url: String,
    /// A token is renewed this long before it expires at the earliest; at most a tenth of its life.
    #[serde(with = "span")]
    pub margin: Duration,
    /// The accounts whose tables are well-formed, in the order of the files.
    #[serde(default)]
    pub accounts: Vec<DouaneAccount>,
    /// The accounts that cannot work for a fault in their own table.
    #[serde(skip)]
    pub unusable: Vec<UnusableAccount>,
    /// What is collected.
    #[serde(default)]
    pub resources: Vec<Resource>,
    /// The resources that cannot be collected for a fault in their own table.
    #[serde(skip)]
    pub unusable_resources: Vec<UnusableFeed>,
}

/// The installations of the customs' APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DouaneEnvironment {
    /// The real one.
    Production,
    /// The one to train with.
    Formation,
}

/// An API account of the customs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DouaneAccount {
    /// The account's own name, e.g. `siege`; unique on the platform.
    pub name: String,
    /// What the customs call it.
    pub username: String,
    /// Where its password is.
    pub password: SecretRef,
}

/// PISTE, the AIFE's gateway of APIs, and its applications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Piste {
    /// Which of the two independent installations.
    pub environment: PisteEnvironment,
    /// Where tokens are asked for.
    #[serde(default)]
    pub token_url: String,
    /// Where the APIs are, without a slash at the end.
    #[serde(default)]
    pub api_url: String,
    /// A token is renewed this long before it expires at the earliest; at most a tenth of its life.
    #[serde(with = "span")]
    pub margin: Duration,
    /// The applications whose tables are well-formed, in the order of the files.
    #[serde(default)]
    pub accounts: Vec<PisteAccount>,
    /// The applications that cannot work for a fault in their own table.
    #[serde(skip)]
    pub unusable: Vec<UnusableAccount>,
    /// What is collected.
    #[serde(default)]
    pub resources: Vec<Resource>,
    /// The resources that cannot be collected for a fault in their own table.
    #[serde(skip)]
    pub unusable_resources: Vec<UnusableFeed>,
}

/// The installations of PISTE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PisteEnvironment {
    /// The real one.
    Production,
    /// The one to try things in.
    Sandbox,
}

/// An application of PISTE.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PisteAccount {
    /// The account's own name, e.g. `sne`; unique on the platform.
    pub name: String,
    /// The application's public name.
    pub client_id: String,
    /// Where its secret is.
    pub client_secret: SecretRef,
}

/// Something of an API that is asked for regularly, and kept when it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its own name, e.g. `suivi`; unique in its account.
    pub name: String,
    /// The account that asks.
    pub account: String,
    /// Below `api_url`; may hold a query.
    pub path: String,
    /// Between two requests.
    #[serde(with = "span")]
    pub every: Duration,
    /// Where the answer is a list: how each new item is fetched.
    pub items: Option<Items>,
    /// JSON pointers (RFC 6901) to what makes no new version.
    pub ignore: Vec<String>,
}

/// How the items of a list are fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Items {
    /// JSON pointer to an item's id, in the item.
    pub id: String,
    /// Where an item is, `{id}` standing for its id.
    pub path: String,
}

/// A resource or watch left out for a fault in its own table.
#[derive(Clone, Debug, PartialEq)]
pub struct UnusableFeed {
    /// Its feed's name below the platform (`siege/suivi`), or its place among the tables of its file (`resources[2]`).
    pub name: String,
    /// The faults, in one line.
    pub problem: String,
}

/// API Entreprise, its accounts and what they watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entreprise {
    /// Where it is, without a slash at the end.
    pub base_url: String,
    /// The part of each quota that is used, in percent: the rest is for others who use the token.
    #[serde(with = "percent")]
    pub share: u8,
    /// The accounts whose tables are well-formed, in the order of the files.
    #[serde(default)]
    pub accounts: Vec<EntrepriseAccount>,
    /// The accounts that cannot work for a fault in their own table.
    #[serde(skip)]
    pub unusable: Vec<UnusableAccount>,
    /// What is watched.
    #[serde(default)]
    pub watches: Vec<Watch>,
    /// The watches that cannot work for a fault in their own table.
    #[serde(skip)]
    pub unusable_watches: Vec<UnusableFeed>,
}

/// A token of API Entreprise, and in whose name and why it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntrepriseAccount {
    /// The account's own name, e.g. `marches`; unique on the platform.
    pub name: String,
    /// Where its token, a JWT, is.
    pub token: SecretRef,
    /// The framework of the calls, e.g. `Marchés publics`.
    pub context: String,
    /// SIRET of whom the answers are for.
    pub recipient: String,
    /// Why they are asked for: under fifty characters.
    pub object: String,
}

/// Something that is asked about many subjects in turn, and kept when the answer changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Its own name, e.g. `unites-legales`; unique in its account.
    pub name: String,
    /// The account that asks.
    pub account: String,
    /// Below `base_url`; holds `{siren}`, `{siret}` or `{id}`.
    pub path: String,
    /// Which quota and time limit.
    pub group: Group,
    /// Whom it asks about, as written.
    pub subjects: Subjects,
    /// The same, read: those that can be asked about.
    #[serde(skip)]
    pub members: Vec<Member>,
    /// Between two calls about a subject.
    #[serde(with = "span")]
    pub every: Duration,
    /// When it may call, in Paris time.
    pub hours: Hours,
    /// How its calls lie within `every`.
    pub pace: Pace,
    /// Instead of the account's.
    pub object: Option<String>,
    /// Calls a minute, at the most.
    #[serde(default, with = "rate")]
    pub limit: Option<u32>,
    /// For a whole call.
    #[serde(with = "span")]
    pub timeout: Duration,
    /// What each call says beside that.
    pub query: BTreeMap<String, String>,
    /// JSON pointers (RFC 6901) to what makes no new version.
    pub ignore: Vec<String>,
}

/// The groups of API Entreprise's resources: each has a quota of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Data.
    Json,
    /// Documents, by an address in the answer.
    Document,
}

/// How the calls of a watch lie within its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// Evenly.
    Spread,
    /// As early as the quotas allow.
    Fast,
}

/// Whom a watch asks about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Subjects {
    /// The lines of a file.
    File {
        /// The file.
        file: PathBuf,
    },
    /// These.
    List(Vec<String>),
}

/// A subject that can be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its SIREN, SIRET or id.
    pub id: String,
    /// Why it is asked about, instead of the watch's `object`.
    pub object: Option<String>,
}
