//! Killed at the n-th system call, for every n: each sync, rename, write and removal of a pass is once the last thing that
//! did not happen; or the disk is full, or fails, just then. Some of these are tried by default; all with `EXHAUSTIVE=1`.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "figures are told to whoever asks")]

mod common;

use std::collections::BTreeMap;

use common::stage::{Stage, choose};
use common::strace;

/// Moments of each set at which a pass dies without `EXHAUSTIVE=1`, for each interface.
const DEATHS: usize = 7;
/// Moments of each set at which each error strikes.
const FAULTS: usize = 4;

/// A pass dies, or is told an error, at each chosen moment.
async fn at_any_moment(connector: &'static str, error: Option<&str>) {
    if !strace::is_here() {
        return;
    }
    let all = Stage::set(connector).await.moments().await;
    let mut tried: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for moment in choose(&all, if error.is_some() { FAULTS } else { DEATHS }) {
        let stage = Stage::set(connector).await;
        let struck = match error {
            Some(error) => stage.suffer(moment, error).await,
            None => stage.die(moment).await,
        };
        let count = tried.entry(moment.set).or_default();
        *count = (count.0 + 1, count.1 + usize::from(struck));
    }
    let (tries, strikes) = tried.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    let what = error.unwrap_or("kill");
    println!(
        "{connector}: {} moments known; {what} tried and noticed: {tried:?}; {strikes} of {tries} came to it, and all ended well",
        all.len()
    );
    if error.is_none() {
        assert!(strikes * 10 >= tries * 7, "hardly any pass came to its moment: {tried:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_rest_a_pass_may_die_at_any_call() {
    at_any_moment("rest", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_webdav_a_pass_may_die_at_any_call() {
    at_any_moment("webdav", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_rest_any_call_may_find_the_disk_failing() {
    at_any_moment("rest", Some("EIO")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_webdav_any_call_may_find_the_disk_full() {
    at_any_moment("webdav", Some("ENOSPC")).await;
}
