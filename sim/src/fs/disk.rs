//! A simulated disk: durable state and pending changes, as a value that is cheap to clone.
//!
//! - SF1 After a crash, each sector of 512 bytes holds its durable bytes or those of any write
//!   since the last sync of the file; so does the length.
//! - SF2 Directory entries become durable independently of files: each create, rename and remove
//!   since the last sync of the directory is kept or lost.
//! - SF3 A clone costs at most one reference per page.

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

/// A disk: files and names, in their current state and in the state after a power loss.
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

// Changes by the file system.
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

    /// Returns the number of calls that changed a file.
    pub(super) const fn calls(&self) -> u32 {
        self.calls
    }

    /// Makes the changes of calls up to `until` durable.
    pub(super) fn sync(&mut self, inode: usize, until: u32) {
        self.inodes[inode].sync(until);
    }

    pub(super) fn sync_names(&mut self) {
        self.durable_names = Arc::clone(&self.names);
        self.pending_names.clear();
    }

    /// A failed sync: part of the changes reach the disk, and the cache forgets the rest, so that
    /// no later sync writes them.
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

// Access for checks.
impl Disk {
    /// Returns the disk after a power loss.
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

    /// Returns whether any change is pending.
    #[must_use]
    pub fn pending(&self) -> bool {
        !self.pending_names.is_empty() || self.inodes.iter().any(|inode| !inode.pending.is_empty())
    }

    /// Returns the names of all files.
    pub fn names(&self) -> impl Iterator<Item = &Path> {
        self.names.iter().map(|(name, _)| &**name)
    }

    /// Returns the length of a file.
    #[must_use]
    pub fn len(&self, path: &Path) -> Option<u64> {
        Some(self.inodes[self.find(path)?].now.len)
    }

    /// Returns whether there is no file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Returns the number of a file, as in [`super::Written`].
    #[must_use]
    pub fn number(&self, path: &Path) -> Option<usize> {
        self.find(path)
    }

    /// Returns a page of the current content.
    #[must_use]
    pub fn page(&self, path: &Path, index: usize) -> Option<Page> {
        self.inodes[self.find(path)?].now.page(index).cloned()
    }

    /// Returns whether a file has the same bytes on two disks.
    #[must_use]
    pub fn same_file(&self, other: &Self, path: &Path) -> bool {
        let content = |disk: &Self| disk.find(path).map(|inode| disk.inodes[inode].now.clone());
        content(self) == content(other)
    }

    /// Replaces a page durably, as bit rot or an adversary would.
    pub fn replace(&mut self, path: &Path, index: usize, page: Option<Page>) {
        let Some(inode) = self.find(path) else { return };
        let mut content = self.inodes[inode].now.clone();
        content.put(index, page);
        content.len = content.len.max((index as u64 + 1) * PAGE as u64);
        self.inodes[inode] = Inode::settled(content);
    }

    /// Changes bytes of a file durably, within its length.
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

    /// Truncates or extends a file durably.
    pub fn resize(&mut self, path: &Path, len: u64) {
        let Some(inode) = self.find(path) else { return };
        let mut content = self.inodes[inode].now.clone();
        content.cut(len);
        clear_tail(&mut content);
        self.inodes[inode] = Inode::settled(content);
    }

    /// Copies a file from another disk durably, replacing any existing one.
    pub fn copy_from(&mut self, source: &Self, (from, to): (&Path, &Path)) {
        let Some(inode) = source.find(from) else { return };
        self.inodes.push(Inode::settled(source.inodes[inode].now.clone()));
        let link = Entry::Link(to.to_path_buf(), self.inodes.len() - 1);
        link.apply(Arc::make_mut(&mut self.names));
        link.apply(Arc::make_mut(&mut self.durable_names));
    }

    /// Removes a name durably.
    pub fn unlink(&mut self, path: &Path) {
        let unlink = Entry::Unlink(path.to_path_buf());
        unlink.apply(Arc::make_mut(&mut self.names));
        unlink.apply(Arc::make_mut(&mut self.durable_names));
    }
}
