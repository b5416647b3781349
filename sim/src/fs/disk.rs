//! What is on a disk and what is only on its way there, as a value that is cheap to copy.
//!
//! - F1 Of the writes since the last sync of a file, any sector of 512 bytes may hold what any one
//!   of them left, or what was durable before; the length likewise.
//! - F2 Directory entries are durable apart from files: each create, rename and remove since the
//!   last sync of the directory may have happened or not.
//! - F3 A copy costs a reference per page at most, whatever the length of the file.

use super::content::{Fate, Inode, PAGE, Page, clear_tail, index_of};
use crate::rng::Rng;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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

    /// Returns how many calls have changed a file.
    pub(super) const fn calls(&self) -> u32 {
        self.calls
    }

    /// Makes durable what was changed by calls up to this one.
    pub(super) fn sync(&mut self, inode: usize, until: u32) {
        self.inodes[inode].sync(until);
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

    /// Returns the number of the file that has a name, as [`super::Written`] tells it.
    #[must_use]
    pub fn number(&self, path: &Path) -> Option<usize> {
        self.find(path)
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
