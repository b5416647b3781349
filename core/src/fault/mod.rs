//! Planted faults: real bugs of comparable systems, planted to measure the verification suite.
//!
//! Without the feature `faults`, [`on`] is the constant `false`, and a real build contains no
//! fault. With it, a fault campaign plants one fault at a time for the whole process.
//!
//! How a fault is planted:
//!
//! 1. A product file holds a *hook*, one expression on one line, and nothing else of the fault.
//!    - A fault that skips or takes a step of the product is a condition:
//!      `if !fault::on(Fault::Fs03) { .. }`.
//!    - A fault that spoils a value is a call that takes the right value and returns it, or a wrong
//!      one if the fault is planted: `let page = fault::pager::narrow(page);`.
//! 2. Code that only a planted fault runs is in this folder, in the file of the module that has the
//!    hook. Its function is named after the fault's effect, and its documentation begins with the
//!    id. It is `#[inline(always)]` where the hook is on a hot path, and it does no work before it
//!    asks [`on`].
//! 3. A file of this folder imports what its module may import, and that module.
//! 4. A file that the loom models include has only hooks of the first kind.
//!
//! A test holds a fault to its id in the catalogue (docs/faults.md); the fault
//! campaign holds that each one is reached and caught.

mod catalogue;
pub(crate) mod config;
pub(crate) mod object;
pub(crate) mod pager;
pub(crate) mod table;
pub(crate) mod tree;
pub(crate) mod txn;

pub use catalogue::{Fault, on};
#[cfg(feature = "faults")]
pub use catalogue::{plant, reached};

#[cfg(all(test, feature = "faults"))]
mod tests {
    //! Faults that only unit tests find, for their promises are about threads and costs.

    use fastness_testkit::{Planted, assert_each_is_found};

    const FAULTS: [Planted; 3] = [
        Planted {
            id: "FS-39",
            about: "a writer that waits takes the lock out of its turn",
            promise: "N4",
            test: ("txn::shared::tests", "writers_begin_in_the_order_in_which_they_asked"),
        },
        Planted {
            id: "FS-40",
            about: "a thread that closes a circle of waits waits, too",
            promise: "N5",
            test: ("txn::shared::tests", "a_thread_that_would_close_a_circle_of_waits_is_refused"),
        },
        Planted {
            id: "FS-41",
            about: "a commit copies the trees that it does not change",
            promise: "G4",
            test: ("txn::trees::tests", "a_change_copies_one_chunk"),
        },
    ];

    #[test]
    fn every_planted_fault_is_found() {
        assert_each_is_found(&FAULTS);
    }
}
