//! `check` of API Entreprise: each account's token, its end and, online, its rights. No call that counts is made.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::check::{about_client, finding, no_problem};
use super::runtime;
use crate::config::{EntrepriseAccount, Finding, SecretError, Settings, Watch, Weight};
use crate::connector::ConnectorError;
use crate::connector::entreprise::{jwt, rights};
use crate::daemon::apis;
use crate::status::{TOKEN_DAYS, days_left};

/// Judges the accounts; `online` asks the platform for their rights. Answers how many could work.
pub(super) fn check(
    settings: &Settings,
    online: bool,
    now: Timestamp,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<usize> {
    let Some(entreprise) = &settings.entreprise else { return Ok(0) };
    let mut working = 0;
    for account in &entreprise.accounts {
        let name = format!("entreprise/{}", account.name);
        let say = |weight, what: String, remedy: &str| about_client(weight, &name, "token", what, remedy.to_owned());
        match account.token.read(&|name| std::env::var(name).ok()) {
            Ok(token) if token.expose_secret().trim().is_empty() => {
                findings.push(say(Weight::Problem, "it is empty".to_owned(), "write the token into its place"));
            }
            Ok(token) => {
                findings.extend(judge(&token, now, say));
                if online {
                    let watches: Vec<&Watch> =
                        entreprise.watches.iter().filter(|watch| watch.account == account.name).collect();
                    findings.extend(runtime()?.block_on(ask(settings, account, &name, &token, &watches)));
                }
            }
            Err(error @ SecretError::OutsideService(_)) => {
                findings.push(say(Weight::Note, error.to_string(), "it is judged when the service runs"));
            }
            Err(error) => findings.push(say(Weight::Problem, error.to_string(), "see token in the account's table")),
        }
        working += usize::from(no_problem(&name, findings));
    }
    Ok(working)
}

/// What a token says of itself.
fn judge(token: &SecretString, now: Timestamp, say: impl Fn(Weight, String, &str) -> Finding) -> Option<Finding> {
    let Some(jwt) = jwt::Jwt::read(token) else {
        let what = "it cannot be read as a JWT; it is used as it is".to_owned();
        return Some(say(Weight::Note, what, "compare it with the token that was delivered"));
    };
    let days = days_left(jwt.expires_at?, now);
    if days >= TOKEN_DAYS {
        return None;
    }
    let what = if days < 0 { "it has expired, it says".to_owned() } else { format!("it ends in {days} days") };
    Some(say(Weight::Note, what, "have it renewed in the account's space of API Entreprise"))
}

/// Asks for the rights of a token, and names the watches that lack theirs.
async fn ask(
    settings: &Settings,
    account: &EntrepriseAccount,
    name: &str,
    token: &SecretString,
    watches: &[&Watch],
) -> Vec<Finding> {
    let say = |weight, what: String, remedy: &str| vec![about_client(weight, name, "online", what, remedy.to_owned())];
    let api = match apis::door(settings) {
        Ok(api) => api,
        Err(error) => return vec![finding(Weight::Error, "entreprise", error.to_string(), error.remedy())],
    };
    let held = match api.privileges(token).await {
        Ok(Ok(held)) => held,
        Ok(Err(what)) => {
            return say(
                Weight::Problem,
                format!("its rights were not told: {what}"),
                "have the token renewed, or corrected",
            );
        }
        Err(error) => {
            let (what, remedy) = match ConnectorError::from(error) {
                ConnectorError::Access(access) => (access.detail.clone(), access.cause.remedy()),
                other => (other.to_string(), "try again; if it stays so, this machine may be banned".to_owned()),
            };
            return say(Weight::Problem, what, &remedy);
        }
    };
    let listed = if held.is_empty() { "none".to_owned() } else { held.join(", ") };
    let mut findings = say(Weight::Note, format!("its rights: {listed}"), "nothing to do");
    for watch in watches {
        if let Some(needed) = rights::lacking(&watch.path, &held) {
            let key = format!("watch {}/{}", account.name, watch.name);
            let what = format!("the token has no right to {}: it needs {}", watch.path, needed.join(" or "));
            findings.push(finding(Weight::Problem, &key, what, "have the right added to the token".to_owned()));
        }
    }
    findings
}
