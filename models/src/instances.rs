//! Instances, as docs/instances.md specifies them: opening, using, closing, deleting, and the
//! counts. The model keeps every handle and recomputes everything from them.
//!
//! A file holds numbered notes. Configurations differ in key, version and migration only.

use std::collections::BTreeSet;

/// A configuration of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// The key; 0 is none.
    pub key: u8,
    /// The schema version.
    pub version: u8,
    /// The migration; all have one type and no name.
    pub migration: Option<Migration>,
}

/// A migration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Migration {
    /// Distinguishes migrations.
    pub number: u8,
    /// Whether it fails.
    pub fails: bool,
}

/// The kind of an open handle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum InstanceKind {
    /// With the classes of the configuration.
    Typed,
    /// With the classes of the file.
    Dynamic,
}

/// The reason of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InstanceRefusal {
    /// The file is open under another key.
    OtherKey,
    /// The file is open under another migration.
    OtherMigration,
    /// The file is open under a configuration with another difference.
    Other,
    /// The key does not open the file.
    Key,
    /// The file has a higher version.
    VersionLower,
    /// The migration failed.
    Migration,
    /// The file has no classes.
    NoClass,
    /// The file is open; the number of pairs of thread and kind.
    StillOpen(usize),
    /// The handle was closed.
    Closed,
    /// The handle belongs to another thread.
    OtherThread,
    /// The path of the copy is occupied.
    Exists,
}

/// The outcome of a call.
pub type InstanceOutcome<T> = Result<T, InstanceRefusal>;

/// A file on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstanceFile {
    /// Its key.
    pub key: u8,
    /// Its version, once it has classes.
    pub version: Option<u8>,
    /// Its notes.
    pub notes: BTreeSet<u8>,
}

impl InstanceFile {
    /// Returns a new file.
    #[must_use]
    pub const fn new(key: u8) -> Self {
        Self { key, version: None, notes: BTreeSet::new() }
    }
}

/// A thread that holds a file, and the kind of its handle.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Holder {
    /// The thread, by number.
    pub thread: usize,
    /// The kind of the handle.
    pub kind: InstanceKind,
}

/// A handle, open or closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle {
    /// The file, by number.
    pub file: usize,
    /// The thread it belongs to.
    pub thread: usize,
    /// The kind of the handle.
    pub kind: InstanceKind,
    /// Whether it is open.
    pub open: bool,
    configuration: Configuration,
}

/// All files, their copies, and all handles.
#[derive(Clone, Debug)]
pub struct Instances {
    files: Vec<Option<InstanceFile>>,
    copies: Vec<bool>,
    handles: Vec<Handle>,
}

impl Instances {
    /// Starts without files and handles.
    #[must_use]
    pub fn new(files: usize) -> Self {
        Self { files: vec![None; files], copies: vec![false; files], handles: Vec::new() }
    }

    /// Returns the handles that were not dropped.
    #[must_use]
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Returns a file, if it exists.
    #[must_use]
    pub fn file(&self, file: usize) -> Option<&InstanceFile> {
        self.files[file].as_ref()
    }

    /// Sets the state of a file without holders after a disk error.
    pub fn set_file(&mut self, file: usize, found: Option<InstanceFile>) {
        self.files[file] = found;
    }

    /// Returns the number of pairs of thread and kind that hold a file.
    #[must_use]
    pub fn global_count(&self, file: usize) -> usize {
        let holders = self.holders(file).map(|handle| (handle.thread, handle.kind));
        holders.collect::<BTreeSet<_>>().len()
    }

    /// Returns the number of open handles that a thread has to a file.
    #[must_use]
    pub fn local_count(&self, file: usize, thread: usize) -> usize {
        self.holders(file).filter(|handle| handle.thread == thread).count()
    }

    fn holders(&self, file: usize) -> impl Iterator<Item = &Handle> {
        self.handles.iter().filter(move |handle| handle.open && handle.file == file)
    }

    /// Opens a file; the new handle comes last.
    ///
    /// # Errors
    /// The refusal; nothing has changed.
    pub fn open(
        &mut self,
        file: usize,
        holder: Holder,
        configuration: Configuration,
    ) -> InstanceOutcome<()> {
        let Holder { thread, kind } = holder;
        if let Some(open) = self.holders(file).next() {
            let open_configuration = open.configuration;
            if open_configuration != configuration {
                return Err(difference(open_configuration, configuration));
            }
        } else if self.files[file].as_ref().is_some_and(|file| file.key != configuration.key) {
            return Err(InstanceRefusal::Key);
        }
        let new_file = InstanceFile::new(configuration.key);
        let mut found = self.files[file].clone().unwrap_or(new_file);
        let is_prepared = self.holders(file).any(|open| open.kind == kind);
        let outcome = match kind {
            InstanceKind::Typed if !is_prepared => apply_configuration(&mut found, configuration),
            InstanceKind::Typed | InstanceKind::Dynamic => Ok(()),
        };
        // A file that was created for a failed opening remains.
        self.files[file] = Some(found);
        outcome?;
        self.handles.push(Handle { file, thread, kind, open: true, configuration });
        Ok(())
    }

    /// Returns whether opening would run a migration.
    #[must_use]
    pub fn migrates(&self, file: usize, kind: InstanceKind, configuration: Configuration) -> bool {
        let mut tried = self.clone();
        let before = self.files[file].as_ref().and_then(|file| file.version);
        let outcome = tried.open(file, Holder { thread: 0, kind }, configuration);
        let raised = tried.files[file].as_ref().is_some_and(|file| file.version > before);
        configuration.migration.is_some()
            && before.is_some()
            && (outcome == Err(InstanceRefusal::Migration) || (outcome.is_ok() && raised))
    }

    /// Closes a handle; returns whether it was open.
    ///
    /// # Errors
    /// [`InstanceRefusal::OtherThread`].
    pub fn close(&mut self, handle: usize, thread: usize) -> InstanceOutcome<bool> {
        let handle = &mut self.handles[handle];
        if handle.thread != thread {
            return Err(InstanceRefusal::OtherThread);
        }
        Ok(std::mem::replace(&mut handle.open, false))
    }

    /// Drops a handle, on any thread.
    pub fn drop_handle(&mut self, handle: usize) {
        self.handles.remove(handle);
    }

    /// Returns the file of a handle.
    ///
    /// # Errors
    /// [`InstanceRefusal::OtherThread`], [`InstanceRefusal::Closed`].
    pub fn file_of(&self, handle: usize, thread: usize) -> InstanceOutcome<&InstanceFile> {
        let handle = &self.handles[handle];
        if handle.thread != thread {
            return Err(InstanceRefusal::OtherThread);
        }
        let file = self.files[handle.file].as_ref();
        file.filter(|_| handle.open).ok_or(InstanceRefusal::Closed)
    }

    /// Adds a note to the file of a handle.
    ///
    /// # Errors
    /// As [`Instances::file_of`]; [`InstanceRefusal::NoClass`].
    pub fn add_note(&mut self, handle: usize, thread: usize, note: u8) -> InstanceOutcome<()> {
        if self.file_of(handle, thread)?.version.is_none() {
            return Err(InstanceRefusal::NoClass);
        }
        let file = self.files[self.handles[handle].file].as_mut();
        file.map(|file| file.notes.insert(note));
        Ok(())
    }

    /// Copies the file of a handle to the one path for its copies.
    ///
    /// # Errors
    /// As [`Instances::file_of`]; [`InstanceRefusal::Exists`].
    pub fn copy(&mut self, handle: usize, thread: usize) -> InstanceOutcome<()> {
        self.file_of(handle, thread)?;
        match std::mem::replace(&mut self.copies[self.handles[handle].file], true) {
            true => Err(InstanceRefusal::Exists),
            false => Ok(()),
        }
    }

    /// Deletes a file; returns whether it existed.
    ///
    /// # Errors
    /// [`InstanceRefusal::StillOpen`].
    pub fn delete(&mut self, file: usize) -> InstanceOutcome<bool> {
        match self.global_count(file) {
            0 => Ok(self.files[file].take().is_some()),
            count => Err(InstanceRefusal::StillOpen(count)),
        }
    }

    /// Compacts a file; returns whether it had no holders.
    ///
    /// # Errors
    /// [`InstanceRefusal::Key`].
    pub fn compact(&mut self, file: usize, key: u8) -> InstanceOutcome<bool> {
        if self.global_count(file) > 0 {
            return Ok(false);
        }
        let found = self.files[file].get_or_insert(InstanceFile::new(key));
        if found.key == key { Ok(true) } else { Err(InstanceRefusal::Key) }
    }
}

fn difference(open_configuration: Configuration, requested: Configuration) -> InstanceRefusal {
    if open_configuration.key != requested.key {
        return InstanceRefusal::OtherKey;
    }
    match (open_configuration.migration, requested.migration) {
        (Some(one), Some(other)) if one != other => InstanceRefusal::OtherMigration,
        _ => InstanceRefusal::Other,
    }
}

/// Applies the classes and the version of a configuration.
fn apply_configuration(
    file: &mut InstanceFile,
    configuration: Configuration,
) -> InstanceOutcome<()> {
    if file.version.is_some_and(|version| version > configuration.version) {
        return Err(InstanceRefusal::VersionLower);
    }
    let migrates = file.version.is_some_and(|version| version < configuration.version);
    if migrates && configuration.migration.is_some_and(|migration| migration.fails) {
        return Err(InstanceRefusal::Migration);
    }
    file.version = Some(configuration.version);
    Ok(())
}
