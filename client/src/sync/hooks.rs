//! Hooks of the commits of synced files: each makes an entry, and wakes the thread of the file.
//!
//! - CS9 A commit to a file that the app opened read-only is refused.

use super::clock::wall_ms;
use super::message::FileMessage;
use crate::fault;
use fastness::Error;
use fastness::config::Configuration;
use fastness::instance::{FileRegistry, ReplicaHooks};
use fastness::object::{PendingCommit, ReplicaHook};
use fastness_sync::client::ReplicaClock;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

/// The hook of a file.
pub(crate) struct FileHook {
    pub(crate) clock: ReplicaClock,
    inbox: Mutex<Option<Sender<FileMessage>>>,
}

/// The hooks of the files that a registry has opened.
#[derive(Default)]
pub(crate) struct HookTable(Mutex<BTreeMap<PathBuf, Arc<FileHook>>>);

impl HookTable {
    /// Makes the table, and sets its hooks for the files that a registry opens from now on.
    pub(crate) fn install(registry: &FileRegistry) -> Arc<Self> {
        let table = Arc::new(Self::default());
        let hooks = Arc::clone(&table);
        let make: Arc<ReplicaHooks> =
            Arc::new(move |configuration| Some(hooks.hook(configuration)));
        registry.set_replica_hooks(make);
        table
    }

    /// Returns the hook of a file, if the file was opened with one.
    pub(crate) fn get(&self, path: &Path) -> Option<Arc<FileHook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    fn hook(&self, configuration: &Configuration) -> Arc<ReplicaHook> {
        let path = configuration.path().to_path_buf();
        let file = Arc::new(FileHook {
            clock: ReplicaClock::new(Box::new(wall_ms)),
            inbox: Mutex::new(None),
        });
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.insert(path.clone(), Arc::clone(&file));
        drop(files);
        if configuration.is_read_only() && !fault::on("NC-12") {
            return Arc::new(move |_| Err(Error::ReadOnly { path: path.clone() }));
        }
        let make_entry = file.clock.hook();
        Arc::new(move |commit: PendingCommit<'_>| {
            make_entry(commit)?;
            // The commit has still to happen: the thread waits for the writer lock, which this
            // transaction has.
            file.wake();
            Ok(())
        })
    }
}

impl FileHook {
    /// Sets the thread that commits wake.
    pub(crate) fn attach(&self, inbox: Sender<FileMessage>) {
        *self.inbox.lock().unwrap_or_else(PoisonError::into_inner) = Some(inbox);
    }

    fn wake(&self) {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inbox) = &*inbox
            && !fault::on("NC-01")
        {
            // A thread that has ended uploads nothing.
            inbox.send(FileMessage::Written).unwrap_or_default();
        }
    }
}
