//! FAST-Parapheur (Docaposte FAST): what its interfaces have in common.

pub mod listing;
mod refusal;
pub mod rest;
pub mod webdav;
