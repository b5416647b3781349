//! What is on a disk and what is only on its way there, as a value that is cheap to copy.
//!
//! - F1 Of the writes since the last sync of a file, any sector of 512 bytes may hold what any one
//!   of them left, or what was durable before; the length likewise.
//! - F2 Directory entries are durable apart from files: each create, rename and remove since the
//!   last sync of the directory may have happened or not.
//! - F3 A copy costs a reference per page at most, whatever the length of the file.

use crate::rng::Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that a disk writes at once or not at all.
pub const SECTOR_BYTES: usize = 512;
pub(super) const PAGE: usize = 4096;
const SECTORS: usize = PAGE / SECTOR_BYTES;

/// A page of a file; a missing one is zeros.
pub type Page = Arc<[u8; PAGE]>;

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pages: Arc<Vec<Option<Page>>>,
    len: u64,
}

/// A change that is not durable yet: the whole page as it is after it, or the length.
#[derive(Clone, Debug)]
enum Change {
    Page(usize, Option<Page>),
    Len(u64),
}

/// The changes of one call carry its number.
#[derive(Clone, Debug)]
struct Pending {
    call: u32,
    change: Change,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    now: Content,
    durable: Content,
    pending: Vec<Pending>,
}

#[derive(Clone, Debug)]
enum Entry {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

type Names = Vec<(PathBuf, usize)>;

/// A disk: files and names, as they are read now and as they would be found after a power loss.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    names: Arc<Names>,
    durable_names: Arc<Names>,
    pending_names: Vec<Entry>,
    calls: u32,
}

/// What a power loss does to the changes that were not synced.
#[derive(Clone, Copy, Debug)]
enum Fate {
    NoCall,
    EveryCall,
    CallsBefore(u32),
    AllButCall(u32),
    OnlyCall(u32),
    PagesAtRandom,
    SectorsAtRandom,
}

impl Fate {
    fn draw(rng: &mut Rng, calls: &[u32]) -> Self {
        let call = if calls.is_empty() { 0 } else { *rng.pick(calls) };
        match rng.below(8) {
            0 => Self::NoCall,
            1 => Self::EveryCall,
            2 => Self::CallsBefore(call),
            3 => Self::AllButCall(call),
            4 => Self::OnlyCall(call),
            5 => Self::PagesAtRandom,
            _ => Self::SectorsAtRandom,
        }
    }

    fn keeps(self, rng: &mut Rng, call: u32) -> bool {
        match self {
            Self::NoCall => false,
            Self::EveryCall => true,
            Self::CallsBefore(limit) => call < limit,
            Self::AllButCall(lost) => call != lost,
            Self::OnlyCall(kept) => call == kept,
            Self::PagesAtRandom | Self::SectorsAtRandom => rng.one_in(2),
        }
    }
}

impl Content {
    fn page(&self, index: usize) -> Option<&Page> {
        self.pages.get(index)?.as_ref()
    }

    fn put(&mut self, index: usize, page: Option<Page>) {
        let pages = Arc::make_mut(&mut self.pages);
        if pages.len() <= index {
            pages.resize(index + 1, None);
        }
        pages[index] = page;
    }

    fn cut(&mut self, len: u64) {
        self.len = len;
        let held = index_of(len + PAGE as u64 - 1);
        if self.pages.len() > held {
            Arc::make_mut(&mut self.pages).truncate(held);
        }
    }

    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> usize {
        let count = self.len.saturating_sub(offset).min(bytes.len() as u64);
        let count = usize::try_from(count).unwrap_or(0);
        let mut done = 0;
        while done < count {
            let at = offset + done as u64;
            let (index, from) = (index_of(at), offset_in(at));
            let part = (PAGE - from).min(count - done);
            let target = &mut bytes[done..done + part];
            match self.page(index) {
                Some(page) => target.copy_from_slice(&page[from..from + part]),
                None => target.fill(0),
            }
            done += part;
        }
        count
    }
}

impl Inode {
    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> usize {
        self.now.read(bytes, offset)
    }

    pub(super) fn len(&self) -> u64 {
        self.now.len
    }

    fn change_page(&mut self, call: u32, index: usize, page: Option<Page>) {
        self.now.put(index, page.clone());
        self.pending.push(Pending { call, change: Change::Page(index, page) });
    }

    fn change_len(&mut self, call: u32, len: u64) {
        self.now.len = len;
        self.pending.push(Pending { call, change: Change::Len(len) });
    }

    fn write(&mut self, call: u32, bytes: &[u8], offset: u64) {
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let (index, from) = (index_of(at), offset_in(at));
            let part = (PAGE - from).min(bytes.len() - done);
            let source = &bytes[done..done + part];
            let page = match <&[u8; PAGE]>::try_from(source) {
                Ok(whole) => Arc::new(*whole),
                Err(_) => {
                    let mut page = self.now.page(index).map_or([0; PAGE], |page| **page);
                    page[from..from + part].copy_from_slice(source);
                    Arc::new(page)
                }
            };
            self.change_page(call, index, Some(page));
            done += part;
        }
        let end = offset + bytes.len() as u64;
        // A length that a failed sync lost is on its way again once bytes up there are written.
        if end > self.now.len.min(self.durable.len) {
            self.change_len(call, end.max(self.now.len));
        }
    }

    fn set_len(&mut self, call: u32, len: u64) {
        if len < self.now.len {
            let (index, from) = (index_of(len), offset_in(len));
            for gone in index..self.now.pages.len() {
                let head = if gone == index && from > 0 { self.now.page(gone) } else { None };
                let page = head.map(|page| {
                    let mut cut = **page;
                    cut[from..].fill(0);
                    Arc::new(cut)
                });
                self.change_page(call, gone, page);
            }
            self.now.cut(len);
        }
        self.change_len(call, len);
    }

    fn sync(&mut self) {
        for Pending { change, .. } in std::mem::take(&mut self.pending) {
            match change {
                Change::Page(index, _) => {
                    let page = self.now.page(index).cloned();
                    self.durable.put(index, page);
                }
                Change::Len(_) => self.durable.len = self.now.len,
            }
        }
        let len = self.durable.len;
        self.durable.cut(len);
    }

    /// Returns what a power loss leaves of the file.
    fn settle(&self, rng: &mut Rng, fate: Fate) -> Content {
        let mut left = self.durable.clone();
        let mut len = left.len;
        let mut versions: Vec<(usize, &Option<Page>)> = Vec::with_capacity(self.pending.len());
        let at_random = matches!(fate, Fate::PagesAtRandom | Fate::SectorsAtRandom);
        for Pending { call, change } in &self.pending {
            match change {
                Change::Page(index, page) if at_random => versions.push((*index, page)),
                Change::Page(index, page) if fate.keeps(rng, *call) => {
                    left.put(*index, page.clone())
                }
                Change::Len(after) if fate.keeps(rng, *call) => len = *after,
                Change::Page(..) | Change::Len(_) => {}
            }
        }
        versions.sort_by_key(|(index, _)| *index);
        for versions in versions.chunk_by(|one, two| one.0 == two.0) {
            let tear = matches!(fate, Fate::SectorsAtRandom) && rng.one_in(2);
            let index = versions[0].0;
            let before = self.durable.page(index).cloned();
            left.put(index, settle_page(rng, tear, (&before, versions)));
        }
        left.cut(len);
        clear_tail(&mut left);
        left
    }

    fn settled(content: Content) -> Self {
        Self { now: content.clone(), durable: content, pending: Vec::new() }
    }
}

/// Returns one of the versions of a page, or a mix of them by sectors.
fn settle_page(
    rng: &mut Rng,
    tear: bool,
    (before, versions): (&Option<Page>, &[(usize, &Option<Page>)]),
) -> Option<Page> {
    let draw = |rng: &mut Rng| match rng.below(versions.len() + 1) {
        0 => before,
        chosen => versions[chosen - 1].1,
    };
    let mut page = draw(rng).clone();
    for sector in (0..SECTORS).filter(|_| tear) {
        let source = draw(rng);
        let same = match (&page, source) {
            (Some(page), Some(source)) => Arc::ptr_eq(page, source),
            (page, source) => page == source,
        };
        if !same {
            let bytes = Arc::make_mut(page.get_or_insert_with(|| Arc::new([0; PAGE])));
            let sector = sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES;
            match source {
                Some(source) => bytes[sector.clone()].copy_from_slice(&source[sector]),
                None => bytes[sector].fill(0),
            }
        }
    }
    page
}

/// Beyond its length a file is zeros, should it grow again.
fn clear_tail(content: &mut Content) {
    let (index, from) = (index_of(content.len), offset_in(content.len));
    if let Some(page) = content.page(index)
        && page[from..].iter().any(|byte| *byte != 0)
    {
        let mut cut = **page;
        cut[from..].fill(0);
        content.put(index, Some(Arc::new(cut)));
    }
}

fn index_of(offset: u64) -> usize {
    usize::try_from(offset / PAGE as u64).unwrap_or(usize::MAX)
}

fn offset_in(offset: u64) -> usize {
    usize::try_from(offset % PAGE as u64).unwrap_or(0)
}

fn find(names: &Names, path: &Path) -> Option<usize> {
    names.iter().find(|(name, _)| name == path).map(|(_, inode)| *inode)
}

impl Entry {
    fn apply(&self, names: &mut Names) {
        let mut set = |path: &PathBuf, inode: Option<usize>| {
            names.retain(|(name, _)| name != path);
            names.extend(inode.map(|inode| (path.clone(), inode)));
        };
        match self {
            Self::Link(path, inode) => set(path, Some(*inode)),
            Self::Unlink(path) => set(path, None),
            Self::Rename(source, target, inode) => {
                set(source, None);
                set(target, Some(*inode));
            }
        }
    }
}

// What the file system does to its disk.
impl Disk {
    pub(super) fn find(&self, path: &Path) -> Option<usize> {
        find(&self.names, path)
    }

    pub(super) fn inode(&self, inode: usize) -> &Inode {
        &self.inodes[inode]
    }

    pub(super) fn create(&mut self, path: &Path) -> usize {
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.enter(Entry::Link(path.to_path_buf(), inode));
        inode
    }

    pub(super) fn rename(&mut self, source: &Path, target: &Path) -> bool {
        let Some(inode) = self.find(source) else { return false };
        self.enter(Entry::Rename(source.to_path_buf(), target.to_path_buf(), inode));
        true
    }

    pub(super) fn remove(&mut self, path: &Path) -> bool {
        let found = self.find(path).is_some();
        if found {
            self.enter(Entry::Unlink(path.to_path_buf()));
        }
        found
    }

    pub(super) fn write(&mut self, inode: usize, bytes: &[u8], offset: u64) {
        self.calls += 1;
        self.inodes[inode].write(self.calls, bytes, offset);
    }

    pub(super) fn set_len(&mut self, inode: usize, len: u64) {
        self.calls += 1;
        self.inodes[inode].set_len(self.calls, len);
    }

    pub(super) fn sync(&mut self, inode: usize) {
        self.inodes[inode].sync();
    }

    pub(super) fn sync_names(&mut self) {
        self.durable_names = Arc::clone(&self.names);
        self.pending_names.clear();
    }

    /// A sync that failed: some of it reached the disk, and the system forgets that the rest did
    /// not, so that no later sync brings it there either.
    pub(super) fn sync_in_part(&mut self, inode: usize, rng: &mut Rng) {
        let inode = &mut self.inodes[inode];
        let calls: Vec<u32> = inode.pending.iter().map(|pending| pending.call).collect();
        let fate = Fate::draw(rng, &calls);
        inode.durable = inode.settle(rng, fate);
        inode.pending.clear();
    }

    fn enter(&mut self, entry: Entry) {
        entry.apply(Arc::make_mut(&mut self.names));
        self.pending_names.push(entry);
    }
}

// What a check does to a disk.
impl Disk {
    /// Returns what a power loss leaves.
    #[must_use]
    pub fn power_loss(&self, rng: &mut Rng) -> Self {
        let mut calls = Vec::new();
        for inode in &self.inodes {
            calls.extend(inode.pending.iter().map(|pending| pending.call));
        }
        let fate = Fate::draw(rng, &calls);
        let mut names = Arc::clone(&self.durable_names);
        let names_at_once = rng.below(4);
        for entry in &self.pending_names {
            let kept = match names_at_once {
                0 => true,
                1 => false,
                _ => rng.one_in(2),
            };
            if kept {
                entry.apply(Arc::make_mut(&mut names));
            }
        }
        let settle = |index: usize, inode: &Inode, rng: &mut Rng| {
            let named = names.iter().any(|(_, named)| *named == index);
            if named { Inode::settled(inode.settle(rng, fate)) } else { Inode::default() }
        };
        let inodes = self.inodes.iter().enumerate();
        let inodes = inodes.map(|(index, inode)| settle(index, inode, rng)).collect();
        let durable_names = Arc::clone(&names);
        Self { inodes, names, durable_names, pending_names: Vec::new(), calls: self.calls }
    }

    /// Tells whether anything is not durable yet.
    #[must_use]
    pub fn pending(&self) -> bool {
        !self.pending_names.is_empty() || self.inodes.iter().any(|inode| !inode.pending.is_empty())
    }

    /// Returns the names that are taken.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.names.iter().map(|(name, _)| &**name)
    }

    /// Returns the length of a file.
    #[must_use]
    pub fn len(&self, path: &Path) -> Option<u64> {
        Some(self.inodes[self.find(path)?].now.len)
    }

    /// Tells whether no name is taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns a page of a file as it is read now.
    #[must_use]
    pub fn page(&self, path: &Path, index: usize) -> Option<Page> {
        self.inodes[self.find(path)?].now.page(index).cloned()
    }

    /// Tells whether a file has the same bytes on two disks.
    #[must_use]
    pub fn same_file(&self, other: &Self, path: &Path) -> bool {
        let content = |disk: &Self| disk.find(path).map(|inode| disk.inodes[inode].now.clone());
        content(self) == content(other)
    }

    /// Replaces a page of a file on the disk itself, as rot or an adversary does.
    pub fn replace(&mut self, path: &Path, index: usize, page: Option<Page>) {
        let Some(inode) = self.find(path) else { return };
        let mut content = self.inodes[inode].now.clone();
        content.put(index, page);
        content.len = content.len.max((index as u64 + 1) * PAGE as u64);
        self.inodes[inode] = Inode::settled(content);
    }

    /// Changes bytes of a file on the disk itself; those beyond its end are left out.
    pub fn patch(&mut self, path: &Path, offset: u64, patch: impl FnOnce(&mut [u8; PAGE])) {
        let index = index_of(offset);
        if self.len(path).is_some_and(|len| offset < len) {
            let mut bytes = self.page(path, index).map_or([0; PAGE], |page| *page);
            patch(&mut bytes);
            let len = self.len(path).unwrap_or(0);
            self.replace(path, index, Some(Arc::new(bytes)));
            self.resize(path, len);
        }
    }

    /// Cuts or extends a file on the disk itself.
    pub fn resize(&mut self, path: &Path, len: u64) {
        let Some(inode) = self.find(path) else { return };
        let mut content = self.inodes[inode].now.clone();
        content.cut(len);
        clear_tail(&mut content);
        self.inodes[inode] = Inode::settled(content);
    }

    /// Gives a file the bytes it has on another disk, durably; makes it when it is not there.
    pub fn copy_from(&mut self, source: &Self, (from, to): (&Path, &Path)) {
        let Some(inode) = source.find(from) else { return };
        self.inodes.push(Inode::settled(source.inodes[inode].now.clone()));
        let link = Entry::Link(to.to_path_buf(), self.inodes.len() - 1);
        link.apply(Arc::make_mut(&mut self.names));
        link.apply(Arc::make_mut(&mut self.durable_names));
    }

    /// Removes a name, durably.
    pub fn unlink(&mut self, path: &Path) {
        let unlink = Entry::Unlink(path.to_path_buf());
        unlink.apply(Arc::make_mut(&mut self.names));
        unlink.apply(Arc::make_mut(&mut self.durable_names));
    }
}
