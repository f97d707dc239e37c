//! The steps of a document's walk, each of which may be the last one before a crash.
//!
//! A debug build counts them and, told to, ends at one of them as if struck dead, so that a test can stop at each in turn:
//! `VAGUEMESTRE_STOP_AT=n` ends at the n-th, `VAGUEMESTRE_STEPS=FILE` writes down their names. In a release build they are
//! nothing.

#[cfg(debug_assertions)]
use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// What a debug build was told.
#[cfg(debug_assertions)]
struct Orders {
    stop_at: Option<u64>,
    names: Option<std::path::PathBuf>,
    count: AtomicU64,
}

/// The walk has come to the step `name`.
#[cfg(debug_assertions)]
pub(crate) fn step(name: &str) {
    static ORDERS: OnceLock<Orders> = OnceLock::new();
    let orders = ORDERS.get_or_init(|| Orders {
        stop_at: std::env::var("VAGUEMESTRE_STOP_AT").ok().and_then(|number| number.parse().ok()),
        names: std::env::var_os("VAGUEMESTRE_STEPS").map(Into::into),
        count: AtomicU64::new(0),
    });
    if orders.stop_at.is_none() && orders.names.is_none() {
        return;
    }
    let number = orders.count.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(path) = &orders.names {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        // Only a test reads it, and misses what is not there.
        let _ = file.and_then(|mut file| std::io::Write::write_all(&mut file, format!("{name}\n").as_bytes()));
    }
    if orders.stop_at == Some(number) {
        std::process::abort();
    }
}

/// The walk has come to the step `name`.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn step(_name: &str) {}
