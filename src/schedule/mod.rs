//! When a platform may be asked, and when it will be: no clock is read here, and nothing but arguments decides.
//!
//! - [`Window`] is a daily span of Paris civil time; `paris` says where it falls on the world's clock.
//! - [`Calendar`] joins windows, their guard and the full hours into spans of time in which nothing may start.
//! - [`Cadence`] draws the next poll of a feed, from the installation's [`Seed`] and around those spans.
//! - [`LastListing`] says how long ago a feed was last listed, whatever happened to the clocks since.
//!
//! Inside, time is whole milliseconds since 1970, the precision of the ledger.

mod cadence;
mod calendar;
mod draw;
mod hours;
mod last_listing;
mod millis;
mod paris;
mod plan;
mod window;

pub use cadence::Cadence;
pub use calendar::{Calendar, NoTimeLeft};
pub use draw::Seed;
pub use hours::Hours;
pub use last_listing::LastListing;
pub use paris::{paris, to_the_minute};
pub use plan::Plan;
pub use window::{Span, Window, WindowError};

#[cfg(test)]
mod tests;
