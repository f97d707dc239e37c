//! `check` of the targets: whether documents can be handed to them at all.

use nix::unistd::{AccessFlags, access};

use super::check::finding;
use crate::alert;
use crate::config::{Finding, Handover, Inbox, SecretError, Settings, Weight};
use crate::delivery;

/// Judges the targets against this machine.
pub(super) fn check(settings: &Settings, findings: &mut Vec<Finding>) {
    for target in &settings.delivery.targets {
        let mut say = |weight, key: &str, what: String, remedy: &str| {
            let key = format!("delivery.targets \"{}\".{key}", target.name);
            findings.push(finding(weight, &key, what, remedy.to_owned()));
        };
        match &target.handover {
            Handover::Inbox(inbox) => {
                if let Some(what) = unwritable(inbox, settings) {
                    let remedy = "make the folder and let the daemon's user write into it";
                    say(Weight::Problem, "inbox", what, remedy);
                }
            }
            Handover::Command(program) => {
                if let Err(what) = delivery::judge_program(program) {
                    say(Weight::Problem, "command", what, "its documents wait until then");
                }
            }
            Handover::Webhook(webhook) => match delivery::judge_secret(webhook) {
                Ok(()) => {}
                Err(error @ SecretError::OutsideService(_)) => {
                    say(Weight::Note, "secret", error.to_string(), "it is judged when the service runs");
                }
                Err(error) => say(Weight::Problem, "secret", error.to_string(), "its documents wait until then"),
            },
        }
    }
}

/// Judges those who are told alerts.
pub(super) fn check_alerts(settings: &Settings, findings: &mut Vec<Finding>) {
    for target in &settings.alerts {
        let Some((what, certain)) = alert::judge(target) else { continue };
        let weight = if certain { Weight::Problem } else { Weight::Note };
        let remedy = "once that is mended, `vaguemestre alert` sends it a test".to_owned();
        findings.push(finding(weight, &format!("alerts \"{}\"", target.name), what, remedy));
    }
}

/// What is wrong with an inbox, if anything is.
fn unwritable(target: &Inbox, settings: &Settings) -> Option<String> {
    let place = if target.inbox.exists() { Some(target.inbox.as_path()) } else { target.inbox.parent() };
    let beneath_state = target.inbox.starts_with(&settings.state.directory);
    let place = place.filter(|_| !beneath_state || target.inbox.exists())?;
    let unwritable = access(place, AccessFlags::W_OK | AccessFlags::X_OK).is_err();
    unwritable.then(|| format!("{} cannot be written by this user, or is not there", place.display()))
}
