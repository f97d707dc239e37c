//! How long ago a feed was listed, when clocks are set and machines restart.

use super::*;
use crate::clock::{Clock, SetClock};

fn listed_now(clock: &SetClock) -> LastListing {
    LastListing { wall: clock.now(), boot: clock.boot() }
}

fn wait(clock: &SetClock, last: &LastListing) -> Option<Duration> {
    usual_cadence().wait_before_listing(last, clock.now(), &clock.boot())
}

#[test]
fn a_feed_waits_until_the_interval_is_full_and_no_longer() {
    let clock = SetClock::at(at("2026-01-10T09:10:00Z"));
    let last = listed_now(&clock);
    assert_eq!(wait(&clock, &last), Some(30 * MINUTE));
    clock.advance(30 * MINUTE - Duration::from_millis(1));
    assert_eq!(wait(&clock, &last), Some(Duration::from_millis(1)));
    clock.advance(Duration::from_millis(1));
    assert_eq!(wait(&clock, &last), None);
    clock.advance(1_000 * MINUTE);
    assert_eq!(wait(&clock, &last), None);
}

#[test]
fn a_clock_set_forward_makes_no_interval_shorter() {
    let clock = SetClock::at(at("2026-01-10T09:10:00Z"));
    let last = listed_now(&clock);
    clock.advance(10 * MINUTE);
    clock.set_wall(at("2027-01-10T09:10:00Z"));
    assert_eq!(wait(&clock, &last), Some(20 * MINUTE));
}

#[test]
fn a_clock_set_back_a_little_counts_only_what_it_shows() {
    let clock = SetClock::at(at("2026-01-10T09:10:00Z"));
    let last = listed_now(&clock);
    clock.advance(20 * MINUTE);
    clock.set_wall(at("2026-01-10T09:15:00Z"));
    assert_eq!(last.elapsed(clock.now(), &clock.boot()), 5 * MINUTE);
    assert_eq!(last.corrected(clock.now(), &clock.boot()), None);
}

#[test]
fn a_start_in_the_future_counts_as_now_and_holds_no_feed_longer_than_an_interval() {
    let clock = SetClock::at(at("2026-01-10T09:10:00Z"));
    let last = listed_now(&clock);
    clock.advance(20 * MINUTE);
    clock.set_wall(at("2025-01-10T09:10:00Z"));
    assert_eq!(wait(&clock, &last), Some(30 * MINUTE));
    let corrected = last.corrected(clock.now(), &clock.boot()).unwrap();
    assert_eq!(corrected, listed_now(&clock));
    clock.advance(30 * MINUTE);
    assert_eq!(wait(&clock, &corrected), None);
}

#[test]
fn after_a_reboot_the_wall_clock_alone_decides() {
    let clock = SetClock::at(at("2026-01-10T09:10:00Z"));
    let last = listed_now(&clock);
    clock.reboot("boot-2");
    clock.advance(2 * MINUTE);
    assert_eq!(wait(&clock, &last), Some(28 * MINUTE));
    clock.set_wall(at("2026-01-10T09:40:00Z"));
    assert_eq!(wait(&clock, &last), None);
    clock.set_wall(at("2026-01-10T09:00:00Z"));
    assert_eq!(wait(&clock, &last), Some(30 * MINUTE));
    assert!(last.corrected(clock.now(), &clock.boot()).is_some());
}

#[test]
fn without_a_boot_identifier_no_two_moments_are_of_the_same_boot() {
    let clock = SetClock::at(at("2026-01-10T09:10:00Z"));
    clock.reboot("");
    let last = listed_now(&clock);
    clock.set_wall(at("2026-01-10T09:40:00Z"));
    assert_eq!(wait(&clock, &last), None);
}

#[test]
fn a_boot_clock_behind_the_recorded_start_is_corrected_too() {
    // A container started again may see the same boot with another boot time.
    let clock = SetClock::at(at("2026-01-10T09:10:00Z"));
    let last = listed_now(&clock);
    clock.reboot("boot-1");
    clock.advance(40 * MINUTE);
    assert_eq!(wait(&clock, &last), Some(30 * MINUTE));
    assert_eq!(last.corrected(clock.now(), &clock.boot()), Some(listed_now(&clock)));
}
