//! Tokens: one per account, shared by everything on this machine, and asked for only when it must be.
//!
//! [`Manager`] is what the rest of the program knows: [`Manager::token`] gives the token that is held, or sees to it
//! that one is, by at most one request at a time; [`Manager::reject`] takes note that an API refused it. What is held,
//! and what keeps an account from holding one, is a row of the ledger judged by `holding`; `grant` is what is said to
//! the platforms' token servers, and what they answer; [`service`] gives tokens to other programs of the machine.
//!
//! When an account's credentials were refused nothing is asked until they change or half an hour has passed: repeated
//! wrong passwords lock the account.

mod account;
mod error;
mod grant;
mod holding;
mod manager;
pub mod service;
mod way;

pub use account::{Client, accounts, unusable};
pub use error::TokenError;
pub use grant::Grant;
pub use holding::{Token, held};
pub use manager::Manager;
pub use way::Way;
