//! Planted faults of sync. [`fastness::fault`] says how a fault is planted.
//!
//! Product files contain one-line hooks; code that only a planted fault runs is in this folder.

pub(crate) mod client;
pub(crate) mod merge;
pub(crate) mod reset;
pub(crate) mod server;
pub(crate) mod tables;

pub(crate) use fastness::fault::{Fault, on};
