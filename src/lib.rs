//! vaguemestre collects what French public platforms hold for an organisation, once and on the platforms' own terms,
//! and hands it to the local business software.
//!
//! The modules, in the order the data moves:
//!
//! 1. [`config`] says what is wanted; [`identity`] judges the certificates it names.
//! 2. [`schedule`] says when a platform may be asked; [`clock`] is the only place that reads a clock.
//! 3. [`daemon`] waits, and starts a [`poll`] for each feed that is due.
//! 4. [`token`] holds the tokens of accounts that work by OAuth, for this process and for others of the machine.
//! 5. [`connector`] lists and fetches over [`http`], within [`quota`]; [`content`] says what the bytes are.
//! 6. [`intake`] turns bytes into a fact: kept in the [`archive`], recorded in the [`ledger`].
//! 7. [`delivery`] hands the document over; [`status`] tells people how all this is going, [`alert`] those who do not
//!    ask, and [`admin`] browsers and monitoring; [`tongue`] says it in their language.
//!
//! [`feed`] holds the words all share, [`state`] the state directory, [`socket`] how sockets are opened, [`log`] the names of
//! events; `step` names the moments at which a test may stop the process;
//! `simulator` plays the platforms on loopback for the demo and the tests; `fuzzing` opens doors to the fuzz targets.

pub mod admin;
pub mod alert;
pub mod archive;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connector;
pub mod content;
pub mod daemon;
pub mod delivery;
pub mod feed;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod http;
pub mod identity;
pub mod intake;
pub mod ledger;
pub mod log;
pub mod poll;
pub mod quota;
pub mod schedule;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod socket;
pub mod state;
pub mod status;
mod step;
pub mod token;
pub mod tongue;
pub mod words;
