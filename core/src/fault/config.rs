//! Faults of configurations.

use super::{Fault, on};
use crate::config::Configuration;
use std::path::PathBuf;

/// CF-01: configurations of one hash are taken for one.
pub(crate) fn equal_hash(equal: bool, one: &Configuration, other: &Configuration) -> bool {
    if on(Fault::Cf01) { one.stable_hash() == other.stable_hash() } else { equal }
}

/// CF-03: the hash of a configuration asks for a directory that it does not need.
pub(crate) fn require_directory(directory: Option<&PathBuf>) -> Option<&PathBuf> {
    assert!(directory.is_some() || !on(Fault::Cf03), "there is a directory");
    directory
}
