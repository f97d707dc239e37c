//! The archive: the daemon's own durable copy of each document.
//!
//! On disk, below the state directory: `archive/<platform>/<account>/<kind>/<YYYY>/<MM>/<DD>/<remote_id>.<ext>`;
//! `archive/.incoming/` holds what is arriving, `archive/quarantine/` what arrived and is no return. Folders are 0700,
//! files 0600. A file appears under its final name whole and synced, or not at all, and says of itself what it is a copy of.

pub mod layout;
pub mod remove;
pub mod tag;
pub mod write;
