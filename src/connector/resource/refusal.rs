//! What an answer of an API means that is not what was asked for.

use std::io::Cursor;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Platform;
use crate::connector::words::{shown, summary};
use crate::connector::{Access, Cause, ConnectorError, bearer};
use crate::content;
use crate::http::Answer;

/// Bytes of an error's body that are read.
const READ: usize = 64 << 10;
/// After a 429 that names no time.
const PAUSE: Duration = Duration::from_secs(60);
/// Members beside `code` and `message` that an error may have, and that no answer has alone.
const OF_ERRORS: [&str; 10] =
    ["code", "message", "timestamp", "status", "path", "details", "detail", "error", "errors", "correlationId"];

/// Tells what a status other than 200 means for `path`.
pub(super) async fn of_status(answer: &mut Answer, path: &str, platform: Platform) -> ConnectorError {
    let status = answer.status;
    if let (429 | 503, Some(wait)) = (status, answer.retry_after()) {
        return ConnectorError::Later { status, wait };
    }
    if status == 429 {
        return ConnectorError::Later { status, wait: PAUSE };
    }
    if (300..400).contains(&status) {
        let place = shown(&answer.discreet(answer.location().unwrap_or("nowhere").as_bytes()));
        let remedy = "compare api_url with the API's documentation; a login page of a proxy redirects as well";
        return api("redirect", "the platform sends us elsewhere", format!("status {status}, to {place}"), remedy);
    }
    let challenge = bearer::challenge(answer).unwrap_or_default();
    let body = answer.body.read(READ).await.ok().flatten().unwrap_or_default();
    let said = match challenge.description.as_deref().or(challenge.error.as_deref()) {
        Some(words) => shown(&answer.discreet(words.as_bytes())),
        None => words_of(answer.discreet(&body).as_bytes()),
    };
    let detail = if said.is_empty() { format!("status {status}") } else { format!("status {status}, {said}") };
    match (status, challenge.error.as_deref()) {
        (_, Some("insufficient_scope")) | (403, _) => {
            let remedy = match platform {
                Platform::Douane => "have this API authorised for the account (a new token would not help)",
                Platform::Piste => "subscribe the application to this API in PISTE (a new token would not help)",
            };
            api("unauthorized", "the account has no right to this API", detail, remedy)
        }
        (_, Some("invalid_request")) | (400 | 405 | 406 | 422, _) => {
            let remedy = format!("compare the resource's path, {path}, with the API's documentation");
            api("invalid_request", "the API does not take this request", detail, &remedy)
        }
        (401, _) => {
            let remedy = "ask the platform's support what it wants: it does not say that the token is invalid";
            api("unauthorized", "the API denies access", detail, remedy)
        }
        (404 | 410, _) => {
            let remedy = format!("compare the resource's path, {path}, with the API's documentation");
            api("not_there", "the API has no such resource", detail, &remedy)
        }
        (407, _) => Access::new(Cause::Proxy, detail).into(),
        (500..600, _) => ConnectorError::Unavailable { status, detail: said },
        _ => ConnectorError::Answered { detail: format!("the API answers {detail}") },
    }
}

fn api(kind: &'static str, what: &'static str, detail: String, remedy: &str) -> ConnectorError {
    Access::new(Cause::Api { kind, what, remedy: remedy.to_owned() }, detail).into()
}

/// What an error's body says.
fn words_of(body: &[u8]) -> String {
    if let Ok(Value::Object(object)) = serde_json::from_slice(body) {
        let text = |key: &str| object.get(key).and_then(Value::as_str).map(shown);
        let code = text("code").or_else(|| text("error"));
        let message = text("message").or_else(|| text("error_description")).or_else(|| text("detail"));
        return [code, message].into_iter().flatten().collect::<Vec<_>>().join(": ");
    }
    summary(&String::from_utf8_lossy(body))
}

/// Why a body that came with status 200 is none all the same: a refusal, a page, or nothing whole.
pub(super) fn in_disguise(body: &[u8]) -> Option<String> {
    match content::judge_answer(Cursor::new(body), body.len() as u64) {
        Ok(Ok(content::MediaType::Json)) => {
            let Ok(Value::Object(object)) = content::json(body) else { return None };
            business_error(&object)
        }
        Ok(Ok(_)) => None,
        Ok(Err(reason)) => Some(reason.to_string()),
        Err(error) => Some(error.to_string()),
    }
}

/// The refusal that `head`, the first bytes of an item, is, if it is a whole one.
pub(super) fn in_words(head: &[u8]) -> Option<String> {
    match serde_json::from_slice(head) {
        Ok(Value::Object(object)) => business_error(&object),
        _ => None,
    }
}

/// An error told in the words of the business, with status 200: SNE-Cotation's `code` and `message`, Chorus Pro's
/// `codeRetour` and `libelle`.
fn business_error(object: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(shown);
    if let (Some(code), Some(message)) = (text("code"), text("message")) {
        let marked = code.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("err"));
        let bare = object.keys().all(|key| OF_ERRORS.contains(&key.as_str()));
        if marked || bare {
            return Some(format!("the API refuses, with status 200: {code}: {message}"));
        }
    }
    let code = match object.get("codeRetour")? {
        Value::Number(number) => number.to_string(),
        Value::String(text) => shown(text),
        _ => return None,
    };
    let fine = code.trim().trim_start_matches('0').is_empty();
    let label = text("libelle").unwrap_or_default();
    (!fine).then(|| format!("the API refuses, with status 200: codeRetour {code}: {label}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_with_status_200_are_told_with_their_code_and_message() {
        let sne = in_disguise(br#"{"code":"ERRAUTUSR0001","message":"Aucun profil\u0007 metier"}"#).unwrap();
        assert!(sne.contains("ERRAUTUSR0001: Aucun profil metier"), "{sne}");
        assert!(in_disguise(br#"{"codeRetour":20001,"libelle":"Identifiant inconnu"}"#).unwrap().contains("20001"));
        assert!(in_disguise(br#"{"code":"X1","message":"no","timestamp":1}"#).is_some());
        for page in ["<html><title>Login</title></html>", "", "  ", "<a><b></a>"] {
            assert!(in_disguise(page.as_bytes()).is_some(), "{page}");
        }
    }

    #[test]
    fn answers_that_only_look_like_refusals_are_kept() {
        for body in [
            r#"{"version":"1.0","etat":"OK"}"#,
            r#"{"code":"FR75","message":"arrived","declaration":"H7"}"#,
            r#"{"codeRetour":0,"libelle":"OK"}"#,
            r#"{"codeRetour":"0000","libelle":"OK"}"#,
            r#"[{"code":"ERR1","message":"x"}]"#,
            "<a/>",
            "siren;nom\n1;x\n",
        ] {
            assert_eq!(in_disguise(body.as_bytes()), None, "{body}");
        }
    }
}
