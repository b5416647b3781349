//! Test fixtures that several crates share: random sources, in-memory files, schema shorthands.
//!
//! A development dependency only. Unit tests inside core cannot use it: there the crate under test
//! and the crate that this one links are two copies, whose traits differ.

mod files;
mod random;
mod schema;

pub use files::{in_memory_file, read_file};
pub use random::{CountingRandom, Generator, RepeatingRandom, SwitchedRandom};
pub use schema::{class, list, property};
