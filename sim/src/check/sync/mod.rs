//! Sync: clients that write at once, offline and online, and one server, in virtual time.
//!
//! The network delays, loses, duplicates and reorders messages and has half-open links; clocks
//! differ and jump; anyone restarts at any time. Server and clients are the real replicas, each on
//! a simulated machine. A client also has a replica in memory, of the same rules, which takes over
//! when the client resets. Each answer of the server, and each state of a client after each
//! message, is compared with the model.
//!
//! - `network`, `message`: messages, and when they arrive.
//! - `server`, `client`: the processes.
//! - `file`, `replica`: a client's replica, in a file and in memory.
//! - `domain`, `edit`, `writer`: the writes of apps.
//! - `oracle`: the models.

mod client;
mod domain;
mod edit;
mod file;
mod message;
mod network;
mod oracle;
mod replica;
mod server;
mod writer;

use super::compare::CheckError;
use super::promises::{MR9, SY1, SY2, SY3, SY4, SY7, SY8, SY12, SY13, SY14, SY16, SY17};
use super::store_harness::unexpected;
use super::world::World;
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use client::Client;
use domain::{LINKS, foundation};
use edit::{Edit, View, number_of};
use fastness_models::merge::{Kind, Schema};
use fastness_models::{Op, OpKind};
use file::ClientFile;
use message::{Connections, Payload, Scene, SyncMessage};
use network::{Arrival, Direction, Network, Quality, Route};
use oracle::Oracle;
use server::SyncServer;
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check {
    name: "sync",
    about: "clients and a server that sync over a hostile network, with skewed clocks and crashes",
    invariants: &[SY1, SY2, SY3, SY4, SY7, SY8, SY12, SY13, SY14, SY16, SY17, MR9],
    marks: &[
        "a message was lost",
        "a message arrived twice",
        "a message overtook another one",
        "entries of several clients were concurrent",
        "an entry was refused",
        "an upload had a gap",
        "a part of the history arrived twice or late",
        "an answer came after its connection ended",
        "resumed after an answer was lost",
        "downloaded in several parts",
        "the horizon advanced",
        "server: several entries in one transaction",
        "server: crash during a submission: committed",
        "server: crash during a submission: rolled back",
        "client: crash during a commit: committed",
        "client: crash during a commit: rolled back",
        "client: crash during a download: committed",
        "client: crash during a download: rolled back",
        "server: a backup was restored",
        "reset: expired",
        "reset: diverged",
        "reset: entries were written again",
        "reset: entries of an earlier identity were kept",
        "outcome: applied",
        "outcome: adjusted",
        "outcome: no operation",
        "outcome: conflict",
        "outcome: deleted",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 10),
            (OpKind::Delete, 4),
            (OpKind::Set, 10),
            (OpKind::Add, 4),
            (OpKind::ListInsert, 12),
            (OpKind::ListEdit, 10),
            (OpKind::ChangeSchema, 8),
            (OpKind::AdvanceClock, 30),
            (OpKind::SetClock, 3),
            (OpKind::Network, 10),
            (OpKind::Kill, 5),
            (OpKind::PowerLoss, 2),
            (OpKind::Compact, 4),
            (OpKind::KeepCopy, 2),
            (OpKind::RestoreBackup, 2),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body,
};

/// Time at the start, in milliseconds since 1970.
const START_MS: u64 = 1_700_000_000_000;
/// Durations of which a plan selects one.
const DURATIONS_MS: [u64; 8] = [5, 20, 60, 200, 1_000, 4_000, 15_000, 90_000];
/// Skews of which a plan selects one: a fast clock, slow ones, one in 2029 and one near 1970.
const SKEWS_MS: [i64; 6] = [0, 4_000, -900_000, 40, 100_000_000_000, -1_699_999_000_000];
/// Most clients.
const CLIENTS_MAX: u32 = 8;
/// Bit of an operand: the operation is in one transaction with the client's next one.
const JOINS: u8 = 0x80;
/// Bit of an operand: another client adds the same definition, with another type, before it knows
/// of the first one.
const RIVALS: u8 = 2;

/// Most values that a plan writes.
const VALUES_MAX: i64 = 500;
/// Messages after which time hardly passes.
const MESSAGES_MAX: u64 = 10_000;

/// Rounds in which a quiet network must drain, of a second each.
const ROUNDS_MAX: usize = 200;

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut harness =
        SyncHarness::start(&world, probe).map_err(|error| unexpected(error, SY16.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.probe.count(op.kind.name(), 1);
        harness.probe.line(|| format!("{step:4} {op}"));
        harness.step(*op).map_err(|error| unexpected(error, SY16.id).at(step))?;
    }
    harness.settle().map_err(|error| unexpected(error, SY16.id).at(plan.ops.len()))
}

struct SyncHarness<'w> {
    world: &'w World,
    probe: &'w mut Probe,
    now_ms: u64,
    network: Network<SyncMessage>,
    connections: Connections,
    server: SyncServer<'w>,
    server_skew_ms: i64,
    clients: Vec<Client<'w>>,
    /// Operations of open transactions.
    open: BTreeMap<usize, Vec<Op>>,
    oracle: Oracle,
    /// Distinguishes values.
    value: i64,
}

impl<'w> SyncHarness<'w> {
    fn start(world: &'w World, probe: &'w mut Probe) -> Result<Self, CheckError> {
        let has_backups = world.salt & 3 != 0;
        let server = SyncServer::start(world, has_backups)?;
        let oracle = Oracle::new(server.epoch()?);
        let mut harness = Self {
            world,
            probe,
            now_ms: START_MS,
            network: Network::new(),
            connections: Connections::default(),
            server,
            server_skew_ms: 0,
            clients: Vec::new(),
            open: BTreeMap::new(),
            oracle,
            value: 0,
        };
        let few = world.salt >> 2 & 3;
        let count = if world.salt >> 4 & 7 == 0 { CLIENTS_MAX } else { 2 + few };
        for index in 0..usize::try_from(count).unwrap_or_default() {
            harness.network.add_link();
            let file = ClientFile::create(world, START_MS)?;
            let client = Client::new(&mut harness.connections, file);
            harness.clients.push(client);
            // Some clients come later, and begin from a snapshot.
            if index >= 2 {
                harness.network.link_mut(index).iter_mut().for_each(|way| way.is_cut = true);
            }
        }
        harness.advance(1_000)?;
        Ok(harness)
    }

    fn step(&mut self, op: Op) -> Result<(), CheckError> {
        let machine = usize::from(op.a & !JOINS) % (self.clients.len() + 1);
        match op.kind {
            OpKind::AdvanceClock => {
                let few = self.network.sent > MESSAGES_MAX;
                let operand = if few { 0 } else { usize::from(op.a) };
                self.advance(DURATIONS_MS[operand % DURATIONS_MS.len()])
            }
            OpKind::SetClock => {
                let skew = SKEWS_MS[usize::from(op.b) % SKEWS_MS.len()];
                match self.clients.get_mut(machine) {
                    Some(client) => client.skew_ms = skew,
                    // The server's clock is never years ahead: nothing could correct it.
                    None => self.server_skew_ms = skew.min(4_000),
                }
                Ok(())
            }
            OpKind::Network => {
                self.set_network(op);
                Ok(())
            }
            OpKind::Kill | OpKind::PowerLoss => self.crash(machine, op),
            OpKind::Compact => self.compact(),
            OpKind::KeepCopy => self.server.back_up(&self.oracle).map(|_| ()),
            OpKind::RestoreBackup => {
                if self.server.restore(op.a, &mut self.oracle)? {
                    self.probe.mark("server: a backup was restored");
                }
                Ok(())
            }
            OpKind::ChangeSchema if op.b & RIVALS != 0 => {
                self.write(op)?;
                self.write(Op { a: op.a.wrapping_add(1), b: op.b ^ 1, ..op })
            }
            _ => self.write(op),
        }
    }

    const fn server_ms(&self) -> u64 {
        self.now_ms.saturating_add_signed(self.server_skew_ms)
    }

    fn set_network(&mut self, op: Op) {
        let client = usize::from(op.a) % self.clients.len();
        let ways = self.network.link_mut(client);
        match op.b % 8 {
            0 => ways.iter_mut().for_each(|way| way.is_cut = true),
            1 => ways[0].is_cut = true,
            2 => ways[1].is_cut = true,
            3 => ways.iter_mut().for_each(|way| way.loss = 2 + usize::from(op.c % 8)),
            4 => ways.iter_mut().for_each(|way| way.duplicates = 1 + usize::from(op.c % 4)),
            5 => ways.iter_mut().for_each(|way| way.jitter_ms = 100 << (op.c % 6)),
            _ => {
                ways.fill(Quality::GOOD);
                self.clients[client].wake(self.now_ms);
            }
        }
    }

    /// Ends a process, at once or during its next change of its file.
    fn crash(&mut self, machine: usize, op: Op) -> Result<(), CheckError> {
        match self.clients.get_mut(machine) {
            Some(client) => {
                match &mut client.file {
                    Some(file) if op.b & 1 == 0 => {
                        file.crashes = true;
                        return Ok(());
                    }
                    Some(file) => file.restart(op.kind == OpKind::PowerLoss)?,
                    None => {}
                }
                client.restart(&mut self.connections);
                client.wake(self.now_ms);
                Ok(())
            }
            None if op.b & 1 == 0 => {
                self.server.crashes = true;
                Ok(())
            }
            None => self.server.restart(op.kind == OpKind::PowerLoss),
        }
    }

    fn compact(&mut self) -> Result<(), CheckError> {
        for index in 0..self.clients.len() {
            if let Some(file) = &mut self.clients[index].file {
                file.compact(self.probe)?;
            }
            self.check(index)?;
        }
        let now_ms = self.server_ms();
        let before = self.oracle.history.server.horizon();
        let horizon = self.server.compact(&mut self.oracle, now_ms)?;
        self.server.compare_state(&mut self.oracle)?;
        if horizon == before {
            return Ok(());
        }
        self.probe.mark("the horizon advanced");
        for replica in self.clients.iter().filter_map(|client| client.replica.as_ref()) {
            let needs = replica.cursor.min(replica.oldest_base());
            let is_live = self.oracle.is_current(replica.epoch)
                && self.server.is_live(replica.identity.client, now_ms);
            if is_live && needs < horizon {
                let client = replica.identity.client;
                let text = format!("the horizon is {horizon}, and client {client} needs {needs}");
                return Err(Violation::new(MR9.id, text).into());
            }
        }
        Ok(())
    }

    /// Writes a transaction, or keeps it open.
    fn write(&mut self, op: Op) -> Result<(), CheckError> {
        let index = usize::from(op.a & !JOINS) % self.clients.len();
        let open = self.open.entry(index).or_default();
        open.push(op);
        if op.a & JOINS != 0 && open.len() < 6 {
            return Ok(());
        }
        let ops = std::mem::take(open);
        let client = &mut self.clients[index];
        let local_ms = self.now_ms.saturating_add_signed(client.skew_ms);
        let Some(replica) = &mut client.replica else { return Ok(()) };
        if self.value > VALUES_MAX {
            return Ok(());
        }
        let mut schema = self.oracle.states(replica.identity.client).working.schema().clone();
        let names = &mut self.oracle.names;
        let known = names.visible(&replica.working, &schema);
        let (mut edits, value) = (Vec::new(), &mut self.value);
        let draft = replica.draft(local_ms, &mut |writer| {
            if !schema.contains_key(&0) {
                writer.push_all(foundation());
            }
            for op in &ops {
                *value += 1;
                let mut visible = names.visible(writer.state, &schema);
                // A file gives other keys to the tags of this transaction.
                visible.retain(|object, _| object.class != 1 || known.contains_key(object));
                // A file shows links to an object that the transaction creates again after it.
                if edits.iter().any(|edit| matches!(edit, Edit::Create(_))) {
                    let lists = visible.values_mut();
                    lists.for_each(|contents| drop(contents.remove(&number_of(LINKS))));
                }
                let view = View { visible: &visible, schema: &schema, names, value: *value };
                if let Some(edit) = view.edit(*op) {
                    writer.edit(edit);
                    edits.push(edit);
                    note(&mut schema, edit);
                }
            }
        });
        let malformed = |error| Violation::new(SY4.id, format!("an entry is malformed: {error:?}"));
        let own = match &mut client.file {
            None => replica.commit(draft).map_err(malformed)?,
            Some(file) => {
                file.set_time(local_ms);
                let written = file.write(&edits, replica.last_client_seq, self.probe)?;
                written.map(|bytes| replica.push(bytes)).transpose().map_err(malformed)?
            }
        };
        if client.file.as_mut().is_some_and(ClientFile::take_restart) {
            client.restart(&mut self.connections);
        }
        let Some(own) = own else { return self.check(index) };
        self.probe.line(|| format!("     client {index} writes {}", own.header.client_seq));
        self.oracle.wrote(&own)?;
        self.clients[index].wake(self.now_ms);
        self.check(index)
    }

    /// Compares a client with its model.
    fn check(&mut self, index: usize) -> Result<(), CheckError> {
        let client = &self.clients[index];
        let Some(replica) = &client.replica else { return Ok(()) };
        self.oracle.check(replica)?;
        if let Some(file) = &client.file {
            let states = self.oracle.states(replica.identity.client);
            file.check(replica, (&mut self.oracle.names, &states))?;
        }
        Ok(())
    }

    /// Lets time pass.
    fn advance(&mut self, duration_ms: u64) -> Result<(), CheckError> {
        let until_ms = self.now_ms + duration_ms;
        loop {
            let calls = self.clients.iter().enumerate();
            let call = calls.map(|(index, client)| (client.next_ms, index)).min();
            let (call_ms, index) = call.unwrap_or((u64::MAX, 0));
            if let Some(arrival) = self.network.next(until_ms.min(call_ms)) {
                self.now_ms = self.now_ms.max(arrival.at_ms);
                self.arrive(arrival)?;
            } else if call_ms <= until_ms {
                self.now_ms = self.now_ms.max(call_ms);
                let message = self.clients[index].call(self.now_ms);
                self.send(Route { client: index, direction: Direction::ToServer }, message);
            } else {
                self.now_ms = until_ms;
                return Ok(());
            }
        }
    }

    fn send(&mut self, route: Route, message: SyncMessage) {
        let (network, now_ms) = (&mut self.network, self.now_ms);
        self.world.rng(|rng| network.send(now_ms, route, message, rng));
    }

    fn arrive(&mut self, arrival: Arrival<SyncMessage>) -> Result<(), CheckError> {
        let Arrival { route, message: SyncMessage { connection, payload }, .. } = arrival;
        let index = route.client;
        self.probe.line(|| format!("     {} {}", self.now_ms, payload.describe(index)));
        let server_ms = self.server_ms();
        let (oracle, connections) = (&mut self.oracle, &mut self.connections);
        let (probe, now_ms) = (&mut *self.probe, self.now_ms);
        let mut scene = Scene { oracle, connections, probe, now_ms };
        match payload {
            Payload::Request(request) => {
                scene.now_ms = server_ms;
                let answer = self.server.handle(connection, request, &mut scene)?;
                if let Some(response) = answer {
                    let payload = Payload::Response(response);
                    let back = Route { direction: Direction::ToClient, ..route };
                    self.send(back, SyncMessage { connection, payload });
                }
                Ok(())
            }
            Payload::Response(response) => {
                self.clients[index].handle((connection, response), &mut scene)?;
                self.check(index)
            }
        }
    }

    /// Repairs the network, waits until nothing is pending, and compares everything.
    fn settle(&mut self) -> Result<(), CheckError> {
        let network = &self.network;
        for (count, mark) in [
            (network.lost, "a message was lost"),
            (network.duplicated, "a message arrived twice"),
            (network.overtaken, "a message overtook another one"),
        ] {
            if count > 0 {
                self.probe.mark(mark);
            }
        }
        if self.oracle.has_concurrent_entries() {
            self.probe.mark("entries of several clients were concurrent");
        }
        self.network.heal();
        self.server.crashes = false;
        for _ in 0..ROUNDS_MAX {
            if self.clients.iter().all(|client| client.is_quiet(&self.oracle)) {
                return self.compare();
            }
            for client in &mut self.clients {
                client.wake(self.now_ms);
            }
            self.advance(1_000)?;
        }
        Err(Violation::new(SY17.id, "a quiet network does not drain").into())
    }

    fn compare(&mut self) -> Result<(), CheckError> {
        self.oracle.account()?;
        self.server.compare(&mut self.oracle)?;
        self.server.compare_state(&mut self.oracle)?;
        (0..self.clients.len()).try_for_each(|index| self.check(index))
    }
}

/// Adds what an edit defines to the classes that an app sees.
fn note(schema: &mut Schema, edit: Edit) {
    match edit {
        Edit::AddExtra(of) => {
            let kind = if of == 0 { Kind::Int } else { Kind::Counter };
            if let Some((_, properties)) = schema.get_mut(&0) {
                properties.insert(5, kind);
            }
        }
        Edit::AddLate(_) => {
            schema.insert(2, (0, BTreeMap::new()));
        }
        _ => {}
    }
}
