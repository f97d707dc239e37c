//! Early warnings: what is amiss is told once, to the log and to those whom `[[alerts]]` names, and told again when it is over.
//!
//! [`changes`] compares what is amiss with what was told already; [`Notice`] puts what is new into words; the [`Herald`] takes
//! it to each of them, at least once, however long that takes.

mod changes;
mod herald;
mod notice;
mod pace;

pub use changes::{changes, log};
pub use herald::{Herald, judge, test};
pub use notice::Notice;
