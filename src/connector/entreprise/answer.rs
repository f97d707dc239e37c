//! What an answer of API Entreprise means: a version, a fact to record, a reason to wait, or to stop.

use std::time::Duration;

use serde_json::Value;

use super::LARGEST;
use crate::config::Group;
use crate::connector::words::{shown, summary};
use crate::content::json;
use crate::http::{Answer, HttpError};
use crate::quota::Facts;

/// The same call is under way there: its lock lives up to this long.
const LOCKED: Duration = Duration::from_secs(60);
/// No wait is believed to be longer: a year.
const LONGEST: u64 = 366 * 86_400;
/// How deep a `document_url` is looked for.
const DEPTH: usize = 4;

/// An answer, read.
#[derive(Debug)]
pub struct Answered {
    /// What it says of quotas.
    pub facts: Facts,
    /// The platform's own number of the call.
    pub request_id: Option<String>,
    /// What it means.
    pub meaning: Meaning,
}

/// Whom a refusal stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All watches of the account.
    Account,
    /// This watch.
    Watch,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// What was asked for.
    Version {
        /// The whole answer.
        body: Vec<u8>,
        /// Where its document is.
        document_url: Option<String>,
    },
    /// An answer to record: not found, not to be given, not to be asked so.
    Answer {
        /// Its code and words.
        text: String,
    },
    /// Some of it is missing for now.
    Partial {
        /// When to ask again, if it says so.
        after: Option<Duration>,
    },
    /// It failed there: to be asked again.
    Retry {
        /// After this, if it says so.
        after: Option<Duration>,
        /// Its code and words.
        text: String,
        /// Whether it says something of the platform, and not just of this subject.
        trouble: bool,
    },
    /// One call too many (429).
    Quota,
    /// Every further call would be refused as well.
    Stop {
        /// Whose.
        scope: Scope,
        /// Why, and what to do.
        text: String,
    },
    /// Nothing that the API could have said.
    Unreadable {
        /// What it is.
        text: String,
    },
}

impl Answered {
    /// Reads the answer to a call of `group` for `path`.
    ///
    /// # Errors
    /// Where its body breaks off.
    pub(super) async fn read(mut answer: Answer, group: Group, path: &str) -> Result<Self, HttpError> {
        let number = |name: &str| answer.header(name).and_then(|text| text.trim().parse::<i64>().ok());
        let facts = Facts {
            status: answer.status,
            date: answer.date().map(|date| date.as_second()),
            limit: number("ratelimit-limit").and_then(|limit| u32::try_from(limit).ok()),
            remaining: number("ratelimit-remaining").map(|left| u32::try_from(left.max(0)).unwrap_or(u32::MAX)),
            reset: number("ratelimit-reset"),
            retry_after: answer.retry_after(),
        };
        let request_id = answer.header("x-request-id").map(|id| shown(id).chars().take(100).collect());
        let location = answer.location().map(|place| shown(&answer.discreet(place.as_bytes())));
        let coding = answer.content_encoding().map(shown).filter(|_| answer.status == 200);
        // The status is an answer already; how its explanation broke off adds nothing.
        let body = match answer.body.read(LARGEST).await {
            Ok(body) => body,
            Err(_) if answer.status != 200 => Some(Vec::new()),
            Err(error) => return Err(error),
        };
        let unreadable = |text: String| Meaning::Unreadable { text };
        let meaning = match (body, coding) {
            (_, Some(coding)) => {
                unreadable(format!("the answer came with content coding «{coding}», which was not asked for"))
            }
            (None, None) => unreadable(format!("the answer is larger than {} MiB", LARGEST >> 20)),
            // What is kept comes as it is; what is said of it does not.
            (Some(body), None) if answer.status != 200 => {
                let body = answer.discreet(&body).into_bytes();
                judge(answer.status, location, body, facts.retry_after, group, path)
            }
            (Some(body), None) => judge(answer.status, location, body, facts.retry_after, group, path),
        };
        let meaning = match meaning {
            Meaning::Unreadable { text } => Meaning::Unreadable { text: answer.discreet(text.as_bytes()) },
            other => other,
        };
        Ok(Self { facts, request_id, meaning })
    }
}

/// What the API says went wrong.
#[derive(Debug, Default)]
struct Errors {
    /// Provider (two digits) and cause (three).
    code: String,
    text: String,
    retry_in: Option<Duration>,
}

impl Errors {
    /// `None` where `body` is no error of the API's.
    fn read(body: &[u8]) -> Option<Self> {
        let value = json(body).ok()?;
        let errors = value.get("errors")?.as_array()?;
        let mut read = Self::default();
        let mut texts = Vec::new();
        for error in errors.iter().take(5) {
            let text = |key: &str| error.get(key).and_then(Value::as_str).map(shown).filter(|text| !text.is_empty());
            let code = text("code").unwrap_or_default();
            let words = [text("title"), text("detail")].into_iter().flatten().collect::<Vec<_>>().join(": ");
            texts.push(format!("{code} {words}").trim().to_owned());
            if read.code.is_empty() {
                read.code = code;
            }
            let retry_in = error.pointer("/meta/retry_in").and_then(Value::as_u64);
            read.retry_in = read.retry_in.max(retry_in.map(|seconds| Duration::from_secs(seconds.min(LONGEST))));
            // Older versions have plain texts instead of objects.
            if let Some(plain) = error.as_str() {
                texts.push(shown(plain));
            }
        }
        texts.retain(|text| !text.is_empty());
        read.text = texts.join("; ");
        Some(read)
    }
}

pub(super) fn judge(
    status: u16,
    location: Option<String>,
    body: Vec<u8>,
    retry_after: Option<Duration>,
    group: Group,
    path: &str,
) -> Meaning {
    if status == 200 {
        return version(body, group);
    }
    let errors = Errors::read(&body);
    let plain = errors.is_none();
    let Errors { code, text, retry_in } =
        errors.unwrap_or_else(|| Errors { text: summary(&String::from_utf8_lossy(&body)), ..Errors::default() });
    let text = if text.is_empty() { format!("status {status}") } else { format!("status {status}: {text}") };
    let after = retry_in.max(retry_after);
    let stop = |scope: Scope, remedy: &str| Meaning::Stop { scope, text: format!("{text}; {remedy}") };
    match status {
        206 => Meaning::Partial { after: retry_in },
        429 => Meaning::Quota,
        401 => stop(Scope::Account, "have the account's token renewed, put the new one in its place, and reload"),
        403 if code == "00107" => {
            stop(Scope::Account, "have this machine's address allowed for the token, then reload")
        }
        403 => stop(Scope::Watch, "have this right added to the token, then reload"),
        404 | 410 if plain => {
            let remedy =
                format!("{path} is not there: compare the watch's path, its version above all, with the catalogue");
            stop(Scope::Watch, &remedy)
        }
        404 | 422 | 451 => Meaning::Answer { text },
        409 => Meaning::Retry { after: Some(after.unwrap_or(LOCKED).max(LOCKED)), text, trouble: false },
        // A provider that says when to ask again speaks of this subject.
        500..=599 => Meaning::Retry { after, text, trouble: retry_in.is_none() },
        300..=399 => {
            let place = location.unwrap_or_else(|| "nowhere".to_owned());
            let text = format!("status {status}, to {place}: redirects are not followed; compare base_url");
            Meaning::Unreadable { text }
        }
        _ => Meaning::Retry { after, text, trouble: true },
    }
}

fn version(body: Vec<u8>, group: Group) -> Meaning {
    let value = match json(&body) {
        Ok(value) => value,
        Err(fault) => {
            let start = summary(&String::from_utf8_lossy(&body));
            return Meaning::Unreadable { text: format!("the answer cannot be read: {fault}: «{start}»") };
        }
    };
    let Some(data) = value.get("data") else {
        let text = "the answer holds no data, though its status is 200".to_owned();
        return Meaning::Unreadable { text };
    };
    // What is kept of documents is the document: its address expires. An answer of data stays what it is.
    let document_url = (group == Group::Document).then(|| document_url(data, DEPTH)).flatten();
    Meaning::Version { body, document_url }
}

fn document_url(value: &Value, depth: usize) -> Option<String> {
    if depth == 0 {
        return None;
    }
    match value {
        Value::Object(members) => {
            let own = members.get("document_url").and_then(Value::as_str).filter(|url| !url.is_empty());
            own.map(str::to_owned).or_else(|| members.values().find_map(|value| document_url(value, depth - 1)))
        }
        Value::Array(items) => items.iter().find_map(|item| document_url(item, depth - 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meaning(status: u16, body: &str) -> Meaning {
        judge(status, None, body.as_bytes().to_vec(), None, Group::Document, "/v3/x/{siren}")
    }

    fn error(code: &str, meta: &str) -> String {
        format!("{{\"errors\":[{{\"code\":\"{code}\",\"title\":\"T\",\"detail\":\"D\",\"meta\":{meta}}}]}}")
    }

    #[test]
    fn answers_about_a_subject_are_recorded_and_wrong_paths_stop_the_watch() {
        for status in [404, 422, 451] {
            let Meaning::Answer { text } = meaning(status, &error("01003", "{}")) else { panic!("{status}") };
            assert_eq!(text, format!("status {status}: 01003 T: D"));
        }
        for status in [404, 410] {
            let stop = meaning(status, "Not found");
            assert!(
                matches!(&stop, Meaning::Stop { scope: Scope::Watch, text } if text.contains("version")),
                "{stop:?}"
            );
        }
    }

    #[test]
    fn a_token_that_is_refused_stops_the_account_and_a_missing_right_the_watch() {
        let scope = |status, code| match meaning(status, &error(code, "{}")) {
            Meaning::Stop { scope, .. } => scope,
            other => panic!("{other:?}"),
        };
        assert_eq!((scope(401, "00101"), scope(403, "00107")), (Scope::Account, Scope::Account));
        assert_eq!(scope(403, "00100"), Scope::Watch);
    }

    #[test]
    fn what_failed_there_is_asked_again_when_it_says() {
        let later = meaning(502, &error("04501", "{\"retry_in\": 172800}"));
        let two_days = Some(Duration::from_secs(172_800));
        assert!(matches!(later, Meaning::Retry { after, trouble: false, .. } if after == two_days), "{later:?}");
        let locked = meaning(409, &error("00015", "{}"));
        assert!(matches!(locked, Meaning::Retry { after: Some(LOCKED), trouble: false, .. }));
        for status in [500, 502, 503, 504] {
            assert!(matches!(meaning(status, "x"), Meaning::Retry { after: None, trouble: true, .. }));
        }
        assert_eq!(meaning(206, "{\"data\":{}}"), Meaning::Partial { after: None });
        assert_eq!(meaning(429, &error("00429", "{}")), Meaning::Quota);
    }

    #[test]
    fn a_document_is_where_the_answer_says_and_an_answer_without_one_is_kept_itself() {
        let url = |body: &str| match meaning(200, body) {
            Meaning::Version { document_url, .. } => document_url,
            other => panic!("{other:?}"),
        };
        let body = "{\"data\":{\"document_url\":\"https://a/b\",\"expires_in\":60}}";
        assert_eq!(url(body).as_deref(), Some("https://a/b"));
        assert_eq!(url("{\"data\":{\"status\":\"refus\"}}"), None);
        assert!(matches!(meaning(200, "<html>"), Meaning::Unreadable { .. }));
        assert!(matches!(meaning(200, "{}"), Meaning::Unreadable { .. }));
    }

    proptest! {
        #[test]
        fn no_answer_breaks_the_reading(status in 200_u16..600, body in "\\PC{0,80}") {
            let _ = meaning(status, &body);
            let _ = meaning(status, &format!("{{\"errors\":[{body:?},{{\"code\":{body:?},\"meta\":{body:?}}}]}}"));
        }
    }
}
