//! A database of a server in memory, by MR8, and a client file. Both check the promises that the
//! sessions owe them.

use fastness_sync::entry::{self, Change, Entry, Header, Key, ObjectRef, Operation, Operations};
use fastness_sync::frame::{Code, Download, Identity, Item, Resume, Resumed};
use fastness_sync::session::{Apply, EntryRejection, FileState};
use std::collections::{BTreeMap, BTreeSet};

/// Chain hash of what is before, and of some bytes (FNV-1a).
fn chain(before: u64, bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(before ^ 0xcbf2_9ce4_8422_2325, step)
}

/// One entry of a history: its client, its number and its bytes.
pub(crate) type Sequenced = (u32, u64, Vec<u8>);

#[derive(Debug, Default)]
pub(crate) struct ClientRecord {
    salt: u64,
    last_client_seq: u64,
    chain_hash: u64,
    refused: Vec<u64>,
    submitted: BTreeMap<u64, Vec<u8>>,
}

/// The database of a server.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) epoch: u64,
    pub(crate) horizon: u64,
    pub(crate) history: Vec<Sequenced>,
    salts: Vec<u64>,
    pub(crate) clients: BTreeMap<u32, ClientRecord>,
}

impl Database {
    pub(crate) fn new() -> Self {
        let (history, clients) = (Vec::new(), BTreeMap::new());
        Self { epoch: 77, horizon: 0, history, salts: vec![0], clients }
    }

    pub(crate) fn head(&self) -> u64 {
        self.history.len() as u64
    }

    /// Restores a backup of this many entries, under another epoch.
    pub(crate) fn restore(&mut self, count: usize) {
        self.epoch += 1;
        self.history.truncate(count);
        self.salts.truncate(count + 1);
        for (client, record) in &mut self.clients {
            let own = self.history.iter().filter(|(of, ..)| of == client);
            record.last_client_seq = own.map(|(_, number, _)| *number).max().unwrap_or(0);
            record.refused.retain(|number| *number <= record.last_client_seq);
            record.chain_hash = record.salt;
            let kept = record.submitted.range(..=record.last_client_seq);
            for (_, bytes) in kept {
                record.chain_hash = chain(record.chain_hash, bytes);
            }
            record.submitted.split_off(&(record.last_client_seq + 1));
        }
    }

    pub(crate) fn identify(&mut self) -> Identity {
        let client = u32::try_from(self.clients.len() + 1).unwrap();
        let salt = u64::from(client) * 1_000_003;
        let record = ClientRecord { salt, chain_hash: salt, ..ClientRecord::default() };
        self.clients.insert(client, record);
        Identity { client, client_salt: salt }
    }

    /// State for a client, or the code that the design gives for it.
    pub(crate) fn resume(&self, of: &Resume) -> Result<(Resumed, Vec<EntryRejection>), Code> {
        let record = self.clients.get(&of.client).filter(|record| record.salt == of.client_salt);
        let record = record.ok_or(Code::UNKNOWN_CLIENT)?;
        if of.epoch != 0 && of.epoch != self.epoch {
            return Err(Code::DIVERGED);
        }
        let salt = usize::try_from(of.cursor).ok().and_then(|cursor| self.salts.get(cursor));
        if *salt.ok_or(Code::BAD_CURSOR)? != of.cursor_salt {
            return Err(Code::DIVERGED);
        }
        if of.cursor < self.horizon || of.oldest_base < self.horizon {
            return Err(Code::EXPIRED);
        }
        if of.last_client_seq == record.last_client_seq && of.chain_hash != record.chain_hash {
            return Err(Code::CLONED);
        }
        let resumed = Resumed {
            epoch: self.epoch,
            head: self.head(),
            horizon: self.horizon,
            durable_seq: self.head(),
            last_client_seq: record.last_client_seq,
            chain_hash: record.chain_hash,
        };
        let above = record.refused.iter().filter(|number| **number > of.last_client_seq);
        Ok((resumed, above.map(|number| rejection(*number)).collect()))
    }

    /// Sequences entries of a client, by MR8.
    pub(crate) fn submit(
        &mut self,
        client: u32,
        entries: &[Vec<u8>],
    ) -> Result<(u64, Vec<EntryRejection>), Code> {
        let record = self.clients.get_mut(&client).unwrap();
        let mut rejected = Vec::new();
        for bytes in entries {
            let operations = Operations::new(bytes).unwrap();
            let number = operations.header().client_seq;
            if number > record.last_client_seq + 1 {
                return Err(Code::GAP);
            }
            if number == record.last_client_seq + 1 {
                record.last_client_seq = number;
                record.chain_hash = chain(record.chain_hash, bytes);
                record.submitted.insert(number, bytes.clone());
                if is_poison(bytes) {
                    record.refused.push(number);
                } else {
                    let before = self.salts.last().copied().unwrap();
                    self.salts.push(chain(before, bytes));
                    self.history.push((client, number, bytes.clone()));
                }
            }
            if record.refused.contains(&number) {
                rejected.push(rejection(number));
            }
        }
        Ok((record.last_client_seq, rejected))
    }

    /// Entries behind `from`, for a client; at most so many bytes.
    pub(crate) fn download(&self, client: u32, from: u64, bytes_max: usize) -> Download<'_> {
        let start = usize::try_from(from).unwrap();
        let (mut items, mut bytes) = (Vec::new(), 0);
        for (author, number, entry) in &self.history[start..] {
            if !items.is_empty() && bytes + entry.len() > bytes_max {
                break;
            }
            bytes += entry.len();
            items.push(match *author == client {
                true => Item::Own { client_seq: *number, stamp: 5 },
                false => Item::Entry { client: *author, entry },
            });
        }
        Download {
            from,
            salt: self.salts[start + items.len()],
            head: self.head(),
            horizon: self.horizon,
            durable_seq: self.head(),
            bytes_left: 0,
            items,
        }
    }
}

fn rejection(client_seq: u64) -> EntryRejection {
    let reason = "a conflicting definition".to_owned();
    EntryRejection { client_seq, code: Code::SCHEMA_CONFLICT, operation: Some(0), reason }
}

/// A client file.
#[derive(Debug, Default)]
pub(crate) struct ClientFile {
    pub(crate) client: u32,
    salt: u64,
    epoch: u64,
    pub(crate) cursor: u64,
    cursor_salt: u64,
    pub(crate) applied: Vec<(u32, u64)>,
    /// Entries by their numbers; they stay here after they are acknowledged.
    pub(crate) written: BTreeMap<u64, Vec<u8>>,
    pub(crate) durable: u64,
    pub(crate) acknowledged: u64,
    pub(crate) dead_letters: Vec<u64>,
}

impl ClientFile {
    /// Writes an entry, which is not durable yet.
    pub(crate) fn write(&mut self, is_poison: bool, size: usize) {
        let client_seq = self.written.len() as u64 + 1;
        let header = Header { client_seq, base: self.cursor, stamp: 5 };
        let text = "x".repeat(size);
        let class = if is_poison { "Poison" } else { "Item" };
        let target = ObjectRef { class, key: Key::Int(client_seq.cast_signed()) };
        let set = Operation::Change {
            target,
            property: "text",
            change: Change::Set(entry::Value::String(&text)),
        };
        let bytes = entry::encode(&Entry { header, operations: vec![set] }).unwrap();
        self.written.insert(client_seq, bytes);
    }

    pub(crate) fn make_durable(&mut self) {
        self.durable = self.written.len() as u64;
    }

    fn oldest_base(&self) -> u64 {
        let pending = self.written.range(self.acknowledged + 1..).next();
        let base = pending.map(|(_, bytes)| Operations::new(bytes).unwrap().header().base);
        base.unwrap_or(self.cursor).min(self.cursor)
    }

    pub(crate) fn state(&self) -> FileState {
        FileState {
            client: self.client,
            client_salt: self.salt,
            epoch: self.epoch,
            cursor: self.cursor,
            cursor_salt: self.cursor_salt,
            last_client_seq: self.answered(),
            chain_hash: self.chain_hash(self.answered()),
            oldest_base: self.oldest_base(),
            durable_client_seq: self.durable,
        }
    }

    /// The last entry whose outcome is known, and that of all before it.
    fn answered(&self) -> u64 {
        let own = self.applied.iter().filter(|(client, _)| *client == self.client);
        let own: BTreeSet<u64> = own.map(|(_, number)| *number).collect();
        let is_known = |number: &u64| own.contains(number) || self.dead_letters.contains(number);
        (1..).take_while(is_known).last().unwrap_or(0)
    }

    pub(crate) fn chain_hash(&self, client_seq: u64) -> u64 {
        self.written.range(..=client_seq).fold(self.salt, |hash, (_, bytes)| chain(hash, bytes))
    }

    pub(crate) fn identify(&mut self, identity: &Identity) {
        (self.client, self.salt) = (identity.client, identity.client_salt);
    }

    /// Durable entries from a number on, and the oldest base.
    pub(crate) fn pending(&self, from: u64, to: u64, bytes_max: usize) -> (u64, Vec<Vec<u8>>) {
        assert!(to <= self.durable, "SY19: entry {to} is read before it is durable");
        let (mut entries, mut bytes) = (Vec::new(), 0);
        for entry in self.written.range(from..=to).map(|(_, entry)| entry) {
            if !entries.is_empty() && bytes + entry.len() > bytes_max {
                break;
            }
            bytes += entry.len();
            entries.push(entry.clone());
        }
        (self.oldest_base(), entries)
    }

    /// Applies a download: it must follow the cursor exactly. Over an ordered link, the answer to
    /// an own entry comes before the entry.
    pub(crate) fn apply(&mut self, apply: &Apply<'_>, is_ordered: bool) {
        if apply.to <= self.cursor {
            // It belongs to an earlier binding, whose work was still queued.
            return;
        }
        assert_eq!(apply.from, self.cursor, "SY8: a download that does not follow");
        for (seq, item) in (apply.from + 1..).zip(&apply.items) {
            self.cursor_salt = match item {
                Item::Entry { client, entry } => {
                    assert_ne!(*client, self.client, "SY8: an own entry at {seq} in full");
                    let number = Operations::new(entry).unwrap().header().client_seq;
                    self.applied.push((*client, number));
                    chain(self.cursor_salt, entry)
                }
                Item::Own { client_seq, .. } => {
                    assert!(*client_seq <= self.durable, "SY19: {client_seq} was never durable");
                    let is_answered = *client_seq <= self.acknowledged || !is_ordered;
                    assert!(is_answered, "FR6: {client_seq} arrives before its acknowledgement");
                    self.applied.push((self.client, *client_seq));
                    self.acknowledged = self.acknowledged.max(*client_seq);
                    chain(self.cursor_salt, &self.written[client_seq])
                }
            };
        }
        assert_eq!(self.cursor_salt, apply.salt, "SY8: another history");
        (self.cursor, self.epoch) = (apply.to, apply.epoch);
    }

    /// Notes an acknowledgement. False if the server has other entries of the client.
    #[must_use]
    pub(crate) fn acknowledge(
        &mut self,
        client_seq: u64,
        hash: Option<u64>,
        is_ordered: bool,
    ) -> bool {
        assert!(client_seq <= self.durable, "SY19: {client_seq} is acknowledged, but not durable");
        if hash.is_some_and(|hash| hash != self.chain_hash(client_seq)) {
            return false;
        }
        for (number, bytes) in self.written.range(..=client_seq).filter(|_| is_ordered) {
            let is_known = !is_poison(bytes) || self.dead_letters.contains(number);
            assert!(is_known, "FR6: {number} is acknowledged before it is refused");
        }
        self.acknowledged = self.acknowledged.max(client_seq);
        true
    }

    /// Drops the history, as a reset does; the entries of the client stay.
    pub(crate) fn start_again(&mut self) {
        (self.epoch, self.cursor, self.cursor_salt) = (0, 0, 0);
        self.applied.clear();
    }

    /// Drops the identity: all entries that are not acknowledged are written again.
    pub(crate) fn forget_identity(&mut self) {
        (self.client, self.salt, self.acknowledged) = (0, 0, 0);
        self.dead_letters.clear();
    }

    /// Entries up to a number are in the history that the file has, or refused.
    pub(crate) fn conclude(&mut self, client_seq: u64) {
        for number in 1..=client_seq {
            let is_applied = self.applied.contains(&(self.client, number));
            let is_refused = self.written.get(&number).is_some_and(|bytes| is_poison(bytes));
            assert!(is_applied || is_refused, "SY4: {number} counts as refused");
        }
    }

    pub(crate) fn reject(&mut self, client_seq: u64) {
        if !self.dead_letters.contains(&client_seq) {
            self.dead_letters.push(client_seq);
        }
    }
}

pub(crate) fn is_poison(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|window| window == b"Poison")
}
