//! Windows and the schedule, against a calendar that looks at every minute: nothing starts in a forbidden span, nothing too
//! soon, nothing never.
//!
//! The input: choices; what is left of it, read as text, is a window of its own.
#![no_main]

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use vaguemestre::schedule::{Cadence, Calendar, Hours, Seed, Span, Window, paris};
use vaguemestre_fuzz::Choices;

const LISTING_LEAD: Duration = Duration::from_secs(15);
const DOWNLOAD_LEAD: Duration = Duration::from_secs(120);
const MINUTE: i64 = 60_000;

/// What forbids something, looked at minute by minute.
struct Slow {
    windows: Vec<Window>,
    guard: Duration,
    avoid_hour: Duration,
}

impl Slow {
    fn forbids(&self, time: Timestamp, lead: Duration, hours: bool) -> bool {
        let (before, after) = (millis(self.guard + lead), millis(self.guard));
        let at = time.as_millisecond();
        let first = (at - after).div_euclid(MINUTE) - 1;
        let last = (at + before).div_euclid(MINUTE) + 1;
        let inside = |minute: i64| {
            let start = minute * MINUTE;
            at >= start - before
                && at < start + MINUTE + after
                && self.windows.iter().any(|window| holds(*window, start))
        };
        let avoid = millis(self.avoid_hour);
        let hour = |hour: i64| at >= hour * 60 * MINUTE - avoid - millis(lead) && at < hour * 60 * MINUTE + avoid;
        let present = at.div_euclid(60 * MINUTE);
        (first..=last).any(inside) || (hours && avoid > 0 && (present - 1..=present + 1).any(hour))
    }
}

fn holds(window: Window, start: i64) -> bool {
    let civil = Timestamp::from_millisecond(start).expect("a time").to_zoned(paris().clone());
    window.holds(u16::from(civil.hour().unsigned_abs()) * 60 + u16::from(civil.minute().unsigned_abs()))
}

fn millis(duration: Duration) -> i64 {
    duration.as_millis().try_into().expect("a short time")
}

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let windows: Vec<Window> = (0..choices.below(4)).filter_map(|_| window(&mut choices)).collect();
    let guard = Duration::from_secs(choices.below(4000) as u64);
    let avoid_hour = Duration::from_secs(choices.below(1740) as u64);
    let interval = Duration::from_millis(choices.below(50_000) as u64 * 2_000);
    let jitter = Duration::from_millis(choices.below(50_000) as u64 * 100);
    let loopback = choices.byte() & 1 == 1;
    let start = start(&mut choices);
    let started =
        start.saturating_add(SignedDuration::from_millis(choices.number() % 200_000_000)).expect("a span of time");
    let seed = Seed([choices.byte(); 32]);
    let overdue = choices.below(60_000);
    words(&String::from_utf8_lossy(choices.0));
    for window in &windows {
        hours(*window, start);
    }
    let Ok(calendar) = Calendar::new(&windows, guard, avoid_hour) else { return };
    let cadence = Cadence::new(interval, jitter, calendar.clone(), loopback);
    let next = cadence.next(&seed, "fast/mairie/chorus", start, started);
    let first = cadence.first(&seed, "fast/mairie/chorus", started, overdue);
    let postponed = cadence.postponed(&seed, "fast/mairie/chorus", start);
    let latest = cadence.latest_plausible(started, overdue);
    // At the ends of the calendar nothing but an answer is promised.
    let usual = |time: Timestamp| (0..7_000_000_000).contains(&time.as_second());
    if !usual(start) || !usual(started) {
        return;
    }
    let slow = Slow { windows, guard, avoid_hour };
    for time in [start, started] {
        agree(calendar.listing_hold(time), time, slow.forbids(time, LISTING_LEAD, true));
        agree(calendar.request_hold(time), time, slow.forbids(time, Duration::ZERO, false));
        agree(calendar.download_hold(time), time, slow.forbids(time, DOWNLOAD_LEAD, false));
    }
    for time in [next, first, postponed, calendar.listing_allowed_from(started)] {
        assert!(!slow.forbids(time, LISTING_LEAD, true), "{time} is forbidden");
    }
    assert!(next >= started + interval && first >= started && postponed >= start);
    assert!(start > started || next <= latest, "{next} is later than {latest}");
    assert!(first <= latest, "{first} is later than {latest}");
    let end = start.saturating_add(SignedDuration::from_hours(60)).expect("a span of time");
    let plan: Vec<Timestamp> = cadence.plan(&seed, "fast/mairie/chorus", start, end).take(50).collect();
    assert!(plan.windows(2).all(|pair| pair[1] >= pair[0] + interval));
    assert!(plan.iter().all(|time| !slow.forbids(*time, LISTING_LEAD, true)));
});

fn agree(hold: Option<Span>, time: Timestamp, forbidden: bool) {
    assert_eq!(hold.is_some(), forbidden, "{time}: {hold:?}");
    if let Some(hold) = hold {
        assert!(hold.contains(time) && !hold.contains(hold.end));
    }
}

fn window(choices: &mut Choices<'_>) -> Option<Window> {
    let (start, end) = (choices.below(1440), choices.below(1441));
    let text = format!("{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60);
    let window = Window::parse(&text).ok();
    assert_eq!(window.is_none(), start == end, "{text}");
    assert!(window.is_none_or(|window| window.to_string() == text));
    window
}

/// Near a change of clocks, or anywhere.
fn start(choices: &mut Choices<'_>) -> Timestamp {
    // The last Sundays of March and October, at one in UTC, of 2026 to 2029.
    const CHANGES: [i64; 8] = [
        1_774_746_000,
        1_792_890_000,
        1_806_195_600,
        1_824_944_400,
        1_837_645_200,
        1_856_394_000,
        1_869_094_800,
        1_887_843_600,
    ];
    match choices.byte() {
        0..=199 => {
            let change = choices.of(&CHANGES) * 1000;
            Timestamp::from_millisecond(change + choices.number() % 259_200_000).expect("a time of this century")
        }
        200..=249 => Timestamp::from_millisecond(choices.number().rem_euclid(4_000_000_000_000)).expect("a time"),
        // Before 1911 Paris was no whole minutes from UTC, and a calendar that leaves time now might have left none.
        _ => choices.of(&[Timestamp::UNIX_EPOCH, Timestamp::MAX]),
    }
}

fn words(text: &str) {
    if let Ok(window) = Window::parse(text) {
        assert_eq!(window.to_string(), text);
        assert_eq!(text.parse::<Hours>().map(|hours| hours.to_string()).as_deref(), Ok(text));
    }
}

fn hours(window: Window, now: Timestamp) {
    let hours: Hours = window.to_string().parse().expect("a window is hours");
    let (open, opens, closes) = (hours.is_open(now), hours.opens_at(now), hours.closes_at(now));
    if !(0..7_000_000_000).contains(&now.as_second()) {
        return;
    }
    assert_eq!(open, holds(window, now.as_millisecond().div_euclid(MINUTE) * MINUTE), "{window} at {now}");
    assert!(opens >= now && hours.is_open(opens), "{window} opens at {opens}, after {now}");
    assert_eq!(open, opens == now);
    if let Some(closes) = closes {
        assert!(open && closes > now && !hours.is_open(closes), "{window} closes at {closes}, after {now}");
    }
}
