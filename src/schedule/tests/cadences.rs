//! The times a cadence draws.

use proptest::prelude::*;

use super::*;

const FEED: &str = "fast/mairie/acquittements";

fn seed(number: u64) -> Seed {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Seed(bytes)
}

fn year_from(cadence: &Cadence, seed: &Seed, feed: &str, start: i64) -> Vec<Timestamp> {
    let from = Timestamp::from_second(start).unwrap();
    cadence.plan(seed, feed, from, from + seconds(YEAR)).collect()
}

/// A cadence without calendar, with an `interval` and `jitter` in seconds.
fn free_cadence(interval: u64, jitter: u64, loopback: bool) -> Cadence {
    let calendar = Calendar::new(&[], Duration::ZERO, Duration::ZERO).unwrap();
    Cadence::new(Duration::from_secs(interval), Duration::from_secs(jitter), calendar, loopback)
}

#[test]
fn ten_years_keep_the_interval_and_every_forbidden_span() {
    let cadence = usual_cadence();
    for year in 0..10 {
        let times = year_from(&cadence, &seed(7), FEED, START + year * YEAR);
        assert!((15_000..17_520).contains(&times.len()), "{}", times.len());
        for pair in times.windows(2) {
            let gap = pair[1].duration_since(pair[0]);
            assert!(gap >= seconds(30 * 60 + 15), "{gap:#} before {}", pair[1]);
            // An interval and jitter that end just before 04:00 meet the full hour, and then may meet the window.
            assert!(gap <= seconds((30 + 5 + 23 + 5) * 60), "{gap:#} before {}", pair[1]);
        }
        for &time in &times {
            assert!(!forbidden_by_hours(2 * MINUTE, time), "{time}");
            let near_night = matches!(time.as_second().rem_euclid(86_400) / 3600, 1..=3);
            let (before, after) = (MINUTE + Duration::from_secs(15), MINUTE);
            assert!(!(near_night && forbidden_by_windows(&["04:05-04:15"], before, after, time)), "{time}");
        }
    }
}

#[test]
fn jitter_fills_its_bounds_and_never_leaves_them() {
    for (loopback, least) in [(false, 15_000), (true, 0)] {
        let cadence = free_cadence(1_800, 300, loopback);
        let times = year_from(&cadence, &seed(1), FEED, START);
        let jitters = times.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_millis() - 1_800_000);
        let jitters: Vec<i128> = jitters.collect();
        let (low, high) = (*jitters.iter().min().unwrap(), *jitters.iter().max().unwrap());
        assert!((least..least + 500).contains(&low) && (299_500..=300_000).contains(&high), "{low} to {high}");
        let tenths = jitters.iter().fold([0_usize; 10], |mut counts, jitter| {
            let tenth = (jitter - least) * 10 / (300_001 - least);
            counts[usize::try_from(tenth).unwrap()] += 1;
            counts
        });
        let mean = jitters.len() / 10;
        assert!(tenths.iter().all(|count| count.abs_diff(mean) < mean / 5), "{tenths:?}");
    }
}

#[test]
fn jitter_below_the_least_is_added_whole() {
    let cadence = free_cadence(60, 10, false);
    let planned = Timestamp::from_second(START).unwrap();
    assert_eq!(cadence.next(&seed(1), FEED, planned, planned), planned + seconds(70));
    let cadence = free_cadence(60, 0, true);
    assert_eq!(cadence.next(&seed(1), FEED, planned, planned), planned + seconds(60));
}

#[test]
fn a_late_start_is_followed_by_a_whole_interval() {
    let cadence = free_cadence(1_800, 300, false);
    let planned = at("2026-02-03T09:10:00Z");
    let on_time = cadence.next(&seed(3), FEED, planned, planned);
    assert_eq!(cadence.next(&seed(3), FEED, planned, planned + seconds(15)), on_time, "jitter covers a short delay");
    let started = planned + seconds(7_200) + SignedDuration::from_nanos(1);
    let next = cadence.next(&seed(3), FEED, planned, started);
    assert!(next.duration_since(started) >= seconds(1_800));
    assert_eq!(next, planned + seconds(9_000) + SignedDuration::from_millis(1), "rounded to the ledger's precision");
}

#[test]
fn polls_asked_for_before_their_time_do_not_push_the_schedule_away() {
    let cadence = free_cadence(1_800, 300, false);
    let (mut planned, mut started) = (at("2026-02-03T09:10:00Z"), at("2026-02-03T09:05:00Z"));
    for _ in 0..100 {
        planned = cadence.next(&seed(3), FEED, planned, started);
        assert!(planned.duration_since(started) <= seconds(2_100));
        started += seconds(1_800);
    }
}

#[test]
fn the_same_seed_feed_and_planned_second_give_the_same_draw() {
    let cadence = usual_cadence();
    let planned = at("2026-02-03T09:10:20.123Z");
    let next = cadence.next(&seed(3), FEED, planned, planned);
    assert_eq!(cadence.next(&seed(3), FEED, planned, planned), next);
    let whole = at("2026-02-03T09:10:20Z");
    assert_eq!(cadence.next(&seed(3), FEED, whole, whole), next - SignedDuration::from_millis(123));
    assert_ne!(cadence.next(&seed(4), FEED, planned, planned), next);
    assert_ne!(cadence.next(&seed(3), "fast/mairie/chorus", planned, planned), next);
}

#[test]
fn draws_stay_the_same_from_one_release_to_the_next() {
    // `plan` shows today what will happen next week, also when the package is updated in between.
    let cadence = usual_cadence();
    let from = at("2026-02-03T09:10:00Z");
    let times: Vec<String> =
        cadence.plan(&seed(3), FEED, from, from + seconds(7_200)).map(crate::clock::stamp).collect();
    let expected = [
        "2026-02-03T09:10:00.000Z",
        "2026-02-03T09:43:32.922Z",
        "2026-02-03T10:17:01.800Z",
        "2026-02-03T10:47:54.206Z",
    ];
    assert_eq!(times, expected);
}

#[test]
fn what_falls_into_a_forbidden_span_is_spread_over_the_jitter_after_it() {
    let cadence = usual_cadence();
    let planned = at("2026-02-03T08:25:30Z");
    let nexts: Vec<Timestamp> = (0..2_000).map(|n| cadence.next(&seed(n), FEED, planned, planned)).collect();
    let end = at("2026-02-03T09:02:00Z");
    let pushed: Vec<Timestamp> = nexts.into_iter().filter(|&next| next >= at("2026-02-03T08:57:45Z")).collect();
    assert!(pushed.len() > 500);
    assert!(pushed.iter().all(|next| (0..=300_000).contains(&next.duration_since(end).as_millis())));
    for minute in 0..5 {
        let range = end + seconds(minute * 60)..end + seconds(minute * 60 + 60);
        let count = pushed.iter().filter(|next| range.contains(next)).count();
        assert!(count * 10 > pushed.len(), "minute {minute}: {count} of {}", pushed.len());
    }
}

#[test]
fn without_jitter_what_is_held_starts_at_the_end_of_the_span() {
    let cadence = Cadence::new(Duration::from_secs(1), Duration::ZERO, usual_calendar(), true);
    let planned = at("2026-02-03T08:57:44Z");
    assert_eq!(cadence.next(&seed(1), FEED, planned, planned), at("2026-02-03T09:02:00Z"));
    assert_eq!(cadence.first(&seed(1), FEED, at("2026-02-03T08:59:00Z"), 0), at("2026-02-03T09:02:00Z"));
    assert_eq!(cadence.first(&seed(1), FEED, at("2026-02-03T08:50:00Z"), 0), at("2026-02-03T08:50:00Z"));
}

#[test]
fn a_dense_plan_meets_every_span_of_the_days_ahead() {
    // Its first look at the windows happens inside one, so that what it looked up ends inside another days later.
    let calendar = Calendar::new(&windows(&["04:05-04:15"]), MINUTE, Duration::ZERO).unwrap();
    let cadence = Cadence::new(Duration::from_secs(6), Duration::ZERO, calendar, true);
    let from = at("2026-01-10T04:03:44+01:00");
    for time in cadence.plan(&seed(1), FEED, from, from + seconds(12 * 86_400)) {
        assert_eq!(cadence.calendar().listing_hold(time), None, "{time}");
    }
}

#[test]
fn a_plan_shows_a_due_time_that_has_become_forbidden_where_it_will_go() {
    let cadence = usual_cadence();
    let due = at("2026-02-03T08:59:00Z");
    let first = cadence.plan(&seed(1), FEED, due, due + seconds(3_600)).next().unwrap();
    assert_eq!(cadence.postponed(&seed(1), FEED, due), first);
    assert!((0..=300).contains(&first.duration_since(at("2026-02-03T09:02:00Z")).as_secs()));
    let free = at("2026-02-03T08:50:00Z");
    assert_eq!(cadence.postponed(&seed(1), FEED, free), free);
}

#[test]
fn new_feeds_begin_within_a_minute_and_many_overdue_ones_ten_a_second() {
    let now = at("2026-02-03T08:10:00.0001Z");
    for (overdue, jitter, spread) in
        [(0, 0, 0), (3, 0, 300), (1, 20, 20_000), (1, 300, 60_000), (600, 20, 60_000), (30_000, 300, 3_000_000)]
    {
        let cadence = free_cadence(1_800, jitter, true);
        let waits = (0..2_000).map(|number| {
            let first = cadence.first(&seed(1), &format!("fast/a{number}/chorus"), now, overdue);
            assert!(first >= now, "never in the past");
            first.duration_since(now).as_millis()
        });
        let waits: Vec<i128> = waits.collect();
        let latest = *waits.iter().max().unwrap();
        assert!((spread * 99 / 100..=spread).contains(&latest), "{overdue} overdue: {latest} ms");
        let early = waits.iter().filter(|&&wait| wait < spread / 2).count();
        assert!(spread == 0 || early.abs_diff(1_000) < 100, "{overdue} overdue: {early} in the first half");
    }
}

#[test]
fn new_feeds_do_not_begin_in_a_forbidden_span() {
    let cadence = usual_cadence();
    let now = at("2026-02-03T08:57:00Z");
    for number in 0..500 {
        let first = cadence.first(&seed(number), FEED, now, 1);
        assert_eq!(cadence.calendar().listing_hold(first), None, "{first}");
        assert!(first <= at("2026-02-03T09:07:00Z"));
    }
}

#[test]
fn no_minute_of_the_hour_is_favoured_over_many_installations() {
    let cadence = usual_cadence();
    let mut counts = [0_u32; 60];
    for installation in 0..400 {
        let started = START + i64::try_from(installation).unwrap() * 7_919;
        let seed = seed(installation);
        let from = cadence.first(&seed, FEED, Timestamp::from_second(started).unwrap(), 1);
        for time in cadence.plan(&seed, FEED, from, from + seconds(7 * 86_400)) {
            counts[usize::try_from(time.as_second().rem_euclid(3_600) / 60).unwrap()] += 1;
        }
    }
    let allowed = &counts[2..=57];
    let mean = f64::from(allowed.iter().sum::<u32>()) / 56.0;
    assert!(allowed.iter().all(|&count| f64::from(count) < 2.0 * mean), "{counts:?}");
    assert_eq!((&counts[..2], &counts[58..]), (&[0, 0][..], &[0, 0][..]), "full hours");
}

#[test]
fn absurd_settings_neither_hang_nor_overflow() {
    let now = at("2026-02-03T08:10:00Z");
    let tight = Calendar::new(&windows(&["00:10-23:50"]), MINUTE, 3 * MINUTE).unwrap();
    let narrow = Cadence::new(30 * MINUTE, 5 * MINUTE, tight, false);
    let next = narrow.next(&seed(1), FEED, now, now);
    assert!(next.duration_since(now) < seconds(9 * 86_400), "{next}");
    let endless = Cadence::new(Duration::MAX, Duration::MAX, usual_calendar(), false);
    assert!(endless.next(&seed(1), FEED, now, now) > at("9999-01-01T00:00:00Z"));
    assert!(endless.latest_plausible(now, usize::MAX) > at("9999-01-01T00:00:00Z"));
    assert!(endless.plan(&seed(1), FEED, now, Timestamp::MAX).count() <= 2);
    let instant = free_cadence(0, 0, true);
    assert_eq!(instant.plan(&seed(1), FEED, now, now + seconds(1)).count(), 1_000, "time moves on");
}

/// Cadences of every sort: as shipped, on loopback, without calendar, and where spans follow one another closely.
fn cadences() -> impl Strategy<Value = Cadence> {
    let windows_of = |texts: &[&str]| windows(texts);
    let maintenance = prop::sample::select(vec![
        windows_of(&[]),
        windows_of(&["04:05-04:15"]),
        windows_of(&["02:10-02:20", "23:50-00:10"]),
        windows_of(&["01:30-03:30", "03:40-03:50"]),
    ]);
    let seconds = |range: std::ops::Range<u64>| range.prop_map(Duration::from_secs);
    (maintenance, seconds(0..600), seconds(0..1_700), seconds(1..7_200), seconds(0..3_600), any::<bool>()).prop_map(
        |(maintenance, guard, avoid, interval, jitter, loopback)| {
            let calendar = Calendar::new(&maintenance, guard, avoid).unwrap();
            Cadence::new(interval, jitter, calendar, loopback)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_plan_is_what_the_polls_themselves_will_draw(
        cadence in cadences(),
        number in any::<u64>(),
        milli in START * 1_000..(START + 10 * YEAR) * 1_000,
    ) {
        let mut planned = cadence.postponed(&seed(number), FEED, Timestamp::from_millisecond(milli).unwrap());
        for time in cadence.plan(&seed(number), FEED, planned, planned + seconds(3 * 86_400)).take(200) {
            prop_assert_eq!(time, planned);
            prop_assert_eq!(cadence.calendar().listing_hold(time), None);
            prop_assert_eq!(time.as_nanosecond() % 1_000_000, 0);
            planned = cadence.next(&seed(number), FEED, time, time);
            prop_assert!(planned.duration_since(time).unsigned_abs() >= cadence.interval());
        }
    }

    #[test]
    fn no_draw_is_later_than_the_latest_plausible(
        cadence in cadences(),
        milli in START * 1_000..(START + 10 * YEAR) * 1_000,
        early in 0_i64..100_000_000,
        feeds in 0_usize..40_000,
    ) {
        let now = Timestamp::from_millisecond(milli).unwrap();
        let latest = cadence.latest_plausible(now, feeds);
        for number in 0..20 {
            let planned = now - SignedDuration::from_millis(early / (number + 1));
            let seed = seed(number.unsigned_abs());
            prop_assert!(cadence.next(&seed, FEED, planned, now) <= latest);
            prop_assert!(cadence.next(&seed, FEED, now, now) <= latest);
            prop_assert!(cadence.first(&seed, FEED, now, feeds) <= latest);
            prop_assert!(cadence.postponed(&seed, FEED, now) <= latest);
        }
    }
}

#[test]
fn a_plan_recorded_before_the_clock_was_set_back_is_not_plausible() {
    let cadence = usual_cadence();
    let (before, after) = (at("2026-02-03T08:10:00Z"), at("2026-02-02T08:10:00Z"));
    let recorded = cadence.next(&seed(1), FEED, before, before);
    assert!(recorded <= cadence.latest_plausible(before, 3));
    assert!(recorded > cadence.latest_plausible(after, 3));
    assert!(cadence.latest_plausible(after, 3) <= after + seconds(45 * 60), "no feed is stuck for long");
}
