//! The spans of time in which a platform must not be asked.

use std::time::Duration;

use jiff::Timestamp;

use super::millis::{self, DAY, HOUR, SECOND, Stretch};
use super::paris;
use super::window::{Span, Window};

/// Before a window or full hour no listing starts for this long (15 s), so that one just claimed does not arrive
/// inside it.
const LISTING_LEAD: i64 = 15 * SECOND;
/// Before a window no download starts for this long (2 min), so that its requests are through when the window opens.
const DOWNLOAD_LEAD: i64 = 120 * SECOND;

/// What a forbidden span holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Request,
    Listing,
    Download,
}

/// When a platform must not be asked: its maintenance windows with a guard around them, and for listings also the
/// minutes around each full hour, when everybody's scheduled jobs call.
///
/// Windows are civil time; guard and leads are lengths of real time, also across a change of clocks.
#[derive(Clone, Debug)]
pub struct Calendar {
    windows: Vec<Window>,
    guard: i64,
    avoid_hour: i64,
}

/// Windows, guard and full hours leave no time of day at which anything could start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`maintenance`, `guard` and `avoid_hour` together leave no time of day at which a listing and its downloads could \
     start: shorten one of them"
)]
pub struct NoTimeLeft;

impl Calendar {
    /// The calendar of a platform: its daily windows, the guard on both sides of each, and how close to a full hour
    /// no listing starts (zero: full hours are as good as others).
    ///
    /// # Errors
    /// When nothing would ever be allowed.
    pub fn new(maintenance: &[Window], guard: Duration, avoid_hour: Duration) -> Result<Self, NoTimeLeft> {
        let calendar =
            Self { windows: maintenance.to_vec(), guard: millis::of(guard), avoid_hour: millis::of(avoid_hour) };
        let possible = calendar.leaves_time_for(Purpose::Listing) && calendar.leaves_time_for(Purpose::Download);
        possible.then_some(calendar).ok_or(NoTimeLeft)
    }

    /// The span around `time` in which no request at all may start, if it lies in one.
    #[must_use]
    pub fn request_hold(&self, time: Timestamp) -> Option<Span> {
        self.hold(Purpose::Request, time)
    }

    /// The span around `time` in which no listing may start, if it lies in one. At its end one may.
    #[must_use]
    pub fn listing_hold(&self, time: Timestamp) -> Option<Span> {
        self.hold(Purpose::Listing, time)
    }

    /// The span around `time` in which no download may start, if it lies in one. At its end one may.
    #[must_use]
    pub fn download_hold(&self, time: Timestamp) -> Option<Span> {
        self.hold(Purpose::Download, time)
    }

    /// The first instant at or after `time` at which a listing may start.
    #[must_use]
    pub fn listing_allowed_from(&self, time: Timestamp) -> Timestamp {
        self.listing_hold(time).map_or(time, |hold| hold.end)
    }

    /// The spans forbidden to listings, for whoever asks often and mostly forwards.
    pub(super) fn listing_holds(&self) -> Holds<'_> {
        Holds::new(self, Purpose::Listing)
    }

    fn hold(&self, purpose: Purpose, time: Timestamp) -> Option<Span> {
        Holds::new(self, purpose).around(millis::floor(time)).map(Span::from)
    }

    /// How long before and after a window nothing may start.
    fn margins(&self, purpose: Purpose) -> (i64, i64) {
        let lead = match purpose {
            Purpose::Request => 0,
            Purpose::Listing => LISTING_LEAD,
            Purpose::Download => DOWNLOAD_LEAD,
        };
        (self.guard.saturating_add(lead), self.guard)
    }

    /// The forbidden time around the last full hour whose forbidden time begins by `time`.
    fn hour_begun_by(&self, purpose: Purpose, time: i64) -> Option<Stretch> {
        if purpose != Purpose::Listing || self.avoid_hour == 0 {
            return None;
        }
        let before = self.avoid_hour.saturating_add(LISTING_LEAD);
        let hour = time.saturating_add(before).div_euclid(HOUR) * HOUR;
        Some(Stretch { start: hour, end: hour }.widened(before, self.avoid_hour))
    }

    /// Whether an ordinary day has an instant at which `purpose` is allowed. If so, a change of clocks can hide it
    /// for one day at most.
    fn leaves_time_for(&self, purpose: Purpose) -> bool {
        let (before, after) = self.margins(purpose);
        let windows = self.windows.iter().flat_map(|window| {
            let of_day = window.of_day();
            [-DAY, 0, DAY].map(|day| Stretch { start: of_day.start + day, end: of_day.end + day })
        });
        let windows = windows.map(|window| window.widened(before, after));
        let hours = (0..=24).filter_map(|hour| self.hour_begun_by(purpose, hour * HOUR));
        let forbidden = millis::merge(windows.chain(hours).collect());
        !forbidden.iter().any(|stretch| stretch.start <= 0 && stretch.end >= DAY)
    }
}

/// The forbidden spans of one purpose, with those of the days last asked about at hand: looking a zone up is slow,
/// and a year of schedule asks tens of thousands of times.
#[derive(Debug)]
pub(super) struct Holds<'a> {
    calendar: &'a Calendar,
    purpose: Purpose,
    /// The time for which `windows` is complete.
    known: Stretch,
    /// Widened windows in order, apart from one another.
    windows: Vec<Stretch>,
}

impl<'a> Holds<'a> {
    fn new(calendar: &'a Calendar, purpose: Purpose) -> Self {
        Self { calendar, purpose, known: Stretch { start: 0, end: 0 }, windows: Vec::new() }
    }

    /// The whole forbidden span around `time`, with those that touch it; none if `time` is free.
    pub(super) fn around(&mut self, time: i64) -> Option<Stretch> {
        let mut hold = self.part_around(time)?;
        // Both walks end: the calendar has free time every day, or two days where a change of clocks hides it once.
        while let Some(next) = self.part_around(hold.end) {
            hold.end = next.end;
        }
        while let Some(previous) = self.part_around(hold.start - 1) {
            hold.start = previous.start;
        }
        Some(hold)
    }

    /// The end of the last forbidden span that begins by `time`.
    pub(super) fn last_end(&mut self, time: i64) -> Option<i64> {
        match self.around(time) {
            Some(hold) => Some(hold.end),
            None => self.begun_by(time).map(|part| part.end).max(),
        }
    }

    fn part_around(&mut self, time: i64) -> Option<Stretch> {
        self.begun_by(time).find(|part| part.contains(time))
    }

    /// The last window and the last full hour whose forbidden time begins by `time`.
    fn begun_by(&mut self, time: i64) -> impl Iterator<Item = Stretch> {
        self.look_up(time);
        let begun = self.windows.partition_point(|window| window.start <= time);
        let window = begun.checked_sub(1).map(|last| self.windows[last]);
        window.into_iter().chain(self.calendar.hour_begun_by(self.purpose, time))
    }

    /// Makes `windows` complete for `time`, and for the days after it, where the next question will be.
    fn look_up(&mut self, time: i64) {
        if self.calendar.windows.is_empty() || self.known.contains(time) {
            return;
        }
        let (before, after) = self.calendar.margins(self.purpose);
        self.known = Stretch { start: time, end: time }.widened(DAY, 3 * DAY);
        // Margins are shorter than a day wherever a window leaves time.
        let regimes = paris::regimes(self.known.widened(2 * DAY, 2 * DAY));
        let windows = regimes
            .into_iter()
            .flat_map(|regime| self.calendar.windows.iter().flat_map(move |window| window.occurrences(regime)));
        self.windows = millis::merge(windows.map(|window| window.widened(before, after)).collect());
    }
}
