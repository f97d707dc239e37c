//! Rules between keys: what the platform demands of whoever calls it.
//!
//! A platform on this machine (a test, the demo) is asked as often as one likes.

use std::time::Duration;

use super::finding::{Fault, Finding, Weight};
use super::layers::Layers;
use super::noun::{span, window};
use super::settings::{Fast, Settings};

/// The daily stop of FAST-Parapheur in minutes of the day: 04:05–04:15 (guide v3.4, §1.2).
const DAILY_STOP: (u16, u16) = (245, 255);

/// Judges `settings` by the rules of the platforms that have an account.
pub(super) fn judge(settings: &Settings, layers: &Layers, findings: &mut Vec<Finding>) {
    let Some(fast) = settings.fast.as_ref().filter(|fast| !fast.loopback) else { return };
    let mut say = |path: &str, fault: Option<Fault>| {
        findings.extend(fault.map(|fault| fault.at(Weight::Error, layers.place(path))));
    };
    let schedule = &settings.schedule;
    let day = Duration::from_secs(86_400);
    say("schedule.interval", between(schedule.interval, minutes(30), day));
    // A floor that the interval breaks is not told a second time of the jitter.
    say("schedule.jitter", between(schedule.jitter, minutes(1), schedule.interval.clamp(minutes(30), day)));
    say("schedule.avoid_hour", between(schedule.avoid_hour, minutes(1), minutes(29)));
    say("fast.guard", between(fast.guard, Duration::from_secs(30), minutes(60)));
    say("fast.maintenance", maintenance(fast, schedule.avoid_hour));
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

fn maintenance(fast: &Fast, avoid_hour: Duration) -> Option<Fault> {
    if !window::cover(&fast.maintenance, DAILY_STOP) {
        let what = "the platform's daily stop, 04:05-04:15, is not covered";
        return Some(Fault::new(what, "add \"04:05-04:15\" to the list"));
    }
    let free = window::free_minutes(&fast.maintenance, fast.guard, avoid_hour);
    let fault = Fault::new("less than an hour a day is left to call the platform", "shorten the windows or `guard`");
    (free < 60).then_some(fault)
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}
