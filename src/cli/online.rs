//! `check --online`: each account's TLS connection, opened and closed without a request.

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::check::{Readable, about, finding};
use super::print;
use crate::config::{Finding, Weight};
use crate::connector::ConnectorError;
use crate::http::handshake::shake_hands;
use crate::identity;
use crate::poll::Platform;
use crate::poll::account::route;

/// Connections opened side by side.
const AT_A_TIME: usize = 8;

/// Opens a connection for each account whose certificate can be used, outside the platform's windows.
pub(super) async fn check(platform: &Platform, readable: &[Readable<'_>], now: Timestamp, findings: &mut Vec<Finding>) {
    let usable = readable.iter().filter(|one| {
        !one.identity.findings(now).iter().any(|judgement| judgement.weight == identity::Weight::Problem)
    });
    if let Some(hold) = platform.cadence.calendar().request_hold(now) {
        let end = print::paris_time(Some(hold.end));
        let what = format!("the platform must not be called before {end} (Paris): no connection was opened");
        findings.push(finding(Weight::Note, "fast.maintenance", what, "give `check --online` again then".to_owned()));
        return;
    }
    let found: Vec<Finding> =
        stream::iter(usable).map(|one| connect(platform, one)).buffer_unordered(AT_A_TIME).collect().await;
    findings.extend(found);
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
