//! The upkeep of all databases, on a thread of its own: horizon, compaction and backups.
//!
//! - MR9 The horizon moves as far as live clients permit. A history beyond its limit expires
//!   clients earlier, but none that was here within a day.
//! - H30 A backup of each database that changed is made in every round. A failure, a panic
//!   included, is logged and counted, and concerns one database.

use super::backups::BackupFolder;
use super::counters::SyncCounters;
use super::database_files::file_of;
use super::hub::{HubOptions, SyncHub};
use super::job::{BackupPolicy, Job, Round};
use crate::clocks::millis;
use crate::fault;
use fastness_auth::server::DatabasePath;
use fastness_sync::server::{ServerReplica, ServerResult};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

/// Entries of the history that one transaction deletes.
const COMPACTED_MAX: usize = 1000;

/// Time for which a client is never expired, in milliseconds.
const EXPIRY_MIN_MS: u64 = 24 * 3600 * 1000;

/// Starts a sync server and its upkeep.
pub(crate) fn start(options: HubOptions) -> io::Result<Arc<SyncHub>> {
    let backup = match &options.backup {
        BackupPolicy::Folder(folder) => Some(BackupFolder::new(folder, &options.key)),
        BackupPolicy::None | BackupPolicy::Unchanged => None,
    };
    let (hub, rounds) = SyncHub::start(options)?;
    let interval = hub.limits.upkeep_interval;
    let mut upkeep = Maintenance { hub: Arc::downgrade(&hub), backup, settled: BTreeMap::new() };
    let thread = thread::Builder::new().name("fastness-sync-upkeep".to_owned());
    hub.add_thread(thread.spawn(move || {
        loop {
            match rounds.recv_timeout(interval) {
                Ok(Round::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Round::Now(failures)) => {
                    upkeep.settled.clear();
                    // One that no longer waits needs no reply.
                    failures.send(upkeep.run()).unwrap_or_default();
                }
                Err(RecvTimeoutError::Timeout) => drop(upkeep.run()),
            }
        }
    })?);
    Ok(hub)
}

struct Maintenance {
    hub: Weak<SyncHub>,
    backup: Option<BackupFolder>,
    /// Time and length of files that a round has seen, and that had not changed for a while.
    settled: BTreeMap<DatabasePath, FileMark>,
}

/// Time and length of a file.
type FileMark = (SystemTime, u64);

/// Age from which on a file has the same time only if it has the same content, on any file system.
const SETTLED: Duration = Duration::from_secs(5);

impl Maintenance {
    /// Maintains every database that changed. Returns the number of failures.
    fn run(&mut self) -> usize {
        let Some(hub) = self.hub.upgrade() else { return 0 };
        let round = AssertUnwindSafe(|| Ok(self.round(&hub)));
        attempt("the round", &hub.counters, round).unwrap_or(1)
    }

    fn round(&mut self, hub: &SyncHub) -> usize {
        let counters = &hub.counters;
        let listed = attempt("the list of databases", counters, AssertUnwindSafe(|| hub.paths()));
        let mut failures = usize::from(listed.is_none());
        let paths = listed.unwrap_or_default();
        self.settled.retain(|path, _| paths.contains(path));
        for path in paths {
            let mark = mark_of(hub, &path);
            if mark.is_some() && mark.as_ref() == self.settled.get(&path) {
                continue;
            }
            let maintain = AssertUnwindSafe(|| self.maintain(hub, &path));
            if attempt(path.as_str(), counters, maintain).is_none() {
                failures += 1;
            } else if let Some(mark) = mark.filter(is_settled) {
                self.settled.insert(path, mark);
            }
        }
        if let Some(folder) = &self.backup {
            let copy = AssertUnwindSafe(|| folder.replace_accounts(hub));
            failures += usize::from(attempt("the accounts", counters, copy).is_none());
        }
        failures
    }

    fn maintain(&self, hub: &SyncHub, path: &DatabasePath) -> io::Result<()> {
        let opened = hub
            .open_replica(path)
            .map_err(|code| io::Error::other(format!("it cannot be opened (code {})", code.0)))?;
        // The history is what brings a backup up to date, so it is deleted after that.
        if let Some(folder) = &self.backup {
            folder.back_up(&opened.replica, path)?;
            hub.send_to(path, Job::Changed);
        }
        let now = millis((hub.clocks.wall)());
        advance(&opened.replica, now, (hub.limits.expiry_ms(), hub.limits.history_bytes))
            .map_err(io::Error::other)
    }
}

/// Does a part of the upkeep. Logs and counts its failure; a panic is one, too.
fn attempt<T>(
    part: &str,
    counters: &SyncCounters,
    run: AssertUnwindSafe<impl FnOnce() -> io::Result<T>>,
) -> Option<T> {
    let outcome = catch_unwind(run).unwrap_or_else(|_| Err(io::Error::other("a panic")));
    match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            counters.upkeep_failures.add(usize::from(!fault::on("NS-05")));
            tracing::error!(%error, part, "sync: a part of the upkeep has failed");
            None
        }
    }
}

fn is_settled((modified, _): &FileMark) -> bool {
    modified.elapsed().is_ok_and(|age| age > SETTLED)
}

fn mark_of(hub: &SyncHub, path: &DatabasePath) -> Option<FileMark> {
    let metadata = fs::metadata(file_of(&hub.folder, path)?).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Moves the horizon, and deletes the history up to it.
fn advance(
    replica: &ServerReplica,
    now: u64,
    (expiry_ms, history_bytes): (u64, u64),
) -> ServerResult<()> {
    let mut expiry = expiry_ms;
    replica.advance_horizon(now, expiry)?;
    while replica.status()?.history_bytes > history_bytes && expiry > EXPIRY_MIN_MS {
        expiry = (expiry / 2).max(EXPIRY_MIN_MS);
        replica.advance_horizon(now, expiry)?;
    }
    while replica.compact(COMPACTED_MAX)? {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_panics_is_a_failure_that_is_counted() {
        let counters = SyncCounters::default();
        let panics = AssertUnwindSafe(|| -> io::Result<()> { panic!("H30") });
        assert_eq!(attempt("a database", &counters, panics), None, "H30");
        let fails = AssertUnwindSafe(|| -> io::Result<()> { Err(io::ErrorKind::Other.into()) });
        assert_eq!(attempt("a database", &counters, fails), None, "H30");
        assert_eq!(attempt("a database", &counters, AssertUnwindSafe(|| Ok(5))), Some(5));
        assert_eq!(counters.upkeep_failures.get(), 2, "H30");
    }
}
