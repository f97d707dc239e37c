//! Daily spans of Paris time, `HH:MM-HH:MM`, as [`Window`] reads them.

use crate::schedule::{Window, WindowError};

/// What to write instead of something that is no window.
pub(in crate::config) const EXAMPLES: &str = "write a span such as \"04:05-04:15\" or \"23:30-00:30\"";

/// Reads a window and gives it back as it is written in the effective configuration.
pub(in crate::config) fn parse(text: &str) -> Result<String, &'static str> {
    Window::parse(text).map(|window| window.to_string()).map_err(|error| match error {
        WindowError::Shape(_) => "is not a span of the day",
        WindowError::Time { .. } => "holds something that is not a time of day (HH:MM)",
        WindowError::Empty(_) => "starts when it ends",
    })
}

/// Whether every minute of the day from `start` to `end` lies in some window of `windows`.
pub(in crate::config) fn cover(windows: &[Window], (start, end): (u16, u16)) -> bool {
    (start..end).all(|minute| windows.iter().any(|window| window.holds(minute)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_a_span_together_or_over_midnight() {
        let all = |windows: &[&str]| -> Vec<Window> { windows.iter().map(|text| text.parse().unwrap()).collect() };
        assert!(cover(&all(&["04:00-04:30"]), (245, 255)));
        assert!(cover(&all(&["04:00-04:10", "04:10-04:20"]), (245, 255)));
        assert!(cover(&all(&["22:00-05:00"]), (245, 255)));
        assert!(!cover(&all(&["04:06-04:15"]), (245, 255)));
        assert!(!cover(&[], (245, 255)));
    }
}
