//! What is said to a token server, and what it answers (RFC 6749, §4.3, §4.4, §5).

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};

use super::Client;
use crate::http::{Answer, HttpError};
use crate::words::plain;

/// Everything but the unreserved characters (RFC 3986, §2.3): a space is `%20`, which every server reads, not `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The longest answer read.
const LONGEST: usize = 256 * 1024;
/// The longest life believed: about a year. A longer one is renewed too early, and nothing worse.
const LIFE: f64 = 366.0 * 86_400.0;
/// Letters of the platform's own words that are shown.
const SHOWN: usize = 200;

/// How a client asks for its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// French customs: by user name and password.
    Password,
    /// PISTE: as an application.
    ClientCredentials,
}

/// Why a request brought no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denial {
    /// Whether the credentials were refused, or the request would be refused however often it is made.
    pub(super) refused: bool,
    /// What happened, in a sentence.
    pub(super) reason: String,
    /// What to do.
    pub(super) remedy: String,
    /// How long the server asks us to wait.
    pub(super) retry_after: Option<Duration>,
}

/// A token with its life.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) access_token: SecretString,
    pub(super) life: Duration,
}

/// The form that asks for a token.
pub(super) fn form(client: &Client, secret: &SecretString) -> SecretString {
    let pairs = match client.grant {
        Grant::Password => vec![
            ("grant_type", "password"),
            ("client_id", "gun-api"),
            ("scope", "openid"),
            ("username", &client.name),
            ("password", secret.expose_secret()),
        ],
        Grant::ClientCredentials => vec![
            ("grant_type", "client_credentials"),
            ("client_id", &client.name),
            ("client_secret", secret.expose_secret()),
            ("scope", "openid"),
        ],
    };
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
    SecretString::from(pairs.join("&"))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, FORM).to_string()
}

/// Reads the answer to `client`, whose secret is `secret`, so that it can be kept out of what is said.
pub(super) async fn read(client: &Client, secret: &SecretString, mut answer: Answer) -> Result<Granted, Denial> {
    if let Some(coding) = answer.content_encoding().filter(|_| answer.status == 200) {
        let fault = format!("answers with content coding «{}», which was not asked for", plain(coding));
        return Err(failed(client, fault));
    }
    let body = match answer.body.read(LONGEST).await {
        Ok(Some(body)) => body,
        Ok(None) => return Err(failed(client, "the answer is too long to be one with a token".to_owned())),
        Err(error) => return Err(unanswered(client, &error)),
    };
    let object = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    match answer.status {
        200 if !object.contains_key("error") => grant(&object).map_err(|fault| failed(client, fault)),
        status => Err(denial(client, secret, status, &object, answer.retry_after())),
    }
}

/// The token in the answer's object.
fn grant(object: &Map<String, Value>) -> Result<Granted, String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let token = text("access_token").filter(|token| !token.is_empty());
    let token = token.ok_or("answers with status 200, but without an access_token")?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("gives an access_token that no request could carry".to_owned());
    }
    if object.contains_key("token_type") && !text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"))
    {
        return Err("gives a token of another type than Bearer".to_owned());
    }
    let seconds = match object.get("expires_in") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(number)) => number.trim().parse().ok(),
        _ => None,
    };
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    let seconds = seconds.ok_or("gives a token without a usable expires_in")?.min(LIFE);
    Ok(Granted { access_token: SecretString::from(token), life: Duration::from_secs_f64(seconds) })
}

fn denial(
    client: &Client,
    secret: &SecretString,
    status: u16,
    object: &Map<String, Value>,
    retry_after: Option<Duration>,
) -> Denial {
    let said = |key: &str| object.get(key).and_then(Value::as_str).map(|text| shown(text, secret));
    let code = said("error").unwrap_or_default();
    let mut words = code.clone();
    if let Some(description) = said("error_description").filter(|text| !text.is_empty()) {
        words = if words.is_empty() { description } else { format!("{words}: {description}") };
    }
    let words = if words.is_empty() { String::new() } else { format!(" ({words})") };
    if is_refusal(status, &code) {
        let reason = format!("{} refuses it with status {status}{words}", host(client));
        return Denial { refused: true, reason, remedy: refusal_remedy(client, &code), retry_after: None };
    }
    let what = match status {
        300..=399 => "answers with a redirect, which is never followed: status ".to_owned() + &status.to_string(),
        _ => format!("answers with status {status}{words}"),
    };
    Denial { retry_after, ..failed(client, what) }
}

/// Whether the request was judged, and would be judged alike again: the codes of RFC 6749 §5.2, and the statuses that say
/// so without one. Repeating those is what locks accounts.
fn is_refusal(status: u16, code: &str) -> bool {
    match code {
        "invalid_grant"
        | "invalid_client"
        | "invalid_request"
        | "invalid_scope"
        | "unauthorized_client"
        | "unsupported_grant_type"
        | "access_denied" => status < 500,
        "temporarily_unavailable" | "server_error" => false,
        _ => matches!(status, 400 | 401 | 403),
    }
}

fn refusal_remedy(client: &Client, code: &str) -> String {
    match (code, client.grant, client.other_url) {
        ("invalid_client", Grant::ClientCredentials, Some(other)) => format!(
            "correct client_id and client_secret, or the address: this one may not know applications of the sandbox; \
             try token_url = \"{other}\" in [piste]"
        ),
        ("invalid_request" | "invalid_scope" | "unsupported_grant_type", ..) => {
            "the platform does not take this kind of request: compare token_url with its documentation".to_owned()
        }
        (_, Grant::Password, _) => {
            "correct username or password, and compare `environment`: accounts of production and formation differ"
                .to_owned()
        }
        (_, Grant::ClientCredentials, _) => {
            "correct client_id or client_secret, and compare `environment`: applications of production and sandbox differ"
                .to_owned()
        }
    }
}

/// What a request that met no whole answer came to.
pub(super) fn unanswered(client: &Client, error: &HttpError) -> Denial {
    let remedy = match error {
        HttpError::UntrustedServer { issuer: Some(issuer), .. } => {
            format!(
                "if «{issuer}» inspects TLS here, have this host exempted, or name its authority in [http] ca_certificate"
            )
        }
        HttpError::UntrustedServer { .. } | HttpError::Refused { .. } | HttpError::NoTls { .. } => {
            "compare token_url, and [http] proxy and ca_certificate".to_owned()
        }
        _ => "check the network and [http] proxy; it is tried again".to_owned(),
    };
    Denial { remedy, ..failed(client, error.to_string()) }
}

pub(super) fn failed(client: &Client, what: String) -> Denial {
    let host = host(client);
    let reason = if what.contains(host) { what } else { format!("{host} {what}") };
    let remedy = "nothing to do if it passes; else compare token_url, or ask the platform".to_owned();
    Denial { refused: false, reason, remedy, retry_after: None }
}

/// Host and port of the client's token server.
fn host(client: &Client) -> &str {
    let rest = client.token_url.split_once("://").map_or(client.token_url.as_str(), |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// The platform's own words on one line, not too long, and without the secret if it should repeat that.
fn shown(text: &str, secret: &SecretString) -> String {
    let secret = secret.expose_secret();
    let text = text.replace(secret, "…").replace(&encoded(secret), "…");
    plain(&text).chars().take(SHOWN).collect()
}
