//! Sync: clients that write at once, offline and online, and one server, in virtual time.
//!
//! The network delays, loses, duplicates and reorders messages and has half-open links; clocks
//! differ and jump; anyone restarts at any time. Server and clients are the real replicas, each on
//! a simulated machine. A client also has a replica in memory, of the same rules. Each
//! answer of the server, and each state of a client after each message, is compared with the model.
//!
//! - `network`, `message`: messages, and when they arrive.
//! - `server`, `client`: the processes.
//! - `file`, `replica`: a client's replica, in a file and in memory.
//! - `ended`: the entries that a file has ended, and what tells the app of them.
//! - `compared_file`: the file beside the replica in memory, and the models.
//! - `file_reset`: client resets of both.
//! - `scratch`: local objects.
//! - `domain`, `edit`, `writer`, `placement`, `commit`, `app`: the writes of apps.
//! - `oracle`, `letters`, `recovery`: the models.
//! - `incident`: an intruder, copied files, errors of the disk.
//! - `merge`: a check of its own, without network and processes.
//! - `sessions`: checks of their own, with frames instead of calls.

mod app;
mod client;
mod commit;
mod compared_file;
mod domain;
mod edit;
mod ended;
mod file;
mod file_reset;
mod incident;
mod letters;
mod merge;
mod message;
mod network;
mod oracle;
mod placement;
mod recovery;
mod replica;
mod scratch;
mod server;
mod sessions;
mod writer;

pub(super) use merge::CHECK as MERGE;
pub(super) use sessions::{CHECK as SESSIONS, RESET};

use super::compare::CheckError;
use super::promises::{
    HC1, MR9, SV2, SY1, SY2, SY3, SY4, SY6, SY7, SY8, SY12, SY13, SY14, SY16, SY17, SY19, SY22,
    SY23,
};
use super::store_harness::unexpected;
use super::world::World;
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use client::Client;
use edit::{JOINS, rival};
use fastness_models::{Op, OpKind};
use file::ClientFile;
use incident::Needs;
use message::{Connections, Payload, Scene, SyncMessage};
use network::{Arrival, Direction, Network, Quality, Route};
use oracle::Oracle;
use server::SyncServer;
use std::collections::BTreeMap;

pub(super) const CHECK: Check = Check {
    name: "sync",
    about: "clients and a server that sync over a hostile network, with skewed clocks and crashes",
    invariants: &[
        SY1, SY2, SY3, SY4, SY6, SY7, SY8, SY12, SY13, SY14, SY16, SY17, SY19, SY22, SY23, MR9,
        SV2, HC1,
    ],
    marks: &[
        "a message was lost",
        "a download showed that an entry was refused",
        "a message arrived twice",
        "a message overtook another one",
        "entries of several clients were concurrent",
        "anchors of a file were compared",
        "elements of a file that has purged were compared",
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
        "client: a power loss took entries that were not sent",
        "client: crash during a commit: committed",
        "client: crash during a commit: rolled back",
        "client: crash during a download: committed",
        "client: crash during a download: rolled back",
        "server: a backup was restored",
        "server: a backup of an abandoned history was restored",
        "client: crash during a reset: committed",
        "client: crash during a reset: rolled back",
        "reset: of a file",
        "reset: begun again",
        "reset: parts of an older snapshot came first",
        "client: crash before the last step of a reset",
        "reset: expired",
        "reset: diverged",
        "reset: an entry was recovered",
        "reset: entries of an earlier identity were kept",
        "outcome: applied",
        "outcome: adjusted",
        "outcome: no operation",
        "outcome: conflict",
        "outcome: deleted",
        "outcome: schema",
        "reset: unknown client",
        "a copied file could not resume",
        "an intruder used the id of an element twice",
        "an intruder named an element that the list does not contain",
        "server: disk error during a submission: committed",
        "server: disk error during a submission: rolled back",
        "client: a full disk during a download",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 12),
            (OpKind::Delete, 2),
            (OpKind::Set, 14),
            (OpKind::Add, 3),
            (OpKind::ListInsert, 20),
            (OpKind::ListEdit, 24),
            (OpKind::ChangeSchema, 8),
            (OpKind::AdvanceClock, 30),
            (OpKind::SetClock, 6),
            (OpKind::Network, 10),
            (OpKind::Kill, 5),
            (OpKind::PowerLoss, 2),
            (OpKind::Compact, 8),
            (OpKind::KeepCopy, 4),
            (OpKind::RestoreBackup, 4),
            (OpKind::ForeignCall, 3),
            (OpKind::Inject, 5),
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
            OpKind::ForeignCall => {
                let scene = (&mut self.oracle, &mut *self.probe);
                self.server.intrude(
                    op,
                    scene,
                    self.now_ms.saturating_add_signed(self.server_skew_ms),
                )
            }
            OpKind::Inject => {
                match self.clients.get_mut(machine).and_then(|client| client.file.as_mut()) {
                    Some(file) if op.b & 1 == 0 => file.is_full = true,
                    _ => self.server.inject(op),
                }
                Ok(())
            }
            OpKind::KeepCopy => self.server.back_up(&self.oracle).map(|_| ()),
            OpKind::RestoreBackup => {
                let mark = self.server.restore(op.a, &mut self.oracle)?;
                mark.into_iter().for_each(|mark| self.probe.mark(mark));
                Ok(())
            }
            _ => {
                self.write(op)?;
                rival(op).map_or(Ok(()), |rival| self.write(rival))
            }
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
                    None => client.restart(&mut self.connections),
                }
                client.follow_restart(&mut self.connections, (&mut self.oracle, self.probe))?;
                client.wake(self.now_ms);
                self.check(machine)
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
            let client = &mut self.clients[index];
            if let Some(file) = &mut client.file {
                file.compact(self.probe)?;
            }
            client.follow_restart(&mut self.connections, (&mut self.oracle, self.probe))?;
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
        let replicas = self.clients.iter().filter_map(|client| client.replica.as_ref());
        for replica in replicas {
            let (client, epoch) = (replica.identity.client, replica.epoch);
            let from = replica.cursor.min(replica.oldest_base());
            self.server.check_needs(Needs { client, epoch, from }, (&self.oracle, now_ms))?;
        }
        Ok(())
    }

    /// Compares a client with its model.
    fn check(&mut self, index: usize) -> Result<(), CheckError> {
        let client = &mut self.clients[index];
        let Some(replica) = &client.replica else { return Ok(()) };
        let meta = client.file.as_ref().map(ClientFile::meta).transpose()?.unwrap_or_default();
        let compared = Some((replica.fingerprint(), meta));
        if client.compared == compared {
            return Ok(());
        }
        self.oracle.check(replica)?;
        if let Some(file) = &mut client.file {
            let states = self.oracle.states(replica.identity.client.into());
            file.check(replica, (&mut self.oracle.names, &states))?;
            for letter in file.dead_letters(replica.identity.client)? {
                self.oracle.compare_letter(replica.identity.client.into(), &letter)?;
            }
        }
        self.clients[index].compared = compared;
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
                let message = self.clients[index].call(self.now_ms)?;
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
        (self.server.crashes, self.server.injection) = (false, None);
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
