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

#[cfg(all(test, feature = "faults"))]
mod tests {
    //! Faults that only unit tests find.

    use fastness_testkit::{Planted, assert_each_is_found};

    const FAULTS: [Planted; 1] = [Planted {
        id: "NS-17",
        about: "passwords of clients that have closed the connection are hashed",
        promise: "H38",
        test: (
            "hash_pool::tests",
            "a_password_that_waited_is_not_hashed_for_a_client_that_has_closed",
        ),
    }];

    #[test]
    fn every_planted_fault_is_found() {
        assert_each_is_found(&FAULTS);
    }
}
