//! Rules between keys: what the platform demands of whoever calls it.
//!
//! A platform on this machine (a test, the demo) is asked as often as one likes.

use std::time::Duration;

use super::finding::{Fault, Finding, Weight};
use super::layers::Layers;
use super::noun::{span, window};
use super::settings::Settings;
use crate::schedule::{Calendar, NoTimeLeft};

/// The daily stop of FAST-Parapheur in minutes of the day: 04:05–04:15 (guide v3.4, §1.2).
const DAILY_STOP: (u16, u16) = (245, 255);

/// Judges `settings` by the rules of the platforms that have an account.
pub(super) fn judge(settings: &Settings, layers: &Layers, findings: &mut Vec<Finding>) {
    let Some(fast) = &settings.fast else { return };
    let mut say = |path: &str, fault: Option<Fault>| {
        findings.extend(fault.map(|fault| fault.at(Weight::Error, layers.place(path))));
    };
    let schedule = &settings.schedule;
    say("fast.maintenance", Calendar::new(&fast.maintenance, fast.guard, schedule.avoid_hour).err().map(no_time_left));
    if fast.loopback || (fast.accounts.is_empty() && fast.unusable.is_empty()) {
        return;
    }
    let day = Duration::from_secs(86_400);
    say("schedule.interval", between(schedule.interval, minutes(30), day));
    // A floor that the interval breaks is not told a second time of the jitter.
    say("schedule.jitter", between(schedule.jitter, minutes(1), schedule.interval.clamp(minutes(30), day)));
    say("schedule.avoid_hour", between(schedule.avoid_hour, minutes(1), minutes(29)));
    say("fast.guard", between(fast.guard, Duration::from_secs(30), minutes(60)));
    let covered = window::cover(&fast.maintenance, DAILY_STOP);
    say("fast.maintenance", (!covered).then(not_covered));
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

fn not_covered() -> Fault {
    Fault::new("the platform's daily stop, 04:05-04:15, is not covered", "add \"04:05-04:15\" to the list")
}

fn no_time_left(error: NoTimeLeft) -> Fault {
    Fault::new(error.to_string(), "shorten the windows, `guard` or `avoid_hour`")
}

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}
