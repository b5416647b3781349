//! Cancellation of calls and waits from another thread.
//!
//! - Z4 A cancelled call returns at once, and a cancelled login logs no user in.

use crate::message::Message;
use fastness_auth::users::CallId;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Cancels the calls of the clients of [`crate::Client::with_cancellation`], and waits for
/// transfers of synced files. Clones are one cancellation.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Mutex<CancelledCalls>>);

#[derive(Default)]
struct CancelledCalls {
    is_cancelled: bool,
    /// Calls under way, each with its driver.
    calls: BTreeMap<CallId, Sender<Message>>,
    /// Waits under way.
    waits: BTreeMap<u64, Arc<Wake>>,
    last_wait: u64,
}

/// Wakes a wait, which then looks for the cancellation.
type Wake = dyn Fn() + Send + Sync;

/// A wait under way, until it is dropped.
pub(crate) struct CancellableWait<'c> {
    cancellation: &'c Cancellation,
    number: u64,
}

impl Drop for CancellableWait<'_> {
    fn drop(&mut self) {
        self.cancellation.lock().waits.remove(&self.number);
    }
}

impl Cancellation {
    /// Creates a cancellation that has not happened.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels the calls under way, and all later ones. The server may still execute them.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.is_cancelled = true;
        for (call, driver) in std::mem::take(&mut state.calls) {
            // After the end of the driver the call has its result.
            driver.send(Message::Cancel(call)).unwrap_or_default();
        }
        let waits: Vec<Arc<Wake>> = state.waits.values().cloned().collect();
        // A wait looks for the cancellation under a lock that its wake takes.
        drop(state);
        waits.iter().for_each(|wake| wake());
    }

    /// Begins a wait that a cancellation wakes.
    pub(crate) fn watch(&self, wake: Arc<Wake>) -> CancellableWait<'_> {
        let mut state = self.lock();
        state.last_wait += 1;
        let number = state.last_wait;
        state.waits.insert(number, wake);
        CancellableWait { cancellation: self, number }
    }

    /// Sends the message of a call, unless it is cancelled already; returns whether it was sent.
    pub(crate) fn begin(&self, call: CallId, driver: &Sender<Message>, message: Message) -> bool {
        let mut state = self.lock();
        // Under the lock no cancellation overtakes its call.
        if state.is_cancelled || driver.send(message).is_err() {
            return false;
        }
        state.calls.insert(call, driver.clone());
        true
    }

    /// Returns whether the calls are cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.lock().is_cancelled
    }

    /// Ends a call.
    pub(crate) fn end(&self, call: CallId) {
        self.lock().calls.remove(&call);
    }

    fn lock(&self) -> MutexGuard<'_, CancelledCalls> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cancellation").field(&self.is_cancelled()).finish()
    }
}
