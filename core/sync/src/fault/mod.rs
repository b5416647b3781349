//! Planted faults of sync. [`fastness::fault`] says how a fault is planted.
//!
//! Product files contain one-line hooks; code that only a planted fault runs is in this folder.
//! Campaigns find those of the catalogue; tests find the others, [`planted`].

pub(crate) mod client;
pub(crate) mod merge;
pub(crate) mod reset;
pub(crate) mod server;
pub(crate) mod tables;

pub(crate) use fastness::fault::{Fault, on};

/// Tells whether a fault of `tests/faults.rs` is planted in this process, by the variable
/// `FASTNESS_FAULT`.
#[cfg(feature = "faults")]
pub(crate) fn planted(id: &str) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("FASTNESS_FAULT").ok()).as_deref() == Some(id)
}

/// Tells whether a fault is planted: never in a real build.
#[cfg(not(feature = "faults"))]
pub(crate) const fn planted(_: &str) -> bool {
    false
}
