//! The sync server: its threads, its limits, and who may connect.
//!
//! - H24 A token proves the user, whose account must exist and not be blocked.
//! - H27 A stop ends every connection, then the threads.

use super::database_files::DATABASES_FOLDER;
use super::job::{Caller, Job};
use super::link::Link;
use super::worker::{self, WorkerOptions};
use crate::clocks::ServerClocks;
use crate::config::SyncLimits;
use crate::random::random;
use fastness::{Key, StoreOptions};
use fastness_auth::server::{Accounts, DatabasePath, TokenProblem};
use fastness_auth::{Permission, Time};
use fastness_sync::frame::Code;
use fastness_sync::session::ConnectionTerms;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time;

/// Options of a sync server.
pub(crate) struct HubOptions {
    /// Data folder.
    pub(crate) data: PathBuf,
    /// Key of the databases.
    pub(crate) key: Key,
    pub(crate) limits: SyncLimits,
    pub(crate) clocks: ServerClocks,
    pub(crate) accounts: Arc<Accounts>,
}

/// A running sync server.
pub(crate) struct SyncHub {
    pub(super) limits: SyncLimits,
    pub(super) clocks: ServerClocks,
    accounts: Arc<Accounts>,
    permits: Arc<Semaphore>,
    numbers: AtomicU64,
    workers: Vec<Sender<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    stopping: watch::Sender<bool>,
    is_stopped: AtomicBool,
}

impl SyncHub {
    /// Starts the threads.
    pub(crate) fn start(options: HubOptions) -> io::Result<Arc<Self>> {
        let HubOptions { data, key, limits, clocks, accounts } = options;
        let count = limits.workers.max(1);
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (sender, jobs) = channel();
            let options = WorkerOptions {
                folder: data.join(DATABASES_FOLDER),
                store: StoreOptions::new().key(key.clone()).cache_bytes(limits.cache_bytes),
                open_max: limits.databases_max.div_ceil(count),
                clocks,
                accounts: Arc::clone(&accounts),
            };
            threads.push(worker::spawn(number, options, jobs)?);
            workers.push(sender);
        }
        Ok(Arc::new(Self {
            permits: Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS))),
            numbers: AtomicU64::new(1),
            limits,
            clocks,
            accounts,
            workers,
            threads: Mutex::new(threads),
            stopping: watch::Sender::new(false),
            is_stopped: AtomicBool::new(false),
        }))
    }

    /// Admits a connection; `None` if all permits are in use, or the server stops.
    pub(super) fn admit(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        (!*self.stopping.borrow()).then_some(permit)
    }

    /// Returns a receiver that changes when the server stops.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Returns the terms of a new connection.
    pub(super) fn terms(&self) -> io::Result<ConnectionTerms> {
        let SyncLimits { window_bytes, ping_interval, .. } = self.limits;
        let ping_ms = u64::try_from(ping_interval.as_millis()).unwrap_or(u64::MAX);
        Ok(ConnectionTerms { window_bytes, ping_ms, connection: random()? })
    }

    /// Returns the number of a new connection.
    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells all workers that a connection takes answers again.
    pub(super) fn drained(&self, connection: u64) {
        for worker in 0..self.workers.len() {
            self.send(worker, Job::Drained(connection));
        }
    }

    /// Returns the queues of a new connection.
    pub(super) fn link(&self) -> Link {
        Link::new(self.limits.connection_bytes)
    }

    /// Verifies an access token. Returns its user, and when it expires.
    pub(super) fn authenticate(&self, token: &str) -> Result<(Caller, Time), Code> {
        let verified = self.accounts.signer().verify(token, (self.clocks.wall)());
        let claims = verified.map_err(|problem| match problem {
            TokenProblem::Expired => Code::TOKEN_EXPIRED,
            TokenProblem::InvalidSignature
            | TokenProblem::NotYetValid
            | TokenProblem::TooLongLived => Code::BAD_TOKEN,
        })?;
        if !claims.permissions.contains(&Permission::Download) {
            return Err(Code::BAD_TOKEN);
        }
        match self.accounts.rights(&claims.identity) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(Code::REVOKED),
            Err(error) => {
                tracing::error!(%error, "sync: the account of a token cannot be read");
                return Err(Code::STORE_FAILED);
            }
        }
        let may_write = claims.permissions.contains(&Permission::Upload);
        let caller = Caller { identity: claims.identity.into(), may_write };
        Ok((caller, Time::from_seconds(claims.expires_seconds)))
    }

    /// Returns the worker of a path that a user binds. A path that is refused has one, too.
    pub(super) fn worker_of(&self, path: &str, identity: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        DatabasePath::resolve(path, identity).hash(&mut hasher);
        let count = u64::try_from(self.workers.len()).unwrap_or(u64::MAX);
        usize::try_from(hasher.finish() % count).unwrap_or_default()
    }

    /// Gives a job to a worker.
    pub(super) fn send(&self, worker: usize, job: Job) {
        // A worker ends after all connections.
        self.workers[worker].send(job).unwrap_or_default();
    }

    /// Ends all connections, and then the threads. Connections that do not end within `patience`
    /// are dropped with the runtime.
    pub(crate) async fn stop(&self, patience: Duration) {
        if self.is_stopped.swap(true, Ordering::SeqCst) {
            return;
        }
        self.stopping.send_replace(true);
        let all = u32::try_from(self.limits.connections_max).unwrap_or(u32::MAX);
        // An error is the time-out.
        drop(time::timeout(patience, self.permits.acquire_many(all)).await);
        for worker in 0..self.workers.len() {
            self.send(worker, Job::Stop);
        }
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        // A worker in a call of the disk is left to itself.
        let ended = tokio::task::spawn_blocking(move || threads.into_iter().for_each(join));
        drop(time::timeout(patience, ended).await);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("sync: a thread ended by a panic");
    }
}
