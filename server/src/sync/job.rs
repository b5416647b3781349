//! Jobs of workers, which come from connections.

use super::link::{Link, Work};
use fastness_auth::server::DatabasePath;
use fastness_sync::frame::{Code, Packet};
use fastness_sync::server::{ServerReplica, ServerStatus};
use fastness_sync::session::ConnectionTerms;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// User of a connection, by its token.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Identity of the account.
    pub(super) identity: Arc<str>,
    /// Whether the token permits uploads.
    pub(super) may_write: bool,
}

/// Number of a session, and of its connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SessionKey {
    pub(super) connection: u64,
    pub(super) session: u32,
}

/// A session that its BIND follows.
pub(super) struct NewSession {
    pub(super) key: SessionKey,
    pub(super) terms: ConnectionTerms,
    pub(super) caller: Caller,
    pub(super) link: Arc<Link>,
}

/// Job of a worker.
pub(super) enum Job {
    /// A session begins.
    Open(NewSession),
    /// A frame for a session, whose bytes are counted.
    Frame { key: SessionKey, packet: Packet<'static>, work: Work },
    /// A report about the databases that are open.
    Report(Sender<Vec<OpenReport>>),
    /// A replica for the operator, or for the upkeep.
    OpenReplica { path: DatabasePath, reply: Sender<Result<OpenedReplica, Code>> },
    /// The history or the backup of a database has advanced.
    Changed(DatabasePath),
    /// Rights of users may have changed.
    Recheck,
    /// A connection takes answers again.
    Drained(u64),
    /// A connection has ended.
    Gone(u64),
    /// The worker ends.
    Stop,
}

/// Treatment of backups by a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BackupPolicy {
    /// None are made, and clients need not wait for one.
    None,
    /// The upkeep makes them in this folder.
    Folder(PathBuf),
    /// None are made, and databases stay as they are: for requests without a server.
    Unchanged,
}

impl BackupPolicy {
    pub(super) const fn has_backups(&self) -> Option<bool> {
        match self {
            Self::None => Some(false),
            Self::Folder(_) => Some(true),
            Self::Unchanged => None,
        }
    }
}

/// A request to the upkeep.
pub(super) enum Round {
    /// A round now; the reply is the number of its failures.
    Now(Sender<usize>),
    /// The thread ends.
    Stop,
}

/// A database that is open.
pub(super) struct OpenReport {
    pub(super) path: DatabasePath,
    pub(super) sessions: usize,
    /// Entries that its slowest session has not been sent yet.
    pub(super) behind: u64,
    /// `None` if it cannot be read.
    pub(super) status: Option<ServerStatus>,
}

/// A database, and the clients that have a session.
pub(super) struct OpenedReplica {
    pub(super) replica: ServerReplica,
    pub(super) online: BTreeSet<u32>,
}
