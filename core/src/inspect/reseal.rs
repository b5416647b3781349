//! Opening and sealing all pages of a file, so that a fuzzer mutates plaintext behind valid seals.
//!
//! Both walk down from the two header slots and visit each page once, even if several pointers lead
//! to it. A malformed page stays unchanged. The number of pages and [`LEVEL_MAX`] bound the walk,
//! which follows a child only if its level is below that of its parent.

use super::sealer::Fixed;
use crate::codec::{Reader, put_at};
use crate::crypto::Key;
use crate::crypto::{FileKeys, FileSealer, HEAD_BYTES, PageIdentity, Seal};
use crate::page::{
    CatalogAt, HeaderSlot, LEVEL_MAX, LogHead, NodePage, OverflowPage, POINTER_BYTES,
    PRELUDE_BYTES, Pointer, Prelude, TreeCatalog, ValueSpan,
};
use crate::unit::{CommitId, PAGE_BYTES, PageBytes, PageId, SLOT_BYTES};

/// Offset of the pointer to the space tree in a slot; 8 bytes and the catalog follow it.
const SLOT_SPACE_AT: usize = HEAD_BYTES + 24;
const SLOT_CATALOG_AT: usize = SLOT_SPACE_AT + POINTER_BYTES + 8;
/// Offset of the pointer to the next page in an overflow page; the data follows it.
const OVERFLOW_NEXT_AT: usize = HEAD_BYTES + 8;
const OVERFLOW_DATA_AT: usize = OVERFLOW_NEXT_AT + POINTER_BYTES;
/// Offset of the seal in a pointer.
const POINTER_SEAL_AT: usize = POINTER_BYTES - size_of::<Seal>();

/// Seals every page of a file whose pages are in plaintext, bottom-up.
pub fn reseal(file: &mut [u8], key: Option<&Key>) {
    if let Some(mut walk) = ResealWalk::new(file, key, Direction::Seal) {
        walk.slots();
    }
}

/// Opens every page of an encrypted file whose seal matches, top-down.
pub fn unseal(file: &mut [u8], key: &Key) {
    if let Some(mut walk) = ResealWalk::new(file, Some(key), Direction::Open) {
        walk.slots();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Seal,
    Open,
}

#[derive(Clone, Copy)]
enum PageState {
    Untouched,
    /// Being visited, or malformed.
    Entered,
    Sealed(Seal),
}

struct ResealWalk<'a> {
    file: &'a mut [u8],
    sealer: FileSealer,
    direction: Direction,
    pages: Vec<PageState>,
}

impl<'a> ResealWalk<'a> {
    fn new(file: &'a mut [u8], key: Option<&Key>, direction: Direction) -> Option<Self> {
        let prelude = Reader::new(file).array::<PRELUDE_BYTES>()?;
        let prelude = Prelude::decode(&prelude).ok()?;
        let keys = key.map(|key| FileKeys::derive(key, &prelude.salt, &prelude.identity()));
        let sealer = FileSealer::new(prelude.salt, keys);
        let pages = vec![PageState::Untouched; file.len() / PAGE_BYTES];
        Some(Self { file, sealer, direction, pages })
    }

    fn page(&self, index: usize) -> PageBytes {
        Reader::new(&self.file[index * PAGE_BYTES..]).array().unwrap_or([0; PAGE_BYTES])
    }

    fn put(&mut self, index: usize, bytes: &[u8]) {
        put_at(self.file, index * PAGE_BYTES, bytes);
    }

    fn slots(&mut self) {
        let mut log_start = usize::MAX;
        for index in [1, 2] {
            if index >= self.pages.len() {
                return;
            }
            let page = self.page(index);
            let Some(mut slot) = Reader::new(&page).array::<SLOT_BYTES>() else { return };
            let id = PageId(index as u64);
            if self.direction == Direction::Open && !self.sealer.open_slot(id, &mut slot) {
                continue;
            }
            if let Some(decoded) = HeaderSlot::decode(&slot) {
                log_start = log_start.min(usize::try_from(decoded.page_count).unwrap_or(log_start));
                self.slot(&decoded, &mut slot);
            }
            if self.direction == Direction::Seal {
                self.seal_slot(id, &mut slot);
            }
            self.put(index, &slot);
        }
        (log_start..self.pages.len()).for_each(|index| self.log_page(index));
    }

    /// Visits a log page, which stores its own seal. No pointer leads to it.
    fn log_page(&mut self, index: usize) {
        let mut page = self.page(index);
        let id = PageId(index as u64);
        let Some(head) = LogHead::decode(&page) else { return };
        if !matches!(self.pages[index], PageState::Untouched) {
            return;
        }
        if self.direction == Direction::Seal {
            let Ok(mut batch) = self.sealer.log_batch(&Fixed(head.salt)) else { return };
            batch.seal_log(id, &mut page);
        } else if !self.sealer.open_log(id, &mut page) {
            return;
        }
        self.put(index, &page);
    }

    fn seal_slot(&self, page: PageId, slot: &mut [u8; SLOT_BYTES]) {
        let head = Reader::new(&slot[..]).array().unwrap_or_default();
        // A plain slot stores its commit in the clear, and sealing writes the same commit again.
        let birth = Reader::new(&slot[8..]).u64().unwrap_or_default();
        if let Ok(batch) = self.sealer.batch(&Fixed(head)) {
            batch.seal_slot(PageIdentity { page, birth: CommitId(birth) }, slot);
        }
    }

    fn slot(&mut self, decoded: &HeaderSlot, slot: &mut [u8; SLOT_BYTES]) {
        self.tree(LEVEL_MAX + 1, slot, SLOT_SPACE_AT);
        match &decoded.catalog {
            CatalogAt::Inline(bytes) => {
                let mut bytes = bytes.clone();
                self.catalog(&mut bytes);
                put_at(slot, SLOT_CATALOG_AT, &bytes);
            }
            CatalogAt::Stored { .. } => self.stored_catalog(slot),
        }
    }

    /// Visits the trees of a catalog.
    fn catalog(&mut self, bytes: &mut [u8]) {
        let Some(catalog) = TreeCatalog::decode(bytes) else { return };
        let mut at = 0;
        for name in catalog.0.keys() {
            self.tree(LEVEL_MAX + 1, bytes, at + 1 + name.len());
            at += TreeCatalog::entry_bytes(name);
        }
    }

    /// Visits a catalog in an overflow chain. Its entries span pages, so the chain is joined, the
    /// trees are visited, and the result is split again.
    fn stored_catalog(&mut self, slot: &mut [u8; SLOT_BYTES]) {
        let chain = self.enter_chain(slot, SLOT_CATALOG_AT);
        let data = |walk: &Self, index: usize| {
            let page = walk.page(index);
            OverflowPage::decode(&page).map(|page| page.data.to_vec()).unwrap_or_default()
        };
        let parts: Vec<_> = chain.iter().map(|&index| data(self, index)).collect();
        let mut bytes = parts.concat();
        self.catalog(&mut bytes);
        let mut rest = bytes.as_slice();
        for (&index, part) in chain.iter().zip(&parts) {
            let (head, tail) = rest.split_at(part.len());
            let mut page = self.page(index);
            put_at(&mut page, OVERFLOW_DATA_AT, head);
            self.put(index, &page);
            rest = tail;
        }
        self.leave_chain(&chain, slot, SLOT_CATALOG_AT);
    }

    /// Visits a node and its subtree. The pointer to it is in `holder` at `at`.
    fn tree(&mut self, level: u8, holder: &mut [u8], at: usize) {
        let Some(index) = self.enter(holder, at) else { return self.leave_known(holder, at) };
        let mut page = self.page(index);
        let node = NodePage::decode(Box::new(page)).filter(|node| node.level() < level);
        if let Some(node) = node {
            for cell in 0..node.count() {
                if node.level() > 0 {
                    let (key_at, _) = node.key_span(cell);
                    self.tree(node.level(), &mut page, key_at - POINTER_BYTES);
                } else if let ValueSpan::Stored { .. } = node.value(cell) {
                    let (key_at, key_len) = node.key_span(cell);
                    let chain = self.enter_chain(&page, key_at + key_len);
                    self.leave_chain(&chain, &mut page, key_at + key_len);
                }
            }
            self.put(index, &page);
        }
        self.leave(index, holder, at);
    }

    /// Enters and returns the pages of a chain. The pointer to the first is in `holder` at `at`.
    fn enter_chain(&mut self, holder: &[u8], at: usize) -> Vec<usize> {
        let mut chain = Vec::new();
        let mut next = self.enter(holder, at);
        while let Some(index) = next {
            chain.push(index);
            let page = self.page(index);
            let whole = OverflowPage::decode(&page).is_some();
            next = if whole { self.enter(&page, OVERFLOW_NEXT_AT) } else { None };
        }
        chain
    }

    fn leave_chain(&mut self, chain: &[usize], holder: &mut [u8], at: usize) {
        for place in (0..chain.len()).rev() {
            let index = chain[place];
            if place == chain.len() - 1 {
                let mut page = self.page(index);
                self.leave_known(&mut page, OVERFLOW_NEXT_AT);
                self.put(index, &page);
            }
            if place == 0 {
                self.leave(index, holder, at);
            } else {
                let mut above = self.page(chain[place - 1]);
                self.leave(index, &mut above, OVERFLOW_NEXT_AT);
                self.put(chain[place - 1], &above);
            }
        }
        if chain.is_empty() {
            self.leave_known(holder, at);
        }
    }

    fn pointer(holder: &[u8], at: usize) -> Option<Pointer> {
        Pointer::decode(&mut Reader::new(holder.get(at..)?)).flatten()
    }

    /// Enters the page that a pointer leads to and opens it, unless it was entered before.
    fn enter(&mut self, holder: &[u8], at: usize) -> Option<usize> {
        let pointer = Self::pointer(holder, at)?;
        let index = usize::try_from(pointer.page.0).ok()?;
        let progress = self.pages.get_mut(index)?;
        if !matches!(progress, PageState::Untouched) {
            return None;
        }
        if self.direction == Direction::Open {
            let mut page = self.page(index);
            if !self.sealer.open(pointer.identity(), pointer.seal, &mut page) {
                return None;
            }
            self.put(index, &page);
        }
        self.pages[index] = PageState::Entered;
        Some(index)
    }

    /// Seals a page and writes the seal into the pointer to it.
    fn leave(&mut self, index: usize, holder: &mut [u8], at: usize) {
        let Some(pointer) = Self::pointer(holder, at) else { return };
        if self.direction == Direction::Open {
            return;
        }
        let mut page = self.page(index);
        let head = Reader::new(&page).array().unwrap_or_default();
        let Ok(mut batch) = self.sealer.batch(&Fixed(head)) else { return };
        let seal = batch.seal(pointer.identity(), &mut page);
        self.put(index, &page);
        self.pages[index] = PageState::Sealed(seal);
        self.leave_known(holder, at);
    }

    /// Writes the seal of a page that is already sealed into a pointer to it.
    fn leave_known(&self, holder: &mut [u8], at: usize) {
        let Some(pointer) = Self::pointer(holder, at) else { return };
        let index = usize::try_from(pointer.page.0).unwrap_or(usize::MAX);
        if let Some(PageState::Sealed(seal)) = self.pages.get(index)
            && self.direction == Direction::Seal
        {
            put_at(holder, at + POINTER_SEAL_AT, &seal.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{Access, MemoryVfs, Vfs as _};
    use crate::{RandomSource, StoreOptions};
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    #[derive(Debug, Default)]
    struct Counting(AtomicU8);

    impl RandomSource for Counting {
        fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
            bytes.fill_with(|| self.0.fetch_add(1, Ordering::Relaxed));
            Ok(())
        }
    }

    /// A file with branches, chains, free pages and a catalog in a chain, never closed.
    fn make(key: Option<&Key>) -> Vec<u8> {
        let vfs = MemoryVfs::default();
        let mut options = StoreOptions::new()
            .vfs(Arc::new(vfs.clone()))
            .random_source(Arc::new(Counting::default()));
        if let Some(key) = key {
            options = options.key(key.clone());
        }
        let store = options.create("file").unwrap();
        for round in 0..4_u8 {
            let mut txn = store.write().unwrap();
            for number in 0..40_u8 {
                let name = format!("a tree with a long name {}", number % 20);
                let value = vec![number; usize::from(number) * 250];
                txn.tree(&name).unwrap().insert(&[number ^ round], &value).unwrap();
                txn.tree("wide").unwrap().insert(&[number, round], &[round; 900]).unwrap();
            }
            txn.commit().unwrap();
        }
        let file = vfs.open(Path::new("file"), Access::Read).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    }

    #[test]
    fn resealing_an_intact_file_changes_nothing() {
        let plain = make(None);
        let mut bytes = plain.clone();
        reseal(&mut bytes, None);
        assert!(bytes == plain);
        let key = Key::new([7; 64]);
        let encrypted = make(Some(&key));
        let mut bytes = encrypted.clone();
        unseal(&mut bytes, &key);
        assert!(bytes != encrypted);
        assert!(bytes.windows(20).any(|part| part == b"a tree with a long n"));
        reseal(&mut bytes, Some(&key));
        assert!(bytes == encrypted);
    }

    #[test]
    fn a_changed_value_opens_after_resealing() {
        let key = Key::new([7; 64]);
        for key in [None, Some(&key)] {
            let mut bytes = make(key);
            if let Some(key) = key {
                unseal(&mut bytes, key);
            }
            let long = [39; 5000];
            let mut start = 0;
            // The value is in the log, and in a tree once that was written.
            while let Some(at) = bytes[start..].windows(3000).position(|p| *p == long[..3000]) {
                bytes[start + at] = 40;
                start += at + 3000;
            }
            assert!(start > 0, "the value is found");
            reseal(&mut bytes, key);
            let vfs = MemoryVfs::default();
            let file = vfs.open(Path::new("file"), Access::CreateNew).unwrap();
            file.write_at(&bytes, 0).unwrap();
            drop(file);
            let mut options = StoreOptions::new().vfs(Arc::new(vfs));
            if let Some(key) = key {
                options = options.key(key.clone());
            }
            let store = options.open("file").unwrap();
            let snapshot = store.snapshot();
            let mut found = 0;
            for name in snapshot.tree_names() {
                for entry in snapshot.tree(name).range(..).unwrap() {
                    let (_, value) = entry.unwrap();
                    found += usize::from(value.contains(&40));
                }
            }
            assert!(found > 0, "the change is seen");
        }
    }

    #[test]
    fn any_bytes_pass_without_a_panic() {
        let key = Key::new([7; 64]);
        let whole = make(None);
        for cut in [0, 10, 88, 4096, 5000, 12_288, 20_000] {
            let mut bytes = whole[..cut].to_vec();
            reseal(&mut bytes, None);
            unseal(&mut bytes, &key);
        }
        let mut bytes = whole;
        for at in (4096 + 40..bytes.len()).step_by(97) {
            bytes[at] = bytes[at].wrapping_add(1);
        }
        reseal(&mut bytes, None);
        reseal(&mut bytes, Some(&key));
    }
}
