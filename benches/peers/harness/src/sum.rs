//! Checksum of the rows that a loop reads.

/// Checksum of the rows that a loop read; equal for all engines in the same state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// Rows found.
    pub rows: u64,
    /// First and last byte of every value.
    pub bytes: u64,
}

impl Sum {
    /// Takes a value in.
    pub fn add(&mut self, value: &[u8]) {
        self.rows += 1;
        let (first, last) = (value.first(), value.last());
        self.bytes += u64::from(first.copied().unwrap_or(0)) << 8;
        self.bytes += u64::from(last.copied().unwrap_or(0));
    }
}
