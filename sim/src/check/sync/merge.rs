//! Merge: the entries of clients that write at once, in any order of delivery, in a world so small
//! that they meet. No network and no process is between them.
//!
//! The server's state is folded in memory, in tables and in the model, operation by operation, with
//! purges at every horizon that the clients permit.
//!
//! - SY1 Replicas with one cursor show the state of the server at it.
//! - SY2 The fold is that of the model, and the statement without an order.
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - SY9 A purge changes nothing that is visible, then or later.
//! - B13 Verification finds nothing in the tables.

use super::super::compare::CheckError;
use super::super::store_harness::unexpected;
use super::super::world::World;
use super::domain::{ModelNames, foundation};
use super::edit::{JOINS, View, rival};
use super::replica::{OwnEntry, Replica, Snapshot};
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use crate::check::promises::{B13, SY1, SY2, SY3, SY9, SY16};
use crate::fs::Disk;
use fastness::Store;
use fastness::table::Tables;
use fastness_models::merge::fold::State;
use fastness_models::merge::server::{Answer, Server};
use fastness_models::merge::statement::Statement;
use fastness_models::merge::{Effect as ModelEffect, PENDING, SyncEntry, without_order};
use fastness_models::{Op, OpKind};
use fastness_sync::chain::salt;
use fastness_sync::entry::{Header, Operations};
use fastness_sync::merge::{Author, Effect, Memory, apply};
use fastness_sync::server::{ClientIdentity, HistoryItem, HistoryPart, ServerStatus};
use fastness_sync::table_state::{TableState, WINDOW_TREE};
use std::path::Path;

pub(in crate::check) const CHECK: Check = Check {
    name: "merge",
    about: "entries of clients that write at once, merged in memory, in tables and in the model",
    invariants: &[SY1, SY2, SY3, SY9, SY16, B13],
    marks: &[
        "effect: applied",
        "effect: unchanged",
        "effect: absent",
        "effect: deleted",
        "effect: overridden",
        "an entry was merged after a purge",
        "pending entries were applied again",
        "the tables were committed",
        "the statement without an order was compared",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 14),
            (OpKind::Delete, 9),
            (OpKind::Set, 12),
            (OpKind::Add, 4),
            (OpKind::ListInsert, 16),
            (OpKind::ListEdit, 22),
            (OpKind::Deliver, 44),
            (OpKind::AdvanceClock, 14),
            (OpKind::SetClock, 2),
            (OpKind::Compact, 5),
            (OpKind::Commit, 1),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body,
};

/// Clients that write.
const CLIENTS: usize = 3;
const START_MS: u64 = 1_700_000_000_000;
/// Skews of which a plan selects one: none, and clocks ahead, behind and far ahead.
const SKEWS_MS: [i64; 4] = [0, 40, -1_000, 1_000_000];
/// Longest history that is compared with the statement, whose cost grows with its square.
const STATED_MAX: usize = 60;
const EPOCH: u64 = 1;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut harness =
        MergeHarness::start(&world, probe).map_err(|error| unexpected(error, SY2.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.probe.count(op.kind.name(), 1);
        harness.probe.line(|| format!("{step:4} {op}"));
        harness.step(*op).map_err(|error| unexpected(error, SY2.id).at(step))?;
    }
    harness.settle().map_err(|error| unexpected(error, SY2.id).at(plan.ops.len()))
}

/// A client, and the number of its last entry that was delivered.
struct Writing {
    replica: Replica,
    delivered: u64,
    skew_ms: i64,
}

struct MergeHarness<'p> {
    probe: &'p mut Probe,
    now_ms: u64,
    store: Store,
    /// The server's state in tables; the transaction goes on.
    tables: Tables,
    /// The server's state in memory.
    memory: Memory,
    server: Server,
    /// The fold of the model after each entry, never purged.
    folds: Vec<State>,
    names: ModelNames,
    /// The entries with their effective stamps.
    history: Vec<OwnEntry>,
    salts: Vec<u64>,
    clients: Vec<Writing>,
    /// Distinguishes values.
    value: i64,
}

fn open(store: &Store) -> Result<Tables, fastness::Error> {
    Tables::open(store.write()?, "main")
}

impl<'p> MergeHarness<'p> {
    fn start(world: &World, probe: &'p mut Probe) -> Result<Self, CheckError> {
        let fs = world.boot(Disk::default());
        let store = world.options(&fs).create(Path::new("/sim/merge.fast"))?;
        let clients = (1..).take(CLIENTS).map(|client| {
            let identity = ClientIdentity { client, salt: 7 };
            let snapshot = Snapshot { epoch: EPOCH, ..Snapshot::default() };
            Writing { replica: Replica::new(identity, snapshot), delivered: 0, skew_ms: 0 }
        });
        let mut harness = Self {
            probe,
            now_ms: START_MS,
            tables: open(&store)?,
            store,
            memory: Memory::default(),
            server: Server::new(None),
            folds: vec![State::new(None)],
            names: ModelNames::default(),
            history: Vec::new(),
            salts: vec![0],
            clients: clients.collect(),
            value: 0,
        };
        let replica = &mut harness.clients[0].replica;
        let draft = replica.draft(START_MS, &mut |writer| writer.push_all(foundation()));
        replica.commit(draft).map_err(malformed)?;
        harness.deliver(0)?;
        (0..CLIENTS).try_for_each(|index| harness.download(index, usize::MAX))?;
        Ok(harness)
    }

    fn step(&mut self, op: Op) -> Result<(), CheckError> {
        self.now_ms += 1;
        let index = usize::from(op.a & !JOINS) % CLIENTS;
        match op.kind {
            OpKind::Deliver => self.deliver(index),
            OpKind::AdvanceClock => self.download(index, 1 + usize::from(op.b) % 6),
            OpKind::SetClock => {
                self.clients[index].skew_ms = SKEWS_MS[usize::from(op.b) % SKEWS_MS.len()];
                Ok(())
            }
            OpKind::Compact => self.purge(),
            OpKind::Commit => self.commit(),
            _ => {
                self.write(op)?;
                rival(op).map_or(Ok(()), |rival| self.write(rival))
            }
        }
    }

    /// Writes an entry of one edit.
    fn write(&mut self, op: Op) -> Result<(), CheckError> {
        self.value += 1;
        let Self { clients, names, folds, value, now_ms, .. } = self;
        let schema = folds.last().map(State::schema).cloned().unwrap_or_default();
        let Writing { replica, skew_ms, .. } = &mut clients[usize::from(op.a & !JOINS) % CLIENTS];
        let local_ms = now_ms.saturating_add_signed(*skew_ms);
        let draft = replica.draft(local_ms, &mut |writer| {
            let visible = names.visible(writer.state, &schema);
            let view = View { visible: &visible, schema: &schema, names, value: *value };
            view.edit(op).into_iter().for_each(|edit| writer.edit(edit));
        });
        replica.commit(draft).map_err(malformed)?;
        Ok(())
    }

    /// Gives the next entry of a client its place in the history.
    fn deliver(&mut self, index: usize) -> Result<(), CheckError> {
        let client = &mut self.clients[index];
        let Some(own) = client.replica.entry(client.delivered + 1).cloned() else { return Ok(()) };
        client.delivered += 1;
        let entry = self.names.entry((own.client, PENDING), &own.bytes).map_err(malformed)?;
        let answer = self.server.submit(&entry, self.now_ms);
        let Ok(Answer::Sequenced(seq)) = answer else {
            return Err(Violation::new(SY16.id, format!("{entry:?} is {answer:?}")).into());
        };
        let Some(sequenced) = self.server.history.last().cloned() else { return Ok(()) };
        let stamped = Operations::with_stamp(&own.bytes, sequenced.stamp).map_err(malformed)?;
        self.salts.push(salt(self.salts[self.salts.len() - 1], own.client, &stamped));
        let is_purged = self.server.horizon() > 0;
        if is_purged {
            self.probe.mark("an entry was merged after a purge");
        }
        self.apply(&sequenced, &stamped)?;
        let mut ordered = own;
        ordered.header.stamp = sequenced.stamp;
        (ordered.bytes, ordered.sequenced) = (stamped, Some((seq, sequenced.stamp)));
        self.history.push(ordered);
        self.compare()
    }

    /// Applies an entry everywhere, and compares the effects of its operations.
    fn apply(&mut self, entry: &SyncEntry, bytes: &[u8]) -> Result<(), CheckError> {
        let mut fold = self.folds.last().cloned().unwrap_or_default();
        let expected = fold.apply(entry);
        self.folds.push(fold);
        let &SyncEntry { seq, client, client_seq, base, stamp, .. } = entry;
        let author = Author { seq, client, client_seq, base, stamp };
        let operations = Operations::new(bytes).map_err(malformed)?;
        for (operation, expected) in operations.zip(expected) {
            let operation = operation.map_err(malformed)?;
            let Ok(in_memory) = apply(&mut self.memory, &author, operation);
            let mut state = TableState::new(&mut self.tables, WINDOW_TREE);
            let in_tables = apply(&mut state, &author, operation)?;
            let expected = effect(expected);
            self.probe.mark(mark(expected));
            // A purged state does not know why an operation is without effect.
            let is_equal = [in_memory, in_tables].iter().all(|found| *found == expected);
            if !is_equal && self.server.horizon() == 0 {
                let text = format!("{operation:?} of {client} is {in_memory:?} in memory and ");
                let text = text + &format!("{in_tables:?} in tables, not {expected:?}");
                return Err(Violation::new(SY2.id, text).into());
            }
        }
        Ok(())
    }

    /// Lets a client download entries.
    fn download(&mut self, index: usize, count: usize) -> Result<(), CheckError> {
        let replica = &mut self.clients[index].replica;
        let (from, client) = (replica.cursor, replica.identity.client);
        let first = usize::try_from(from).unwrap_or(usize::MAX);
        let entries = self.history.iter().skip(first).take(count);
        let items: Vec<HistoryItem> = entries.map(|entry| item(entry, client)).collect();
        let to = from + items.len() as u64;
        let salt = self.salts[first + items.len()];
        let horizon = self.server.horizon();
        let (head, history_bytes) = (self.server.head(), 0);
        let (epoch, database, durable_seq) = (EPOCH, [1; 16], head);
        let server =
            ServerStatus { database, epoch, head, salt, horizon, durable_seq, history_bytes };
        let part = HistoryPart { server, to, salt, bytes_left: 0, items };
        if let Err(error) = replica.download(&part, from) {
            return Err(Violation::new(SY1.id, format!("a download fails: {error:?}")).into());
        }
        self.compare_client(index)
    }

    /// Compares a client with the model.
    fn compare_client(&mut self, index: usize) -> Result<(), CheckError> {
        let Self { clients, folds, names, probe, .. } = self;
        let replica = &clients[index].replica;
        let canonical = &folds[usize::try_from(replica.cursor).unwrap_or(usize::MAX)];
        let mut working = canonical.clone();
        for own in replica.pending() {
            probe.mark("pending entries were applied again");
            working.apply(&names.entry((own.client, PENDING), &own.bytes).map_err(malformed)?);
        }
        for (id, state, expected) in
            [(SY1.id, &replica.canonical, canonical), (SY3.id, &replica.working, &working)]
        {
            let found = names.visible(state, expected.schema());
            if found != expected.visible() {
                let text = format!("client {index} shows {found:?}, not {:?}", expected.visible());
                return Err(Violation::new(id, text).into());
            }
        }
        Ok(())
    }

    /// Forgets what no client needs.
    fn purge(&mut self) -> Result<(), CheckError> {
        let replicas = self.clients.iter().map(|client| &client.replica);
        let needs = replicas.map(|replica| replica.oldest_base().min(replica.cursor));
        let horizon = needs.min().unwrap_or_default();
        self.server.purge(horizon);
        self.memory.purge(horizon);
        TableState::new(&mut self.tables, WINDOW_TREE).purge(horizon)?;
        self.compare()
    }

    /// Compares the server's states.
    fn compare(&mut self) -> Result<(), CheckError> {
        let Self { names, tables, memory, folds, server, .. } = self;
        let Some(fold) = folds.last() else { return Ok(()) };
        let expected = fold.visible();
        let id = if server.horizon() == 0 { SY2.id } else { SY9.id };
        let in_memory = names.visible(memory, fold.schema());
        let in_tables = names.visible_in(tables, fold.schema())?;
        for (of, found) in [("memory", in_memory), ("tables", in_tables)] {
            if found != expected {
                let text = format!("{of}: {found:?}, not {expected:?}");
                return Err(Violation::new(id, text).into());
            }
        }
        Ok(())
    }

    /// Commits the tables, and verifies the file.
    fn commit(&mut self) -> Result<(), CheckError> {
        // The store has one transaction at a time, so an empty store takes its place meanwhile.
        let empty = fastness::StoreOptions::new().in_memory()?;
        let (txn, _) = std::mem::replace(&mut self.tables, open(&empty)?).finish()?;
        txn.commit()?;
        let verified = self.store.snapshot().verify()?;
        if !verified.problems.is_empty() || !verified.objects.is_empty() {
            let text = format!("{:?} {:?}", verified.problems, verified.objects);
            return Err(Violation::new(B13.id, text).into());
        }
        self.tables = open(&self.store)?;
        self.probe.mark("the tables were committed");
        Ok(())
    }

    /// Delivers everything, and compares the end with the statement.
    fn settle(&mut self) -> Result<(), CheckError> {
        for index in 0..CLIENTS {
            while self.clients[index].delivered < self.clients[index].replica.last_client_seq {
                self.deliver(index)?;
            }
        }
        (0..CLIENTS).try_for_each(|index| self.download(index, usize::MAX))?;
        self.commit()?;
        self.compare()?;
        let history = &self.server.history;
        if history.len() > STATED_MAX {
            return Ok(());
        }
        self.probe.mark("the statement without an order was compared");
        let stated = without_order(Statement::new(history).visible());
        let folded = without_order(self.folds[history.len()].visible());
        if stated == folded {
            return Ok(());
        }
        let text = format!("the fold is {folded:?}, the statement {stated:?}");
        Err(Violation::new(SY2.id, text).into())
    }
}

fn malformed(error: fastness_sync::entry::EntryError) -> Violation {
    Violation::new(SY2.id, format!("an entry is malformed: {error:?}"))
}

/// An entry of the history for a client.
fn item(entry: &OwnEntry, client: u32) -> HistoryItem {
    let Header { client_seq, stamp, .. } = entry.header;
    match entry.client == client {
        true => HistoryItem::Own { client_seq, stamp },
        false => HistoryItem::Entry { client: entry.client, entry: entry.bytes.clone() },
    }
}

const fn effect(effect: ModelEffect) -> Effect {
    match effect {
        ModelEffect::Applied => Effect::Applied,
        ModelEffect::Unchanged => Effect::Unchanged,
        ModelEffect::Absent => Effect::Absent,
        ModelEffect::Deleted => Effect::Deleted,
        ModelEffect::Overridden => Effect::Overridden,
    }
}

const fn mark(effect: Effect) -> &'static str {
    match effect {
        Effect::Applied => "effect: applied",
        Effect::Unchanged => "effect: unchanged",
        Effect::Absent => "effect: absent",
        Effect::Deleted => "effect: deleted",
        Effect::Overridden => "effect: overridden",
    }
}
