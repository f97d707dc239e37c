//! What is told: one line, a text for people, JSON for programs.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::config::{AlertSeverity, Settings};
use crate::ledger::AlertRow;
use crate::schedule::paris;
use crate::words::counted;

/// Troubles that a text tells one by one; it says how many more there are.
const TOLD: usize = 20;
/// The same of JSON.
const LISTED: usize = 100;

/// What somebody is told at one time.
#[derive(Clone, Debug)]
pub struct Notice {
    host: String,
    at: Timestamp,
    raised: Vec<Item>,
    cleared: Vec<Item>,
}

/// A trouble, with whose it is.
#[derive(Clone, Debug)]
struct Item {
    row: AlertRow,
    label: Option<String>,
    contact: Option<String>,
}

impl Notice {
    /// What `rows` (changes after `told`) hold for somebody who wants to be told of `severity`; `None`: nothing.
    #[must_use]
    pub fn of(
        rows: Vec<AlertRow>,
        told: i64,
        severity: AlertSeverity,
        settings: &Settings,
        at: Timestamp,
    ) -> Option<Self> {
        let wanted = |row: &AlertRow| severity == AlertSeverity::Warning || row.severity == "error";
        // What began and ended since is no news.
        let known = |row: &AlertRow| row.cleared_at.is_none() || row.raised <= told;
        let rows: Vec<AlertRow> = rows.into_iter().filter(|row| wanted(row) && known(row)).collect();
        let item = |row: AlertRow| {
            let account = account(&row.subject, settings);
            Item { row, label: account.as_ref().and_then(|it| it.0.clone()), contact: account.and_then(|it| it.1) }
        };
        let (mut raised, cleared): (Vec<Item>, Vec<Item>) =
            rows.into_iter().map(item).partition(|item| item.row.cleared_at.is_none());
        raised.sort_by(|a, b| (&a.row.severity, a.row.change).cmp(&(&b.row.severity, b.row.change)));
        (!raised.is_empty() || !cleared.is_empty()).then(|| Self { host: host(), at, raised, cleared })
    }

    /// A notice that says that it is a test.
    #[must_use]
    pub fn test(at: Timestamp) -> Self {
        let row = AlertRow {
            kind: "test".to_owned(),
            subject: "alert".to_owned(),
            severity: "warning".to_owned(),
            message: "this is a test: alerts arrive here".to_owned(),
            remedy: "none needed".to_owned(),
            mark: 1,
            since: None,
            raised_at: at,
            raised: 0,
            change: 0,
            cleared_at: None,
        };
        let item = Item { row, label: None, contact: None };
        Self { host: host(), at, raised: vec![item], cleared: Vec::new() }
    }

    /// How many troubles began or ended.
    #[must_use]
    pub fn count(&self) -> usize {
        self.raised.len() + self.cleared.len()
    }

    /// One line.
    #[must_use]
    pub fn summary(&self) -> String {
        let first = self.raised.first().or_else(|| self.cleared.first());
        let message = first.map(|item| item.row.message.as_str()).unwrap_or_default();
        let what = match (self.raised.len(), self.cleared.len()) {
            (1, 0) => message.to_owned(),
            (0, 1) => format!("over: {message}"),
            (0, over) => format!("{} over: {message}, …", counted(over, "problem")),
            (raised, 0) => format!("{}: {message}, …", counted(raised, "problem")),
            (raised, over) => format!("{}, {over} over: {message}, …", counted(raised, "problem")),
        };
        format!("vaguemestre on {}: {what}", self.host)
    }

    /// All of it for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.summary());
        for item in self.raised.iter().take(TOLD) {
            let AlertRow { severity, message, remedy, since, .. } = &item.row;
            let since = since.map(|since| format!(", since {}", hour(since))).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{}{since}: {message}", severity.to_uppercase());
            let _ = writeln!(text, "  what to do: {remedy}");
            for whose in [&item.label, &item.contact].into_iter().flatten() {
                let _ = writeln!(text, "  {whose}");
            }
        }
        more(&mut text, self.raised.len());
        for item in self.cleared.iter().take(TOLD) {
            let over = item.row.cleared_at.map(hour).unwrap_or_default();
            let _ = writeln!(text, "\nOVER at {over}: {}", item.row.message);
        }
        more(&mut text, self.cleared.len());
        text
    }

    /// All of it for programs. `key` tells this notice from others.
    #[must_use]
    pub fn json(&self, key: &str) -> String {
        let item = |item: &Item, state: &str| {
            let row = &item.row;
            json!({
                "state": state,
                "kind": row.kind,
                "subject": row.subject,
                "severity": row.severity,
                "message": row.message,
                "remedy": row.remedy,
                "since": row.since.map(stamp),
                "raised_at": stamp(row.raised_at),
                "cleared_at": row.cleared_at.map(stamp),
                "label": item.label,
                "contact": item.contact,
            })
        };
        let raised = self.raised.iter().take(LISTED).map(|it| item(it, "raised"));
        let alerts: Vec<Value> = raised.chain(self.cleared.iter().take(LISTED).map(|it| item(it, "cleared"))).collect();
        let more = self.count() - alerts.len();
        json!({
            "notice": key,
            "host": self.host,
            "at": stamp(self.at),
            "summary": self.summary(),
            "alerts": alerts,
            "more": more,
        })
        .to_string()
    }
}

fn more(text: &mut String, count: usize) {
    if count > TOLD {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n… and {} more: `vaguemestre status` tells all", count - TOLD);
    }
}

/// A time of Paris, as people say it.
fn hour(time: Timestamp) -> String {
    time.to_zoned(paris().clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Label and contact of the account that `subject`, an account or a feed, belongs to.
fn account(subject: &str, settings: &Settings) -> Option<(Option<String>, Option<String>)> {
    let name = subject.strip_prefix("fast/")?.split('/').next()?;
    let account = settings.fast.as_ref()?.accounts.iter().find(|account| account.name == name)?;
    Some((account.label.clone(), account.contact.clone()))
}

/// This machine's name.
fn host() -> String {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "this machine".to_owned())
}
