//! Objects as records of postcard, for stores of bytes.

use peers_harness::{Ask, Fields, Result};

/// Longest record.
const BYTES_MAX: usize = 256;

/// Where records are written.
#[derive(Debug)]
pub(crate) struct Room([u8; BYTES_MAX]);

impl Default for Room {
    fn default() -> Self {
        Self([0; BYTES_MAX])
    }
}

impl Room {
    /// Writes the fields of an object.
    pub(crate) fn encode(&mut self, fields: &Fields<'_>) -> Result<&[u8]> {
        Ok(postcard::to_slice(fields, &mut self.0)?)
    }
}

/// Reads the fields of an object, without copying what is long.
pub(crate) fn decode(bytes: &[u8]) -> Result<Fields<'_>> {
    Ok(postcard::from_bytes(bytes)?)
}

/// Returns the key of an object.
pub(crate) const fn key(id: i64) -> [u8; 8] {
    id.to_be_bytes()
}

/// Returns the points of an object that meets a condition; zero of others.
pub(crate) fn points(bytes: &[u8], ask: Ask) -> Result<i64> {
    let fields = decode(bytes)?;
    Ok(if ask.is_met_by(&fields) { fields.points } else { 0 })
}
