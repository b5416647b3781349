//! Planted faults: bugs that tests of this crate must find, [`faults`](../tests/faults.rs).
//!
//! Without the feature `faults`, [`on`] is the constant `false`, and a real build has no fault.

/// Tells whether a fault is planted in this process, by the variable `FASTNESS_FAULT`.
#[cfg(feature = "faults")]
pub(crate) fn on(id: &str) -> bool {
    static PLANTED: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| std::env::var("FASTNESS_FAULT").ok()).as_deref() == Some(id)
}

/// Tells whether a fault is planted: never in a real build.
#[cfg(not(feature = "faults"))]
pub(crate) const fn on(_: &str) -> bool {
    false
}
