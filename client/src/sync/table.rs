//! The synced files of a client by their paths, and who holds them.
//!
//! A file has a session while it is open, and afterwards until its entries are uploaded. One lock
//! decides whether a thread of a file ends or is used by another opening.

use super::event::SyncListeners;
use super::message::FileMessage;
use super::status::SharedStatus;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// A synced file.
#[derive(Clone)]
pub(crate) struct FileShared {
    pub(crate) status: Arc<SharedStatus>,
    pub(crate) inbox: Sender<FileMessage>,
    pub(crate) listeners: Arc<SyncListeners>,
}

struct Slot {
    entry: FileShared,
    /// Handles of the app.
    opens: usize,
    has_ended: bool,
    thread: Option<JoinHandle<()>>,
}

/// The synced files of a client.
#[derive(Default)]
pub(crate) struct FileTable {
    slots: Mutex<BTreeMap<PathBuf, Slot>>,
    /// Threads of files that have ended or are ending.
    ended: Mutex<Vec<JoinHandle<()>>>,
}

impl FileTable {
    fn slots(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches to a file: to the thread that it has, or to the one that `start` makes. Handles of
    /// a session that has ended keep that session, and count no longer.
    pub(crate) fn open<E>(
        &self,
        path: &Path,
        start: impl FnOnce() -> Result<(FileShared, JoinHandle<()>), E>,
    ) -> Result<FileShared, E> {
        let mut slots = self.slots();
        if let Some(slot) = slots.get_mut(path).filter(|slot| !slot.has_ended) {
            slot.opens += 1;
            if slot.opens == 1 {
                slot.entry.inbox.send(FileMessage::Revive).unwrap_or_default();
            }
            return Ok(slot.entry.clone());
        }
        let (entry, thread) = start()?;
        let slot = Slot { entry: entry.clone(), opens: 1, has_ended: false, thread: Some(thread) };
        if let Some(thread) = slots.insert(path.to_path_buf(), slot).and_then(|old| old.thread) {
            self.keep(thread);
        }
        Ok(entry)
    }

    /// Detaches from a file. The last handle gives what keeps the file open to the thread of the
    /// file, or gets it back to drop it.
    pub(crate) fn close(
        &self,
        (path, shared): (&Path, &FileShared),
        last: FileMessage,
    ) -> Option<FileMessage> {
        let mut slots = self.slots();
        let is_of = |slot: &&mut Slot| Arc::ptr_eq(&slot.entry.status, &shared.status);
        let Some(slot) = slots.get_mut(path).filter(is_of) else { return Some(last) };
        slot.opens = slot.opens.saturating_sub(1);
        if slot.opens > 0 {
            return Some(last);
        }
        if !slot.has_ended {
            return slot.entry.inbox.send(last).err().map(|unsent| unsent.0);
        }
        if let Some(thread) = slots.remove(path).and_then(|slot| slot.thread) {
            self.keep(thread);
        }
        Some(last)
    }

    /// Ends the thread of a file, unless the file was opened again and `is_final` does not insist.
    pub(crate) fn end(&self, path: &Path, is_final: bool) -> bool {
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(path) else { return true };
        if slot.opens > 0 && !is_final {
            return false;
        }
        slot.has_ended = true;
        if slot.opens == 0
            && let Some(thread) = slots.remove(path).and_then(|slot| slot.thread)
        {
            self.keep(thread);
        }
        true
    }

    /// Keeps a thread to wait for its end.
    fn keep(&self, thread: JoinHandle<()>) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.retain(|thread| !thread.is_finished());
        ended.push(thread);
    }

    /// Stops all threads, and waits for them.
    pub(crate) fn stop(&self) {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        for slot in self.slots().values_mut() {
            slot.entry.inbox.send(FileMessage::Stop).unwrap_or_default();
            threads.extend(slot.thread.take());
        }
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        threads.append(&mut ended);
        drop(ended);
        for thread in threads {
            // A callback of the app may close the client on the thread of a file.
            if thread.thread().id() != thread::current().id() {
                thread.join().unwrap_or_default();
            }
        }
    }
}
