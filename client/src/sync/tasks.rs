//! Waits and progress of a synced file for tasks, on any executor. With the feature `async`.
//!
//! - CS8 A future ends as the blocking wait would, and its task is woken for that. It blocks no
//!   thread, and dropping it ends the wait.
//!
//! The transfers are those of the threads of the file; a future only polls the status that they
//! change.

use super::client::SyncClient;
use super::error::SyncCallError;
use super::file::SyncedFile;
use super::progress::{Progress, ProgressDirection, ProgressListener, ProgressMode};
use super::reset::SyncOptions;
use super::status::{SessionState, SharedStatus, Status, Uploads};
use crate::fault;
use fastness::config::Configuration;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, Builder};

impl SyncedFile {
    /// Returns a future of [`SyncedFile::upload_all`]. With the feature `async`.
    pub fn uploaded(&self) -> SyncWait {
        SyncWait::new(self, upload_goal(self))
    }

    /// Returns a future of [`SyncedFile::download_all`]. With the feature `async`.
    pub fn downloaded(&self) -> SyncWait {
        SyncWait::new(self, Goal::Mark(self.send_mark()))
    }

    /// Returns a future of [`SyncedFile::wait_for_state`]. With the feature `async`.
    pub fn reached(&self, state: SessionState) -> SyncWait {
        SyncWait::new(self, Goal::State(state))
    }

    /// Returns the progress as a stream. With the feature `async`.
    #[must_use]
    pub fn progress(&self, kind: (ProgressDirection, ProgressMode)) -> ProgressStream {
        ProgressStream::new(self, kind)
    }
}

impl SyncClient {
    /// Returns a future of [`SyncClient::open_file_with`], which opens the file on a thread of its
    /// own and begins at once. With the feature `async`.
    pub fn opening(&self, configuration: &Configuration, options: SyncOptions) -> OpeningFile {
        let shared = Arc::new(Mutex::new(OpeningState::default()));
        let (client, configuration) = (self.clone(), configuration.clone());
        let opened = Arc::clone(&shared);
        let thread = Builder::new().name("fastness-open".to_owned()).spawn(move || {
            let open = AssertUnwindSafe(|| client.open_file_with(&configuration, options));
            let outcome = if fault::on("NC-08") { Ok(open()) } else { catch_unwind(open) };
            let mut state = lock(&opened);
            state.outcome = Some(outcome);
            let waker = state.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        });
        if let Err(error) = thread {
            lock(&shared).outcome = Some(Ok(Err(SyncCallError::closed(error))));
        }
        OpeningFile(shared)
    }
}

/// A file that is being opened. Dropping it closes the file once it is open. A panic of the
/// opening, as in a callback of the configuration, continues in the task.
#[must_use = "the file is closed when it is open"]
pub struct OpeningFile(Arc<Mutex<OpeningState>>);

#[derive(Default)]
struct OpeningState {
    /// An error is a panic.
    outcome: Option<thread::Result<Result<SyncedFile, SyncCallError>>>,
    waker: Option<Waker>,
}

/// Locks a state, which is whole after a panic too.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Future for OpeningFile {
    type Output = Result<SyncedFile, SyncCallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.0);
        let Some(outcome) = state.outcome.take() else {
            let earlier = state.waker.replace(context.waker().clone());
            drop(state);
            drop(earlier);
            return Poll::Pending;
        };
        drop(state);
        Poll::Ready(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl fmt::Debug for OpeningFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningFile(..)")
    }
}

/// A wait for an upload, for a download or for a state, as a future. Dropping it ends the wait; the
/// transfer continues. It has no time-out of its own: use that of the executor.
#[must_use = "a future waits for nothing unless it is polled"]
pub struct SyncWait {
    file: SyncedFile,
    status: Arc<SharedStatus>,
    /// Number of its waker.
    number: u64,
    goal: Goal,
}

/// Condition for which a task waits.
enum Goal {
    Upload {
        wanted: Uploads,
        before: Uploads,
    },
    Mark(u64),
    State(SessionState),
    /// The wait could not begin, or has ended.
    Ended(Option<SyncCallError>),
}

impl SyncWait {
    fn new(file: &SyncedFile, goal: Goal) -> Self {
        let status = Arc::clone(file.shared_status());
        let number = status.lock().wakers.next_number();
        Self { file: file.clone(), status, number, goal }
    }

    /// Returns the outcome, or registers the task. The lock of the status makes both one step, so
    /// no change is missed.
    fn poll_goal(&self, context: &Context<'_>) -> Option<Outcome> {
        let mut status = self.status.lock();
        let outcome = self.goal.outcome(&status);
        if outcome.is_none() {
            let earlier = status.wakers.put(self.number, context.waker());
            drop(status);
            drop(earlier);
        }
        outcome
    }
}

/// Outcome of a look at the status.
enum Outcome {
    Done(Result<(), SyncCallError>),
    /// A reset has numbered the entries again.
    Renumbered,
}

impl Goal {
    fn outcome(&self, status: &Status) -> Option<Outcome> {
        let is_reached = match self {
            Self::Upload { wanted, before } => match status.uploads.reached(*wanted, *before) {
                Some(false) => return Some(Outcome::Renumbered),
                Some(true) => true,
                None => false,
            },
            Self::Mark(number) => status.marked >= *number,
            Self::State(state) => {
                let is_reached = status.state == *state;
                return is_reached.then_some(Outcome::Done(Ok(())));
            }
            Self::Ended(error) => {
                return Some(Outcome::Done(error.clone().map_or(Ok(()), Err)));
            }
        };
        if is_reached { Some(Ok(())) } else { status.stopped().map(Err) }.map(Outcome::Done)
    }
}

/// Returns the goal of the entries that are committed now.
fn upload_goal(file: &SyncedFile) -> Goal {
    let before = file.shared_status().lock().uploads;
    match file.last_entry() {
        Ok(wanted) => Goal::Upload { wanted, before },
        Err(error) => Goal::Ended(Some(error)),
    }
}

impl Future for SyncWait {
    type Output = Result<(), SyncCallError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match this.poll_goal(context) {
                None => return Poll::Pending,
                Some(Outcome::Done(outcome)) => return Poll::Ready(outcome),
                Some(Outcome::Renumbered) => this.goal = upload_goal(&this.file),
            }
        }
    }
}

impl Drop for SyncWait {
    fn drop(&mut self) {
        let waker = self.status.lock().wakers.remove(self.number);
        drop(waker);
    }
}

impl fmt::Debug for SyncWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncWait").field("file", &self.file).finish_non_exhaustive()
    }
}

/// The progress of a file, for tasks: a stream that has the newest value. One of
/// [`ProgressMode::CurrentChanges`] ends with them; dropping it removes the listener.
#[derive(Debug)]
pub struct ProgressStream {
    shared: Arc<SharedProgress>,
    listener: ProgressListener,
}

/// Values between the thread of the file and a task.
#[derive(Default, Debug)]
struct SharedProgress(Mutex<ProgressState>);

#[derive(Default, Debug)]
struct ProgressState {
    value: Option<Progress>,
    has_ended: bool,
    waker: Option<Waker>,
}

/// The end of a listener: the thread of the file drops it with the callback.
struct ListenerGuard(Arc<SharedProgress>);

impl SharedProgress {
    fn change(&self, change: impl FnOnce(&mut ProgressState)) {
        let waker = {
            let mut state = lock(&self.0);
            change(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for ListenerGuard {
    fn drop(&mut self) {
        self.0.change(|state| state.has_ended = true);
    }
}

impl ProgressStream {
    pub(super) fn new(file: &SyncedFile, kind: (ProgressDirection, ProgressMode)) -> Self {
        let shared = Arc::new(SharedProgress::default());
        let guard = ListenerGuard(Arc::clone(&shared));
        let listener = file.add_progress_listener(kind, move |progress| {
            // A task that is slow gets the newest value only.
            guard.0.change(|state| state.value = Some(progress));
        });
        Self { shared, listener }
    }
}

impl futures_core::Stream for ProgressStream {
    type Item = Progress;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Progress>> {
        let mut state = lock(&self.shared.0);
        if let Some(progress) = state.value.take() {
            return Poll::Ready(Some(progress));
        }
        if state.has_ended {
            return Poll::Ready(None);
        }
        let earlier = state.waker.replace(context.waker().clone());
        drop(state);
        drop(earlier);
        Poll::Pending
    }
}

impl Drop for ProgressStream {
    fn drop(&mut self) {
        self.listener.remove();
    }
}
