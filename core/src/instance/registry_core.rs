//! State that the file registry shares with its instances, and failures before they name a file.

use super::actions::{ActionRecord, FileAction};
use super::error::InstanceError;
use super::file::{Caller, File, FileOpener};
use super::number::{InstanceKind, ThreadNumber};
use super::pending::PendingActions;
use super::registry::{Refused, Registry};
use super::threads::Threads;
use crate::conc::Arc;
use crate::config::{App, Configuration, Durability};
use crate::error::{Error, FileErrorCause, Result};
use std::path::PathBuf;

/// State that the clones and all handles share.
#[derive(Debug)]
pub(super) struct RegistryCore {
    pub(super) registry: Arc<Registry<Configuration, File>>,
    pub(super) opener: FileOpener,
    pub(super) threads: Arc<dyn Threads>,
    pub(super) app: App,
    /// The directory for files, without links.
    pub(super) files: PathBuf,
    pub(super) record: ActionRecord,
    /// Recorded actions.
    pub(super) pending: PendingActions<FileAction>,
}

impl RegistryCore {
    pub(super) fn thread(&self) -> ThreadNumber {
        self.threads.current()
    }

    /// Returns this thread, and whether it may wait.
    pub(super) fn caller(&self) -> Caller {
        let thread = self.thread();
        Caller { thread, waits: !self.registry.must_not_block(thread) }
    }

    /// Notes that a thread is in a transaction, until the result is dropped.
    pub(super) fn work(&self, thread: ThreadNumber) -> impl Drop {
        self.registry.work(thread)
    }

    /// Opens a closed file after its recorded action.
    pub(super) fn open_file(
        &self,
        configuration: &Configuration,
        kind: InstanceKind,
    ) -> Result<File> {
        let path = configuration.path();
        if configuration.durability() == Durability::InMemory {
            // A file of this name on disk is another file.
            return self.opener.open(configuration, kind);
        }
        self.finish(path)?;
        let can_be_replaced = configuration.is_synced() && !configuration.is_read_only();
        if can_be_replaced && self.opener.is_of_realm(path)? {
            let moved_to = self.move_older_generation(configuration)?;
            return Err(Error::file(path, FileErrorCause::IncompatibleSync { moved_to }));
        }
        self.opener.open(configuration, kind)
    }
}

/// A failure before the file is named.
pub(super) enum RegistryFailure {
    Refused(Refused<Configuration>),
    Failed(Error),
}

impl From<Refused<Configuration>> for RegistryFailure {
    fn from(refused: Refused<Configuration>) -> Self {
        Self::Refused(refused)
    }
}

impl From<Error> for RegistryFailure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl RegistryFailure {
    /// Names the file and the configuration.
    pub(super) fn with_file(self, configuration: &Configuration) -> Error {
        let path = configuration.path().to_path_buf();
        let refused = match self {
            Self::Failed(error) => return error,
            Self::Refused(refused) => refused,
        };
        Error::Instance(match refused {
            Refused::Configuration(open) => {
                let difference = configuration.difference_from(&open);
                InstanceError::OtherConfiguration { path, difference }
            }
            Refused::Open(count) => InstanceError::StillOpen { path, count },
            Refused::AtWork => InstanceError::AtWork { path },
            Refused::BlockingForbidden => InstanceError::BlockingForbidden { path },
            Refused::Closed => InstanceError::Closed { path },
            Refused::OtherThread => InstanceError::OtherThread { path },
            Refused::InUse => InstanceError::InTransaction { path },
        })
    }
}
