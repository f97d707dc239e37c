//! Daily spans of Paris time, `HH:MM-HH:MM`; one whose end is before its start goes over midnight.

use std::time::Duration;

/// What to write instead of something that is no window.
pub(in crate::config) const EXAMPLES: &str = "write a span such as \"04:05-04:15\" or \"23:30-00:30\"";

/// Minutes in a day.
const DAY: u16 = 24 * 60;

/// Reads a window: the minutes of the day at which it starts and ends. The end may be `24:00`.
pub(in crate::config) fn parse(text: &str) -> Result<(u16, u16), &'static str> {
    let (start, end) = text.split_once('-').ok_or("is not a span of the day")?;
    let start = minute(start).filter(|&start| start < DAY).ok_or("has a start that is not a time of day (HH:MM)")?;
    let end = minute(end).ok_or("has an end that is not a time of day (HH:MM)")?;
    if start == end { Err("starts when it ends") } else { Ok((start, end)) }
}

/// The minute of the day that `HH:MM` names, up to and including `24:00`.
fn minute(text: &str) -> Option<u16> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() == 5
        && bytes[2] == b':'
        && bytes.iter().enumerate().all(|(index, byte)| index == 2 || byte.is_ascii_digit());
    let (hour, minute) = text.split_once(':').filter(|_| shaped)?;
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    (minute < 60).then_some(hour * 60 + minute).filter(|&minute| minute <= DAY)
}

/// Whether every minute of `wanted` lies in some window of `windows`.
pub(in crate::config) fn cover(windows: &[String], wanted: (u16, u16)) -> bool {
    let spans: Vec<(u16, u16)> = windows.iter().filter_map(|window| parse(window).ok()).collect();
    (wanted.0..wanted.1).all(|minute| spans.iter().any(|&span| holds(span, minute)))
}

/// The minutes of a day outside `windows` widened by `guard`, and not within `avoid_hour` of a full hour.
pub(in crate::config) fn free_minutes(windows: &[String], guard: Duration, avoid_hour: Duration) -> usize {
    let whole_minutes = |span: Duration| u16::try_from(span.as_secs().div_ceil(60)).unwrap_or(DAY).min(DAY);
    let (guard, avoided) = (whole_minutes(guard), whole_minutes(avoid_hour));
    let mut free = [true; DAY as usize];
    for (start, end) in windows.iter().filter_map(|window| parse(window).ok()) {
        let length = if start < end { end - start } else { DAY - start + end };
        for minute in 0..(length + 2 * guard).min(DAY) {
            free[usize::from((start + DAY - guard + minute) % DAY)] = false;
        }
    }
    let from_hour = |minute: usize| (minute % 60).min(60 - minute % 60);
    (0..usize::from(DAY)).filter(|&minute| free[minute] && from_hour(minute) >= usize::from(avoided)).count()
}

/// Whether `minute` of the day lies in the window from `start` to `end`.
fn holds((start, end): (u16, u16), minute: u16) -> bool {
    if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_in_minutes_of_the_day() {
        assert_eq!(parse("04:05-04:15"), Ok((245, 255)));
        assert_eq!(parse("00:00-24:00"), Ok((0, 1440)));
        assert_eq!(parse("23:30-00:30"), Ok((1410, 30)));
    }

    #[test]
    fn what_is_no_window_is_refused() {
        for text in [
            "",
            "04:05",
            "4:05-04:15",
            "04:05-04:05",
            "24:00-01:00",
            "25:00-26:00",
            "04:60-05:00",
            "04:05 - 04:15",
            "é4:05-04:1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn windows_cover_a_span_together_or_over_midnight() {
        let all = |windows: &[&str]| -> Vec<String> { windows.iter().map(|&window| window.to_owned()).collect() };
        assert!(cover(&all(&["04:00-04:30"]), (245, 255)));
        assert!(cover(&all(&["04:00-04:10", "04:10-04:20"]), (245, 255)));
        assert!(cover(&all(&["22:00-05:00"]), (245, 255)));
        assert!(!cover(&all(&["04:06-04:15"]), (245, 255)));
        assert!(!cover(&[], (245, 255)));
    }

    #[test]
    fn free_time_is_what_windows_guards_and_full_hours_leave() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        assert_eq!(free_minutes(&[], minutes(0), minutes(0)), 1440);
        assert_eq!(free_minutes(&["04:05-04:15".to_owned()], minutes(1), minutes(0)), 1428);
        assert_eq!(free_minutes(&["23:55-00:05".to_owned()], minutes(0), minutes(0)), 1430);
        assert_eq!(free_minutes(&[], minutes(0), minutes(2)), 24 * 57);
        assert_eq!(free_minutes(&["00:00-24:00".to_owned()], minutes(5), minutes(0)), 0);
        assert_eq!(free_minutes(&["04:05-04:15".to_owned()], minutes(100_000), minutes(0)), 0);
    }
}
