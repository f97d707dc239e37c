//! `check --online`: each account's TLS connection, opened and closed without a request; and each token.

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::check::{Readable, about, about_client, finding};
use super::{Context, print, token};
use crate::config::{Finding, Settings, Weight};
use crate::connector::ConnectorError;
use crate::http::handshake::shake_hands;
use crate::identity;
use crate::poll::Platform;
use crate::poll::source::route;
use crate::schedule::Calendar;
use crate::token::Client;

/// Connections opened side by side.
const AT_A_TIME: usize = 8;

/// Opens a connection for each account whose certificate can be used, outside the platform's windows.
pub(super) async fn check(
    platform: &Platform,
    calendar: &Calendar,
    readable: &[Readable<'_>],
    now: Timestamp,
    findings: &mut Vec<Finding>,
) {
    let usable = readable.iter().filter(|one| {
        !one.identity.findings(now).iter().any(|judgement| judgement.weight == identity::Weight::Problem)
    });
    if let Some(hold) = calendar.request_hold(now) {
        let end = print::paris_time(Some(hold.end));
        let what = format!("the platform must not be called before {end} (Paris): no connection was opened");
        findings.push(finding(Weight::Note, "fast.maintenance", what, "give `check --online` again then".to_owned()));
        return;
    }
    let found: Vec<Finding> =
        stream::iter(usable).map(|one| connect(platform, one)).buffer_unordered(AT_A_TIME).collect().await;
    findings.extend(found);
}

/// Holds or obtains a token of each of `clients`, by the same rules as everybody (T1–T6).
pub(super) async fn tokens(context: &Context, settings: &Settings, clients: &[&Client]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for client in clients {
        let note = |weight, what, remedy: String| about_client(weight, &client.account, "online", what, remedy);
        if !settings.state.directory.exists() {
            let remedy = "start the daemon once, then check again".to_owned();
            findings.push(note(
                Weight::Note,
                "no token is asked for while there is no state directory".to_owned(),
                remedy,
            ));
            continue;
        }
        findings.push(match token::obtain(context, settings, client).await {
            Ok(Ok(token)) => {
                let what = format!("a token is held for {} s", token.expires_in.as_secs());
                note(Weight::Note, what, "nothing to do".to_owned())
            }
            Ok(Err(answer)) => {
                let (what, remedy) = answer.text.trim_end().split_once('\n').unwrap_or((answer.text.trim_end(), ""));
                note(Weight::Problem, what.to_owned(), remedy.to_owned())
            }
            Err(error) => note(Weight::Problem, format!("{error:#}"), "see the state directory's findings".to_owned()),
        });
    }
    findings
}

async fn connect(platform: &Platform, one: &Readable<'_>) -> Finding {
    let tls = match one.identity.client_config(platform.verifier.clone()) {
        Ok(tls) => tls,
        Err(error) => return about(Weight::Problem, one.account, "certificate", error.to_string(), error.remedy()),
    };
    match shake_hands(tls, &route(platform)).await {
        Ok(()) => {
            let what = format!("{} accepts the connection with this certificate", platform.origin);
            about(Weight::Note, one.account, "online", what, "nothing to do".to_owned())
        }
        Err(error) => {
            let (what, remedy) = match ConnectorError::from(error) {
                ConnectorError::Access(access) => (access.detail.clone(), access.cause.remedy()),
                other => (other.to_string(), "try again; if it stays so, ask FAST support".to_owned()),
            };
            about(Weight::Problem, one.account, "online", what, remedy)
        }
    }
}
