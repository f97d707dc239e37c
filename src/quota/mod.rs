//! Quotas of API Entreprise: calls are counted in the server's own minutes, before they leave, and corrected by what
//! each answer says (Q1, Q2); and the ban that follows where that was not enough (Q3).
//!
//! [`server_time`] is what is known of the server's clock, [`bucket`] one quota, [`book`] all of them, pure; [`gate`]
//! lets calls through and remembers; [`special`] names the quotas that are not those of a group; [`ban`] is the ban.
//! Time is milliseconds here: of the boot clock for us, since 1970 for the server.

mod ban;
mod book;
mod bucket;
#[cfg(fuzzing)]
#[path = "../fuzzing/quota.rs"]
pub mod fuzzing;
mod gate;
mod server_time;
mod special;
#[cfg(test)]
mod tests;

pub use ban::Ban;
pub use bucket::Facts;
pub use gate::{Gate, Permit};
pub use special::special;

/// Calls a minute per IP, over all tokens (guide, «Respecter la volumétrie»).
pub const PER_IP: u32 = 1000;
/// Calls a minute per token for data.
pub const JSON: u32 = 250;
/// Calls a minute per token for documents.
pub const DOCUMENTS: u32 = 50;
/// The bucket of all calls from this machine.
pub const IP: &str = "ip";

/// A quota that a call takes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Its name: `ip`, `marches/json`, `marches/dgfip/attestation_fiscale`, `entreprise/marches/unites-legales`.
    pub bucket: String,
    /// Calls a minute it has, as long as no answer says otherwise.
    pub limit: u32,
    /// Whether answers speak of this one: their headers are about the token's quota.
    pub told: bool,
}
