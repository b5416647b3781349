//! Crash tests for any program that writes files.
//!
#![doc = include_str!("../README.md")]

pub mod crash;
mod disk;
mod fs;
pub mod minimise;
pub mod oracle;
mod rng;

pub use disk::{Disk, PAGE_BYTES, Page, SECTOR_BYTES};
pub use fs::{Access, Call, Failure, Fault, Fork, Injection, Lock, NAME_BYTES_MAX};
pub use fs::{SimFile, SimFs, Written};
pub use rng::Rng;
