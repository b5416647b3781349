//! The state that a registry shares with its handles, and errors that name the file.

use super::action_store::{ActionStore, FileAction};
use super::error::InstanceError;
use super::file::{Caller, File};
use super::file_opener::FileOpener;
use super::handle_table::{HandleTable, Refusal};
use super::holder::ThreadNumber;
use super::pending::PendingActions;
use super::threads::Threads;
use crate::conc::Arc;
use crate::config::{App, Configuration};
use crate::error::{Error, Result};
use std::path::PathBuf;

/// The state that all clones of a registry and all handles share.
#[derive(Debug)]
pub(super) struct RegistryState {
    pub(super) handles: Arc<HandleTable<Configuration, File>>,
    pub(super) opener: FileOpener,
    pub(super) threads: Arc<dyn Threads>,
    pub(super) app: App,
    /// The canonical directory for files.
    pub(super) files: PathBuf,
    pub(super) action_store: ActionStore,
    pub(super) pending: PendingActions<FileAction>,
}

impl RegistryState {
    pub(super) fn thread(&self) -> ThreadNumber {
        self.threads.current()
    }

    /// Returns the calling thread, and whether it may block.
    pub(super) fn caller(&self) -> Caller {
        let thread = self.thread();
        Caller { thread, may_block: !self.handles.is_non_blocking(thread) }
    }

    /// Marks a thread as in a transaction, until the mark is dropped.
    pub(super) fn mark_in_transaction(&self, thread: ThreadNumber) -> impl Drop {
        self.handles.mark_in_transaction(thread)
    }

    /// Runs an operation on a file that no handle has open.
    pub(super) fn exclusively<T>(
        &self,
        configuration: &Configuration,
        body: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let (path, thread) = (configuration.path(), self.thread());
        let outcome = self.handles.exclusively(path, thread, || body().map_err(CallError::Failed));
        outcome.map_err(|error| error.naming(configuration))
    }
}

/// The error of a call, before it names the file.
pub(super) enum CallError {
    Refused(Refusal<Configuration>),
    Failed(Error),
}

impl From<Refusal<Configuration>> for CallError {
    fn from(refusal: Refusal<Configuration>) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl CallError {
    /// Names the file and, where configurations differ, the difference.
    pub(super) fn naming(self, configuration: &Configuration) -> Error {
        let path = configuration.path().to_path_buf();
        let refusal = match self {
            Self::Failed(error) => return error,
            Self::Refused(refusal) => refusal,
        };
        Error::Instance(match refusal {
            Refusal::Configuration(open) => {
                let difference = configuration.difference_from(&open);
                InstanceError::OtherConfiguration { path, difference }
            }
            Refusal::Open(count) => InstanceError::StillOpen { path, count },
            Refusal::AtWork => InstanceError::AtWork { path },
            Refusal::BlockingForbidden => InstanceError::BlockingForbidden { path },
            Refusal::Closed => InstanceError::Closed { path },
            Refusal::OtherThread => InstanceError::OtherThread { path },
            Refusal::InTransaction => InstanceError::InTransaction { path },
        })
    }
}
