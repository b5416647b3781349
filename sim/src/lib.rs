//! The simulated world and the checks: the store driven against its models from any bytes.
//!
//! - [`fs`]: a file system whose unsynced writes are lost, reordered and torn.
//! - [`entropy`]: random bytes that a seed decides.
//! - [`check`]: one function for each promise, each total over any bytes.

pub mod check;
pub mod entropy;
pub mod fs;
mod rng;

pub use rng::Rng;
