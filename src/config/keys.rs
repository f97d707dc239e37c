//! Every key there is: its name, what it may be, and what it is if nobody sets it.
//!
//! This one description serves the detection of unknown keys, the typing of files and of the environment, and the
//! built-in defaults. Rules between keys are in `rules.rs`.

use std::time::Duration;

use super::api_shape;
use super::finding::Weight;
use super::shape::Shape::{self, *};

/// A key and its value.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) absent: Absent,
}

/// What a key is where nobody sets it.
#[derive(Debug)]
pub(super) enum Absent {
    /// It must be set.
    Required,
    /// Nothing.
    Unset,
    /// This, written as in the environment.
    Default(&'static str),
}

/// A table of the file, `[name]`.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) name: &'static str,
    pub(super) keys: &'static [Key],
    /// The arrays of tables in it.
    pub(super) lists: &'static [List],
}

/// An array of tables of a section, `[[section.name]]`.
#[derive(Debug)]
pub(super) struct List {
    pub(super) name: &'static str,
    pub(super) keys: &'static [Key],
    /// How much a fault in one of its tables weighs.
    pub(super) weight: Weight,
}

/// The arrays of tables that stand in no section, `[[name]]`.
pub(super) const LISTS: &[List] = &[List { name: "alerts", keys: ALERT, weight: Weight::Error }];

/// The sections, in the order people read them.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "state",
        keys: &[
            key("directory", Path, Absent::Default("/var/lib/vaguemestre")),
            key("reserve", Size(0), Absent::Default("512MiB")),
            key("backup", Path, Absent::Unset),
        ],
        lists: &[],
    },
    Section {
        name: "schedule",
        keys: &[
            key("interval", Span(ZERO, YEARS), Absent::Default("30m")),
            key("jitter", Span(ZERO, YEARS), Absent::Default("5m")),
            // Half an hour on both sides of each full hour would leave no time at all.
            key("avoid_hour", Span(ZERO, minutes(29)), Absent::Default("2m")),
            key("silent_after", Span(ZERO, YEARS), Absent::Default("0s")),
        ],
        lists: &[],
    },
    Section {
        name: "http",
        keys: &[
            key("proxy", Proxy, Absent::Unset),
            key("no_proxy", Hosts, Absent::Default("")),
            key("ca_certificate", Path, Absent::Unset),
            key("connections", Whole(1, 4096), Absent::Default("64")),
        ],
        lists: &[],
    },
    Section { name: "fast", keys: FAST, lists: &[List { name: "accounts", keys: ACCOUNT, weight: Weight::Problem }] },
    Section {
        name: "douane",
        keys: DOUANE,
        lists: &[
            List { name: "accounts", keys: DOUANE_ACCOUNT, weight: Weight::Problem },
            List { name: "resources", keys: RESOURCE, weight: Weight::Problem },
        ],
    },
    Section {
        name: "piste",
        keys: PISTE,
        lists: &[
            List { name: "accounts", keys: PISTE_ACCOUNT, weight: Weight::Problem },
            List { name: "resources", keys: RESOURCE, weight: Weight::Problem },
        ],
    },
    Section {
        name: "entreprise",
        keys: &[
            key("base_url", Address, Absent::Default("https://entreprise.api.gouv.fr")),
            key("share", Percent, Absent::Default("80%")),
        ],
        lists: &[
            List { name: "accounts", keys: ENTREPRISE_ACCOUNT, weight: Weight::Problem },
            List { name: "watches", keys: WATCH, weight: Weight::Problem },
        ],
    },
    Section { name: "token", keys: &[key("socket", Path, Absent::Unset)], lists: &[] },
    Section { name: "admin", keys: &[key("listen", Listen, Absent::Unset)], lists: &[] },
    Section { name: "archive", keys: &[key("keep", Span(ZERO, YEARS), Absent::Default("90d"))], lists: &[] },
    // A target left out would make documents count as delivered that nobody was given: its faults stop everything.
    Section { name: "delivery", keys: &[], lists: &[List { name: "targets", keys: TARGET, weight: Weight::Error }] },
    Section {
        name: "log",
        keys: &[
            key("format", Word { now: &["auto", "json", "text"], later: &[] }, Absent::Default("auto")),
            key(
                "level",
                Word { now: &["error", "warn", "info", "debug", "trace"], later: &[] },
                Absent::Default("info"),
            ),
        ],
        lists: &[],
    },
];

const CONNECTORS: Shape = Word { now: &["rest", "soap", "webdav"], later: &[] };

const FAST: &[Key] = &[
    key("environment", Word { now: &["production", "demo"], later: &[] }, Absent::Default("production")),
    key("base_url", Address, Absent::Unset),
    key("connector", CONNECTORS, Absent::Default("rest")),
    key("ca_certificate", Path, Absent::Unset),
    key("proxy", Proxy, Absent::Unset),
    key("maintenance", Windows, Absent::Default("04:05-04:15")),
    key("guard", Span(ZERO, YEARS), Absent::Default("1m")),
    key("timeout", Span(Duration::from_millis(100), minutes(60)), Absent::Default("60s")),
    key("max_document", Size(1), Absent::Default("256MiB")),
    key("concurrency", Whole(1, 256), Absent::Default("4")),
];

const ACCOUNT: &[Key] = &[
    key("name", Name, Absent::Required),
    key("siren", Siren, Absent::Required),
    key("label", Text, Absent::Unset),
    key("contact", Text, Absent::Unset),
    key("enabled", Flag, Absent::Default("true")),
    key("certificate", Path, Absent::Required),
    key("key", Path, Absent::Unset),
    key("certificate_password", Secret, Absent::Unset),
    key("next_certificate", Path, Absent::Unset),
    key("next_key", Path, Absent::Unset),
    key("next_certificate_password", Secret, Absent::Unset),
    key(
        "feeds",
        Words(&["acquittements", "pes-retour", "chorus", "signes"]),
        Absent::Default("acquittements,pes-retour,chorus"),
    ),
    key("first_poll", Word { now: &["collect", "skip"], later: &[] }, Absent::Default("collect")),
    key("connector", CONNECTORS, Absent::Unset),
    key("circuits", Folders, Absent::Default("")),
    key("release", Word { now: &["stored", "delivered"], later: &[] }, Absent::Default("stored")),
    key("silent_after", Span(ZERO, YEARS), Absent::Unset),
];

const DOUANE: &[Key] = &[
    key("environment", Word { now: &["production", "formation"], later: &[] }, Absent::Default("production")),
    key("token_url", Endpoint, Absent::Unset),
    key("api_url", Address, Absent::Unset),
    key("margin", Span(ZERO, minutes(60)), Absent::Default("10s")),
];

const DOUANE_ACCOUNT: &[Key] = &[
    key("name", Name, Absent::Required),
    key("username", Identifier, Absent::Required),
    key("password", Secret, Absent::Required),
];

const PISTE: &[Key] = &[
    key("environment", Word { now: &["production", "sandbox"], later: &[] }, Absent::Default("production")),
    key("token_url", Endpoint, Absent::Unset),
    key("api_url", Address, Absent::Unset),
    key("margin", Span(ZERO, minutes(60)), Absent::Default("10s")),
];

const PISTE_ACCOUNT: &[Key] = &[
    key("name", Name, Absent::Required),
    key("client_id", Identifier, Absent::Required),
    key("client_secret", Secret, Absent::Required),
];

const RESOURCE: &[Key] = &[
    key("name", Name, Absent::Required),
    key("account", Name, Absent::Required),
    key("path", ApiPath(&[]), Absent::Required),
    key("every", Span(ZERO, YEARS), Absent::Default("30m")),
    key("items", Items, Absent::Unset),
    key("ignore", Pointers, Absent::Default("")),
];

const ENTREPRISE_ACCOUNT: &[Key] = &[
    key("name", Name, Absent::Required),
    key("token", Secret, Absent::Required),
    key("context", Identifier, Absent::Required),
    key("recipient", Siret, Absent::Required),
    key("object", Object, Absent::Required),
];

const WATCH: &[Key] = &[
    key("name", Name, Absent::Required),
    key("account", Name, Absent::Required),
    key("path", ApiPath(&api_shape::PLACEHOLDERS), Absent::Required),
    key("group", Word { now: &["json", "document"], later: &[] }, Absent::Default("json")),
    key("subjects", Subjects, Absent::Required),
    key("every", Span(ZERO, YEARS), Absent::Default("7d")),
    key("hours", Hours, Absent::Unset),
    key("pace", Word { now: &["spread", "fast"], later: &[] }, Absent::Default("spread")),
    key("object", Object, Absent::Unset),
    key("limit", Rate, Absent::Unset),
    key("timeout", Span(Duration::from_millis(100), minutes(10)), Absent::Unset),
    key("query", Query, Absent::Default("")),
    key("ignore", Pointers, Absent::Default("/meta,/links")),
];

const TARGET: &[Key] = &[
    key("name", Name, Absent::Required),
    key("feeds", Patterns, Absent::Required),
    // Exactly one of these three.
    key("inbox", Path, Absent::Unset),
    key("command", Command, Absent::Unset),
    key("webhook", Webhook, Absent::Unset),
    key("file_mode", FileMode, Absent::Default("0640")),
    key("inbox_stale", Span(ZERO, YEARS), Absent::Default("1d")),
    key("timeout", Span(Duration::from_millis(100), minutes(60)), Absent::Default("60s")),
    key("secret", Secret, Absent::Unset),
];

const ALERT: &[Key] = &[
    key("name", Name, Absent::Required),
    // Exactly one of these two.
    key("command", Notifier, Absent::Unset),
    key("webhook", Webhook, Absent::Unset),
    key("severity", Word { now: &["warning", "error"], later: &[] }, Absent::Default("warning")),
    key("timeout", Span(Duration::from_millis(100), minutes(60)), Absent::Default("30s")),
    key("secret", Secret, Absent::Unset),
];

const ZERO: Duration = Duration::ZERO;
/// As long as anything may last.
const YEARS: Duration = Duration::from_secs(3660 * 86_400);

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

const fn key(name: &'static str, shape: Shape, absent: Absent) -> Key {
    Key { name, shape, absent }
}
