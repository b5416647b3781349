//! Events of synced files.

use super::reset::CompletedReset;
use super::status::SessionState;
use fastness::config::Configuration;
use fastness::instance::SyncError;
use fastness_sync::client::{EntryOutcome, Refusal};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

/// Event of a synced file, for [`crate::SyncedFile::on_event`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SyncEvent {
    /// The session has another state.
    State(SessionState),
    /// The server can be reached, or no longer.
    Connected(bool),
    /// An attempt to connect has failed, or the connection was lost; the next attempt follows by
    /// itself.
    Waiting {
        /// Reason for people.
        because: String,
    },
    /// An own entry got its place in the history; operations that were overridden are among its
    /// outcomes.
    Ordered(EntryOutcome),
    /// The server refused an own entry for ever; the replica keeps it. The reason has code 0 if
    /// only the history shows the refusal; a reason that arrives later is another event.
    Refused {
        /// Number of the entry.
        client_seq: u64,
        /// Reason.
        refusal: Refusal,
    },
    /// A client reset has begun.
    ResetBegun {
        /// Code of the protocol.
        code: u16,
    },
    /// A client reset is complete.
    ResetCompleted(Arc<CompletedReset>),
    /// The session failed; the error handler of the configuration got the same error.
    Failed(SyncError),
}

type SyncListener = dyn Fn(&SyncEvent) + Send + Sync;

/// The listeners of a file.
#[derive(Default)]
pub(crate) struct SyncListeners(Mutex<Vec<Arc<SyncListener>>>);

impl SyncListeners {
    pub(crate) fn add(&self, listener: impl Fn(&SyncEvent) + Send + Sync + 'static) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(listener));
    }

    /// Calls the listeners. One that panics does not end the session.
    pub(crate) fn notify(&self, event: &SyncEvent) {
        let listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for listener in listeners {
            catch_unwind(AssertUnwindSafe(|| listener(event))).unwrap_or_default();
        }
    }
}

/// Calls the error handler of a configuration. One that panics does not end the session.
pub(crate) fn handle(configuration: &Configuration, error: &SyncError) {
    let Some(sync) = configuration.sync() else { return };
    catch_unwind(AssertUnwindSafe(|| sync.error_handler().handle(error))).unwrap_or_default();
}
