//! The state that the handles of a store share, and the guard of its writer lock.

use super::close::close;
use super::options::StoreOptions;
use super::recover::OpenedAs;
use super::writer::{Versions, WriterState};
use super::writer_lock::WriterLock;
use crate::error::{Error, Result};
use crate::instance::error::InstanceError;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

const HELD: &str = "N2: the writer lock is held until the guard is dropped";

/// The state that the handles of a store share.
#[derive(Debug)]
pub(crate) struct SharedStore {
    pub(crate) options: StoreOptions,
    pub(crate) path: PathBuf,
    pub(crate) format_version: u32,
    pub(crate) versions: Versions,
    lock: WriterLock<Box<WriterState>>,
    pub(crate) opened: OpenedAs,
}

impl SharedStore {
    pub(crate) fn new(
        options: StoreOptions,
        format_version: u32,
        writer: WriterState,
        opened: OpenedAs,
    ) -> Self {
        let path = writer.tip.pager.path().to_path_buf();
        let versions = Versions::new(&writer.tip);
        let lock = WriterLock::new(writer.into());
        Self { options, path, format_version, versions, lock, opened }
    }
}

impl Drop for SharedStore {
    fn drop(&mut self) {
        let mut writer = self.lock.lock();
        let failed = writer.poisoned || self.versions.group.has_failed();
        if !failed && !self.opened.read_only {
            // If this fails, the next opening recovers the file.
            drop(close(&self.versions, &mut writer));
        }
    }
}

/// The guard of the writer lock; a drop releases the lock, also in a panic.
#[derive(Debug)]
pub(crate) struct WriteGuard<S: Deref<Target = SharedStore>> {
    shared: S,
    /// `None` only while it is dropped.
    writer: Option<Box<WriterState>>,
}

impl<S: Deref<Target = SharedStore>> WriteGuard<S> {
    /// Takes the writer lock, and waits for it if `waits` allows that.
    pub(crate) fn new(shared: S, waits: bool) -> Result<Self> {
        let path = || shared.path.clone();
        if shared.opened.read_only {
            return Err(Error::ReadOnly { path: path() });
        }
        let forbidden = || InstanceError::BlockingForbidden { path: path() };
        let writer = match waits {
            true => shared.lock.lock(),
            false => shared.lock.try_lock().ok_or_else(forbidden)?,
        };
        let failed = writer.poisoned || shared.versions.group.has_failed();
        let poisoned = failed.then(|| Error::Poisoned { path: path() });
        let mut guard = Self { shared, writer: Some(writer) };
        guard.lock_count += 1;
        if let Some(poisoned) = poisoned {
            return Err(poisoned);
        }
        if guard.replay_log()? {
            guard.shared.versions.publish(&guard.tip);
        }
        Ok(guard)
    }

    /// Returns the shared state and the writer.
    pub(crate) fn parts(&mut self) -> (&S, &mut WriterState) {
        (&self.shared, self.writer.as_mut().expect(HELD))
    }
}

impl<S: Deref<Target = SharedStore>> Deref for WriteGuard<S> {
    type Target = WriterState;

    fn deref(&self) -> &WriterState {
        self.writer.as_ref().expect(HELD)
    }
}

impl<S: Deref<Target = SharedStore>> DerefMut for WriteGuard<S> {
    fn deref_mut(&mut self) -> &mut WriterState {
        self.parts().1
    }
}

impl<S: Deref<Target = SharedStore>> Drop for WriteGuard<S> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.shared.lock.unlock(writer);
        }
    }
}
