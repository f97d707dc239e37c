//! Daily spans of Paris time, `HH:MM-HH:MM`; one whose end is before its start goes over midnight.

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
}
