//! Random numbers of the system.

use fastness::{OsRandom, RandomSource as _};
use std::io;

/// Returns a random number.
pub(crate) fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    OsRandom.fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
