//! The sync server: its threads, its limits, and who may connect.
//!
//! - H24 A token proves the user, whose account must exist and not be blocked.
//! - H27 A stop ends every connection, then the threads.

use super::counters::{OpenGauges, SyncCounters, SyncGauges, SyncMetric};
use super::database_files::{DATABASES_FOLDER, file_of, paths_below};
use super::job::{BackupPolicy, Caller, Job, OpenReport, OpenedReplica, Round};
use super::link::Link;
use super::liveness::Liveness;
use super::quota::UploadRates;
use super::registry::Registry;
use super::worker::{self, WorkerOptions};
use crate::clocks::ServerClocks;
use crate::config::SyncLimits;
use crate::fault;
use crate::random::random;
use fastness::{Key, StoreOptions};
use fastness_auth::server::{Accounts, AccountsError, DatabasePath, TokenProblem};
use fastness_auth::{Permission, Time};
use fastness_sync::frame::Code;
use fastness_sync::session::ConnectionTerms;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time;

/// Time for the answer of a worker, which may be waiting for the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer that was written.
pub(super) struct WrittenAnswer {
    pub(super) bytes: usize,
    /// A session waits, and there is room now.
    pub(super) has_room: bool,
}

/// Options of a sync server.
pub(crate) struct HubOptions {
    /// Data folder.
    pub(crate) data: PathBuf,
    /// Key of the databases.
    pub(crate) key: Key,
    pub(crate) limits: SyncLimits,
    pub(crate) backup: BackupPolicy,
    pub(crate) clocks: ServerClocks,
    pub(crate) accounts: Arc<Accounts>,
}

/// A running sync server.
pub(crate) struct SyncHub {
    pub(super) limits: SyncLimits,
    pub(super) clocks: ServerClocks,
    /// Start, by the clock that never steps.
    pub(super) started: Time,
    accounts: Arc<Accounts>,
    permits: Arc<Semaphore>,
    numbers: AtomicU64,
    pub(super) registry: Registry,
    pub(super) upload_rates: UploadRates,
    pub(super) counters: Arc<SyncCounters>,
    pub(super) folder: PathBuf,
    workers: Vec<Sender<Job>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    rounds: Sender<Round>,
    liveness: Liveness,
    stopping: watch::Sender<bool>,
    is_stopped: AtomicBool,
}

impl SyncHub {
    /// Starts the workers. Returns the requests to the upkeep, too.
    pub(super) fn start(options: HubOptions) -> io::Result<(Arc<Self>, Receiver<Round>)> {
        let (rounds, requests) = channel();
        let HubOptions { data, key, limits, backup, clocks, accounts } = options;
        let count = limits.workers.max(1);
        let counters = Arc::new(SyncCounters::default());
        let folder = data.join(DATABASES_FOLDER);
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (sender, jobs) = channel();
            let options = WorkerOptions {
                folder: folder.clone(),
                store: StoreOptions::new().key(key.clone()).cache_bytes(limits.cache_bytes),
                counters: Arc::clone(&counters),
                has_backups: backup.has_backups(),
                user_bytes_max: limits.user_bytes_max,
                open_max: limits.databases_max.div_ceil(count),
                clocks,
                accounts: Arc::clone(&accounts),
            };
            threads.push(worker::spawn(number, options, jobs)?);
            workers.push(sender);
        }
        let hub = Arc::new(Self {
            permits: Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS))),
            numbers: AtomicU64::new(1),
            registry: Registry::default(),
            upload_rates: UploadRates::new(limits.upload_rate),
            counters,
            folder,
            rounds,
            limits,
            clocks,
            started: (clocks.monotonic)(),
            accounts,
            workers,
            threads: Mutex::new(threads),
            liveness: Liveness::default(),
            stopping: watch::Sender::new(false),
            is_stopped: AtomicBool::new(false),
        });
        Ok((hub, requests))
    }

    /// Adds a thread that ends with the server.
    pub(super) fn add_thread(&self, thread: JoinHandle<()>) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
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

    /// Registers a new connection, and returns its number.
    pub(super) fn register(&self, link: &Arc<Link>) -> u64 {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.counters.connections.add(1);
        self.registry.add(number, link, (self.clocks.wall)());
        number
    }

    /// Notes that an answer was written. A connection that has room again tells its workers.
    pub(super) fn written(&self, connection: u64, answer: WrittenAnswer) {
        self.counters.frames_sent.add(1);
        self.counters.bytes_sent.add(answer.bytes);
        if answer.has_room {
            self.drained(connection);
        }
    }

    /// Tells the workers that a connection takes answers again.
    pub(super) fn drained(&self, connection: u64) {
        for worker in 0..self.workers.len() {
            self.send(worker, Job::Drained(connection));
        }
    }

    /// Returns the queues of a new connection.
    pub(super) fn link(&self) -> Link {
        Link::new(self.limits.connection_bytes)
    }

    /// Verifies the access token of a connection. Returns its user, and when it expires.
    pub(super) fn authenticate(
        &self,
        connection: u64,
        token: &str,
    ) -> Result<(Caller, Time), Code> {
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
        let may_write = claims.permissions.contains(&Permission::Upload);
        let caller = Caller { identity: claims.identity.into(), may_write };
        let is_limited = !fault::on("NS-04");
        let count_max = if is_limited { self.limits.connections_per_user_max } else { usize::MAX };
        if !self.registry.join(connection, &caller.identity, count_max) {
            return Err(Code::CONNECTION_CLOSED);
        }
        // Last: a block after this finds the connection among those of the user.
        if let Some(code) = self.refusal_of(&caller.identity).filter(|_| !fault::on("NS-01")) {
            return Err(code);
        }
        Ok((caller, Time::from_seconds(claims.expires_seconds)))
    }

    /// Returns why an account has no connection: it does not exist, is blocked or cannot be read.
    fn refusal_of(&self, identity: &str) -> Option<Code> {
        match self.accounts.is_active(identity) {
            Ok(true) => None,
            Ok(false) => Some(Code::REVOKED),
            Err(error) => {
                tracing::error!(%error, "sync: the account of a connection cannot be read");
                Some(Code::STORE_FAILED)
            }
        }
    }

    /// Returns the worker of a path that a user binds. A path that is refused has one, too.
    pub(super) fn worker_of(&self, path: &str, identity: &str) -> usize {
        DatabasePath::resolve(path, identity).map_or(0, |path| self.worker_of_path(&path))
    }

    fn worker_of_path(&self, path: &DatabasePath) -> usize {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let count = u64::try_from(self.workers.len()).unwrap_or(u64::MAX);
        usize::try_from(hasher.finish() % count).unwrap_or_default()
    }

    /// Gives a job to a worker.
    pub(super) fn send(&self, worker: usize, job: Job) {
        // A worker ends after all connections.
        self.workers[worker].send(job).unwrap_or_default();
    }

    /// Gives a job to the worker of a database.
    pub(super) fn send_to(&self, path: &DatabasePath, job: impl FnOnce(DatabasePath) -> Job) {
        self.send(self.worker_of_path(path), job(path.clone()));
    }

    /// Borrows a database that exists, within [`PATIENCE`].
    pub(super) fn open_replica(&self, path: &DatabasePath) -> Result<OpenedReplica, Code> {
        if !file_of(&self.folder, path).is_some_and(|file| file.is_file()) {
            return Err(Code::NO_DATABASE);
        }
        let (reply, opened) = channel();
        self.send_to(path, |path| Job::OpenReplica { path, reply });
        opened.recv_timeout(PATIENCE).unwrap_or(Err(Code::STORE_FAILED))
    }

    /// Returns the paths of all databases.
    pub(super) fn paths(&self) -> io::Result<Vec<DatabasePath>> {
        paths_below(&self.folder)
    }

    /// Describes the databases that are open; `None` if a worker does not answer in time.
    pub(super) fn open_databases(&self) -> Option<Vec<OpenReport>> {
        let (reply, reports) = channel();
        for worker in 0..self.workers.len() {
            self.send(worker, Job::Report(reply.clone()));
        }
        drop(reply);
        let mut open = Vec::new();
        for _ in &self.workers {
            open.extend(reports.recv_timeout(PATIENCE).ok()?);
        }
        Some(open)
    }

    /// Tells whether all workers answered within the last second, or answer now.
    pub(crate) fn is_healthy(&self) -> bool {
        self.liveness.check(self.clocks.monotonic, || self.open_databases().is_some())
    }

    /// Returns the metrics, without those that workers do not answer in time.
    pub(crate) fn metrics(&self) -> Vec<SyncMetric> {
        let open = self.open_databases().map(|open| OpenGauges {
            sessions: open.iter().map(|database| database.sessions).sum(),
            databases: open.len(),
            behind: usize::try_from(open.iter().map(|it| it.behind).max().unwrap_or_default())
                .unwrap_or(usize::MAX),
        });
        self.counters.metrics(SyncGauges { connections: self.registry.count(), open })
    }

    /// Ends the connections of accounts that no longer exist, or are blocked, and the sessions
    /// whose users have other rights now. A connection whose account cannot be read ends, too.
    pub(crate) fn end_revoked(&self) {
        self.registry.end(|_, entry| self.refusal_of(entry.user.as_deref()?));
        for worker in 0..self.workers.len() {
            self.send(worker, Job::Recheck);
        }
    }

    /// Runs the upkeep now, and waits for its end. Returns the number of its failures; `None` if
    /// the round did not end.
    pub(super) fn keep(&self) -> Option<usize> {
        let (done, end) = channel();
        self.rounds.send(Round::Now(done)).ok()?;
        end.recv().ok()
    }

    /// Copies the accounts.
    pub(super) fn copy_accounts(&self, target: &Path, key: &Key) -> Result<(), AccountsError> {
        self.accounts.copy(target, key)
    }

    /// Ends the threads of a server without connections.
    pub(crate) fn end(&self) {
        self.stopping.send_replace(true);
        self.end_threads().into_iter().for_each(join);
    }

    /// Asks the threads to end.
    fn end_threads(&self) -> Vec<JoinHandle<()>> {
        self.rounds.send(Round::Stop).unwrap_or_default();
        for worker in 0..self.workers.len() {
            self.send(worker, Job::Stop);
        }
        std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner))
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
        let threads = self.end_threads();
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
