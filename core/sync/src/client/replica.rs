//! The face of a client's replica.

use super::download::{DeadLetter, Download, Merged, Refusal};
use super::error::ClientResult;
use super::layout::{DEAD_LETTERS, PENDING, entry_key, number_key, read_number};
use super::meta::ClientMeta;
use super::pending::entry_of;
use super::rebase::{Pending, Rebase, header};
use super::touched::TouchedObjects;
use super::write::{self, CommitContext};
use crate::clock::Clock;
use crate::fault::{self, Fault};
use fastness::Error;
use fastness::object::{Database, ReplicaHook, Transaction};
use fastness::table::{ObjectId, Tables};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A callback that returns the local time, in milliseconds since 1970.
pub type LocalTime = dyn Fn() -> u64 + Send + Sync;

/// Entries to upload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upload {
    /// Numbers and encoded entries, oldest first.
    pub entries: Vec<(u64, Vec<u8>)>,
    /// Least base of the pending entries; the cursor if nothing is pending.
    pub oldest_base: u64,
}

/// The clock of a client, and where it reads local time.
struct ClientClock {
    clock: Mutex<Clock>,
    local: Box<LocalTime>,
    objects: Mutex<TouchedObjects>,
    is_slow: AtomicBool,
}

/// The client's replica of a database.
///
/// A database is opened with the [`ReplicaClock::hook`], and then given to [`ClientReplica::new`].
#[derive(Clone, Debug)]
pub struct ClientReplica {
    database: Database,
    clock: ReplicaClock,
}

/// The clock of a replica, and its hook for a database.
#[derive(Clone)]
pub struct ReplicaClock(Arc<ClientClock>);

impl std::fmt::Debug for ReplicaClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReplicaClock").field(&self.clock()).finish()
    }
}

impl ReplicaClock {
    /// Makes a clock that reads local time, for one database.
    #[must_use]
    pub fn new(local: Box<LocalTime>) -> Self {
        let (clock, objects, is_slow) = Default::default();
        Self(Arc::new(ClientClock { clock, local, objects, is_slow }))
    }

    /// Undoes and redoes all pending entries for every change from now on, for comparison with the
    /// fast path (SY11).
    pub fn use_slow_path(&self) {
        self.0.is_slow.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_slow(&self) -> bool {
        self.0.is_slow.load(Ordering::Relaxed)
    }

    /// The objects of pending entries; the holder has the write transaction.
    pub(super) fn objects(&self) -> MutexGuard<'_, TouchedObjects> {
        self.0.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clock(&self) -> Clock {
        *self.0.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the local time.
    pub(super) fn now(&self) -> u64 {
        (self.0.local)()
    }

    /// Notes the server's time, in milliseconds since 1970.
    pub fn synchronize(&self, server: u64) {
        let local = (self.0.local)();
        let mut clock = self.0.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.synchronize(server, local);
    }

    /// Returns the hook that makes an entry of each commit; for
    /// [`fastness::object::DatabaseOptions::replica_hook`].
    #[must_use]
    pub fn hook(&self) -> Arc<ReplicaHook> {
        let clock = self.clone();
        Arc::new(move |commit| {
            let (now, is_slow) = (clock.now(), clock.is_slow());
            let objects = &mut clock.objects();
            write::commit(commit, CommitContext { clock: clock.clock(), now, objects, is_slow })
        })
    }
}

impl ClientReplica {
    /// Makes the replica of a database that was opened with the hook of a clock.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn new(database: Database, clock: ReplicaClock) -> ClientResult<Self> {
        let replica = Self { database, clock };
        fault::client::queue_again(&replica)?;
        replica.database.set_author(replica.meta()?.client);
        Ok(replica)
    }

    /// Returns the database.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Returns the clock.
    #[must_use]
    pub const fn clock(&self) -> &ReplicaClock {
        &self.clock
    }

    /// Returns the client's metadata.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn meta(&self) -> ClientResult<ClientMeta> {
        let snapshot = self.database.store().snapshot();
        let meta = ClientMeta::in_snapshot(&snapshot)?;
        meta.ok_or_else(|| self.damaged().into())
    }

    pub(super) fn damaged(&self) -> Error {
        let path = self.database.store().path().to_path_buf();
        Error::File { path, cause: fastness::FileErrorCause::MalformedObject }
    }

    /// Returns the pending entries after a number, at most so many bytes but one at least, and
    /// makes them durable first (SY19).
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn upload_after(&self, client_seq: u64, bytes_max: usize) -> ClientResult<Upload> {
        let snapshot = self.database.store().snapshot();
        if !fault::on(Fault::Sn38) {
            self.database.store().sync()?;
        }
        let meta = ClientMeta::in_snapshot(&snapshot)?.ok_or_else(|| self.damaged())?;
        let tree = snapshot.tree(PENDING);
        let mut upload = Upload { entries: Vec::new(), oldest_base: meta.cursor };
        if let Some((_, oldest)) = tree.first()? {
            let oldest = entry_of(&oldest).and_then(header).ok_or_else(|| self.damaged())?;
            upload.oldest_base = oldest.base;
        }
        let Some(first) = client_seq.checked_add(1) else { return Ok(upload) };
        let mut bytes = 0;
        for entry in tree.range(&number_key(first)[..]..)? {
            let (key, record) = entry?;
            let entry = entry_of(&record).ok_or_else(|| self.damaged())?;
            bytes += entry.len();
            if !upload.entries.is_empty() && bytes > bytes_max {
                break;
            }
            let number = read_number(&key).ok_or_else(|| self.damaged())?;
            upload.entries.push((number, entry.to_vec()));
        }
        Ok(upload)
    }

    /// Returns the number of the oldest pending entry; none if nothing is pending.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn first_pending(&self) -> ClientResult<Option<u64>> {
        let first = self.database.store().snapshot().tree(PENDING).first()?;
        let number = |key: &[u8]| read_number(key).ok_or_else(|| self.damaged());
        Ok(first.map(|(key, _)| number(&key)).transpose()?)
    }

    /// Applies a download. One that was applied before changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Download`](super::ClientError::Download) if it is a part of no history; if
    /// the file cannot be read or written, or is damaged. Nothing is changed then.
    pub fn download(&self, download: &Download<'_>) -> ClientResult<Merged> {
        self.rebase(|rebase| {
            let to = download.from.checked_add(download.items.len() as u64);
            let cursor = rebase.meta.cursor;
            let is_applied = download.from < cursor && to.is_some_and(|to| to <= cursor);
            if is_applied && !fault::on(Fault::Sy09) {
                return Ok(Merged::default());
            }
            rebase.download(download)
        })
    }

    /// Takes an entry out that the server refused for ever. Tells whether that is new.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn refuse(&self, client_seq: u64, refusal: Refusal) -> ClientResult<bool> {
        Ok(!self.refuse_all(&[(client_seq, refusal)])?.is_empty())
    }

    /// Takes entries out that the server refused for ever, in one transaction. Returns those of
    /// which that is new.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn refuse_all(&self, refused: &[(u64, Refusal)]) -> ClientResult<Vec<(u64, Refusal)>> {
        let mut new = Vec::new();
        if refused.is_empty() {
            return Ok(new);
        }
        self.rebase(|rebase| {
            for (client_seq, refusal) in refused {
                if rebase.refuse(*client_seq, *refusal)? {
                    new.push((*client_seq, *refusal));
                }
            }
            Ok(())
        })?;
        Ok(new)
    }

    /// Takes the pending entries up to a number out: they were refused, because the file has the
    /// history that could contain them. Returns their numbers.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn refuse_up_to(&self, client_seq: u64) -> ClientResult<Vec<u64>> {
        self.rebase(|rebase| Ok(rebase.refuse_up_to(client_seq)?))
    }

    /// Gives the client the identity that it got from the server. One that it has already is kept.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn identify(&self, client: u32, ident_salt: u64) -> ClientResult<()> {
        self.rebase(|rebase| {
            if rebase.meta.client == 0 {
                rebase.undo()?;
                rebase.meta.client = client;
                rebase.meta.ident_salt = ident_salt;
                rebase.meta.chain_hash = ident_salt;
            }
            Ok(())
        })?;
        self.database.set_author(self.meta()?.client);
        Ok(())
    }

    /// Calls `body` with the tables in the canonical state, in a transaction that is dropped.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged; the error of `body`.
    pub fn canonical<T>(
        &self,
        body: impl FnOnce(&mut Tables) -> ClientResult<T>,
    ) -> ClientResult<T> {
        let mut txn = self.database.write()?;
        // The objects of the pending entries stay the same: the transaction is dropped.
        let mut objects = TouchedObjects::default();
        let pending = Pending { objects: &mut objects, is_slow: true, is_observed: false };
        let rebase = Rebase::begin(txn.tables(), pending)?;
        body(rebase.tables)
    }

    /// Purges the window up to the horizon (MR9), in transactions of bounded size.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn compact(&self) -> ClientResult<()> {
        let mut part = self.rebase(|rebase| Ok(rebase.purge(None)?))?;
        while part.is_some() {
            part = self.rebase(|rebase| Ok(rebase.purge(part)?))?;
        }
        Ok(())
    }

    /// Returns the refused entries of all identities of the file, oldest first.
    /// [`ClientReplica::dead_letters_after`] reads those of a file that may have many.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn dead_letters(&self) -> ClientResult<Vec<DeadLetter>> {
        self.dead_letters_after(None, usize::MAX)
    }

    /// Returns refused entries after one of a client with a number, at most so many bytes of them,
    /// but one at least; none at the end.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn dead_letters_after(
        &self,
        after: Option<(u32, u64)>,
        bytes_max: usize,
    ) -> ClientResult<Vec<DeadLetter>> {
        let snapshot = self.database.store().snapshot();
        let after = after.map(|(client, client_seq)| entry_key(client, client_seq));
        let first = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let (mut letters, mut bytes): (Vec<DeadLetter>, usize) = (Vec::new(), 0);
        for entry in snapshot.tree(DEAD_LETTERS).range((first, Bound::Unbounded))? {
            let (key, value) = entry?;
            bytes += value.len();
            if !letters.is_empty() && bytes > bytes_max {
                break;
            }
            letters.push(DeadLetter::decode(&key, &value).ok_or_else(|| self.damaged())?);
        }
        Ok(letters)
    }

    /// Runs `body`, which undoes the pending entries if it has to, redoes them, and commits.
    fn rebase<T>(&self, body: impl FnOnce(&mut Rebase<'_>) -> ClientResult<T>) -> ClientResult<T> {
        let outcome = self.try_rebase(body);
        if outcome.is_err() && !fault::on(Fault::Sn46) {
            // The memory of the pending entries may be ahead of the file.
            self.clock.objects().clear();
        }
        outcome
    }

    fn try_rebase<T>(
        &self,
        body: impl FnOnce(&mut Rebase<'_>) -> ClientResult<T>,
    ) -> ClientResult<T> {
        let mut txn = self.database.write()?;
        let mut objects = self.clock.objects();
        let (is_slow, is_observed) = (self.clock.is_slow(), txn.is_observed());
        let pending = Pending { objects: &mut objects, is_slow, is_observed };
        let mut rebase = Rebase::begin(txn.tables(), pending)?;
        let outcome = body(&mut rebase)?;
        let meta = rebase.meta;
        let touched = rebase.finish()?;
        drop(objects);
        commit(txn, touched)?;
        fault::client::put_cursor(self, meta)?;
        Ok(outcome)
    }
}

fn commit(mut txn: Transaction, touched: Vec<ObjectId>) -> ClientResult<()> {
    txn.set_remote();
    txn.touched(touched);
    txn.commit()?;
    Ok(())
}
