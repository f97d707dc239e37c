//! Windows and calendars: what is forbidden, and until when.

use proptest::prelude::*;

use super::*;

#[test]
fn windows_are_written_back_as_they_were_read() {
    for text in ["04:05-04:15", "23:50-00:10", "20:00-24:00", "00:00-24:00", "23:00-00:00", "00:00-00:01"] {
        assert_eq!(Window::parse(text).unwrap().to_string(), text);
        assert_eq!(text.parse::<Window>(), Window::parse(text));
    }
}

#[test]
fn what_is_no_window_is_refused_with_what_would_be_right() {
    let cases = [
        ("", "like \"04:05-04:15\""),
        ("04:05", "like \"04:05-04:15\""),
        ("04:05–04:15", "like \"04:05-04:15\""),
        ("4:05-04:15", "`4:05` in `4:05-04:15` is not a time of day"),
        ("04:05 - 04:15", "`04:05 ` in"),
        ("04:60-05:15", "`04:60` in"),
        ("24:00-01:00", "`24:00` in"),
        ("23:00-24:01", "`24:01` in"),
        ("23:00-25:00", "`25:00` in"),
        ("04:05-04:15-04:20", "`04:15-04:20` in"),
        ("+4:05-04:15", "`+4:05` in"),
        ("٠٤:٠٥-04:15", "is not a time of day"),
        ("04:05:00-04:15:00", "`04:05:00` in"),
        ("04:05-04:05", "\"00:00-24:00\" for the whole day"),
        ("00:00-00:00", "\"00:00-24:00\" for the whole day"),
    ];
    for (text, expected) in cases {
        let error = Window::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(text), "{text}: {error}");
    }
}

#[test]
fn each_purpose_has_its_own_lead_before_the_guarded_window() {
    let calendar = usual_calendar();
    let noon = at("2026-07-01T12:30:00+02:00");
    let span = |start, end| Some(Span { start: at(start), end: at(end) });
    let inside = at("2026-07-01T04:10:00+02:00");
    assert_eq!(calendar.request_hold(inside), span("2026-07-01T02:04:00Z", "2026-07-01T02:16:00Z"));
    assert_eq!(calendar.listing_hold(inside), span("2026-07-01T02:03:45Z", "2026-07-01T02:16:00Z"));
    assert_eq!(calendar.download_hold(inside), span("2026-07-01T02:02:00Z", "2026-07-01T02:16:00Z"));
    assert_eq!(calendar.request_hold(noon), None);
    assert_eq!(calendar.download_hold(at("2026-07-01T13:00:00+02:00")), None, "full hours are for listings only");
}

#[test]
fn a_span_holds_from_its_start_until_just_before_its_end() {
    let calendar = usual_calendar();
    for start in ["2026-01-10T04:03:45+01:00", "2026-01-10T09:57:45+01:00"] {
        let hold = calendar.listing_hold(at(start)).unwrap();
        assert_eq!(hold.start, at(start));
        assert_eq!(calendar.listing_hold(hold.start - SignedDuration::from_nanos(1)), None);
        assert_eq!(calendar.listing_hold(hold.end - SignedDuration::from_nanos(1)), Some(hold));
        assert_eq!(calendar.listing_hold(hold.end), None);
        assert_eq!(calendar.listing_allowed_from(hold.start), hold.end);
        assert_eq!(calendar.listing_allowed_from(hold.end), hold.end);
    }
}

#[test]
fn full_hours_are_avoided_on_both_sides_unless_that_is_switched_off() {
    let hold = usual_calendar().listing_hold(at("2026-03-05T15:00:00Z")).unwrap();
    assert_eq!(hold, Span { start: at("2026-03-05T14:57:45Z"), end: at("2026-03-05T15:02:00Z") });
    let calendar = Calendar::new(&[], MINUTE, Duration::ZERO).unwrap();
    assert_eq!(calendar.listing_hold(at("2026-03-05T15:00:00Z")), None);
}

#[test]
fn spans_that_touch_are_one() {
    // 04:16 on the left ends where the lead of the right one starts; 04:58:45 lies in the full hour's span.
    let calendar = Calendar::new(&windows(&["04:05-04:15", "04:17-05:01"]), MINUTE, 2 * MINUTE).unwrap();
    let span = Span { start: at("2026-01-10T03:03:45Z"), end: at("2026-01-10T04:02:00Z") };
    for inside in ["2026-01-10T03:05:00Z", "2026-01-10T03:16:00Z", "2026-01-10T04:01:00Z"] {
        assert_eq!(calendar.listing_hold(at(inside)), Some(span), "{inside}");
    }
    let calendar = Calendar::new(&windows(&["09:03-09:58", "10:03-10:58"]), MINUTE, 2 * MINUTE).unwrap();
    let span = Span { start: at("2026-01-10T07:57:45Z"), end: at("2026-01-10T10:02:00Z") };
    for inside in ["2026-01-10T08:00:00Z", "2026-01-10T09:00:00Z", "2026-01-10T10:00:00Z"] {
        assert_eq!(calendar.listing_hold(at(inside)), Some(span), "{inside}");
    }
}

#[test]
fn windows_cross_midnight() {
    let calendar = Calendar::new(&windows(&["23:50-00:10"]), MINUTE, Duration::ZERO).unwrap();
    let span = Span { start: at("2026-05-01T23:49:00+02:00"), end: at("2026-05-02T00:11:00+02:00") };
    for inside in ["2026-05-01T23:49:00+02:00", "2026-05-01T23:59:59+02:00", "2026-05-02T00:10:30+02:00"] {
        assert_eq!(calendar.request_hold(at(inside)), Some(span), "{inside}");
    }
}

#[test]
fn a_window_in_the_repeated_hour_is_forbidden_both_times() {
    // 25 October 2026: 03:00 +02:00 becomes 02:00 +01:00.
    let calendar = Calendar::new(&windows(&["02:20-02:30"]), MINUTE, Duration::ZERO).unwrap();
    let span = |start, end| Some(Span { start: at(start), end: at(end) });
    let (once, again) = ("2026-10-25T00:25:00Z", "2026-10-25T01:25:00Z");
    assert_eq!(calendar.request_hold(at(once)), span("2026-10-25T00:19:00Z", "2026-10-25T00:31:00Z"));
    assert_eq!(calendar.request_hold(at(again)), span("2026-10-25T01:19:00Z", "2026-10-25T01:31:00Z"));
    assert_eq!(calendar.request_hold(at("2026-10-25T00:50:00Z")), None);
}

#[test]
fn a_window_in_the_skipped_hour_does_not_happen_that_day_and_neither_does_its_guard() {
    // 29 March 2026: 02:00 +01:00 becomes 03:00 +02:00.
    let calendar = Calendar::new(&windows(&["02:00-03:00"]), MINUTE, Duration::ZERO).unwrap();
    for minute in 0..180 {
        let time = at("2026-03-28T23:30:00Z") + seconds(minute * 60);
        assert_eq!((calendar.request_hold(time), calendar.download_hold(time)), (None, None), "{time}");
    }
    assert!(calendar.request_hold(at("2026-03-28T02:30:00+01:00")).is_some());
    assert!(calendar.request_hold(at("2026-03-30T02:30:00+02:00")).is_some());
}

#[test]
fn a_window_cut_by_the_skipped_hour_keeps_what_is_left_of_it() {
    let calendar = Calendar::new(&windows(&["01:50-03:10"]), MINUTE, Duration::ZERO).unwrap();
    let hold = calendar.request_hold(at("2026-03-29T01:00:00Z")).unwrap();
    assert_eq!(hold, Span { start: at("2026-03-29T00:49:00Z"), end: at("2026-03-29T01:11:00Z") });
}

#[test]
fn the_maintenance_window_follows_paris_through_both_changes_of_clocks() {
    let calendar = usual_calendar();
    for (day, utc) in [
        ("2026-03-28", "03:04:00Z"),
        ("2026-03-29", "02:04:00Z"),
        ("2026-10-24", "02:04:00Z"),
        ("2026-10-25", "03:04:00Z"),
    ] {
        let start = at(&format!("{day}T{utc}"));
        assert_eq!(calendar.request_hold(start).map(|hold| hold.start), Some(start), "{day}");
    }
}

#[test]
fn the_zone_and_the_zone_files_of_the_machine_do_not_matter() {
    let test = "schedule::tests::calendars::the_maintenance_window_follows_paris_through_both_changes_of_clocks";
    for (variable, value) in [("TZ", "America/New_York"), ("TZ", "Pacific/Chatham"), ("TZ", ":"), ("TZDIR", "/nowhere")]
    {
        let elsewhere = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(variable, value)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&elsewhere.stdout);
        assert!(elsewhere.status.success() && said.contains("1 passed"), "{variable}={value}: {said}");
    }
}

#[test]
fn a_calendar_that_forbids_everything_is_refused() {
    let refused = [
        (vec!["00:00-24:00"], MINUTE, Duration::ZERO),
        (vec!["00:00-12:00", "12:00-23:59"], MINUTE, Duration::ZERO),
        (vec!["12:00-11:57"], MINUTE, Duration::ZERO),
        (vec!["04:05-04:15"], 720 * MINUTE, Duration::ZERO),
        (vec!["04:05-04:15"], Duration::MAX, Duration::ZERO),
        (vec![], MINUTE, 30 * MINUTE),
        (vec![], MINUTE, Duration::MAX),
        (vec!["00:00-23:59"], Duration::ZERO, MINUTE),
    ];
    for (texts, guard, avoid_hour) in refused {
        let calendar = Calendar::new(&windows(&texts), guard, avoid_hour);
        assert!(calendar.is_err(), "{texts:?} {guard:?} {avoid_hour:?}");
    }
    assert!(Calendar::new(&windows(&["00:05-23:55"]), MINUTE, MINUTE).is_ok());
    assert!(Calendar::new(&[], Duration::MAX, 29 * MINUTE).is_ok());
}

#[test]
fn a_day_whose_only_free_hour_is_skipped_is_held_until_the_next() {
    let calendar = Calendar::new(&windows(&["03:00-02:00"]), MINUTE, Duration::ZERO).unwrap();
    let free = calendar.listing_allowed_from(at("2026-03-28T12:00:00Z"));
    assert_eq!(free, at("2026-03-30T03:01:00+02:00") - seconds(3600));
}

#[test]
fn times_at_the_end_of_the_calendar_are_answered() {
    let calendar = usual_calendar();
    for time in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
        assert!(calendar.listing_allowed_from(time) >= time);
        assert!(calendar.download_hold(time).is_none_or(|hold| hold.start <= time));
    }
}

/// Windows that meet midnight, one another, and both changes of clocks.
const WINDOWS: [&[&str]; 7] = [
    &["04:05-04:15"],
    &["23:50-00:10", "02:10-02:20"],
    &["01:30-02:30", "03:00-03:05"],
    &["02:30-03:30"],
    &["22:00-02:30"],
    &["22:00-01:00", "00:30-02:59", "12:00-12:01"],
    &["23:00-24:00", "00:00-00:30"],
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn forbidden_is_what_a_search_minute_by_minute_finds(
        chosen in prop::sample::select(&WINDOWS[..]),
        guard in 0_u64..1_800,
        avoid in prop::sample::select(&[0_u64, 60, 120, 600][..]),
        // Half of the times lie within a day and a half of a change of clocks.
        second in prop_oneof![START..START + 10 * YEAR, 1_774_616_400_i64..1_774_875_600, 1_792_760_400_i64..1_793_019_600],
        milli in 0_i64..1_000,
    ) {
        let (guard, avoid) = (Duration::from_secs(guard), Duration::from_secs(avoid));
        let calendar = Calendar::new(&windows(chosen), guard, avoid).unwrap();
        let time = Timestamp::from_millisecond(second * 1_000 + milli).unwrap();
        let searched = |lead| forbidden_by_windows(chosen, guard + Duration::from_secs(lead), guard, time);
        prop_assert_eq!(calendar.request_hold(time).is_some(), searched(0));
        prop_assert_eq!(calendar.download_hold(time).is_some(), searched(120));
        let hold = calendar.listing_hold(time);
        prop_assert_eq!(hold.is_some(), searched(15) || forbidden_by_hours(avoid, time));
        if let Some(hold) = hold {
            prop_assert!(hold.contains(time));
            prop_assert_eq!(calendar.listing_hold(hold.start), Some(hold));
            prop_assert_eq!(calendar.listing_hold(hold.end), None);
            prop_assert_eq!(calendar.listing_hold(hold.start - SignedDuration::from_millis(1)), None);
        }
    }
}
