//! FAST-Parapheur (Docaposte FAST): what its interfaces have in common.

pub mod listing;
mod plain;
mod refusal;
pub mod rest;
pub mod soap;
pub mod webdav;
