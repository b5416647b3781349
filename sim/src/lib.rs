//! The simulated world and the checks: any bytes drive the store and its models.
//!
//! - [`fs`]: a file system that loses, reorders and tears unsynced writes, of the crash kit.
//! - [`entropy`]: seeded random bytes.
//! - [`net`]: a network that delays, loses, duplicates and reorders messages.
//! - [`clock`]: true time, and local clocks with a skew.
//! - [`check`]: the checks, each a total function of any bytes.

pub mod check;
pub mod clock;
pub mod entropy;
pub mod fs;
pub mod net;

pub use fastness_crashkit::Rng;
