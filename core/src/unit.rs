//! Newtypes of the store: numbers that must not mix. No logic.

use std::fmt;

/// Number of a page in the file: its byte offset divided by [`PAGE_BYTES`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct PageId(pub u64);

/// Number of a commit; grows by at least one with every commit of a file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct CommitId(pub u64);

/// Size of every page, in bytes.
pub const PAGE_BYTES: usize = 4096;

/// A page, sealed or not.
pub(crate) type PageBytes = [u8; PAGE_BYTES];

/// Size of a header slot, in bytes: one sector, so that a torn write leaves the old or the new one.
pub(crate) const SLOT_BYTES: usize = 512;

/// Pages before the first page of data: the prelude and two slots.
pub(crate) const HEADER_PAGES: u64 = 3;

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Longest value, in bytes (16 MiB).
pub const VALUE_BYTES_MAX: usize = 16 << 20;

/// Longest name of a tree, in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 255;

/// Longest primary key, in bytes of UTF-8: two of them fit into one key of a tree.
pub const PRIMARY_KEY_BYTES_MAX: usize = 500;

impl PageId {
    /// Returns the offset of the page's first byte in the file.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.0 * PAGE_BYTES as u64
    }
}

impl CommitId {
    /// Returns the number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
