//! A simulated file system in memory, whose power can be cut at any call.
//!
//! - SF1..SF3: see [`Disk`].
//! - SF4 While it records, every call that changes the disk leaves a [`Fork`]: the disk after the
//!   call or, for a sync, before its end.
//! - SF5 An injected error happens at the requested call and has the effects of a real one: part of
//!   the write, part of the sync. No later sync writes what a failed sync lost.
//! - SF6 A write during a sync is not made durable by that sync.
//! - SF7 A lock dies with its process: a rebooted file system has no locks.

mod call;
mod fault;
mod file;

pub use fault::{Call, Failure, Fault, Injection};
pub use file::SimFile;

use crate::disk::{Disk, SECTOR_BYTES};
use crate::rng::Rng;
use fault::Faults;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest name of a file, as on most file systems.
pub const NAME_BYTES_MAX: usize = 255;

/// How to open a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads an existing file.
    Read,
    /// Reads and writes an existing file.
    ReadWrite,
    /// Creates a file, to read and write; its name must be free.
    CreateNew,
}

/// Kind of a file lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Excludes exclusive locks.
    Shared,
    /// Excludes all other locks.
    Exclusive,
}

/// The disk at a call.
#[derive(Clone, Debug)]
pub struct Fork {
    /// The call.
    pub at: Call,
    /// The disk.
    pub disk: Disk,
}

/// Written bytes, as the disk got them.
#[derive(Clone, Debug)]
pub struct Written {
    /// The number of the file on the disk.
    pub file: usize,
    /// Offset in the file.
    pub offset: u64,
    /// The bytes.
    pub bytes: Box<[u8]>,
}

/// A callback to run during calls; it returns whether it has run for the last time.
struct DuringCall(DuringWhich, Box<dyn FnMut() -> bool + Send>);

/// The calls during which a callback runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DuringWhich {
    One(Call),
    All,
}

impl fmt::Debug for DuringCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "During({:?})", self.0)
    }
}

/// A simulated file system; clones share it.
#[derive(Clone, Debug)]
pub struct SimFs(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    disk: Disk,
    rng: Rng,
    locks: Vec<LockHolders>,
    faults: Faults,
    forks: Option<Vec<Fork>>,
    written: Option<Vec<Written>>,
    run_during: Option<DuringCall>,
    /// Whether each directory is a file system of its own.
    apart: bool,
}

#[derive(Clone, Debug, Default)]
struct LockHolders {
    shared: usize,
    exclusive: bool,
}

impl SimFs {
    /// Boots a machine with this disk.
    #[must_use]
    pub fn boot(disk: Disk, seed: u64) -> Self {
        let rng = Rng::new(seed);
        let faults = Faults::default();
        let (locks, forks, written, run_during) = (Vec::new(), None, None, None);
        let apart = false;
        let state = State { disk, rng, locks, faults, forks, written, run_during, apart };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the pending callback of a call.
    fn happen(&self, call: Call) {
        let is_awaited =
            |which| matches!(which, DuringWhich::All) || which == DuringWhich::One(call);
        let run_during = self.state().run_during.take_if(|run_during| is_awaited(run_during.0));
        if let Some(DuringCall(which, mut happens)) = run_during
            && !happens()
        {
            self.state().run_during = Some(DuringCall(which, happens));
        }
    }

    /// Returns the current disk.
    #[must_use]
    pub fn disk(&self) -> Disk {
        self.state().disk.clone()
    }

    /// Changes the disk without the knowledge of the program under test.
    pub fn tamper<T>(&self, tamper: impl FnOnce(&mut Disk) -> T) -> T {
        tamper(&mut self.state().disk)
    }

    /// Makes each directory a file system of its own, so that renames between them fail.
    pub fn separate_devices(&self) {
        self.state().apart = true;
    }

    /// Starts recording forks; drops earlier ones.
    pub fn record_forks(&self) {
        self.state().forks = Some(Vec::new());
    }

    /// Disconnects a dead process: all its later calls fail.
    pub fn disconnect(&self) {
        let state = &mut *self.state();
        state.forks = None;
        state.written = None;
        state.faults.inject(Injection { fault: Fault::Io, after: 0, lasting: true });
    }

    /// Takes the recorded forks and continues recording.
    #[must_use]
    pub fn take_forks(&self) -> Vec<Fork> {
        self.state().forks.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Starts capturing writes.
    pub fn capture_writes(&self) {
        self.state().written.get_or_insert_default();
    }

    /// Takes the captured writes and continues capturing.
    #[must_use]
    pub fn take_writes(&self) -> Vec<Written> {
        self.state().written.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Runs a callback once, during a sync of a file or before the first byte of a write: at the
    /// first such call where it returns true.
    pub fn run_during(&self, call: Call, happens: Box<dyn FnMut() -> bool + Send>) {
        self.state().run_during = Some(DuringCall(DuringWhich::One(call), happens));
    }

    /// Runs a callback during every call, before its effect, until it returns true or is cancelled.
    /// It does not run during its own calls.
    pub fn run_during_all(&self, happens: Box<dyn FnMut() -> bool + Send>) {
        self.state().run_during = Some(DuringCall(DuringWhich::All, happens));
    }

    /// Drops the pending callback.
    pub fn cancel_during(&self) {
        let forgotten = self.state().run_during.take();
        // The callback may hold a clone of this file system.
        drop(forgotten);
    }

    /// Injects an error into a later call.
    pub fn inject(&self, injection: Injection) {
        self.state().faults.inject(injection);
    }

    /// Removes the injected error.
    pub fn clear_fault(&self) {
        self.state().faults.clear_fault();
    }

    /// Returns whether an error is injected.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.state().faults.are_injected()
    }

    /// Removes the injected error; returns the last failed call, if any.
    pub fn take_failure(&self) -> Option<Failure> {
        self.state().faults.take_failure()
    }

    /// Returns the last failed call, if any.
    #[must_use]
    pub fn failed(&self) -> Option<Failure> {
        self.state().faults.failed()
    }
}

impl State {
    fn meet(&mut self, call: Call) -> Result<(), Fault> {
        self.meet_at(call, 0)
    }

    fn meet_at(&mut self, call: Call, offset: u64) -> Result<(), Fault> {
        self.faults.meet(call, offset).map_or(Ok(()), Err)
    }

    fn fork(&mut self, at: Call) {
        if let Some(forks) = &mut self.forks {
            forks.push(Fork { at, disk: self.disk.clone() });
        }
    }

    fn lock_of(&mut self, inode: usize) -> &mut LockHolders {
        if self.locks.len() <= inode {
            self.locks.resize(inode + 1, LockHolders::default());
        }
        &mut self.locks[inode]
    }

    fn open(&mut self, path: &Path, access: Access) -> io::Result<usize> {
        let found = self.disk.find(path);
        match (found, access) {
            (_, Access::CreateNew) if self.disk.is_taken(path) => {
                Err(io::ErrorKind::AlreadyExists.into())
            }
            (_, Access::CreateNew)
                if path.file_name().is_some_and(|it| it.len() > NAME_BYTES_MAX) =>
            {
                Err(io::ErrorKind::InvalidFilename.into())
            }
            (None, Access::Read | Access::ReadWrite) => Err(io::ErrorKind::NotFound.into()),
            (Some(inode), Access::Read | Access::ReadWrite) => {
                self.meet(Call::Open).map_err(|fault| fault.error())?;
                Ok(inode)
            }
            (_, Access::CreateNew) => {
                self.meet(Call::Create).map_err(|fault| fault.error())?;
                let inode = self.disk.create(path);
                self.fork(Call::Create);
                Ok(inode)
            }
        }
    }

    /// A kill may interrupt a write: its fork holds a part of it.
    fn write(&mut self, inode: usize, bytes: &[u8], offset: u64) {
        if let Some(written) = &mut self.written {
            written.push(Written { file: inode, offset, bytes: bytes.into() });
        }
        let sectors = bytes.len() / SECTOR_BYTES;
        if self.forks.is_some() && sectors > 1 && self.rng.one_in(4) {
            let part = (1 + self.rng.below(sectors - 1)) * SECTOR_BYTES;
            self.disk.write(inode, &bytes[..part], offset);
            self.fork(Call::Write);
        }
        self.disk.write(inode, bytes, offset);
        self.fork(Call::Write);
    }

    fn write_at(&mut self, inode: usize, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let Err(fault) = self.meet_at(Call::Write, offset) else {
            self.write(inode, bytes, offset);
            return Ok(bytes.len());
        };
        let part = self.rng.below(bytes.len());
        match fault {
            Fault::Short => {
                let part = part.max(1).min(bytes.len());
                self.write(inode, &bytes[..part], offset);
                Ok(part)
            }
            Fault::NoSpace | Fault::Io | Fault::SyncIo => {
                self.write(inode, &bytes[..part], offset);
                Err(fault.error())
            }
        }
    }
}
