//! Client reset: the server's state replaces the canonical one, and the client's own operations
//! that it does not contain are written again under a new identity.
//!
//! Each step is one transaction, and a client that was stopped continues with the next one. The
//! objects change in the last one only.
//!
//! - SY12 A reset reports one outcome for each operation; applied ones are pending.
//! - SY25 A reset drops only operations that its backup has.
//!
//! Specification: docs/sync.md#client-reset.

use super::error::{BadDownload, ClientError, ClientResult};
use super::fresh::{ResetState, SnapshotPart, clear_fresh, hash};
use super::layout::{FRESH, NUMBERS, ORDERED, PENDING, REFUSED, RESET, UNDO};
use super::meta::ClientMeta;
use super::old_state::OldState;
use super::originals::put_originals;
use super::own_entries::{OldEntries, OwnEntry, own_entries};
use super::pending::{self, AppliedEntry};
use super::rebase::{restore_local, working_author};
use super::refusals::{is_copied, take_refused};
use super::replica::ClientReplica;
use super::stored_report;
use crate::clock::STAMP_MAX;
use crate::entry::{self, Encoder, Header, Operation};
use crate::fault::{self, Fault};
use crate::merge::{Author, PENDING_SEQ};
use crate::outcome::Outcome;
use crate::reset::{Cause, CreatedObjects, ReportedRefusal, Reset, ResetReport};
use crate::table_state::{TableState, WINDOW_TREE};
use fastness::table::{ObjectId, Tables};
use fastness::{Error, FileErrorCause, Key, StoreSnapshot};
use std::path::Path;

/// Most attempts of a reset for one cause.
const ATTEMPTS_MAX: u64 = 2;

/// The beginning of a reset.
#[derive(Clone, Copy, Debug)]
pub struct ResetStart {
    /// The cause.
    pub cause: Cause,
    /// The new identity, and its proof; 0 if it comes later.
    pub client: u32,
    /// Its proof.
    pub ident_salt: u64,
}

/// A copy of the file before a reset.
#[derive(Clone, Copy, Debug)]
pub struct ResetBackup<'b> {
    /// Path of the copy.
    pub path: &'b Path,
    /// The key of the file, which is that of the copy too.
    pub key: Option<&'b Key>,
}

/// Treatment of the client's own operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetMode {
    /// They are written again.
    Recover,
    /// Those that the copy of the file has are dropped. Later ones, which the app wrote during the
    /// reset, are written again.
    Discard,
}

/// A snapshot that is being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResetProgress {
    /// Code of the cause.
    pub code: u16,
    /// The new identity; 0 if it is not known yet.
    pub client: u32,
    /// Number of the snapshot; 0 before the first part.
    pub snapshot: u64,
    /// Offset of the next part.
    pub offset: u64,
    /// Whether it is complete.
    pub is_complete: bool,
}

impl ClientReplica {
    /// Begins a reset: makes the backup and notes the cause. A reset that had begun begins again.
    ///
    /// # Errors
    /// [`ClientError::ResetFailed`] after two attempts for one cause; if the file cannot be read or
    /// written, or is damaged.
    pub fn begin_reset(
        &self,
        start: &ResetStart,
        backup: Option<ResetBackup<'_>>,
    ) -> ClientResult<()> {
        let mut txn = self.database().write()?;
        let snapshot = self.database().store().snapshot();
        let held = ResetState::in_snapshot(&snapshot)?;
        let attempts = held.as_ref().filter(|held| held.cause == start.cause.code());
        let attempts = attempts.map_or(0, |held| held.attempts);
        if attempts >= ATTEMPTS_MAX {
            return Err(ClientError::ResetFailed(start.cause));
        }
        if let Some(ResetBackup { path, key }) = &backup {
            self.database().store().copy(path, *key)?;
        }
        let backed_up = match &held {
            Some(held) if backup.is_none() => held.backed_up,
            _ => ClientMeta::of(txn.tables())?.last_client_seq,
        };
        let ResetStart { cause, client, ident_salt } = *start;
        let state = ResetState {
            cause: cause.code(),
            attempts: attempts + 1,
            client,
            ident_salt,
            backed_up: fault::client::drop_all(backed_up),
            ..fault::client::attempt_before(held)
        };
        clear_fresh(txn.tables().txn_mut(), &snapshot)?;
        state.put(txn.tables().txn_mut())?;
        txn.commit()?;
        Ok(())
    }

    /// Begins the reset in progress again, without another copy of the file: its snapshot is not
    /// the one that the server sent.
    ///
    /// # Errors
    /// [`ClientError::ResetFailed`] after two attempts; if the file cannot be read or written, or
    /// is damaged.
    pub fn repeat_reset(&self) -> ClientResult<()> {
        let held = ResetState::in_snapshot(&self.database().store().snapshot())?;
        let Some(ResetState { cause, client, ident_salt, .. }) = held else { return Ok(()) };
        let cause = Cause::of_code(cause).ok_or_else(|| self.damaged())?;
        self.begin_reset(&ResetStart { cause, client, ident_salt }, None)
    }

    /// Gives a reset in progress the identity that it did not begin with. Tells whether one is in
    /// progress.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn identify_reset(&self, client: u32, ident_salt: u64) -> ClientResult<bool> {
        let mut txn = self.database().write()?;
        let state = ResetState::in_snapshot(&self.database().store().snapshot())?;
        let Some(state) = state else { return Ok(false) };
        if state.client == 0 {
            ResetState { client, ident_salt, ..state }.put(txn.tables().txn_mut())?;
            txn.commit()?;
        }
        Ok(true)
    }

    /// Returns the reset in progress; none if there is none.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn reset_in_progress(&self) -> ClientResult<Option<ResetProgress>> {
        let state = ResetState::in_snapshot(&self.database().store().snapshot())?;
        Ok(state.map(|ResetState { cause, client, snapshot, offset, root, .. }| ResetProgress {
            code: cause,
            client,
            snapshot,
            offset,
            is_complete: root.is_some(),
        }))
    }

    /// Stores a part of the snapshot. A part of another snapshot begins it again; one that does not
    /// continue the stream is ignored.
    ///
    /// # Errors
    /// [`ClientError::Download`] if it is no part of a snapshot; if no reset has begun; if the file
    /// cannot be read or written, or is damaged.
    pub fn receive_snapshot(&self, part: &SnapshotPart<'_>) -> ClientResult<ResetProgress> {
        let mut txn = self.database().write()?;
        let snapshot = self.database().store().snapshot();
        let state = ResetState::in_snapshot(&snapshot)?;
        let state = state.filter(|_| part.seq < PENDING_SEQ);
        let mut state = state.ok_or(ClientError::Download(BadDownload::Snapshot))?;
        let tables = txn.tables();
        if state.snapshot != part.snapshot {
            state.restart(tables.txn_mut(), &snapshot)?;
        }
        if part.offset == state.offset && state.root.is_none() {
            let SnapshotPart { snapshot, epoch, seq, salt, horizon, .. } = *part;
            state = ResetState { snapshot, epoch, seq, salt, horizon, ..state };
            state.receive(tables.txn_mut(), part)?;
        }
        state.put(tables.txn_mut())?;
        txn.commit()?;
        let ResetState { cause, client, snapshot, offset, root, .. } = state;
        Ok(ResetProgress { code: cause, client, snapshot, offset, is_complete: root.is_some() })
    }

    /// Replaces the canonical state by the snapshot, which is complete, and writes the client's own
    /// operations again. Returns one outcome for each of them. The file keeps the report until
    /// [`ClientReplica::acknowledge_report`] (SY12).
    ///
    /// # Errors
    /// [`ClientError::Download`] if the snapshot is not the one that the server sent; if the file
    /// cannot be read or written, or is damaged.
    pub fn finish_reset(&self, mode: ResetMode) -> ClientResult<ResetReport> {
        let mut txn = self.database().write()?;
        let snapshot = self.database().store().snapshot();
        let state = ResetState::in_snapshot(&snapshot)?;
        let state = state.ok_or(ClientError::Download(BadDownload::Snapshot))?;
        if state.client == 0 || state.root != Some(hash(&snapshot)?) {
            return Err(BadDownload::Snapshot.into());
        }
        let stamp = self.clock().now();
        // The next download undoes the pending entries, and then it is known what they touch.
        self.clock().objects().clear();
        let is_observed = txn.is_observed();
        let step = Replacement::begin(txn.tables(), &snapshot, state, is_observed);
        let mut step = step.map_err(of_snapshot)?;
        let report = step.rewrite(mode, stamp).map_err(of_snapshot)?;
        let touched = step.finish(&report)?;
        txn.set_remote();
        txn.touched(touched);
        txn.commit()?;
        fault::client::end_reset(self)?;
        self.database().set_author(self.meta()?.client);
        Ok(report)
    }
}

/// A transaction that replaces the state.
struct Replacement<'t> {
    tables: &'t mut Tables,
    old: ClientMeta,
    meta: ClientMeta,
    cause: Cause,
    /// Number of the last own entry that the backup has.
    backed_up: u64,
    refused: Vec<ReportedRefusal>,
    own: Vec<OwnEntry>,
    states: OldState,
    created: CreatedObjects,
    touched: Vec<ObjectId>,
}

impl<'t> Replacement<'t> {
    fn begin(
        tables: &'t mut Tables,
        snapshot: &StoreSnapshot,
        state: ResetState,
        is_observed: bool,
    ) -> ClientResult<Self> {
        drop(tables.end_recording()?);
        let old = ClientMeta::of(tables)?;
        let cause = Cause::of_code(state.cause).ok_or(BadDownload::Snapshot)?;
        let mut pending = pending::entries(tables)?;
        let is_copied = cause == Cause::Cloned || is_copied(tables, (&old, &pending), snapshot)?;
        let refused = match is_copied {
            true => Vec::new(),
            false => take_refused(tables, (old.client, &mut pending), snapshot)?,
        };
        let (client, seq) = (old.client, state.seq);
        let old_entries = OldEntries { client, pending: &pending, is_copied, seq };
        let own = own_entries(tables, &old_entries, snapshot)?;
        let mut states = OldState::default();
        let mut touched = if is_observed { all_objects(tables)? } else { Vec::new() };
        each_operation(&own, &mut |operation| {
            states.record_order(&TableState::new(tables, WINDOW_TREE), operation)
        })?;
        pending::undo(tables, &mut |_| {})?;
        each_operation(&own, &mut |operation| {
            states.record_value(&TableState::new(tables, WINDOW_TREE), operation)
        })?;
        replace_trees(tables, snapshot)?;
        if is_observed {
            touched.append(&mut all_objects(tables)?);
        }
        let greatest = TableState::new(tables, WINDOW_TREE).greatest_stamp()?;
        if greatest > fault::client::stamps(STAMP_MAX) {
            return Err(BadDownload::Stamp.into());
        }
        let meta = ClientMeta {
            client: state.client,
            ident_salt: state.ident_salt,
            chain_hash: state.ident_salt,
            epoch: state.epoch,
            cursor: state.seq,
            cursor_salt: state.salt,
            horizon: state.horizon,
            // A later write wins over everything that the fresh state contains (MR7).
            last_stamp: old.last_stamp.max(greatest),
            durable_seq: 0,
            ..ClientMeta::default()
        };
        tables.set_author(meta.client);
        restore_local(tables)?;
        let created = CreatedObjects::default();
        let backed_up = state.backed_up;
        Ok(Self { tables, old, meta, cause, backed_up, refused, own, states, created, touched })
    }

    /// Decides on the client's own entries; returns the report.
    fn rewrite(&mut self, mode: ResetMode, now: u64) -> ClientResult<ResetReport> {
        let mut report = ResetReport::new(self.cause, self.old.client);
        std::mem::take(&mut self.refused).into_iter().for_each(|entry| report.push_refused(entry));
        for own in std::mem::take(&mut self.own) {
            let is_later = own.client == self.old.client && own.entry.client_seq > self.backed_up;
            let rewritten = match mode {
                ResetMode::Discard if !is_later => discarded(&own.entry.entry),
                ResetMode::Recover | ResetMode::Discard => self.recover(&own, now)?,
            };
            let outcomes = rewritten.ok_or_else(|| self.tables.damaged())?;
            report.push(&own.entry.entry, outcomes).map_err(|_| self.tables.damaged())?;
        }
        Ok(report)
    }

    /// Writes an entry again; returns the outcome of each operation.
    fn recover(&mut self, own: &OwnEntry, now: u64) -> ClientResult<Option<Vec<Outcome>>> {
        let Ok(old) = entry::decode(&own.entry.entry) else { return Ok(None) };
        let client = own.client;
        let stamp = now.max(self.meta.last_stamp.saturating_add(1));
        let client_seq = self.meta.last_client_seq + 1;
        let base = self.meta.cursor;
        let new_header = Header { client_seq, base, stamp };
        let new = working_author(&self.meta, new_header);
        let author = working_author(&ClientMeta { client, ..self.old }, old.header);
        drop(self.tables.record()?);
        let mut again = Vec::new();
        let mut outcomes = Vec::with_capacity(old.operations.len());
        let fresh = TableState::new(self.tables, WINDOW_TREE);
        let (canonical, working) = (&self.states, &self.states);
        let created = std::mem::take(&mut self.created);
        let mut reset = Reset { fresh, canonical, working, created };
        for operation in old.operations {
            let (written, outcome) = reset.recover(&author, &new, operation)?;
            again.extend(written);
            outcomes.push(outcome);
        }
        let mut touched = reset.fresh.take_touched();
        self.created = reset.created;
        self.touched.append(&mut touched);
        let images = self.tables.end_recording()?;
        if !again.is_empty() {
            let entry = encode(new_header, &again).ok_or_else(|| self.tables.damaged())?;
            let applied = AppliedEntry { client_seq, entry: &entry, outcomes: &[] };
            pending::put(self.tables, &applied, images.iter())?;
            put_originals(self.tables, (new.client, client_seq), &own.originals)?;
            self.meta.last_client_seq = client_seq;
            self.meta.last_stamp = stamp;
        }
        Ok(Some(outcomes))
    }

    fn finish(self, report: &ResetReport) -> ClientResult<Vec<ObjectId>> {
        stored_report::put(self.tables, report)?;
        self.meta.put(self.tables)?;
        if !fault::on(Fault::Rs01) {
            self.tables.txn_mut().tree(RESET)?.clear()?;
        }
        Ok(self.touched)
    }
}

/// Names the snapshot as the cause of objects that cannot be read: those of the file could be
/// read when the app wrote them.
fn of_snapshot(error: ClientError) -> ClientError {
    let is_malformed = matches!(
        &error,
        ClientError::File(Error::File { cause: FileErrorCause::MalformedObject, .. })
    );
    if is_malformed && !fault::planted("NR-75") { BadDownload::Snapshot.into() } else { error }
}

fn encode(header: Header, operations: &[Operation<'_>]) -> Option<Vec<u8>> {
    let mut encoder = Encoder::new(header).ok()?;
    operations.iter().try_for_each(|operation| encoder.push(operation)).ok()?;
    encoder.finish().ok()
}

fn discarded(bytes: &[u8]) -> Option<Vec<Outcome>> {
    let count = entry::decode(bytes).ok()?.operations.len();
    Some(vec![Outcome::Discarded; count])
}

/// Calls `visit` with each operation of own entries.
fn each_operation(
    entries: &[OwnEntry],
    visit: &mut dyn FnMut(Operation<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    for OwnEntry { client, entry, .. } in entries {
        let Ok(entry) = entry::decode(&entry.entry) else { continue };
        let meta = ClientMeta { client: *client, ..ClientMeta::default() };
        let author: Author = working_author(&meta, entry.header);
        entry.operations.iter().try_for_each(|operation| visit(author.resolve(*operation)))?;
    }
    Ok(())
}

/// Puts the trees of the snapshot in the place of those of the objects and of the window. No entry
/// is copied, so the transaction is small (T7).
fn replace_trees(tables: &mut Tables, snapshot: &StoreSnapshot) -> ClientResult<()> {
    tables.settle()?;
    if let Some(class) = tables.local_class_below(&format!("{FRESH}main"))? {
        return Err(ClientError::LocalClass(class));
    }
    let local = tables.local_definitions();
    let is_local =
        |tables: &Tables, name: &str| tables.is_local_entry(name, &[]) && !fault::on(Fault::Sn53);
    let next = tables.next_given_out()?;
    let held = snapshot.tree_names().filter(|name| name.starts_with("main/"));
    let held = held.filter(|name| !is_local(tables, name));
    let mut names: Vec<String> = held.map(str::to_owned).collect();
    names.extend(tables.class_trees());
    names.push(WINDOW_TREE.to_owned());
    names.extend([PENDING, UNDO, ORDERED, REFUSED, NUMBERS].map(str::to_owned));
    for name in names {
        tables.txn_mut().tree(&name)?.clear()?;
    }
    for name in snapshot.tree_names().filter(|name| name.starts_with(FRESH)) {
        if ![REFUSED, NUMBERS].contains(&name) {
            let to = name.strip_prefix(FRESH).unwrap_or_default();
            let to = if to == "window" { WINDOW_TREE } else { to };
            if is_local(tables, to) {
                return Err(BadDownload::Snapshot.into());
            }
            tables.txn_mut().move_tree(name, to)?;
        }
    }
    tables.put_local_definitions(&local)?;
    tables.reload(next)?;
    Ok(())
}

fn all_objects(tables: &Tables) -> ClientResult<Vec<ObjectId>> {
    let mut found = Vec::new();
    for name in tables.classes() {
        let Some(class) = tables.class_id(name) else { continue };
        let mut last = None;
        loop {
            let keys = tables.object_keys(name, last.as_ref())?;
            let Some(end) = keys.last().cloned() else { break };
            found.extend(keys.into_iter().map(|key| ObjectId { class, key }));
            last = Some(end);
        }
    }
    Ok(found)
}
