//! Planted faults of users and accounts. [`fastness::fault`] says how a fault is planted.
//!
//! Product files contain one-line hooks; code that only a planted fault runs is in this folder.

pub(crate) mod accounts;
pub(crate) mod users;

pub(crate) use fastness::fault::{Fault, on};
