//! What an answer that is no document and no list means.

use crate::connector::words::{shown, summary};
use crate::connector::{Access, Cause, ConnectorError};
use crate::content::{PlatformError, platform_error};
use crate::http::Answer;

/// Bytes of an error's body that are read.
pub(super) const READ: usize = 64 << 10;

/// What was asked for: the same words mean other things about a list and about a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Document,
}

/// Tells what an answer other than 200 means, from its status, its headers and its body.
pub(super) async fn of_status(mut answer: Answer, asked: Asked) -> ConnectorError {
    match of_headers(&answer) {
        Some(error) => error,
        None => of_body(answer.status, &read(&mut answer).await, asked),
    }
}

/// The same, where the status and the headers say it all.
pub(super) fn of_headers(answer: &Answer) -> Option<ConnectorError> {
    let status = answer.status;
    if let (429 | 503, Some(wait)) = (status, answer.retry_after()) {
        return Some(ConnectorError::Later { status, wait });
    }
    if (300..400).contains(&status) {
        let place = shown(answer.location().unwrap_or("nowhere"));
        return Some(Access::new(Cause::Redirect, format!("status {status}, to {place}")).into());
    }
    None
}

/// The explanation that comes with a status.
pub(super) async fn read(answer: &mut Answer) -> Vec<u8> {
    match answer.body.read(READ).await {
        Ok(body) => body.unwrap_or_default(),
        // The status is an answer already; how its explanation broke off adds nothing.
        Err(_) => Vec::new(),
    }
}

/// The same of a `status` and the `body` it came with.
pub(super) fn of_body(status: u16, body: &[u8], asked: Asked) -> ConnectorError {
    if let Some(error) = platform_error(body) {
        return of_platform_error(&error, status, asked);
    }
    let text = shown(&String::from_utf8_lossy(body));
    match status {
        400 | 495 | 496 if is_about_certificates(&text) => certificate(&text, status),
        495 | 496 => Access::new(Cause::CertificateRefused, format!("status {status}")).into(),
        401 | 403 => Access::new(Cause::Unauthorized, format!("status {status}")).into(),
        407 => Access::new(Cause::Proxy, format!("status {status}")).into(),
        404 | 410 if asked == Asked::List => Access::new(Cause::NotThere, format!("status {status}")).into(),
        404 | 410 => ConnectorError::Unknown { detail: format!("status {status}") },
        429 | 500..600 => ConnectorError::Unavailable { status, detail: summary(&text) },
        _ => ConnectorError::Answered { detail: format!("the platform answers {status}{}", colon(&summary(&text))) },
    }
}

/// Tells what the platform's own error object means, whatever the status it came with: 200 among them.
pub(super) fn of_platform_error(error: &PlatformError, status: u16, asked: Asked) -> ConnectorError {
    let plain = fold(&error.message);
    let detail = format!("«{error}» with status {status}");
    let denied = plain.contains("invalid docid") || plain.contains("document not found");
    // First, for a denied document is no closed door, whatever code comes with the words.
    if asked == Asked::Document && denied {
        return ConnectorError::Unknown { detail };
    }
    // Codes of the guide, §2.6.3. About a document 100 and 102 come with other words as well: then the words decide, lest
    // one document be taken for a closed door and keep all others waiting.
    match error.code {
        Some(100 | 102) if asked == Asked::List || plain.is_empty() => {
            return Access::new(Cause::Unauthorized, detail).into();
        }
        Some(111) => return Access::new(Cause::UnknownSubscriber, detail).into(),
        _ => {}
    }
    if plain.contains("unauthorized") || matches!(status, 401 | 403) {
        return Access::new(Cause::Unauthorized, detail).into();
    }
    if plain.contains("subscriber not found") {
        return Access::new(Cause::UnknownSubscriber, detail).into();
    }
    match asked {
        Asked::List if matches!(status, 404 | 410) => Access::new(Cause::NotThere, detail).into(),
        Asked::Document if matches!(status, 404 | 410) => ConnectorError::Unknown { detail },
        // It names the document, or what is wrong with asking for it: an answer about it.
        Asked::Document if status < 500 || plain.contains("doc") || plain.contains("failed to convert value") => {
            ConnectorError::Answered { detail: format!("the platform answers {detail}") }
        }
        _ if status >= 500 => ConnectorError::Unavailable { status, detail: format!("«{error}»") },
        Asked::List => ConnectorError::NotAListing { detail: format!("the platform answers {detail}") },
        Asked::Document => ConnectorError::Answered { detail: format!("the platform answers {detail}") },
    }
}

/// Whether a body that begins so is a page or a message for people or programs, and no document.
pub(super) fn is_message(head: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&head[..head.len().min(256)]).trim_start().to_lowercase();
    start.is_empty()
        || start.starts_with(['{', '['])
        || start.starts_with("<!doctype html")
        || start.starts_with("<html")
}

/// The pages that web servers send instead of a TLS alert.
fn is_about_certificates(text: &str) -> bool {
    fold(text).contains("ssl certificate")
}

fn certificate(text: &str, status: u16) -> ConnectorError {
    let cause = if fold(text).contains("no required ssl certificate") {
        Cause::CertificateNotSeen
    } else {
        Cause::CertificateRefused
    };
    Access::new(cause, format!("status {status}")).into()
}

/// Lower case, for comparing: FAST's texts vary.
fn fold(text: &str) -> String {
    text.to_lowercase()
}

fn colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(code: Option<i64>, message: &str, status: u16, asked: Asked) -> &'static str {
        of_platform_error(&PlatformError { code, message: message.to_owned() }, status, asked).kind()
    }

    #[test]
    fn the_platforms_words_are_understood_whatever_the_status() {
        for status in [200, 404, 500] {
            for code in [None, Some(1), Some(102)] {
                assert_eq!(meaning(code, "Internal error: Invalid docId", status, Asked::Document), "unknown_document");
            }
            assert_eq!(meaning(Some(100), "Unauthorized", status, Asked::List), "unauthorized");
            assert_eq!(meaning(Some(111), "Subscriber not found", status, Asked::List), "unknown_subscriber");
        }
    }

    #[test]
    fn one_documents_trouble_is_no_lack_of_rights() {
        assert_eq!(meaning(Some(102), "Internal error: try later", 200, Asked::Document), "answered");
        assert_eq!(meaning(Some(102), "Unauthorized", 200, Asked::Document), "unauthorized");
        assert_eq!(meaning(Some(102), "", 200, Asked::Document), "unauthorized");
        assert_eq!(meaning(Some(102), "Erreur", 200, Asked::List), "unauthorized");
    }

    #[test]
    fn a_server_error_that_names_no_document_says_nothing_about_it() {
        assert_eq!(meaning(Some(1), "Internal error", 500, Asked::Document), "unavailable");
        assert_eq!(meaning(Some(1), "Failed to convert value of type 'x'", 500, Asked::Document), "answered");
    }
}
