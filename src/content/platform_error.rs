//! The error object FAST answers with, with an error status or, in place of a document, with status 200.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::{presentable, sniff};

/// No error object is larger; what is, is not read.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Characters kept of the platform's message.
const MAX_MESSAGE: usize = 200;

/// What the platform says went wrong (guide v3.4, §2.6.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformError {
    /// The platform's `errorCode`, e.g. 111 for an unknown subscriber.
    pub code: Option<i64>,
    /// Its message for developers, for users, or both; one line of at most 200 characters, maybe none.
    pub message: String,
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.message.as_str()) {
            (Some(code), "") => write!(f, "code {code}, without a message"),
            (Some(code), message) => write!(f, "{message} (code {code})"),
            (None, "") => f.write_str("no code, no message"),
            (None, message) => f.write_str(message),
        }
    }
}

/// The object's fields; each of any type, so that a change in one does not hide the others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    error_code: Option<Value>,
    developer_message: Option<Value>,
    user_friendly_message: Option<Value>,
}

/// Reads `bytes` as the platform's error object; `None` if they are anything else.
#[must_use]
pub fn platform_error(bytes: &[u8]) -> Option<PlatformError> {
    if bytes.len() > MAX_ERROR_BYTES {
        return None;
    }
    let text = sniff::readable(bytes);
    // An array fills the fields of a struct too, in their order: a list of three ids is no error.
    let object = Some(text.trim()).filter(|text| text.starts_with('{'))?;
    let wire: Wire = serde_json::from_str(object).ok()?;
    let code = wire.error_code.as_ref().and_then(number);
    let developer = wire.developer_message.as_ref().and_then(words);
    let user = wire.user_friendly_message.as_ref().and_then(words);
    let message = match (developer, user) {
        (Some(developer), Some(user)) if developer != user => format!("{developer}; {user}"),
        (Some(message), _) | (None, Some(message)) => message.to_owned(),
        (None, None) if code.is_some() => String::new(),
        (None, None) => return None,
    };
    Some(PlatformError { code, message: presentable(&message, MAX_MESSAGE) })
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn words(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}
