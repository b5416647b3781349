//! The bodies of the fuzz targets, as a library: `cargo test` replays the corpora through the same
//! code.

pub mod bodies;

pub use bodies::{BODIES, Body};
