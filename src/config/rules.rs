//! Rules between keys: what the platform demands of whoever calls it.
//!
//! A platform on this machine (a test, the demo) is asked as often as one likes.

use std::time::Duration;

use super::address::Platform;
use super::finding::{Fault, Finding, Weight};
use super::layers::Layers;
use super::noun::{span, window};
use super::settings::Settings;
use crate::schedule::{Calendar, NoTimeLeft};

/// The daily stop of FAST-Parapheur in minutes of the day: 04:05–04:15 (guide v3.4, §1.2).
const DAILY_STOP: (u16, u16) = (245, 255);

/// Nothing of FAST, Douane or PISTE is asked more often.
pub(super) const HALF_HOUR: Duration = minutes(30);
/// Nothing of API Entreprise is: its answers are cached for as long.
pub(super) const HOUR: Duration = minutes(60);

/// Judges `settings` by the rules of the platforms that have an account.
pub(super) fn judge(settings: &Settings, layers: &Layers, findings: &mut Vec<Finding>) {
    let mut say = |path: &str, fault: Option<Fault>| {
        findings.extend(fault.map(|fault| fault.at(Weight::Error, layers.place(path))));
    };
    let schedule = &settings.schedule;
    if let Some(fast) = &settings.fast {
        let calendar = Calendar::new(&fast.maintenance, fast.guard, schedule.avoid_hour);
        say("fast.maintenance", calendar.err().map(no_time_left));
    }
    let strict =
        settings.fast.as_ref().filter(|fast| !(fast.loopback || fast.accounts.is_empty() && fast.unusable.is_empty()));
    if strict.is_some() || gateways_are_elsewhere(settings) {
        let day = Duration::from_secs(86_400);
        say("schedule.interval", between(schedule.interval, HALF_HOUR, day));
        // A floor that the interval breaks is not told a second time of the jitter.
        say("schedule.jitter", between(schedule.jitter, minutes(1), schedule.interval.clamp(HALF_HOUR, day)));
        say("schedule.avoid_hour", between(schedule.avoid_hour, minutes(1), minutes(29)));
    }
    if let Some(fast) = strict {
        say("fast.guard", between(fast.guard, Duration::from_secs(30), minutes(60)));
        let covered = window::cover(&fast.maintenance, DAILY_STOP);
        say("fast.maintenance", (!covered).then(not_covered));
    }
    if settings.admin.listen.as_ref().is_some_and(|listen| !listen.is_local()) {
        findings.push(open_to_others().at(Weight::Note, layers.place("admin.listen")));
    }
}

/// Whether all `addresses` are on this machine; one that cannot be read is judged elsewhere.
pub(super) fn on_this_machine(addresses: &[&str]) -> bool {
    addresses.iter().all(|address| Platform::parse(address).is_ok_and(|platform| platform.loopback))
}

/// Whether a platform with an HTTP API has an account and is not on this machine.
fn gateways_are_elsewhere(settings: &Settings) -> bool {
    let Settings { douane, piste, entreprise, .. } = settings;
    let douane = douane.iter().filter(|it| !it.accounts.is_empty()).flat_map(|it| [&it.token_url, &it.api_url]);
    let piste = piste.iter().filter(|it| !it.accounts.is_empty()).flat_map(|it| [&it.token_url, &it.api_url]);
    let entreprise = entreprise.iter().filter(|it| !it.accounts.is_empty()).map(|it| &it.base_url);
    douane.chain(piste).chain(entreprise).any(|address| !on_this_machine(&[address]))
}

fn between(value: Duration, least: Duration, most: Duration) -> Option<Fault> {
    let what = match value {
        _ if value < least => "is less than the platform demands",
        _ if value > most => "is more than makes sense",
        _ => return None,
    };
    let remedy = format!("write a length of time from \"{}\" to \"{}\"", span::show(least), span::show(most));
    Some(Fault::new(format!("\"{}\" {what}", span::show(value)), remedy))
}

fn open_to_others() -> Fault {
    Fault::new(
        "anyone who reaches it can read which accounts, feeds and targets there are and how they do: nobody is asked who they \
         are, and nothing is encrypted",
        "let a firewall admit the monitoring alone, or listen at 127.0.0.1 or a Unix socket",
    )
}

fn not_covered() -> Fault {
    Fault::new("the platform's daily stop, 04:05-04:15, is not covered", "add \"04:05-04:15\" to the list")
}

fn no_time_left(error: NoTimeLeft) -> Fault {
    Fault::new(error.to_string(), "shorten the windows, `guard` or `avoid_hour`")
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}
