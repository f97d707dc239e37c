//! What is told: one line, a text for people, JSON for programs.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::stamp;
use crate::config::{AlertSeverity, Settings};
use crate::ledger::AlertRow;
use crate::schedule::to_the_minute;
use crate::words::{counted, presentable};

/// Troubles that a text tells one by one; it says how many more there are.
const TOLD: usize = 20;
/// The same of JSON, which is also an argument and a variable of a program: of these Linux takes 128 KiB each.
const LISTED: usize = 100;
const LONGEST: usize = 96 << 10;
/// Characters of one line.
const LINE: usize = 200;

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
    /// What `rows` (changes after `told`) hold for somebody who wants to be told of `severity`; `None`: nothing. `whose`
    /// tells to whom a subject belongs.
    #[must_use]
    pub fn of(
        rows: Vec<AlertRow>,
        told: i64,
        severity: AlertSeverity,
        whose: impl Fn(&str) -> Option<Whose>,
    ) -> Option<Self> {
        // The end of what was an error once is told to those who were told that.
        let weight = |row: &AlertRow| if row.cleared_at.is_some() { row.worst.clone() } else { row.severity.clone() };
        let wanted = |row: &AlertRow| severity == AlertSeverity::Warning || weight(row) == "error";
        // What began and ended since is no news.
        let known = |row: &AlertRow| row.cleared_at.is_none() || row.began <= told;
        let at = rows.last().map(AlertRow::changed_at)?;
        let rows: Vec<AlertRow> = rows.into_iter().filter(|row| wanted(row) && known(row)).collect();
        let item = |row: AlertRow| Item { row, label: None, contact: None };
        let (mut raised, mut cleared): (Vec<Item>, Vec<Item>) =
            rows.into_iter().map(item).partition(|item| item.row.cleared_at.is_none());
        raised.sort_by(|a, b| (&a.row.severity, a.row.change).cmp(&(&b.row.severity, b.row.change)));
        for item in raised.iter_mut().take(LISTED).chain(cleared.iter_mut().take(LISTED)) {
            (item.label, item.contact) = whose(&item.row.subject).unwrap_or_default();
        }
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
            worst: "warning".to_owned(),
            began: 0,
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
        format!("vaguemestre on {}: {}", self.host, presentable(&what, LINE))
    }

    /// All of it for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.summary());
        for item in self.raised.iter().take(TOLD) {
            let AlertRow { severity, message, remedy, since, .. } = &item.row;
            let since = since.map(|since| format!(", since {}", to_the_minute(since))).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(text, "\n{}{since}: {message}", severity.to_uppercase());
            let _ = writeln!(text, "  what to do: {remedy}");
            for whose in [&item.label, &item.contact].into_iter().flatten() {
                let _ = writeln!(text, "  {whose}");
            }
        }
        more(&mut text, self.raised.len());
        for item in self.cleared.iter().take(TOLD) {
            let over = item.row.cleared_at.map(to_the_minute).unwrap_or_default();
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
        let mut length = 0;
        let alerts: Vec<Value> = raised
            .chain(self.cleared.iter().take(LISTED).map(|it| item(it, "cleared")))
            .take_while(|alert| {
                length += alert.to_string().len() + 1;
                length < LONGEST
            })
            .collect();
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

/// Label and contact of an account.
pub(super) type Whose = (Option<String>, Option<String>);

/// Those of the account that `subject`, an account or a feed, belongs to.
pub(super) fn whose(subject: &str, settings: &Settings) -> Option<Whose> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: i64, over: bool) -> AlertRow {
        let at = Timestamp::UNIX_EPOCH;
        AlertRow {
            kind: "feed_failing".to_owned(),
            subject: format!("fast/mairie-{number}/chorus"),
            severity: "error".to_owned(),
            message: "x".repeat(2000),
            remedy: "y\n".repeat(500),
            mark: 1,
            since: None,
            raised_at: at,
            worst: "error".to_owned(),
            began: number,
            change: number,
            cleared_at: over.then_some(at),
        }
    }

    fn told(rows: Vec<AlertRow>, told: i64, severity: AlertSeverity) -> Option<Notice> {
        Notice::of(rows, told, severity, |_| None)
    }

    #[test]
    fn the_end_of_what_was_told_is_told_though_it_grew_worse_unheard_meanwhile() {
        let ended = AlertRow { began: 5, change: 12, ..row(1, true) };
        let notice = told(vec![ended.clone()], 5, AlertSeverity::Warning).unwrap();
        assert_eq!((notice.raised.len(), notice.cleared.len()), (0, 1));
        assert!(told(vec![ended], 4, AlertSeverity::Warning).is_none(), "what was never told to begin does not end");
    }

    #[test]
    fn who_is_told_errors_is_told_the_end_of_one_that_had_grown_milder() {
        let milder = AlertRow { severity: "warning".to_owned(), ..row(1, true) };
        assert!(told(vec![milder.clone()], 5, AlertSeverity::Error).is_some());
        let never = AlertRow { worst: "warning".to_owned(), ..milder };
        assert!(told(vec![never], 5, AlertSeverity::Error).is_none());
    }

    #[test]
    fn a_notice_of_thousands_fits_into_a_variable_of_a_program_and_its_line_into_a_subject() {
        let rows = (1..=300).map(|number| row(number, number > 150)).collect();
        let items = |over: bool, rows: Vec<AlertRow>| -> Vec<Item> {
            let rows = rows.into_iter().filter(|row| row.cleared_at.is_some() == over);
            rows.map(|row| Item { row, label: None, contact: None }).collect()
        };
        let all: Vec<AlertRow> = rows;
        let (raised, cleared) = (items(false, all.clone()), items(true, all));
        let notice = Notice { host: "town".to_owned(), at: Timestamp::UNIX_EPOCH, raised, cleared };
        let json = notice.json("key");
        assert!(json.len() < 128 << 10, "{}", json.len());
        let value: Value = serde_json::from_str(&json).unwrap();
        let listed = value["alerts"].as_array().unwrap().len();
        assert_eq!(value["more"].as_u64().unwrap() + listed as u64, 300);
        assert!(listed > 10);
        let summary = notice.summary();
        assert!(summary.chars().count() < 250 && !summary.contains('\n'), "{summary}");
    }
}
