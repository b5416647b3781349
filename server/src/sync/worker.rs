//! A worker: a thread with some of the databases, and all sessions that are bound to them.
//!
//! - H31 A mark is answered after every entry that was acknowledged before it arrived.
//! - H32 A frame leaves only after all calls that it is about are durable; one sync serves a batch.
//! - H27 A frame is in work until its answers are queued, so that a stop waits for them.
//! - H26 After each batch of jobs, the sessions of every database that changed hear of its head.
//! - SV4 At most so many databases are open; those without sessions are closed first.

use super::counters::SyncCounters;
use super::job::{Caller, Job, OpenedReplica, SessionKey};
use super::link::{HeldAnswer, LinkEvent, Work};
use super::open_databases::OpenDatabases;
use super::quota::Storage;
use super::session::{Performed, Session};
use crate::clocks::{ServerClocks, millis};
use crate::fault;
use crate::random::random;
use fastness::StoreOptions;
use fastness_auth::server::{Accounts, DatabasePath, DatabaseRight};
use fastness_sync::frame::{Code, Identity};
use fastness_sync::server::{Access, ServerStatus, SessionDatabase};
use fastness_sync::session::{ServerInput, ServerOutput};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Jobs that are handled before sessions hear of changes.
const BATCH_MAX: usize = 256;
/// Time for which a database without sessions keeps its snapshots.
const IDLE: Duration = Duration::from_secs(60);

/// Options of a worker.
pub(super) struct WorkerOptions {
    pub(super) folder: PathBuf,
    pub(super) store: StoreOptions,
    pub(super) open_max: usize,
    /// Bytes of the databases of one user.
    pub(super) user_bytes_max: Option<u64>,
    pub(super) clocks: ServerClocks,
    pub(super) accounts: Arc<Accounts>,
    pub(super) counters: Arc<SyncCounters>,
    /// Whether acknowledged entries wait for backups; `None` leaves that to the databases.
    pub(super) has_backups: Option<bool>,
}

/// Starts a worker.
pub(super) fn spawn(
    number: usize,
    options: WorkerOptions,
    jobs: Receiver<Job>,
) -> io::Result<JoinHandle<()>> {
    let thread = thread::Builder::new().name(format!("fastness-sync-{number}"));
    thread.spawn(move || {
        let mut worker = Worker::new(options);
        // A panic, a broken promise of ours, costs the connections of the worker, not the server.
        while catch_unwind(AssertUnwindSafe(|| worker.run(&jobs))).is_err() {
            tracing::error!("sync: a panic; the databases of the thread are opened again");
            worker = worker.renewed();
        }
    })
}

/// State of a worker.
struct Worker {
    databases: OpenDatabases,
    storage: Storage,
    options: WorkerOptions,
    sessions: BTreeMap<SessionKey, Rc<RefCell<Session>>>,
    /// Databases whose head may have moved.
    changed: BTreeSet<DatabasePath>,
    /// Databases with calls that are not durable yet.
    unsynced: BTreeSet<DatabasePath>,
    /// Answers of the batch, with the databases whose calls they are about.
    answers: Vec<(Option<DatabasePath>, HeldAnswer)>,
    /// Frames of the batch.
    works: Vec<Work>,
}

impl Worker {
    fn new(options: WorkerOptions) -> Self {
        let WorkerOptions { folder, store, open_max, has_backups, .. } = &options;
        let databases =
            OpenDatabases::new((folder.clone(), *has_backups), store.clone(), *open_max);
        let storage = Storage::new(folder.clone(), options.user_bytes_max);
        let (sessions, changed, unsynced, answers, works) = Default::default();
        Self { databases, storage, options, sessions, changed, unsynced, answers, works }
    }

    /// Ends the connections of all sessions, and closes the databases.
    fn renewed(self) -> Self {
        let Self { options, sessions, .. } = self;
        options.counters.failures.add(1);
        for session in sessions.values() {
            let (code, retry_after_ms) = (Code::CONNECTION_CLOSED, RETRY_AFTER_MS);
            session.borrow().link().notify(LinkEvent::Close { code, retry_after_ms });
        }
        Self::new(options)
    }

    fn run(&mut self, jobs: &Receiver<Job>) {
        loop {
            match jobs.recv_timeout(IDLE) {
                Ok(job) => {
                    let following = jobs.try_iter().take(BATCH_MAX);
                    for job in std::iter::once(job).chain(following) {
                        if matches!(job, Job::Stop) {
                            return self.sync_and_deliver();
                        }
                        self.handle(job);
                    }
                    if !fault::on("NS-11") {
                        self.publish();
                    }
                    self.sync_and_deliver();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.databases.close_idle(IDLE);
        }
    }

    fn handle(&mut self, job: Job) {
        match job {
            Job::Open(session) => {
                let key = session.key;
                self.sessions.insert(key, Rc::new(RefCell::new(Session::new(session))));
            }
            Job::Frame { key, packet, work } => {
                if packet.is_mark() != fault::on("NS-11") {
                    // The mark is about entries of this batch too: they are acknowledged already.
                    self.publish();
                }
                if let Some(session) = self.sessions.get(&key).map(Rc::clone) {
                    self.input(&session, ServerInput::Received(&packet));
                }
                if !fault::on("NS-03") {
                    self.works.push(work);
                }
            }
            Job::Drained(connection) => {
                for session in self.sessions_of(connection) {
                    self.perform_waiting(&mut session.borrow_mut());
                }
            }
            Job::Gone(connection) => {
                for session in self.sessions_of(connection) {
                    self.forget(&mut session.borrow_mut());
                }
            }
            Job::Report(reply) => {
                let behind = |key| self.sessions.get(&key).map_or(0, |it| it.borrow().behind());
                drop(reply.send(self.databases.report(behind)));
            }
            Job::OpenReplica { path, reply } => drop(reply.send(self.open_replica(&path))),
            Job::Changed(path) => drop(self.changed.insert(path)),
            Job::Recheck => self.recheck(),
            Job::Stop => {}
        }
    }

    fn open_replica(&mut self, path: &DatabasePath) -> Result<OpenedReplica, Code> {
        let replica = self.databases.open(path)?.replica();
        let sessions = self.databases.sessions_of(path).into_iter();
        let online = sessions.filter_map(|key| self.sessions.get(&key)?.borrow().client());
        Ok(OpenedReplica { replica, online: online.collect() })
    }

    fn sessions_of(&self, connection: u64) -> Vec<Rc<RefCell<Session>>> {
        let first = SessionKey { connection, session: 0 };
        let last = SessionKey { connection, session: u32::MAX };
        self.sessions.range(first..=last).map(|(_, session)| Rc::clone(session)).collect()
    }

    /// Gives an input to a session, and performs what follows.
    fn input(&mut self, session: &RefCell<Session>, input: ServerInput<'_>) {
        let mut session = session.borrow_mut();
        for output in session.handle(input) {
            self.perform(&mut session, &output);
        }
        self.perform_waiting(&mut session);
    }

    /// Performs the outputs that wait, as far as the connection has room for their answers.
    fn perform_waiting(&mut self, session: &mut Session) {
        while let Some(output) = session.next_waiting() {
            self.perform(session, &output);
        }
        if session.is_over_quota() && session.behind() == 0 && !session.is_ended() {
            let (code, retry_after_ms) = (Code::OVER_QUOTA, QUOTA_RETRY_MS);
            session.reply(ServerInput::Fail { code, retry_after_ms, message: QUOTA_MESSAGE });
        }
        let path = session.path().cloned();
        self.answers.extend(session.take_answers().into_iter().map(|held| (path.clone(), held)));
        if session.is_ended() {
            self.forget(session);
        }
    }

    fn perform(&mut self, session: &mut Session, output: &ServerOutput<'_>) {
        if let ServerOutput::Bind { path, wants_identity, .. } = output {
            let bound = self.bind(session, path, *wants_identity);
            return session.reply(bound.map_or_else(refused, ServerInput::Bound));
        }
        let now = self.now_ms();
        let Some(path) = session.path().cloned() else { return };
        if self.refuses_upload(session, &path, output) {
            return;
        }
        if !matches!(output, ServerOutput::ReadHistory { .. } | ServerOutput::Progress { .. }) {
            self.unsynced.insert(path.clone());
        }
        let Some(database) = self.databases.get_mut(&path) else {
            return session.reply(refused(Code::STORE_FAILED));
        };
        match session.perform(output, now, database.snapshots()) {
            Performed::Done => {}
            Performed::Submitted { entries, refused } => {
                self.options.counters.entries.add(entries);
                self.options.counters.refused_entries.add(refused);
                self.changed.insert(path);
            }
            Performed::Resumed => self.end_older(session, &path),
            Performed::Failed => {
                if !self.sync(&path) {
                    // Its answers may be about calls that are lost, so the connection ends too.
                    drop(session.take_answers());
                    let (code, retry_after_ms) = (Code::STORE_FAILED, 0);
                    session.link().notify(LinkEvent::Close { code, retry_after_ms });
                }
                self.abandon(&path);
            }
        }
    }

    /// Tells whether an output is an upload that exceeds the bytes of the owner. The session then
    /// takes no more, and ends when its client has all downloads (H36).
    fn refuses_upload(
        &mut self,
        session: &mut Session,
        path: &DatabasePath,
        output: &ServerOutput<'_>,
    ) -> bool {
        let ServerOutput::Submit { entries, .. } = output else { return false };
        let bytes = entries.iter().map(|entry| entry.len()).sum();
        if session.is_over_quota() || self.storage.is_full(path, bytes) {
            session.stop_uploads();
            return true;
        }
        false
    }

    /// Binds a session to the database of a path, if its user may open that (H24).
    fn bind(
        &mut self,
        session: &mut Session,
        path: &str,
        wants_identity: bool,
    ) -> Result<Option<Identity>, Code> {
        let Caller { identity, may_write } = session.caller().clone();
        let path = DatabasePath::resolve(path, &identity).ok_or(Code::NO_DATABASE)?;
        let access = self.access(&path, &identity, may_write)?.ok_or(Code::NO_PERMISSION)?;
        let now = self.now_ms();
        let database = self.databases.open(&path)?;
        let replica = database.replica().deferred();
        let mut bound = SessionDatabase::new(replica, identity.to_string(), access);
        let given = wants_identity.then(|| identify(&mut bound, now)).transpose()?;
        database.add(session.key());
        self.unsynced.insert(path.clone());
        session.bind(path, bound, access);
        Ok(given)
    }

    /// Returns the right of a user on a database; `None` without one.
    fn access(
        &self,
        path: &DatabasePath,
        identity: &str,
        may_write: bool,
    ) -> Result<Option<Access>, Code> {
        let right = self.options.accounts.right_on(path, identity).map_err(|error| {
            tracing::error!(%error, "sync: an account cannot be read");
            Code::STORE_FAILED
        })?;
        Ok(right.map(|right| match right {
            DatabaseRight::Write if may_write => Access::Write,
            DatabaseRight::Write | DatabaseRight::Read => Access::Read,
        }))
    }

    /// Ends the sessions whose users have another right than at the binding; a client whose right
    /// has only changed binds again.
    fn recheck(&mut self) {
        let sessions: Vec<_> = self.sessions.values().map(Rc::clone).collect();
        for session in sessions {
            let outcome = {
                let session = session.borrow();
                let Some((path, access)) = session.bound() else { continue };
                let Caller { identity, may_write } = session.caller();
                match self.access(path, identity, *may_write) {
                    Ok(Some(now)) if now == access => continue,
                    Ok(Some(_)) => Code::SESSION_CLOSED,
                    Ok(None) => Code::NO_PERMISSION,
                    Err(code) => code,
                }
            };
            let (retry_after_ms, message) = (0, "");
            self.input(&session, ServerInput::Fail { code: outcome, retry_after_ms, message });
        }
    }

    /// Ends older sessions of the client that has resumed.
    fn end_older(&mut self, session: &Session, path: &DatabasePath) {
        let (own, client) = (session.key(), session.client());
        for key in self.databases.sessions_of(path) {
            let Some(other) = self.sessions.get(&key).filter(|_| key != own).map(Rc::clone) else {
                continue;
            };
            if other.borrow().client() == client {
                self.input(&other, refused(Code::BOUND_ELSEWHERE));
            }
        }
    }

    /// Ends the sessions of a database whose store has failed, so that it is opened again.
    fn abandon(&mut self, path: &DatabasePath) {
        self.options.counters.failures.add(1);
        let keys = self.databases.sessions_of(path);
        self.databases.abandon(path);
        for key in keys {
            let Some(session) = self.sessions.get(&key).map(Rc::clone) else { continue };
            // The one that failed is borrowed; it ends by itself.
            if session.try_borrow_mut().is_ok() {
                self.input(&session, refused(Code::STORE_FAILED));
            }
        }
    }

    /// Tells the sessions of the databases that changed.
    fn publish(&mut self) {
        for path in std::mem::take(&mut self.changed) {
            if fault::on("NS-02") {
                continue;
            }
            let status = match self.databases.get_mut(&path).map(|open| open.replica().status()) {
                Some(Ok(status)) => status,
                Some(Err(error)) => {
                    tracing::error!(%error, "sync: a database has failed");
                    self.abandon(&path);
                    continue;
                }
                None => continue,
            };
            let ServerStatus { head, durable_seq, .. } = status;
            for key in self.databases.sessions_of(&path) {
                if let Some(session) = self.sessions.get(&key).map(Rc::clone) {
                    self.input(&session, ServerInput::HeadMoved { head, durable_seq });
                }
            }
        }
    }

    /// Makes the calls of the batch durable, with one wait for each database, and lets their
    /// answers leave. Answers about a database that fails are dropped, and its sessions end.
    fn sync_and_deliver(&mut self) {
        for path in std::mem::take(&mut self.unsynced) {
            if !fault::on("NS-13") && !self.sync(&path) {
                self.abandon(&path);
            }
        }
        for (_, held) in self.answers.drain(..) {
            held.deliver();
        }
        self.works.clear();
    }

    /// Makes the calls on a database durable. If that fails, the answers about it are dropped.
    fn sync(&mut self, path: &DatabasePath) -> bool {
        let synced = self.databases.get_mut(path).map(|open| open.replica().sync());
        let Some(Err(error)) = synced else { return true };
        tracing::error!(%error, "sync: a database has failed");
        self.answers.retain(|(about, _)| about.as_ref() != Some(path));
        false
    }

    fn forget(&mut self, session: &mut Session) {
        let key = session.key();
        if let Some(path) = session.unbind() {
            self.databases.remove_session(&path, key);
        }
        if self.sessions.remove(&key).is_some() {
            session.link().notify(LinkEvent::Ended(key.session));
        }
    }

    fn now_ms(&self) -> u64 {
        millis((self.options.clocks.wall)())
    }
}

/// Delay before a client comes back to a server that cannot serve it now.
const RETRY_AFTER_MS: u64 = 10_000;

/// Delay before a client beyond its quota comes back.
const QUOTA_RETRY_MS: u64 = 60_000;

/// Message for a client beyond its quota.
const QUOTA_MESSAGE: &str = "the databases of the owner have as many bytes as permitted";

const fn refused(code: Code) -> ServerInput<'static> {
    let retry_after_ms = if code.0 == Code::SESSION_CLOSED.0 { RETRY_AFTER_MS } else { 0 };
    ServerInput::Fail { code, retry_after_ms, message: "" }
}

fn identify(database: &mut SessionDatabase, now: u64) -> Result<Identity, Code> {
    let salt = random().map_err(|error| {
        tracing::error!(%error, "sync: no random bytes");
        Code::STORE_FAILED
    })?;
    database.identify(salt, now).map_err(|error| {
        tracing::error!(%error, "sync: no identity for a client");
        Code::STORE_FAILED
    })
}
