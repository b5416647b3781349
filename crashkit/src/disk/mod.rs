//! A simulated disk: durable state and pending changes, as a value that is cheap to clone.
//!
//! - SF1 After a crash, each sector of 512 bytes holds its durable bytes or those of any write
//!   since the last sync of the file; so does the length.
//! - SF2 Directory entries become durable independently of files: each create, rename and remove
//!   since the last sync of the directory is kept or lost.
//! - SF3 A clone costs at most one reference per page.

mod content;

pub use content::{PAGE_BYTES, Page, SECTOR_BYTES};

use crate::rng::Rng;
use content::{Fate, Inode, clear_tail, index_of};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Clone, Debug)]
enum Entry {
    Link(PathBuf, Target),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, Target),
}

/// The target of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    File(usize),
    Symlink(PathBuf),
}

type Names = Vec<(PathBuf, Target)>;

/// The permissions of a new file.
const NEW_FILE_MODE: u32 = 0o600;

/// Most symbolic links that a path leads through.
const LINKS_MAX: usize = 8;

/// A disk: files and names, in their current state and in the state after a power loss.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    names: Arc<Names>,
    durable_names: Arc<Names>,
    pending_names: Vec<Entry>,
    /// The permissions of each file, durable at once.
    modes: Vec<u32>,
    calls: u32,
}

/// Returns what a name leads to, itself.
fn target_of<'n>(names: &'n Names, path: &Path) -> Option<&'n Target> {
    names.iter().find(|(name, _)| name == path).map(|(_, target)| target)
}

/// Follows symbolic links; returns the last path, and its file.
fn resolve<'n>(names: &'n Names, path: &'n Path) -> Option<(&'n Path, usize)> {
    let mut path = path;
    for _ in 0..LINKS_MAX {
        match target_of(names, path)? {
            Target::File(inode) => return Some((path, *inode)),
            Target::Symlink(next) => path = next,
        }
    }
    None
}

impl Entry {
    fn apply(&self, names: &mut Names) {
        let mut set = |path: &PathBuf, to: Option<&Target>| {
            names.retain(|(name, _)| name != path);
            names.extend(to.map(|to| (path.clone(), to.clone())));
        };
        match self {
            Self::Link(path, to) => set(path, Some(to)),
            Self::Unlink(path) => set(path, None),
            Self::Rename(source, target, to) => {
                set(source, None);
                set(target, Some(to));
            }
        }
    }
}

// Changes by the file system.
impl Disk {
    pub(super) fn find(&self, path: &Path) -> Option<usize> {
        Some(resolve(&self.names, path)?.1)
    }

    /// Returns the path of the file that a path leads to.
    pub(super) fn resolve(&self, path: &Path) -> Option<PathBuf> {
        Some(resolve(&self.names, path)?.0.to_path_buf())
    }

    /// Tells whether a name is taken, be it by a link that leads nowhere.
    pub(super) fn is_taken(&self, path: &Path) -> bool {
        target_of(&self.names, path).is_some()
    }

    pub(super) fn read(&self, inode: usize, bytes: &mut [u8], offset: u64) -> usize {
        self.inodes[inode].read(bytes, offset)
    }

    pub(super) fn len_of(&self, inode: usize) -> u64 {
        self.inodes[inode].len()
    }

    pub(super) fn create(&mut self, path: &Path) -> usize {
        let inode = self.add(Inode::default());
        self.enter(Entry::Link(path.to_path_buf(), Target::File(inode)));
        inode
    }

    fn add(&mut self, inode: Inode) -> usize {
        self.inodes.push(inode);
        self.modes.push(NEW_FILE_MODE);
        self.inodes.len() - 1
    }

    /// Returns the number of names of a file.
    pub(super) fn name_count(&self, inode: usize) -> u64 {
        self.names.iter().filter(|(_, target)| *target == Target::File(inode)).count() as u64
    }

    /// Gives a file the permissions of the one at a path.
    pub(super) fn take_mode(&mut self, inode: usize, path: &Path) -> bool {
        let Some(from) = self.find(path) else { return false };
        self.modes[inode] = self.modes[from];
        true
    }

    pub(super) fn rename(&mut self, source: &Path, target: &Path) -> bool {
        let Some(to) = target_of(&self.names, source).cloned() else { return false };
        self.enter(Entry::Rename(source.to_path_buf(), target.to_path_buf(), to));
        true
    }

    pub(super) fn remove(&mut self, path: &Path) -> bool {
        let found = self.is_taken(path);
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
            let named = names.iter().any(|(_, named)| *named == Target::File(index));
            if named { Inode::settled(inode.settle(rng, fate)) } else { Inode::default() }
        };
        let inodes = self.inodes.iter().enumerate();
        let inodes = inodes.map(|(index, inode)| settle(index, inode, rng)).collect();
        let (durable_names, pending_names) = (Arc::clone(&names), Vec::new());
        let modes = self.modes.clone();
        Self { inodes, names, durable_names, pending_names, modes, calls: self.calls }
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

    /// Returns the number of a file, as in [`crate::Written`].
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
        content.len = content.len.max((index as u64 + 1) * PAGE_BYTES as u64);
        self.inodes[inode] = Inode::settled(content);
    }

    /// Changes bytes of a file durably, within its length.
    pub fn patch(&mut self, path: &Path, offset: u64, patch: impl FnOnce(&mut [u8; PAGE_BYTES])) {
        let index = index_of(offset);
        if self.len(path).is_some_and(|len| offset < len) {
            let mut bytes = self.page(path, index).map_or([0; PAGE_BYTES], |page| *page);
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
        let inode = self.add(Inode::settled(source.inodes[inode].now.clone()));
        self.apply(&Entry::Link(to.to_path_buf(), Target::File(inode)));
    }

    /// Removes a name durably.
    pub fn unlink(&mut self, path: &Path) {
        self.apply(&Entry::Unlink(path.to_path_buf()));
    }

    /// Makes a symbolic link durably.
    pub fn symlink(&mut self, path: &Path, to: &Path) {
        self.apply(&Entry::Link(path.to_path_buf(), Target::Symlink(to.to_path_buf())));
    }

    /// Gives a file another name durably.
    pub fn hard_link(&mut self, path: &Path, file: &Path) {
        let Some(inode) = self.find(file) else { return };
        self.apply(&Entry::Link(path.to_path_buf(), Target::File(inode)));
    }

    /// Returns whether a name is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self, path: &Path) -> bool {
        matches!(target_of(&self.names, path), Some(Target::Symlink(_)))
    }

    /// Returns the permissions of a file.
    #[must_use]
    pub fn mode(&self, path: &Path) -> Option<u32> {
        Some(self.modes[self.find(path)?])
    }

    /// Sets the permissions of a file durably.
    pub fn set_mode(&mut self, path: &Path, mode: u32) {
        if let Some(inode) = self.find(path) {
            self.modes[inode] = mode;
        }
    }

    fn apply(&mut self, entry: &Entry) {
        entry.apply(Arc::make_mut(&mut self.names));
        entry.apply(Arc::make_mut(&mut self.durable_names));
    }
}
