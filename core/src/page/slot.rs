//! Header slot: the root of a checkpoint. Checkpoints alternate between two slots, each of one
//! sector.

use super::{POINTER_BYTES, Pointer};
use crate::codec::{Reader, Writer, put_at, u32_len};
use crate::conc::Arc;
use crate::crypto::{HEAD_BYTES, SEAL_BYTES};
use crate::sorted::Sorted;
use crate::unit::{CommitId, HEADER_PAGES, NAME_BYTES_MAX, SLOT_BYTES};

const FLAG_SETTLED: u32 = 1;
const FLAG_INLINE: u32 = 2;
const FLAG_COPY: u32 = 4;
const FLAG_LOGGED: u32 = 8;
const AGAIN_SHIFT: u32 = 8;
const FLAGS_AGAIN: u32 = 0xff << AGAIN_SHIFT;
const FIXED_BYTES: usize = 60;

/// Numbers of pages and commits are below it: they fit the 48 bits of a pointer, with room.
pub(crate) const NUMBERS_END: u64 = 1 << 47;

/// Longest catalog that is stored inline in the slot.
pub(crate) const INLINE_CATALOG_BYTES_MAX: usize =
    SLOT_BYTES - HEAD_BYTES - SEAL_BYTES - FIXED_BYTES;

/// Root of a tree and the number of its entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TreeRecord {
    pub(crate) root: Option<Pointer>,
    pub(crate) len: u64,
}

/// The location of a commit's catalog of trees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum CatalogAt {
    Inline(Vec<u8>),
    Stored { bytes: u32, first: Pointer },
}

/// Header slot: the state of the file at a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HeaderSlot {
    pub(crate) commit: CommitId,
    /// Number of pages of the file, with the header.
    pub(crate) page_count: u64,
    /// All pages of the commit were durable before this slot was written.
    pub(crate) settled: bool,
    /// The other slot holds the same commit and is durable; the next checkpoint overwrites this
    /// one.
    pub(crate) copy: bool,
    /// A log record was about to follow this checkpoint, so a missing one proves a lost write.
    pub(crate) logged: bool,
    /// Number of earlier checkpoints of the same commit.
    pub(crate) again: u8,
    /// The tree that records free pages.
    pub(crate) space: TreeRecord,
    pub(crate) catalog: CatalogAt,
}

impl HeaderSlot {
    /// Returns the identity of the checkpoint. A later checkpoint has a greater one.
    pub(crate) const fn checkpoint(&self) -> (CommitId, u8) {
        (self.commit, self.again)
    }

    /// Encodes the slot, which is not sealed yet.
    pub(crate) fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut flags = if self.settled { FLAG_SETTLED } else { 0 };
        if self.copy {
            flags |= FLAG_COPY;
        }
        if self.logged {
            flags |= FLAG_LOGGED;
        }
        flags |= u32::from(self.again) << AGAIN_SHIFT;
        if matches!(self.catalog, CatalogAt::Inline(_)) {
            flags |= FLAG_INLINE;
        }
        let mut writer = Writer::with_capacity(SLOT_BYTES);
        writer.u64(self.commit.0);
        writer.u64(self.page_count);
        writer.u32(flags);
        writer.u32(match &self.catalog {
            CatalogAt::Inline(bytes) => u32_len(bytes.len()),
            CatalogAt::Stored { bytes, .. } => *bytes,
        });
        Pointer::encode(self.space.root.as_ref(), &mut writer);
        writer.u64(self.space.len);
        match &self.catalog {
            CatalogAt::Inline(bytes) => writer.put(bytes),
            CatalogAt::Stored { first, .. } => Pointer::encode(Some(first), &mut writer),
        }
        let mut slot = [0; SLOT_BYTES];
        put_at(&mut slot, HEAD_BYTES, writer.bytes());
        slot
    }

    /// Decodes a slot whose seal is open.
    pub(crate) fn decode(slot: &[u8; SLOT_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(slot);
        reader.take(HEAD_BYTES)?;
        let commit = CommitId(reader.u64()?);
        let page_count = reader.u64()?;
        let flags = reader.u32()?;
        let bytes = reader.u32()?;
        let space = TreeRecord { root: Pointer::decode(&mut reader)?, len: reader.u64()? };
        let catalog = if flags & FLAG_INLINE != 0 {
            let len = usize::try_from(bytes).ok().filter(|&len| len <= INLINE_CATALOG_BYTES_MAX)?;
            CatalogAt::Inline(reader.take(len)?.to_vec())
        } else {
            CatalogAt::Stored { bytes, first: Pointer::decode(&mut reader)?? }
        };
        let known = (space.root.is_some() || space.len == 0)
            && flags & !(FLAG_SETTLED | FLAG_INLINE | FLAG_COPY | FLAG_LOGGED | FLAGS_AGAIN) == 0
            && (HEADER_PAGES..NUMBERS_END).contains(&page_count)
            && commit.0 < NUMBERS_END;
        let settled = flags & FLAG_SETTLED != 0;
        let copy = flags & FLAG_COPY != 0;
        let logged = flags & FLAG_LOGGED != 0;
        let [_, again, _, _] = flags.to_le_bytes();
        known.then_some(Self { commit, page_count, settled, copy, logged, again, space, catalog })
    }
}

/// The trees of a commit by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct TreeCatalog(pub(crate) Sorted<Arc<str>, TreeRecord>);

impl TreeCatalog {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        for (name, record) in self.0.iter() {
            writer.u8(u8::try_from(name.len()).expect("K2: a tree name has at most 255 bytes"));
            writer.put(name.as_bytes());
            Pointer::encode(record.root.as_ref(), &mut writer);
            writer.u64(record.len);
        }
        writer.into_bytes()
    }

    /// Returns the size of a tree's entry in the encoded catalog.
    pub(crate) const fn entry_bytes(name: &str) -> usize {
        1 + name.len() + POINTER_BYTES + 8
    }

    /// Decodes a catalog. The names must be strictly ascending, and no tree may be empty.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut trees = Sorted::<Arc<str>, TreeRecord>::new();
        while !reader.is_empty() {
            let len = usize::from(reader.u8()?);
            let name = std::str::from_utf8(reader.take(len)?).ok()?;
            let root = Some(Pointer::decode(&mut reader)??);
            let len = reader.u64()?;
            let ascending = trees.last().is_none_or(|(last, _)| &**last < name);
            if !ascending || len == 0 || name.is_empty() || name.len() > NAME_BYTES_MAX {
                return None;
            }
            trees.insert(Arc::from(name), TreeRecord { root, len });
        }
        Some(Self(trees))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seal;
    use crate::unit::PageId;

    fn pointer(page: u64) -> Pointer {
        Pointer { page: PageId(page), birth: CommitId(3), seal: Seal([5; 16]) }
    }

    #[test]
    fn slots_survive_encoding() {
        let trees = [(Arc::from("a"), TreeRecord { root: Some(pointer(9)), len: 4 })];
        let catalog = TreeCatalog(trees.into_iter().collect());
        for catalog in [
            CatalogAt::Inline(catalog.encode()),
            CatalogAt::Inline(Vec::new()),
            CatalogAt::Stored { bytes: 4000, first: pointer(8) },
        ] {
            let space = TreeRecord { root: Some(pointer(7)), len: 2 };
            let (commit, page_count) = (CommitId(11), 12);
            let (settled, copy, logged) = (true, false, true);
            let again = 3;
            let slot =
                HeaderSlot { commit, page_count, settled, copy, logged, again, space, catalog };
            assert_eq!(HeaderSlot::decode(&slot.encode()), Some(slot));
        }
        assert_eq!(TreeCatalog::decode(&catalog.encode()), Some(catalog));
    }

    #[test]
    fn a_catalog_out_of_order_is_refused() {
        let [one, two] = ["b", "a"].map(|name| {
            let record = TreeRecord { root: Some(pointer(9)), len: 1 };
            TreeCatalog([(Arc::from(name), record)].into_iter().collect()).encode()
        });
        let joined = [one, two].concat();
        assert_eq!(TreeCatalog::decode(&joined), None);
    }
}
