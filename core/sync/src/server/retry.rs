//! Retry of a refused entry: the operator submits it again in the name of its user.
//!
//! - SV7 A retry is a new entry of a new client, which passes the checks of every entry, or changes
//!   nothing.
//!
//! The entry keeps its stamp and its base, so it merges as if it had been delayed. A base that the
//! horizon has passed becomes the horizon (MR9). Specified in docs/sync.md#server-file.

use super::clients::unused;
use super::error::{Answer, EntryRefusal, RefusalCode, ServerError, ServerResult};
use super::layout::{ClientRecord, client_key, seq_key};
use super::refused::{REFUSED, RefusedRecord};
use super::replica::ServerReplica;
use super::state::StateTxn;
use super::submit::{Access, Batch};
use super::trees::{ReadTrees as _, put, put_meta};
use crate::chain::chain_hash;
use crate::entry::{
    Anchor, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, Value, decode, encode,
};
use crate::fault;
use std::collections::BTreeSet;

/// Last contact of a client that holds back no history.
const EXPIRED: u64 = 1;

/// A retry of a refused entry that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Its number among those that are kept.
    pub number: u64,
    /// Random salt of the client that the new entry is of.
    pub salt: u64,
    /// Time of the server, in milliseconds since 1970.
    pub now: u64,
}

impl ServerReplica {
    /// Submits a refused entry again, with the right to write. If it gets a seq, it is no longer
    /// kept; otherwise nothing has changed.
    ///
    /// # Errors
    /// [`ServerError::NotKept`] if no such entry exists, or its bytes are not kept; if all
    /// numbers of clients are used up; if the file cannot be read or written, or is damaged.
    pub fn retry(&self, retry: &Retry) -> ServerResult<Answer> {
        let mut txn = StateTxn::begin(self)?;
        let key = seq_key(retry.number);
        let kept: Option<RefusedRecord> = txn.trees().record(&key)?;
        let kept = kept.filter(|kept| !kept.entry.is_empty());
        let kept = kept.ok_or(ServerError::NotKept(retry.number))?;
        let mut meta = txn.trees().meta()?;
        let head = txn.trees().head(&meta)?;
        let Some(entry) = rewritten(&kept, meta.horizon.seq) else {
            let (code, operation) = (RefusalCode::Malformed, kept.refusal.operation);
            return Ok(Answer::Refused(EntryRefusal { code, operation }));
        };
        let id = unused(txn.trees(), meta.next_client)?;
        meta.next_client = id.checked_add(1).ok_or(ServerError::NoClientNumber)?;
        put_meta(txn.trees(), &meta)?;
        let client = new_client(&kept, retry, head.seq);
        let mut batch = Batch { txn, meta, head, id, client, now: retry.now };
        let answer = batch.submit(&entry, Access::Write)?;
        let Batch { mut txn, mut client, .. } = batch;
        if let Answer::Sequenced { .. } = answer {
            client.chain_hash = chain_hash(retry.salt, &entry);
            put(txn.trees(), &client_key(id), &client)?;
            if !fault::planted("NR-02") {
                txn.trees().tree(REFUSED)?.remove(&key)?;
            }
            txn.commit()?;
        }
        Ok(answer)
    }
}

/// Returns the record of the client of a retry, which never connects.
fn new_client(kept: &RefusedRecord, retry: &Retry, needs: u64) -> ClientRecord {
    ClientRecord {
        salt: retry.salt,
        user: kept.user.clone(),
        last_client_seq: 0,
        last_base: 0,
        last_stamp: 0,
        chain_hash: retry.salt,
        needs,
        contact: EXPIRED,
    }
}

/// Returns a refused entry as the first one of another client; `None` if it cannot be decoded.
fn rewritten(kept: &RefusedRecord, horizon: u64) -> Option<Vec<u8>> {
    let Entry { header, operations } = decode(&kept.entry).ok()?;
    let inserted = operations.iter().filter_map(|operation| {
        let Operation::Change { change: Change::ListInsert { element, .. }, .. } = operation else {
            return None;
        };
        Some(*element)
    });
    let client = kept.client;
    let is_own = |id: &ElementId| id.author == 0 || id.author == client;
    let inserted = inserted.filter(is_own).map(|id| id.number).collect();
    let author = Rewriter { client, inserted };
    let operations = operations.into_iter().map(|operation| author.operation(operation)).collect();
    let header = Header { client_seq: 1, base: header.base.max(horizon), stamp: header.stamp };
    encode(&Entry { header, operations }).ok()
}

/// Gives ids of a client the meaning that they had in its entry, in an entry of another client.
struct Rewriter {
    client: u32,
    /// Elements of the client that the entry inserts. They become elements of the new client,
    /// because the numbers of the first one may be used up.
    inserted: BTreeSet<u64>,
}

impl Rewriter {
    const fn object_id(&self, id: ElementId) -> ElementId {
        if id.author == 0 { ElementId { author: self.client, ..id } } else { id }
    }

    fn element(&self, id: ElementId) -> ElementId {
        let id = self.object_id(id);
        let is_new = id.author == self.client && self.inserted.contains(&id.number);
        if is_new { ElementId { author: 0, ..id } } else { id }
    }

    fn anchor(&self, anchor: Anchor) -> Anchor {
        match anchor {
            Anchor::Head => Anchor::Head,
            Anchor::After(id) => Anchor::After(self.element(id)),
            Anchor::Before(id) => Anchor::Before(self.element(id)),
        }
    }

    const fn object<'a>(&self, target: ObjectRef<'a>) -> ObjectRef<'a> {
        match target.key {
            Key::Generated(id) => {
                ObjectRef { key: Key::Generated(self.object_id(id)), class: target.class }
            }
            Key::Null | Key::Int(_) | Key::String(_) => target,
        }
    }

    const fn value<'a>(&self, value: Value<'a>) -> Value<'a> {
        if let Value::Link(target) = value { Value::Link(self.object(target)) } else { value }
    }

    fn operation<'a>(&self, operation: Operation<'a>) -> Operation<'a> {
        match operation {
            Operation::AddClass { .. } | Operation::AddProperty { .. } => operation,
            Operation::Create(target) => Operation::Create(self.object(target)),
            Operation::Delete(target) => Operation::Delete(self.object(target)),
            Operation::Change { target, property, change } => {
                let (target, change) = (self.object(target), self.change(change));
                Operation::Change { target, property, change }
            }
        }
    }

    fn change<'a>(&self, change: Change<'a>) -> Change<'a> {
        match change {
            Change::Set(value) => Change::Set(self.value(value)),
            Change::Increment(by) => Change::Increment(by),
            Change::ListInsert { element, anchor, value } => {
                let (element, anchor) = (self.element(element), self.anchor(anchor));
                Change::ListInsert { element, anchor, value: self.value(value) }
            }
            Change::ListSet { element, value } => {
                Change::ListSet { element: self.element(element), value: self.value(value) }
            }
            Change::ListRemove { element } => Change::ListRemove { element: self.element(element) },
            Change::ListMove { element, anchor } => {
                let (element, anchor) = (self.element(element), self.anchor(anchor));
                Change::ListMove { element, anchor }
            }
        }
    }
}
