//! The promises of the schedule, over years that hold every change of clocks.

mod cadences;
mod calendars;
mod listings;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);
/// A year, in seconds.
const YEAR: i64 = 365 * 86_400;
/// 1 January 2024, in seconds since 1970: ten years from here hold twenty changes of clocks.
const START: i64 = 1_704_067_200;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

fn windows(texts: &[&str]) -> Vec<Window> {
    texts.iter().map(|text| Window::parse(text).unwrap()).collect()
}

/// The calendar of FAST-Parapheur as shipped.
fn usual_calendar() -> Calendar {
    Calendar::new(&windows(&["04:05-04:15"]), MINUTE, 2 * MINUTE).unwrap()
}

/// The cadence of FAST-Parapheur as shipped.
fn usual_cadence() -> Cadence {
    Cadence::new(30 * MINUTE, 5 * MINUTE, usual_calendar(), false)
}

/// Whether `time` is forbidden around `windows`, found minute by minute with jiff's own civil time.
fn forbidden_by_windows(windows: &[&str], before: Duration, after: Duration, time: Timestamp) -> bool {
    let from = (time - after).as_second().div_euclid(60) - 1;
    let to = (time + before).as_second().div_euclid(60) + 1;
    (from..=to).any(|minute| {
        let start = Timestamp::from_second(minute * 60).unwrap();
        let civil = start.to_zoned(paris().clone()).strftime("%H:%M").to_string();
        let inside = windows.iter().any(|window| {
            let (opens, closes) = window.split_once('-').unwrap();
            let (opened, closed) = (civil.as_str() >= opens, civil.as_str() >= closes);
            if opens < closes { opened && !closed } else { opened || !closed }
        });
        inside && start - before <= time && time < start + MINUTE + after
    })
}

/// Whether `time` is closer to a full hour than `avoid`, or less than 15 s before that.
fn forbidden_by_hours(avoid: Duration, time: Timestamp) -> bool {
    let (into_hour, avoid) = (time.as_millisecond().rem_euclid(3_600_000), i64::try_from(avoid.as_millis()).unwrap());
    avoid > 0 && (into_hour < avoid || into_hour >= 3_600_000 - avoid - 15_000)
}
