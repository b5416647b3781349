//! The databases of a worker that are open.
//!
//! - SV4 At most so many are open; those without sessions are closed first.

use super::database_files::file_of;
use super::job::{OpenReport, SessionKey};
use crate::data::create_private_folders;
use crate::random::random;
use fastness::StoreOptions;
use fastness_auth::server::DatabasePath;
use fastness_sync::frame::Code;
use fastness_sync::server::{Databases, Opening, ServerError, ServerReplica, SnapshotPool};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Snapshots of a database that are kept.
const SNAPSHOTS_MAX: usize = 2;

/// Databases of a worker.
pub(super) struct OpenDatabases {
    folder: PathBuf,
    databases: Databases,
    has_backups: Option<bool>,
    open: BTreeMap<DatabasePath, OpenDatabase>,
    /// A database that failed is closed once it has no session.
    has_failed: bool,
}

/// A database with sessions, or with snapshots that a session may come back for.
pub(super) struct OpenDatabase {
    replica: ServerReplica,
    snapshots: SnapshotPool,
    sessions: BTreeSet<SessionKey>,
    /// Time since which it has no session.
    idle_since: Instant,
}

impl OpenDatabase {
    pub(super) fn replica(&self) -> ServerReplica {
        self.replica.clone()
    }

    pub(super) const fn snapshots(&mut self) -> &mut SnapshotPool {
        &mut self.snapshots
    }

    pub(super) fn add(&mut self, session: SessionKey) {
        self.sessions.insert(session);
    }
}

impl OpenDatabases {
    pub(super) fn new(
        (folder, has_backups): (PathBuf, Option<bool>),
        store: StoreOptions,
        open_max: usize,
    ) -> Self {
        let databases = Databases::new(store, open_max.max(1));
        Self { folder, databases, has_backups, open: BTreeMap::new(), has_failed: false }
    }

    /// Describes the databases, by the entries that each session has not been sent yet.
    pub(super) fn report(&self, behind: impl Fn(SessionKey) -> u64) -> Vec<OpenReport> {
        let report = |(path, open): (&DatabasePath, &OpenDatabase)| OpenReport {
            path: path.clone(),
            sessions: open.sessions.len(),
            behind: open.sessions.iter().map(|key| behind(*key)).max().unwrap_or_default(),
            status: open.replica.status().ok(),
        };
        self.open.iter().map(report).collect()
    }

    pub(super) fn get_mut(&mut self, path: &DatabasePath) -> Option<&mut OpenDatabase> {
        self.open.get_mut(path)
    }

    /// Returns the sessions of a database.
    pub(super) fn sessions_of(&self, path: &DatabasePath) -> Vec<SessionKey> {
        self.open.get(path).map(|open| open.sessions.iter().copied().collect()).unwrap_or_default()
    }

    /// Opens a database, or creates it.
    pub(super) fn open(&mut self, path: &DatabasePath) -> Result<&mut OpenDatabase, Code> {
        if !self.open.contains_key(path) {
            let replica = self.replica(path)?;
            let number = random().map_err(|error| {
                tracing::error!(%error, "sync: no random bytes");
                Code::STORE_FAILED
            })?;
            let snapshots = SnapshotPool::new(SNAPSHOTS_MAX).numbered_from(number);
            let sessions = BTreeSet::new();
            let open = OpenDatabase { replica, snapshots, sessions, idle_since: Instant::now() };
            self.open.insert(path.clone(), open);
        }
        self.open.get_mut(path).ok_or(Code::STORE_FAILED)
    }

    fn replica(&mut self, path: &DatabasePath) -> Result<ServerReplica, Code> {
        let file = file_of(&self.folder, path).ok_or(Code::NO_DATABASE)?;
        let failed = |error: io::Error| {
            tracing::error!(%error, "sync: a database cannot be opened");
            Code::STORE_FAILED
        };
        create_private_folders(file.parent().unwrap_or(&self.folder)).map_err(failed)?;
        let opening = opening().map_err(failed)?;
        let mut opened = self.databases.get(&file, &opening);
        if let Err(ServerError::TooManyDatabases) = opened {
            self.close_idle(Duration::ZERO);
            opened = self.databases.get(&file, &opening);
        }
        let prepared = opened.and_then(|replica| {
            if let Some(has_backups) = self.has_backups {
                replica.set_backups(has_backups)?;
            }
            Ok(replica)
        });
        prepared.map_err(|error| {
            tracing::error!(%error, "sync: a database cannot be opened");
            let is_busy = matches!(error, ServerError::TooManyDatabases);
            if is_busy { Code::SESSION_CLOSED } else { Code::STORE_FAILED }
        })
    }

    pub(super) fn remove_session(&mut self, path: &DatabasePath, session: SessionKey) {
        if let Some(open) = self.open.get_mut(path) {
            open.sessions.remove(&session);
            open.idle_since = Instant::now();
        }
    }

    /// Forgets a database that failed: it is opened again by the next session.
    pub(super) fn abandon(&mut self, path: &DatabasePath) {
        self.open.remove(path);
        self.has_failed = true;
    }

    /// Forgets the databases that have had no session for so long. They stay open until another
    /// one needs their place.
    pub(super) fn close_idle(&mut self, age: Duration) {
        if std::mem::take(&mut self.has_failed) {
            self.databases.close_idle();
        }
        self.open.retain(|_, open| !open.sessions.is_empty() || open.idle_since.elapsed() < age);
    }
}

fn opening() -> io::Result<Opening> {
    let mut database = [0; 16];
    for half in database.chunks_exact_mut(8) {
        half.copy_from_slice(&random()?.to_le_bytes());
    }
    Ok(Opening { database, epoch: random()?.max(1) })
}
