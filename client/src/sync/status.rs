//! Status of the session of a file, and waiting for a change of it.

use super::error::SyncCallError;
use super::watched::Watched;
use crate::cancellation::Cancellation;
use crate::conc::Guard;
use crate::fault;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// State of the session of a file; the numbers are those of the original.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SessionState {
    /// The session waits for an access token, as without a network.
    WaitingForAccessToken = 0,
    /// The session has a token; it transfers whenever the server can be reached.
    Active = 1,
    /// The file was closed, and its last entries are uploaded.
    Dying = 2,
    /// The user has logged out, or the file is closed.
    Inactive = 3,
    /// The file must be reset or has failed; open it again.
    Error = 4,
}

/// Status of a session.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) state: SessionState,
    /// Reason for the state Error.
    pub(crate) failure: Option<String>,
    /// Whether the server can be reached.
    pub(crate) is_connected: bool,
    pub(crate) uploads: Uploads,
    /// The downloads up to this mark are complete.
    pub(crate) marked: u64,
    /// Number of the last mark that was wanted.
    pub(crate) last_mark: u64,
    pub(crate) wakers: Wakers,
}

/// Tasks that wait for a change of a status, by the numbers of their waits.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    #[cfg(feature = "async")]
    last: u64,
    waiting: BTreeMap<u64, Waker>,
}

#[cfg(feature = "async")]
impl Wakers {
    /// Returns a number for a wait.
    pub(crate) const fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Registers a task, in the place of an earlier one of the wait. That one is returned: what
    /// belongs to a task may wait for the same file, so it is not dropped under the lock.
    #[must_use]
    pub(crate) fn put(&mut self, number: u64, waker: &Waker) -> Option<Waker> {
        self.waiting.insert(number, waker.clone())
    }

    /// Removes a task, which is returned as by [`Wakers::put`].
    #[must_use]
    pub(crate) fn remove(&mut self, number: u64) -> Option<Waker> {
        self.waiting.remove(&number)
    }
}

/// Progress of the uploads of an identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Uploads {
    /// The client that the numbers are of; a reset begins them again.
    pub(crate) client: u32,
    /// Number of the last entry that the server has.
    pub(crate) uploaded: u64,
}

impl Uploads {
    /// Tells whether the server has the wanted entries; `Some(false)` if a reset has numbered the
    /// entries again since the wait began.
    pub(crate) fn reached(self, wanted: Self, before: Self) -> Option<bool> {
        if self.client == wanted.client && self.uploaded >= wanted.uploaded {
            return Some(true);
        }
        (self.client != wanted.client && self.client != before.client).then_some(false)
    }
}

/// The status of a session, shared by its threads.
#[derive(Debug)]
pub(crate) struct SharedStatus {
    status: Watched<Status>,
    /// The thread that changes the status: none that it waits for.
    own_thread: OnceLock<ThreadId>,
}

/// Bounds of a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitBounds<'w> {
    pub(crate) timeout: Duration,
    pub(crate) cancellation: Option<&'w Cancellation>,
}

impl SharedStatus {
    pub(crate) fn new(state: SessionState, uploads: Uploads) -> Self {
        let status = Status {
            state,
            failure: None,
            is_connected: false,
            uploads,
            marked: 0,
            last_mark: 0,
            wakers: Wakers::default(),
        };
        Self { status: Watched::new(status), own_thread: OnceLock::new() }
    }

    /// Notes that the calling thread is that of the file.
    pub(crate) fn set_own_thread(&self) {
        self.own_thread.get_or_init(|| thread::current().id());
    }

    /// Returns whether the calling thread is that of the file, as in a callback.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.own_thread.get() == Some(&thread::current().id()) && !fault::on("NC-03")
    }

    pub(crate) fn lock(&self) -> Guard<'_, Status> {
        self.status.lock()
    }

    /// Changes the status, and wakes the threads and tasks that wait for it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Status) -> T) -> T {
        let (outcome, waiting) = self
            .status
            .change(|status| (change(status), std::mem::take(&mut status.wakers.waiting)));
        if !fault::on("NC-09") {
            waiting.into_values().for_each(Waker::wake);
        }
        outcome
    }

    /// Returns a number for a download mark.
    pub(crate) fn next_mark(&self) -> u64 {
        let mut status = self.lock();
        status.last_mark += 1;
        status.last_mark
    }

    /// Waits until `poll` returns a value.
    pub(crate) fn wait<T>(
        self: &Arc<Self>,
        bounds: WaitBounds<'_>,
        mut poll: impl FnMut(&Status) -> Option<Result<T, SyncCallError>>,
    ) -> Result<T, SyncCallError> {
        let begun = Instant::now();
        let woken = Arc::clone(self);
        let _watch = bounds
            .cancellation
            .map(|cancellation| cancellation.watch(Arc::new(move || woken.status.wake())));
        let left = || bounds.timeout.saturating_sub(begun.elapsed());
        let outcome = self.status.wait(left, |status| {
            let is_cancelled = bounds.cancellation.is_some_and(Cancellation::is_cancelled);
            poll(status).or_else(|| is_cancelled.then_some(Err(SyncCallError::Cancelled)))
        });
        outcome.unwrap_or(Err(SyncCallError::TimedOut))
    }
}

impl Status {
    /// Returns why a transfer of the session cannot end.
    pub(crate) fn stopped(&self) -> Option<SyncCallError> {
        let reason = match self.state {
            SessionState::Inactive => "the user has logged out, or the file is closed".to_owned(),
            SessionState::Error => self.failure.clone().unwrap_or_default(),
            SessionState::WaitingForAccessToken | SessionState::Active | SessionState::Dying => {
                return None;
            }
        };
        Some(SyncCallError::Stopped { reason })
    }
}
