//! The upkeep of all databases, on a thread of its own: horizon, compaction and backups.
//!
//! - MR9 The horizon moves as far as live clients permit. A history beyond its limit expires
//!   clients earlier, but none that was here within a day.
//! - MR10 A backup has its name once it is complete and durable; then its seq is noted.
//! - H30 A backup of each database that changed is made in every round.

use super::database_files::file_of;
use super::hub::{HubOptions, SyncHub};
use super::job::{Job, Round};
use crate::clocks::millis;
use crate::data::create_private_folders;
use fastness::{Key, StoreOptions};
use fastness_auth::server::DatabasePath;
use fastness_sync::server::{ServerReplica, ServerResult};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, SystemTime};

/// Entries of the history that one transaction deletes.
const COMPACTED_MAX: usize = 1000;

/// Time for which a client is never expired, in milliseconds.
const EXPIRY_MIN_MS: u64 = 24 * 3600 * 1000;

/// Name of the copy of the accounts.
const ACCOUNTS_BACKUP: &str = "accounts.fastness";

/// Starts a sync server and its upkeep.
pub(crate) fn start(options: HubOptions) -> io::Result<Arc<SyncHub>> {
    let (backup, key) = (options.backup.clone(), options.key.clone());
    let (hub, rounds) = SyncHub::start(options)?;
    let interval = hub.limits.upkeep_interval;
    let mut keeper = Keeper { hub: Arc::downgrade(&hub), backup, key, settled: BTreeMap::new() };
    let thread = thread::Builder::new().name("fastness-sync-upkeep".to_owned());
    hub.add_thread(thread.spawn(move || {
        loop {
            match rounds.recv_timeout(interval) {
                Ok(Round::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Round::Now(done)) => {
                    keeper.settled.clear();
                    keeper.run();
                    drop(done);
                }
                Err(RecvTimeoutError::Timeout) => keeper.run(),
            }
        }
    })?);
    Ok(hub)
}

struct Keeper {
    hub: Weak<SyncHub>,
    /// Folder of the backups.
    backup: Option<PathBuf>,
    /// Key of the databases and their backups.
    key: Key,
    /// Time and length of files that a round has seen, and that had not changed for a while.
    settled: BTreeMap<DatabasePath, FileMark>,
}

/// Time and length of a file.
type FileMark = (SystemTime, u64);

/// Age from which on a file has the same time only if it has the same content, on any file system.
const SETTLED: Duration = Duration::from_secs(5);

impl Keeper {
    /// Keeps every database that changed.
    fn run(&mut self) {
        let Some(hub) = self.hub.upgrade() else { return };
        let paths = hub.paths().unwrap_or_else(|error| {
            tracing::error!(%error, "sync: the databases cannot be listed");
            Vec::new()
        });
        self.settled.retain(|path, _| paths.contains(path));
        for path in paths {
            let mark = mark_of(&hub, &path);
            if mark.is_some() && mark.as_ref() == self.settled.get(&path) {
                continue;
            }
            if let Err(error) = self.keep(&hub, &path) {
                let path = path.as_str();
                tracing::error!(%error, path, "sync: upkeep of a database has failed");
            } else if let Some(mark) = mark.filter(is_settled) {
                self.settled.insert(path, mark);
            }
        }
        if let Some(folder) = &self.backup
            && let Err(error) = self.back_up_accounts(&hub, folder)
        {
            let folder = folder.display();
            tracing::error!(%error, %folder, "sync: the accounts are not backed up");
        }
    }

    fn keep(&self, hub: &SyncHub, path: &DatabasePath) -> io::Result<()> {
        let lent = hub.lend(path).map_err(|code| io::Error::other(format!("code {}", code.0)))?;
        let now = millis((hub.clocks.wall)());
        advance(&lent.replica, now, (hub.limits.expiry_ms(), hub.limits.history_bytes))
            .map_err(io::Error::other)?;
        if let Some(folder) = &self.backup {
            self.back_up(&lent.replica, folder, path)?;
            hub.send_to(path, Job::Changed);
        }
        Ok(())
    }

    /// Backs a database up, unless its backup has everything.
    fn back_up(
        &self,
        replica: &ServerReplica,
        folder: &Path,
        path: &DatabasePath,
    ) -> io::Result<()> {
        let target = file_of(folder, path).ok_or(io::ErrorKind::InvalidFilename)?;
        let status = replica.status().map_err(io::Error::other)?;
        if target.is_file() && status.durable_seq >= status.head {
            return Ok(());
        }
        let mut reached = 0;
        replace(&target, |partial| {
            let key = Some(&self.key);
            let done = replica.back_up(&StoreOptions::new(), partial, key);
            done.map(|seq| reached = seq).map_err(io::Error::other)
        })?;
        replica.note_backup(reached).map_err(io::Error::other)
    }

    fn back_up_accounts(&self, hub: &SyncHub, folder: &Path) -> io::Result<()> {
        replace(&folder.join(ACCOUNTS_BACKUP), |partial| {
            hub.copy_accounts(partial, &self.key).map_err(io::Error::other)
        })
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

/// Makes a file under a temporary name, and gives it its name once it is complete and durable.
fn replace(target: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let Some((folder, name)) = target.parent().zip(target.file_name()) else { return Ok(()) };
    create_private_folders(folder)?;
    let partial = folder.join(format!(".{}.partial", name.display()));
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    make(&partial)?;
    File::open(&partial)?.sync_all()?;
    fs::rename(&partial, target)?;
    File::open(folder)?.sync_all()
}
