//! Sessions: clients and a server that exchange frames over connections that break, in virtual
//! time.
//!
//! Both sides are the real ones: connection and session machines in front of the real replicas, on
//! simulated machines. A network delays frames, ends connections or goes silent in one direction;
//! tokens expire; anyone crashes at any call that changes a file. The server's history and the
//! states of each file are compared with the model.
//!
//! - `link`: connections, and when frames arrive.
//! - `host`, `peer`: the processes of server and client.
//! - `compare`: a client's file beside its model.
//! - `reset`: a check of its own, of the same world with many resets.
//! - `examination`, `resetting`, `watcher`: the resets and the observers of that check.
//! - `incident`: crashes, copied files, newer apps, logouts, an intruder, backups.

mod compare;
mod examination;
mod host;
mod incident;
mod link;
mod peer;
mod reset;
mod resetting;
mod watcher;

pub(in crate::check) use reset::CHECK as RESET;

use super::super::compare::CheckError;
use super::super::store_harness::unexpected;
use super::super::world::World;
use super::commit::{DrawScene, OPERATIONS_MAX, VALUES_MAX};
use super::edit::{JOINS, rival};
use super::file::ClientFile;
use super::network::Direction;
use super::oracle::Oracle;
use super::server::SyncServer;
use super::{DURATIONS_MS, MESSAGES_MAX, SKEWS_MS, START_MS};
use crate::Rng;
use crate::check::definition::{Check, Distribution, Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use crate::check::promises::{
    HC1, SV1, SV2, SY1, SY2, SY3, SY4, SY8, SY12, SY13, SY14, SY16, SY17, SY19, SY22, SY23,
};
use examination::Examination;
use fastness_models::{Op, OpKind};
use fastness_sync::frame::PART_BYTES_MAX;
use fastness_sync::session::ClientConnectionInput;
use host::{Host, HostMessage, HostScene};
use link::{LinkEvent, Links, Way};
use peer::{Peer, PeerMessage, PeerScene};
use std::collections::BTreeMap;

pub(in crate::check) const CHECK: Check = Check {
    name: "sessions",
    about: "clients and a server that exchange frames over connections that break",
    invariants: &[
        SY1, SY2, SY3, SY4, SY8, SY12, SY13, SY14, SY16, SY17, SY19, SY22, SY23, SV1, SV2, HC1,
    ],
    marks: &[
        "a frame was lost",
        "a connection ended",
        "a token was refused",
        "a session ended an older one of its client",
        "an entry was refused",
        "a client got an identity",
        "a client applied a download",
        "a client learned of a refusal",
        "a client began to reset",
        "a client received a part of a snapshot",
        "client: crash while it performed an output",
        "server: crash during a submission: committed",
        "server: crash during a submission: rolled back",
        "server: a backup was restored",
        "the horizon advanced",
        "reset: an entry was recovered",
        "reset: expired",
        "reset: diverged",
        "reset: unknown client",
        "reset: cloned",
        "a file was copied",
        "a copied file gave up its identity",
        "a newer app opened a file",
        "a newer app could not open a file with other definitions",
        "an older app carries what it does not know",
        "a user logged out",
        "a user logged in again",
        "an entry was refused: no permission",
        "an intruder used the id of an element twice",
        "an intruder named an element that the list does not contain",
        "server: disk error during a submission: committed",
        "server: disk error during a submission: rolled back",
        "client: crash during a commit: committed",
        "client: crash during a commit: rolled back",
        "an entry was refused in silence",
        "reset: the snapshot named a refusal",
        "reset: the file kept local objects",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 12),
            (OpKind::Delete, 2),
            (OpKind::Set, 14),
            (OpKind::Add, 3),
            (OpKind::ListInsert, 20),
            (OpKind::ListEdit, 24),
            (OpKind::ChangeSchema, 6),
            (OpKind::AdvanceClock, 30),
            (OpKind::SetClock, 6),
            (OpKind::Network, 10),
            (OpKind::Kill, 6),
            (OpKind::PowerLoss, 3),
            (OpKind::Compact, 8),
            (OpKind::KeepCopy, 4),
            (OpKind::RestoreBackup, 4),
            (OpKind::ForeignCall, 3),
            (OpKind::Inject, 3),
            (OpKind::Permit, 3),
            (OpKind::Copy, 3),
            (OpKind::Migrate, 3),
            (OpKind::LogOut, 3),
            (OpKind::LogIn, 3),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body,
};

/// Most clients, without copies.
const CLIENTS_MAX: usize = 4;
/// Most copies of files.
const COPIES_MAX: usize = 2;
/// Rounds in which a quiet network must drain, of ten seconds each.
const ROUNDS_MAX: usize = 400;
const ROUND_MS: u64 = 10_000;
/// Lifetimes of tokens.
const TOKENS_MS: [u64; 3] = [30_000, 120_000, 3_600_000];

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    run((plan, twin), Focus::Sessions, probe)
}

/// The subject of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Focus {
    Sessions,
    Resets,
}

fn run((plan, twin): (&Plan, Twin), focus: Focus, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let harness = SessionHarness::start(&world, focus, probe);
    let mut harness = harness.map_err(|error| unexpected(error, SY16.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.probe.count(op.kind.name(), 1);
        harness.probe.line(|| format!("{step:4} {op}"));
        harness.step(*op).map_err(|error| unexpected(error, SY16.id).at(step))?;
    }
    harness.settle().map_err(|error| unexpected(error, SY16.id).at(plan.ops.len()))
}

/// Returns the most bytes of a part of a snapshot: few, so that resets have many steps.
fn part_bytes(world: &World, focus: Focus) -> usize {
    match focus {
        Focus::Sessions => PART_BYTES_MAX,
        Focus::Resets => 60 << world.rng(|rng| rng.below(5)),
    }
}

struct SessionHarness<'w> {
    world: &'w World,
    probe: &'w mut Probe,
    now_ms: u64,
    server_skew_ms: i64,
    links: Links,
    host: Host<'w>,
    peers: Vec<Peer<'w>>,
    /// Operations of open transactions.
    open: BTreeMap<usize, Vec<Op>>,
    oracle: Oracle,
    focus: Focus,
    /// Downloads of a client that are not what the server sent.
    tampered: BTreeMap<usize, u8>,
    /// Number of copied files.
    copies: usize,
    /// Distinguishes values.
    value: i64,
}

impl<'w> SessionHarness<'w> {
    fn start(world: &'w World, focus: Focus, probe: &'w mut Probe) -> Result<Self, CheckError> {
        let server = SyncServer::start(world, world.salt & 3 != 0)?;
        let oracle = Oracle::new(server.epoch()?);
        let mut harness = Self {
            world,
            probe,
            now_ms: START_MS,
            server_skew_ms: 0,
            links: Links::default(),
            host: Host::new(server, part_bytes(world, focus)),
            peers: Vec::new(),
            open: BTreeMap::new(),
            oracle,
            focus,
            tampered: BTreeMap::new(),
            copies: 0,
            value: 0,
        };
        let few = usize::try_from(world.salt >> 2 & 3).unwrap_or_default();
        for _ in 0..(2 + few).min(CLIENTS_MAX) {
            harness.links.add_client();
            let file = ClientFile::create(world, START_MS)?;
            let mut peer = Peer::new(file, world.rng(Rng::next));
            peer.examination = (focus == Focus::Resets).then(|| world.rng(Examination::draw));
            harness.peers.push(peer);
        }
        harness.advance(1_000)?;
        Ok(harness)
    }

    const fn server_ms(&self) -> u64 {
        self.now_ms.saturating_add_signed(self.server_skew_ms)
    }

    fn step(&mut self, op: Op) -> Result<(), CheckError> {
        let machine = usize::from(op.a & !JOINS) % (self.peers.len() + 1);
        match op.kind {
            OpKind::AdvanceClock => {
                let operand = if self.links.sent > MESSAGES_MAX { 0 } else { usize::from(op.a) };
                self.advance(DURATIONS_MS[operand % DURATIONS_MS.len()])
            }
            OpKind::SetClock => {
                let skew = SKEWS_MS[usize::from(op.b) % SKEWS_MS.len()];
                match self.peers.get_mut(machine) {
                    Some(peer) => peer.skew_ms = skew,
                    // The server's clock never runs back: its machines would wait for it.
                    None => self.server_skew_ms = self.server_skew_ms.max(skew.min(4_000)),
                }
                Ok(())
            }
            OpKind::Network => self.set_network(op),
            OpKind::Kill | OpKind::PowerLoss => self.crash(machine, op),
            OpKind::Compact => self.compact(),
            OpKind::KeepCopy => {
                self.host.server.back_up(&self.oracle)?;
                self.with_host(|host, scene| host.announce(scene))
            }
            // Each copy writes again what both have, also behind its removal.
            OpKind::RestoreBackup if self.copies > 0 => Ok(()),
            OpKind::RestoreBackup => self.restore(op),
            OpKind::Inject => {
                self.host.server.inject(op);
                Ok(())
            }
            OpKind::ForeignCall | OpKind::Permit => self.happen_at_host(op),
            OpKind::Copy | OpKind::Migrate | OpKind::LogOut | OpKind::LogIn => {
                self.happen_at_peer(machine.min(self.peers.len() - 1), op)
            }
            _ => {
                self.write(op)?;
                rival(op).map_or(Ok(()), |rival| self.write(rival))
            }
        }
    }

    fn host_restarted(&mut self) -> Result<(), CheckError> {
        let (links, now_ms) = (&mut self.links, self.now_ms);
        for connection in self.host.forget_connections() {
            self.world.rng(|rng| {
                links.abandon(now_ms, Way { connection, direction: Direction::ToClient }, rng)
            });
        }
        Ok(())
    }

    /// Writes a transaction, or keeps it open.
    fn write(&mut self, op: Op) -> Result<(), CheckError> {
        let index = usize::from(op.a & !JOINS) % self.peers.len();
        let open = self.open.entry(index).or_default();
        open.push(op);
        if op.a & JOINS != 0 && open.len() < OPERATIONS_MAX {
            return Ok(());
        }
        let ops = std::mem::take(open);
        let gives_no_ids = self.is_identity_shared();
        let peer = &mut self.peers[index];
        if peer.key == 0 || self.value > VALUES_MAX {
            return Ok(());
        }
        peer.file.set_time(self.now_ms.saturating_add_signed(peer.skew_ms));
        let schema = self.oracle.states(peer.key).working.schema().clone();
        let names = &mut self.oracle.names;
        let scene = DrawScene { names, schema, value: &mut self.value, gives_no_ids };
        peer.file.write_drawn(&ops, scene, self.probe)?;
        if peer.file.take_restart() {
            peer.restart()?;
        } else {
            let mut scene = PeerScene { probe: self.probe, now_ms: self.now_ms };
            peer.wrote(&mut scene)?;
        }
        self.after_peer(index)
    }

    /// Lets time pass.
    fn advance(&mut self, duration_ms: u64) -> Result<(), CheckError> {
        let until_ms = self.now_ms + duration_ms;
        loop {
            let event_ms = self.links.next_ms().unwrap_or(u64::MAX);
            let peer_ms = self.peers.iter().filter_map(Peer::deadline).min().unwrap_or(u64::MAX);
            let host_ms = self.host.deadline().unwrap_or(u64::MAX);
            let host_ms = host_ms.saturating_add_signed(-self.server_skew_ms);
            let next_ms = event_ms.min(peer_ms).min(host_ms);
            if next_ms > until_ms {
                self.now_ms = until_ms;
                return Ok(());
            }
            self.now_ms = self.now_ms.max(next_ms);
            if event_ms <= next_ms {
                if let Some(event) = self.links.next() {
                    self.happen(event)?;
                }
            } else if host_ms <= next_ms {
                self.with_host(|host, scene| host.tick(scene))?;
            } else {
                for index in 0..self.peers.len() {
                    self.with_peer(index, Peer::tick)?;
                }
            }
        }
    }

    fn happen(&mut self, event: LinkEvent) -> Result<(), CheckError> {
        self.probe.line(|| format!("     {} {event}", self.now_ms));
        let side = |connection, direction| (connection, direction == Direction::ToServer);
        match event {
            LinkEvent::Token { client } if self.peers[client].is_logged_out => Ok(()),
            LinkEvent::Token { client } => {
                let lifetime = self.world.rng(|rng| *rng.pick(&TOKENS_MS));
                let token = (self.server_ms() + lifetime).to_string();
                self.peer_input(client, ClientConnectionInput::Token(&token))
            }
            LinkEvent::Connected { connection } => {
                let Some(client) = self.client_at(connection) else { return Ok(()) };
                self.host.connected(connection, self.server_ms());
                self.peer_input(client, ClientConnectionInput::Connected)
            }
            LinkEvent::Frame { connection, direction, bytes } => {
                if side(connection, direction).1 {
                    return self.with_host(|host, scene| host.received(connection, &bytes, scene));
                }
                let Some(client) = self.client_at(connection) else { return Ok(()) };
                self.peer_input(client, ClientConnectionInput::Received(&bytes))
            }
            LinkEvent::Ended { connection, direction: Direction::ToServer } => {
                self.host.disconnected(connection);
                Ok(())
            }
            LinkEvent::Ended { connection, direction: Direction::ToClient } => {
                let Some(client) = self.client_at(connection) else { return Ok(()) };
                self.peers[client].connection = None;
                self.peer_input(client, ClientConnectionInput::Disconnected)
            }
        }
    }

    /// The client whose current connection this is.
    fn client_at(&self, connection: u64) -> Option<usize> {
        let client = self.links.client_of(connection)?;
        (self.peers[client].connection == Some(connection)).then_some(client)
    }

    fn peer_input(
        &mut self,
        index: usize,
        input: ClientConnectionInput<'_>,
    ) -> Result<(), CheckError> {
        self.with_peer(index, |peer, scene| peer.connection_input(input, scene))
    }

    fn with_peer(
        &mut self,
        index: usize,
        handle: impl FnOnce(&mut Peer<'w>, &mut PeerScene<'_>) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let peer = &mut self.peers[index];
        peer.file.set_time(self.now_ms.saturating_add_signed(peer.skew_ms));
        let mut scene = PeerScene { probe: self.probe, now_ms: self.now_ms };
        handle(peer, &mut scene)?;
        self.after_peer(index)
    }

    /// Sends what a client has to send, and compares its file.
    fn after_peer(&mut self, index: usize) -> Result<(), CheckError> {
        let (links, now_ms) = (&mut self.links, self.now_ms);
        let peer = &mut self.peers[index];
        for message in std::mem::take(&mut peer.outbox) {
            self.world.rng(|rng| match message {
                PeerMessage::Connect => peer.connection = Some(links.connect(now_ms, index, rng)),
                PeerMessage::Frame(bytes) => {
                    if let Some(connection) = peer.connection {
                        let way = Way { connection, direction: Direction::ToServer };
                        links.send(now_ms, way, bytes, rng);
                    }
                }
                PeerMessage::Close => {
                    if let Some(connection) = peer.connection.take() {
                        links.abandon(
                            now_ms,
                            Way { connection, direction: Direction::ToServer },
                            rng,
                        );
                    }
                }
                PeerMessage::WantToken => {
                    let at_ms = now_ms + 1 + rng.below(200) as u64;
                    links.at(at_ms, LinkEvent::Token { client: index });
                }
            });
        }
        if self.peers[index].awaits_app {
            return self.reset_by_app(index);
        }
        self.check(index)
    }

    fn with_host(
        &mut self,
        handle: impl FnOnce(&mut Host<'w>, &mut HostScene<'_>) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let now_ms = self.server_ms();
        let mut scene = HostScene { oracle: &mut self.oracle, probe: self.probe, now_ms };
        handle(&mut self.host, &mut scene)?;
        let is_down = self.host.is_down();
        let messages = std::mem::take(&mut self.host.outbox);
        let messages: Vec<HostMessage> = messages.into_iter().map(|it| self.tamper(it)).collect();
        let (links, now_ms) = (&mut self.links, self.now_ms);
        for message in messages {
            self.world.rng(|rng| match message {
                HostMessage::Frame(connection, bytes) => {
                    let way = Way { connection, direction: Direction::ToClient };
                    links.send(now_ms, way, bytes, rng);
                }
                HostMessage::End(connection) => {
                    links.abandon(now_ms, Way { connection, direction: Direction::ToClient }, rng);
                }
            });
        }
        if is_down { self.host_restarted() } else { Ok(()) }
    }

    /// Returns whether the check is about resets.
    fn is_about_resets(&self) -> bool {
        self.focus == Focus::Resets
    }

    fn is_quiet(&self) -> Result<bool, CheckError> {
        for peer in &self.peers {
            let meta = peer.file.meta()?;
            let is_quiet = meta.client != 0
                && self.oracle.is_current(meta.epoch)
                && meta.cursor == self.oracle.head()
                && meta.answered == meta.last_client_seq
                && peer.file.entries_after(0)?.is_empty()
                && !peer.file.is_resetting()?;
            if !is_quiet {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Repairs the network, waits until nothing is pending, and compares everything.
    fn settle(&mut self) -> Result<(), CheckError> {
        for (count, mark) in
            [(self.links.lost, "a frame was lost"), (self.links.ended, "a connection ended")]
        {
            if count > 0 {
                self.probe.mark(mark);
            }
        }
        self.links.heal();
        self.tampered.clear();
        (self.host.server.crashes, self.host.server.injection) = (false, None);
        (0..self.peers.len()).for_each(|index| self.log_in(index));
        for _ in 0..ROUNDS_MAX {
            if self.is_quiet()? {
                self.oracle.account()?;
                self.host.server.compare(&mut self.oracle)?;
                return self.host.server.compare_state(&mut self.oracle);
            }
            self.advance(ROUND_MS)?;
        }
        Err(Violation::new(SY17.id, "a quiet network does not drain").into())
    }
}
