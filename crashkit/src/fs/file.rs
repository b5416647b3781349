//! Calls on an open file.

use super::fault::{Call, Fault};
use super::{Lock, SimFs, State};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// An open file of a [`SimFs`].
#[derive(Debug)]
pub struct SimFile {
    fs: SimFs,
    inode: usize,
    writable: bool,
    held: Mutex<Option<Lock>>,
}

impl SimFile {
    pub(super) fn new(fs: SimFs, inode: usize, writable: bool) -> Self {
        Self { fs, inode, writable, held: Mutex::new(None) }
    }

    /// Reads up to `bytes.len()` bytes at `offset`; 0 means the end of the file.
    ///
    /// # Errors
    /// An injected error.
    pub fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.fs.happen(Call::Read);
        let mut state = self.fs.state();
        let limit = match state.meet_at(Call::Read, offset) {
            Ok(()) => bytes.len(),
            Err(Fault::Short) => state.rng.below(bytes.len()).max(1).min(bytes.len()),
            Err(fault) => return Err(fault.error()),
        };
        Ok(state.disk.read(self.inode, &mut bytes[..limit], offset))
    }

    /// Writes up to `bytes.len()` bytes at `offset` and returns their number. A gap between the old
    /// end of the file and `offset` reads as zeros.
    ///
    /// # Errors
    /// `PermissionDenied`, or an injected error; any part of the bytes may then have been written.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.fs.happen(Call::Write);
        self.fs.state().write_at(self.inode, bytes, offset)
    }

    /// Returns the length in bytes.
    ///
    /// # Errors
    /// An injected error.
    pub fn len(&self) -> io::Result<u64> {
        self.fs.happen(Call::Len);
        let mut state = self.fs.state();
        state.meet(Call::Len).map_err(|fault| fault.error())?;
        Ok(state.disk.len_of(self.inode))
    }

    /// Returns whether the file has no bytes.
    ///
    /// # Errors
    /// An injected error.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Truncates or extends the file to `len_bytes`; new bytes read as zeros.
    ///
    /// # Errors
    /// `PermissionDenied`, or an injected error.
    pub fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        if !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        self.fs.happen(Call::SetLen);
        let mut state = self.fs.state();
        state.meet(Call::SetLen).map_err(|fault| fault.error())?;
        state.disk.set_len(self.inode, len_bytes);
        state.fork(Call::SetLen);
        Ok(())
    }

    /// Makes everything written so far durable, the length included.
    ///
    /// # Errors
    /// An injected error; any unsynced write may then be durable or lost.
    pub fn sync(&self) -> io::Result<()> {
        let mut state = self.fs.state();
        state.fork(Call::Sync);
        let begun = state.disk.calls();
        drop(state);
        self.fs.happen(Call::Sync);
        state = self.fs.state();
        if let Err(fault) = state.meet(Call::Sync) {
            let State { disk, rng, .. } = &mut *state;
            disk.sync_in_part(self.inode, rng);
            return Err(fault.error());
        }
        state.disk.sync(self.inode, begun);
        Ok(())
    }

    /// Acquires the lock unless a conflicting one is held, and returns whether it did.
    ///
    /// # Errors
    /// An injected error.
    pub fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.fs.happen(Call::Lock);
        let mut state = self.fs.state();
        state.meet(Call::Lock).map_err(|fault| fault.error())?;
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let holders = state.lock_of(self.inode);
        let free = match lock {
            Lock::Shared => !holders.exclusive,
            Lock::Exclusive => !holders.exclusive && holders.shared == 0,
        };
        if held.is_some() || !free {
            return Ok(false);
        }
        match lock {
            Lock::Shared => holders.shared += 1,
            Lock::Exclusive => holders.exclusive = true,
        }
        *held = Some(lock);
        Ok(true)
    }

    /// Returns the number of names that lead to this file: hard links.
    ///
    /// # Errors
    /// An injected error.
    pub fn name_count(&self) -> io::Result<u64> {
        self.fs.happen(Call::Exists);
        let mut state = self.fs.state();
        state.meet(Call::Exists).map_err(|fault| fault.error())?;
        Ok(state.disk.name_count(self.inode))
    }

    /// Gives this file the permissions of the file at `path`.
    ///
    /// # Errors
    /// `NotFound`, or an injected error.
    pub fn take_permissions(&self, path: &Path) -> io::Result<()> {
        self.fs.happen(Call::SetMode);
        let mut state = self.fs.state();
        state.meet(Call::SetMode).map_err(|fault| fault.error())?;
        match state.disk.take_mode(self.inode, path) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Returns whether `path` still names this file; a missing name does not.
    ///
    /// # Errors
    /// An injected error.
    pub fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.fs.happen(Call::Exists);
        let mut state = self.fs.state();
        state.meet(Call::Exists).map_err(|fault| fault.error())?;
        Ok(state.disk.find(path) == Some(self.inode))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let held = *self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.fs.state();
        let holders = state.lock_of(self.inode);
        match held {
            Some(Lock::Shared) => holders.shared -= 1,
            Some(Lock::Exclusive) => holders.exclusive = false,
            None => {}
        }
    }
}
