//! Test fixtures that several crates share: random sources, in-memory files, schema shorthands,
//! freed memory, counts of calls, planted faults.
//!
//! A development dependency only. Unit tests inside core cannot use it: there the crate under test
//! and the crate that this one links are two copies, whose traits differ.

mod counting;
mod files;
#[cfg(target_os = "linux")]
mod freed;
mod planted;
mod random;
mod schema;

pub use counting::Counting;
pub use files::{in_memory_file, read_file};
#[cfg(target_os = "linux")]
pub use freed::OwnMemory;
pub use planted::{Planted, assert_each_is_found};
pub use random::{CountingRandom, Generator, RepeatingRandom, SwitchedRandom};
pub use schema::{class, list, property};
