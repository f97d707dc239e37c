//! Daily spans of Paris civil time, as operators write them.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::millis::{self, DAY, SECOND, Stretch};
use super::paris::Regime;

const MINUTE: i64 = 60 * SECOND;
const MINUTES_PER_DAY: u16 = 24 * 60;

/// A daily span of Paris civil time, to the minute; its end does not belong to it.
///
/// One that ends before it starts crosses midnight. When clocks go back, times that happen twice are inside both
/// times; when they go forward, times that are skipped are not inside that day, because they do not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Minutes since midnight.
    start: u16,
    /// Minutes since midnight, up to 24:00.
    end: u16,
}

/// Why a text is no daily window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    /// Not two times with a hyphen between them.
    #[error("`{0}` is not a daily window: write its start and end in Paris time, like \"04:05-04:15\"")]
    Shape(String),
    /// One of the two is no time of day.
    #[error(
        "`{time}` in `{window}` is not a time of day: write hours 00 to 23 and minutes 00 to 59 with two digits each, \
         like \"04:05\" (\"24:00\" may stand at the end)"
    )]
    Time {
        /// The whole text.
        window: String,
        /// The part that is wrong.
        time: String,
    },
    /// Start and end are the same.
    #[error(
        "`{0}` starts when it ends, so it is empty: give it another end, or write \"00:00-24:00\" for the whole day"
    )]
    Empty(String),
}

impl Window {
    /// Reads a window as the configuration writes it: `04:05-04:15`, `23:50-00:10`, `20:00-24:00`.
    ///
    /// # Errors
    /// Says what is wrong with the text, and what would be right.
    pub fn parse(text: &str) -> Result<Self, WindowError> {
        let (start, end) = text.split_once('-').ok_or_else(|| WindowError::Shape(text.to_owned()))?;
        let minutes = |time: &str, last: u16| {
            minutes_of_day(time)
                .filter(|&minutes| minutes <= last)
                .ok_or_else(|| WindowError::Time { window: text.to_owned(), time: time.to_owned() })
        };
        let window = Self { start: minutes(start, MINUTES_PER_DAY - 1)?, end: minutes(end, MINUTES_PER_DAY)? };
        if window.start == window.end {
            return Err(WindowError::Empty(text.to_owned()));
        }
        Ok(window)
    }

    /// Whether `minute` of the civil day (0 to 1439) lies inside.
    #[must_use]
    pub fn holds(self, minute: u16) -> bool {
        if self.start < self.end {
            (self.start..self.end).contains(&minute)
        } else {
            minute >= self.start || minute < self.end
        }
    }

    /// All of every day.
    pub(super) const fn whole_day() -> Self {
        Self { start: 0, end: MINUTES_PER_DAY }
    }

    /// How many minutes of a usual day lie inside.
    pub(super) const fn minutes(self) -> u16 {
        if self.start < self.end { self.end - self.start } else { self.end + MINUTES_PER_DAY - self.start }
    }

    /// The window in milliseconds of a civil day, whose end lies in the next one where it crosses midnight.
    pub(super) fn of_day(self) -> Stretch {
        let start = i64::from(self.start) * MINUTE;
        let end = i64::from(self.end) * MINUTE;
        Stretch { start, end: if end <= start { end + DAY } else { end } }
    }

    /// When the window happens during `regime`, in order.
    pub(super) fn occurrences(self, regime: Regime) -> impl Iterator<Item = Stretch> {
        let day_of = move |time: i64| time.saturating_add(regime.offset).div_euclid(DAY);
        let of_day = self.of_day();
        // The day before counts: its window may cross midnight.
        (day_of(regime.stretch.start) - 1..=day_of(regime.stretch.end)).filter_map(move |day| {
            let midnight = day * DAY - regime.offset;
            let occurrence = Stretch { start: midnight + of_day.start, end: midnight + of_day.end };
            occurrence.intersection(regime.stretch)
        })
    }
}

impl TryFrom<String> for Window {
    type Error = WindowError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        window.to_string()
    }
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |minutes: u16| (minutes / 60, minutes % 60);
        let ((start_hour, start_minute), (end_hour, end_minute)) = (time(self.start), time(self.end));
        write!(f, "{start_hour:02}:{start_minute:02}-{end_hour:02}:{end_minute:02}")
    }
}

/// The minutes since midnight that `HH:MM` stands for, 24:00 included.
fn minutes_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

/// A span of time; its end does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after.
    pub end: Timestamp,
}

impl Span {
    /// Whether `time` lies inside.
    #[must_use]
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }
}

impl From<Stretch> for Span {
    fn from(stretch: Stretch) -> Self {
        Self { start: millis::timestamp(stretch.start), end: millis::timestamp(stretch.end) }
    }
}
