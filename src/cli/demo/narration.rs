//! The daemon's log, as told to a person; and what it says about how far things are.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use crate::log::event;

/// What has been heard so far.
#[derive(Default)]
pub(super) struct Narration {
    /// Ids of documents that were handed over.
    pub(super) delivered: HashSet<String>,
    /// Feeds whose last poll went well.
    pub(super) polled_well: HashSet<String>,
    /// Ids of documents whose last try failed.
    failed: HashSet<String>,
}

/// A line of the daemon's log; what an event does not carry is empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    timestamp: Timestamp,
    level: String,
    event: String,
    message: String,
    feed: String,
    remote_id: String,
    outcome: String,
    listed: u64,
    fetched: u64,
    size: u64,
    sha256: String,
    path: PathBuf,
    error: String,
    next_try: Option<Timestamp>,
}

impl Narration {
    /// Takes note of a line, and tells it, with its time, if it is worth telling. Paths are told as seen from `state`.
    pub(super) fn tell(&mut self, line: &str, state: &Path) -> Option<(Timestamp, String)> {
        let line: Line = serde_json::from_str(line).ok()?;
        let Line { event, message, feed, remote_id, listed, fetched, .. } = &line;
        let (verb, text) = match event.as_str() {
            event::DAEMON_READY => ("daemon", message.clone()),
            event::POLL_FINISHED => {
                if line.outcome == "ok" {
                    self.polled_well.insert(feed.clone());
                } else {
                    self.polled_well.remove(feed);
                }
                if *listed == 0 {
                    // Nothing new; or no listing at all, which the next line tells.
                    return None;
                }
                ("polled", format!("{feed}: {listed} listed, {fetched} fetched"))
            }
            event::DOCUMENT_STORED => {
                let verb = if self.failed.remove(remote_id) { "HEALED" } else { "stored" };
                let digest = line.sha256.get(..12).unwrap_or_default();
                (verb, format!("{feed} {remote_id}: {} bytes, sha256 {digest}...", line.size))
            }
            event::DELIVERY_DONE => {
                self.delivered.insert(remote_id.clone());
                ("delivered", line.path.strip_prefix(state).unwrap_or(&line.path).display().to_string())
            }
            event::DOCUMENT_FAILED => {
                self.failed.insert(remote_id.clone());
                let next = line.next_try.map(|at| format!(" from {} on", super::time(at))).unwrap_or_default();
                ("FAILED", format!("{feed} {remote_id}: {}; tried again{next}", line.error))
            }
            event::DOCUMENT_REJECTED => ("REFUSED", message.clone()),
            event::FEED_FAILING => ("FAILED", message.clone()),
            event::FEED_RECOVERED => ("HEALED", message.clone()),
            _ if matches!(line.level.as_str(), "WARN" | "ERROR") => ("WARNING", message.clone()),
            _ => return None,
        };
        Some((line.timestamp, format!("{verb:<9}  {text}")))
    }
}
