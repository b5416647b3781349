//! The simulated world and the checks: the store driven against its models from any bytes.
//!
//! - [`fs`]: a file system whose unsynced writes are lost, reordered and torn.
//! - [`entropy`]: random bytes that a seed decides.
//! - [`net`]: a network that holds, loses, repeats and reorders.
//! - [`clock`]: a clock that stands still until it is told, and one that goes wrong.
//! - [`check`]: one function for each promise, each total over any bytes.

pub mod check;
pub mod clock;
pub mod entropy;
pub mod fs;
pub mod net;
mod rng;

pub use rng::Rng;
