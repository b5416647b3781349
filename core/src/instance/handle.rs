//! Instances: handles to an open file.

use super::error::InstanceError;
use super::file::{Caller, File};
use super::handle_table::FileHandle;
use super::holder::InstanceKind;
use super::shared::{CallError, RegistryState};
use crate::conc::Arc;
use crate::config::Configuration;
use crate::crypto::Key;
use crate::error::{ArgumentError, Error, Result};
use crate::object::{Snapshot, Subscription, Transaction};
use std::path::Path;
use zeroize::Zeroize as _;

/// A handle to an open file, returned by [`super::FileRegistry`].
///
/// It works on the thread that opened it. Any thread may drop it, which closes it.
#[derive(Debug)]
pub struct Instance {
    pub(super) handle: FileHandle<Configuration, File>,
    pub(super) configuration: Arc<Configuration>,
    pub(super) state: Arc<RegistryState>,
}

impl Instance {
    /// Returns the configuration it was opened with.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Returns the kind.
    #[must_use]
    pub const fn kind(&self) -> InstanceKind {
        self.handle.kind()
    }

    /// Returns whether both are the same instance: of one thread, one kind, one file, and open.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.handle.is_same(&other.handle)
    }

    /// Returns a snapshot of the last commit. The snapshot keeps the file locked, even after every
    /// instance is closed.
    ///
    /// # Errors
    /// [`InstanceError::Closed`], [`InstanceError::OtherThread`]; if the file is damaged.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.with(|file, _| file.snapshot())
    }

    /// Runs a transaction, and commits it unless `body` fails.
    ///
    /// # Errors
    /// The error of `body`; [`InstanceError::Closed`], [`InstanceError::OtherThread`],
    /// [`InstanceError::InTransaction`]; [`InstanceError::BlockingForbidden`] if this would wait
    /// for another thread's transaction and must not; [`Error::ReadOnly`]; otherwise as
    /// [`Transaction::commit`].
    pub fn transact<T>(&self, body: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        self.try_transact(body)
    }

    /// Runs a transaction as [`Instance::transact`] does. If `body` fails, its error comes back as
    /// it was; it may be of any type that an [`Error`] converts into.
    ///
    /// # Errors
    /// As [`Instance::transact`].
    pub fn try_transact<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&mut Transaction) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.with(|file, caller| {
            let _mark = self.state.mark_in_transaction(caller.thread);
            Ok(file.try_transact(caller, body))
        })?
    }

    /// Subscribes to changes, and returns the snapshot from which the subscription starts. It
    /// receives the changes of every commit of any instance, on the thread that asks for them. It
    /// keeps the file locked, as a snapshot does. Waits for a running transaction.
    ///
    /// # Errors
    /// [`InstanceError::Closed`], [`InstanceError::OtherThread`], [`InstanceError::InTransaction`];
    /// [`InstanceError::BlockingForbidden`] if it would wait and must not; otherwise as
    /// [`Database::subscribe`](crate::object::Database::subscribe).
    pub fn subscribe(&self) -> Result<(Snapshot, Subscription)> {
        self.with(|file, caller| file.subscribe(caller))
    }

    /// Copies the last commit into a new plain file, also from an encrypted or in-memory file.
    ///
    /// # Errors
    /// [`InstanceError::CopyTargetExists`]; [`crate::FileErrorKind::NotFound`] without the
    /// directory; otherwise as [`crate::Store::copy`], or as [`Instance::snapshot`].
    pub fn write_copy(&self, target: impl AsRef<Path>) -> Result<()> {
        self.copy(target.as_ref(), None)
    }

    /// Copies the last commit into a new file, encrypted with this key. The bytes are copied; wipe
    /// yours.
    ///
    /// # Errors
    /// [`ArgumentError::EncryptionKeyLength`] unless the key has 64 bytes; otherwise as
    /// [`Instance::write_copy`].
    pub fn write_encrypted_copy(&self, target: impl AsRef<Path>, key: &[u8]) -> Result<()> {
        let length = |_| ArgumentError::EncryptionKeyLength { bytes: key.len() };
        let mut bytes: [u8; 64] = key.try_into().map_err(length)?;
        let key = Key::new(bytes);
        bytes.zeroize();
        self.copy(target.as_ref(), Some(&key))
    }

    /// Closes the handle, and with the last handle the file; returns whether it was open.
    ///
    /// # Errors
    /// [`InstanceError::OtherThread`]; [`InstanceError::InTransaction`] within one.
    pub fn close(&self) -> Result<bool> {
        let thread = self.state.thread();
        let closed = self.handle.close(thread);
        closed.map_err(|refusal| self.naming(CallError::Refused(refusal)))
    }

    fn copy(&self, target: &Path, key: Option<&Key>) -> Result<()> {
        let vfs = self.state.opener.vfs();
        self.with(|file, _| {
            if vfs.exists(target).map_err(|e| Error::io(target, &e))? {
                let path = target.to_path_buf();
                return Err(InstanceError::CopyTargetExists { path }.into());
            }
            file.store().copy_through(vfs, target, key)
        })
    }

    pub(super) fn with<T>(&self, body: impl FnOnce(&File, Caller) -> Result<T>) -> Result<T> {
        let caller = self.state.caller();
        let outcome = self.handle.with(caller.thread, |file| Ok(body(file, caller)?));
        outcome.map_err(|error| self.naming(error))
    }

    fn naming(&self, error: CallError) -> Error {
        error.naming(&self.configuration)
    }
}
