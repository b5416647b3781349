//! What the fuzz targets run, callable from everywhere: a target is a line, its body is here or in
//! `fastness_sim::check`, so that plain `cargo test` replays the corpora through the same code.

pub mod bodies;

pub use bodies::{BODIES, Body};
