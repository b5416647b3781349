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
