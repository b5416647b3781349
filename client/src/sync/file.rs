//! A synced file as an app has it.
//!
//! - CS5 A wait ends: with the transfer, the time, a cancellation or the session, and at once on a
//!   thread that must not block, is in a transaction of the file, or serves it: in a callback.

use super::error::SyncCallError;
use super::event::SyncEvent;
use super::message::FileMessage;
use super::progress::{
    Progress, ProgressDirection, ProgressListener, ProgressMode, ProgressRequest,
};
use super::reset::ResetPolicy;
#[cfg(feature = "async")]
use super::status::SharedStatus;
use super::status::{SessionState, Uploads, WaitBounds};
use super::table::{FileShared, FileTable};
use crate::cancellation::Cancellation;
use fastness::Time;
use fastness::config::Configuration;
use fastness::instance::{FileRegistry, Instance};
use fastness::object::Database;
use fastness_sync::client::{ClientReplica, DeadLetter};
use std::fmt;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An open synced file. Clones share it; it may be used on any thread.
///
/// Commits to its [`SyncedFile::database`] are uploaded and those of others arrive in it, whenever
/// the server can be reached. When the last clone is dropped, the session continues until the
/// entries are uploaded, and keeps the file open for so long.
#[derive(Clone)]
pub struct SyncedFile(Arc<OpenFile>);

/// Parts of an open file.
pub(crate) struct OpenFile {
    pub(crate) configuration: Configuration,
    pub(crate) registry: FileRegistry,
    pub(crate) replica: ClientReplica,
    pub(crate) entry: FileShared,
    pub(crate) table: Arc<FileTable>,
    pub(crate) policy: ResetPolicy,
    /// Present until the file is dropped.
    pub(crate) instance: Mutex<Option<Box<Instance>>>,
}

impl SyncedFile {
    pub(crate) fn new(open: OpenFile) -> Self {
        Self(Arc::new(open))
    }

    /// Holds the file by another instance.
    pub(super) fn hold(&self, instance: Instance) {
        let mut held = self.0.instance.lock().unwrap_or_else(PoisonError::into_inner);
        let earlier = held.replace(Box::new(instance));
        drop(held);
        drop(earlier);
    }

    /// Returns the database: for transactions, snapshots and subscriptions on any thread. Its
    /// clones keep the file open.
    #[must_use]
    pub fn database(&self) -> &Database {
        self.0.replica.database()
    }

    /// Returns the configuration.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.0.configuration
    }

    /// Returns the state of the session.
    #[must_use]
    pub fn state(&self) -> SessionState {
        self.0.entry.status.lock().state
    }

    /// Returns whether the server can be reached at present.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.0.entry.status.lock().is_connected
    }

    /// Calls `listener` for each event, on the thread of the file: it delays the session of this
    /// file, and no other. A wait for this file in a listener fails at once.
    pub fn on_event(&self, listener: impl Fn(&SyncEvent) + Send + Sync + 'static) {
        self.0.entry.listeners.add(listener);
    }

    /// Waits until the server has everything that was committed before.
    ///
    /// # Errors
    /// [`SyncCallError::TimedOut`], [`SyncCallError::Stopped`]; [`SyncCallError::File`] on a thread
    /// that must not block or is in a transaction of the file, and if the file fails.
    pub fn upload_all(&self, timeout: Duration) -> Result<(), SyncCallError> {
        self.wait_for_upload(WaitBounds { timeout, cancellation: None })
    }

    /// As [`SyncedFile::upload_all`], and ends when it is cancelled.
    ///
    /// # Errors
    /// [`SyncCallError::Cancelled`]; as [`SyncedFile::upload_all`].
    pub fn upload_all_or_cancel(
        &self,
        timeout: Duration,
        cancellation: &Cancellation,
    ) -> Result<(), SyncCallError> {
        self.wait_for_upload(WaitBounds { timeout, cancellation: Some(cancellation) })
    }

    /// Waits until everything is here that the server had when it got the question.
    ///
    /// # Errors
    /// As [`SyncedFile::upload_all`].
    pub fn download_all(&self, timeout: Duration) -> Result<(), SyncCallError> {
        self.wait_for_download(WaitBounds { timeout, cancellation: None })
    }

    /// As [`SyncedFile::download_all`], and ends when it is cancelled.
    ///
    /// # Errors
    /// [`SyncCallError::Cancelled`]; as [`SyncedFile::upload_all`].
    pub fn download_all_or_cancel(
        &self,
        timeout: Duration,
        cancellation: &Cancellation,
    ) -> Result<(), SyncCallError> {
        self.wait_for_download(WaitBounds { timeout, cancellation: Some(cancellation) })
    }

    /// Waits until the session has a state.
    ///
    /// # Errors
    /// [`SyncCallError::TimedOut`]; [`SyncCallError::File`] on a thread that must not block or is
    /// in a transaction of the file.
    pub fn wait_for_state(
        &self,
        state: SessionState,
        timeout: Duration,
    ) -> Result<(), SyncCallError> {
        self.require_blocking()?;
        let bounds = WaitBounds { timeout, cancellation: None };
        self.0.entry.status.wait(bounds, |status| (status.state == state).then_some(Ok(())))
    }

    /// Stops transfers until [`SyncedFile::resume`]. Commits stay here meanwhile.
    pub fn pause(&self) {
        self.send(FileMessage::Pause(true));
    }

    /// Continues transfers.
    pub fn resume(&self) {
        self.send(FileMessage::Pause(false));
    }

    /// Adds a progress listener, which is called on the thread of the file. Equal progress is
    /// reported once; a listener of current changes ends by itself.
    pub fn add_progress_listener(
        &self,
        (direction, mode): (ProgressDirection, ProgressMode),
        callback: impl Fn(Progress) + Send + 'static,
    ) -> ProgressListener {
        let listener = ProgressListener::new();
        let (callback, is_removed) = (Box::new(callback), listener.flag());
        self.send(FileMessage::Listen(ProgressRequest { direction, mode, callback, is_removed }));
        listener
    }

    /// Simulates that the server has another history. Under [`ResetPolicy::Manual`] the reset is
    /// recorded and the error handler called, on this thread; otherwise the reset is carried out
    /// with the server when it can be reached.
    ///
    /// # Errors
    /// If the reset cannot be recorded; under [`ResetPolicy::Manual`] as [`SyncedFile::upload_all`]
    /// on a thread that must not block.
    pub fn simulate_reset(&self) -> Result<(), SyncCallError> {
        match self.0.policy {
            ResetPolicy::Manual => {
                self.require_blocking()?;
                let now = Time(i64::try_from(super::clock::wall_ms()).unwrap_or(i64::MAX));
                self.stop_for_reset();
                self.0.registry.simulate_reset(&self.0.configuration, now)?;
            }
            ResetPolicy::Recover | ResetPolicy::Discard => self.send(FileMessage::SimulateReset),
        }
        Ok(())
    }

    /// Returns the entries that the server refused for ever, oldest first. For a file that may have
    /// many, [`SyncedFile::dead_letters_after`] returns some of them.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn dead_letters(&self) -> Result<Vec<DeadLetter>, SyncCallError> {
        Ok(self.0.replica.dead_letters()?)
    }

    /// Returns entries that the server refused for ever, after the one of a client with a number:
    /// at most so many bytes of them, but one at least; none at the end.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn dead_letters_after(
        &self,
        after: Option<(u32, u64)>,
        bytes_max: usize,
    ) -> Result<Vec<DeadLetter>, SyncCallError> {
        Ok(self.0.replica.dead_letters_after(after, bytes_max)?)
    }

    /// Ends the session, and waits until it no longer has the file.
    fn stop_for_reset(&self) {
        let (reply, has_ended) = channel();
        self.send(FileMessage::Fail(reply));
        // A session that had ended before drops the channel.
        has_ended.recv().unwrap_or_default();
    }

    fn send(&self, message: FileMessage) {
        // The thread of a session that has ended does nothing more.
        self.0.entry.inbox.send(message).unwrap_or_default();
    }

    fn require_blocking(&self) -> Result<(), SyncCallError> {
        let path = || self.0.configuration.path().to_path_buf();
        if !self.0.registry.may_block() || self.0.entry.status.is_own_thread() {
            let error = fastness::InstanceError::BlockingForbidden { path: path() };
            return Err(fastness::Error::from(error).into());
        }
        // A thread in a transaction would wait for itself. Earlier commits become durable.
        self.database().store().sync()?;
        Ok(())
    }

    /// Returns the number of the last entry that was committed.
    pub(super) fn last_entry(&self) -> Result<Uploads, SyncCallError> {
        let meta = self.0.replica.meta()?;
        Ok(Uploads { client: meta.client, uploaded: meta.last_client_seq })
    }

    /// Sends a download mark, and returns its number.
    pub(super) fn send_mark(&self) -> u64 {
        let number = self.0.entry.status.next_mark();
        self.send(FileMessage::Mark(number));
        number
    }

    #[cfg(feature = "async")]
    pub(super) fn shared_status(&self) -> &Arc<SharedStatus> {
        &self.0.entry.status
    }

    fn wait_for_upload(&self, bounds: WaitBounds<'_>) -> Result<(), SyncCallError> {
        self.require_blocking()?;
        loop {
            let before = self.0.entry.status.lock().uploads;
            let wanted = self.last_entry()?;
            let outcome = self.0.entry.status.wait(bounds, |status| {
                let reached = status.uploads.reached(wanted, before).map(Ok);
                reached.or_else(|| status.stopped().map(Err))
            });
            if outcome? {
                return Ok(());
            }
        }
    }

    fn wait_for_download(&self, bounds: WaitBounds<'_>) -> Result<(), SyncCallError> {
        self.require_blocking()?;
        let number = self.send_mark();
        self.0.entry.status.wait(bounds, |status| {
            if status.marked >= number {
                return Some(Ok(()));
            }
            status.stopped().map(Err)
        })
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let instance = self.instance.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(instance) = instance {
            let last = FileMessage::Close(instance);
            // The instance that comes back closes the file here, outside of the lock of the table.
            drop(self.table.close((self.configuration.path(), &self.entry), last));
        }
    }
}

impl fmt::Debug for SyncedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncedFile")
            .field("path", &self.0.configuration.path())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
