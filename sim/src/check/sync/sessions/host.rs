//! The server: connections and sessions in front of the database.
//!
//! - SY16 The server sequences what its model does.
//! - FR6 The answer to an entry precedes the entry in a download: a session panics if not.

use super::super::super::compare::CheckError;
use super::super::letters::code;
use super::super::oracle::{Oracle, Submitted, violation};
use super::super::server::{DiskTrial, SyncServer, USER};
use crate::Rng;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::SY16;
use fastness_models::merge::fold::State;
use fastness_models::merge::server::{Answer as ModelAnswer, Refusal};
use fastness_sync::frame::{Code, Packet};
use fastness_sync::server::{Access, EntryRefusal, SessionDatabase, SnapshotPool};
use fastness_sync::session::{
    ConnectionTerms, EntryRejection, ServerConnection, ServerConnectionInput,
    ServerConnectionOutput, ServerInput, ServerOutput, ServerSession,
};
use std::collections::{BTreeMap, VecDeque};

const TERMS: ConnectionTerms =
    ConnectionTerms { window_bytes: 1 << 20, ping_ms: 10_000, connection: 9 };
/// Snapshots that are open at a time.
const SNAPSHOTS_MAX: usize = 2;

/// A connection at the server.
struct HostConnection {
    machine: ServerConnection,
    sessions: BTreeMap<u32, (ServerSession, SessionDatabase)>,
}

/// The server's process.
pub(super) struct Host<'w> {
    pub(super) server: SyncServer<'w>,
    connections: BTreeMap<u64, HostConnection>,
    snapshots: SnapshotPool,
    part_bytes: usize,
    /// The model's state of each snapshot, by epoch, seq and horizon.
    pub(super) states: BTreeMap<(u64, u64, u64), State>,
    /// Messages to send, and connections to end.
    pub(super) outbox: Vec<HostMessage>,
    /// The users may write.
    pub(super) may_write: bool,
    is_down: bool,
}

/// A message of the server over a connection.
pub(super) enum HostMessage {
    Frame(u64, Vec<u8>),
    End(u64),
}

/// Surroundings of the server when it handles an event.
pub(super) struct HostScene<'a> {
    pub(super) oracle: &'a mut Oracle,
    pub(super) probe: &'a mut Probe,
    pub(super) now_ms: u64,
}

/// A session of a connection.
#[derive(Clone, Copy)]
struct SessionKey {
    connection: u64,
    session: u32,
}

/// A refused entry: its number, the code, and the index of the operation.
type Rejected = (u64, Code, Option<u32>);

/// The reply of the database to a submission.
#[derive(Debug, Default)]
struct SubmissionReply {
    rejected: Vec<Rejected>,
    failed: Option<Code>,
}

impl<'w> Host<'w> {
    pub(super) const fn new(server: SyncServer<'w>, part_bytes: usize) -> Self {
        Self {
            server,
            connections: BTreeMap::new(),
            snapshots: SnapshotPool::new(SNAPSHOTS_MAX),
            part_bytes,
            states: BTreeMap::new(),
            outbox: Vec::new(),
            may_write: true,
            is_down: false,
        }
    }

    /// Forgets all connections: the process has restarted. Returns them.
    pub(super) fn forget_connections(&mut self) -> Vec<u64> {
        let random = self.server.world().rng(Rng::next);
        self.snapshots = SnapshotPool::new(SNAPSHOTS_MAX).numbered_from(random);
        self.is_down = false;
        let connections = std::mem::take(&mut self.connections);
        connections.into_keys().collect()
    }

    /// Tells whether the process has crashed during the last event.
    pub(super) const fn is_down(&self) -> bool {
        self.is_down
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.connections.values().filter_map(|connection| connection.machine.deadline()).min()
    }

    pub(super) fn connected(&mut self, connection: u64, now_ms: u64) {
        let machine = ServerConnection::new(now_ms, TERMS);
        self.connections.insert(connection, HostConnection { machine, sessions: BTreeMap::new() });
    }

    pub(super) fn disconnected(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    /// Handles the deadlines that have passed.
    pub(super) fn tick(&mut self, scene: &mut HostScene<'_>) -> Result<(), CheckError> {
        let due: Vec<u64> = self
            .connections
            .iter()
            .filter_map(|(connection, held)| {
                let deadline = held.machine.deadline()?;
                (deadline <= scene.now_ms).then_some(*connection)
            })
            .collect();
        for connection in due {
            self.input(connection, ServerConnectionInput::Tick, scene)?;
        }
        Ok(())
    }

    pub(super) fn received(
        &mut self,
        connection: u64,
        bytes: &[u8],
        scene: &mut HostScene<'_>,
    ) -> Result<(), CheckError> {
        self.input(connection, ServerConnectionInput::Received(bytes), scene)
    }

    fn input(
        &mut self,
        connection: u64,
        input: ServerConnectionInput<'_>,
        scene: &mut HostScene<'_>,
    ) -> Result<(), CheckError> {
        let Some(held) = self.connections.get_mut(&connection) else { return Ok(()) };
        let mut outputs = Vec::new();
        held.machine.handle(scene.now_ms, input, &mut outputs);
        for output in outputs {
            if self.is_down {
                return Ok(());
            }
            match output {
                ServerConnectionOutput::Send(bytes) => {
                    self.outbox.push(HostMessage::Frame(connection, bytes));
                }
                ServerConnectionOutput::Close => {
                    self.connections.remove(&connection);
                    self.outbox.push(HostMessage::End(connection));
                }
                ServerConnectionOutput::Authenticate { ticket, token } => {
                    self.authenticate(connection, (ticket, &token), scene)?;
                }
                ServerConnectionOutput::Open(session) => self.open(connection, session),
                ServerConnectionOutput::Deliver(packet) => {
                    let at = SessionKey { connection, session: packet.session() };
                    self.deliver(at, &packet, scene)?;
                }
            }
        }
        Ok(())
    }

    /// Verifies a token, which is the time at which it expires.
    fn authenticate(
        &mut self,
        connection: u64,
        (ticket, token): (u64, &str),
        scene: &mut HostScene<'_>,
    ) -> Result<(), CheckError> {
        let expires_at_ms: u64 = token.parse().unwrap_or_default();
        let input = if expires_at_ms > scene.now_ms {
            ServerConnectionInput::Authenticated { ticket, user: USER, expires_at_ms }
        } else {
            scene.probe.mark("a token was refused");
            ServerConnectionInput::Unauthenticated { ticket, code: Code::TOKEN_EXPIRED }
        };
        self.input(connection, input, scene)
    }

    fn open(&mut self, connection: u64, session: u32) {
        let replica = self.server.replica().clone();
        let access = if self.may_write { Access::Write } else { Access::Read };
        let database = SessionDatabase::new(replica, USER.to_owned(), access);
        let database = database.part_bytes(self.part_bytes);
        let held = self.connections.get_mut(&connection).expect("the connection is open");
        held.sessions.insert(session, (ServerSession::new(session, &TERMS), database));
    }

    fn deliver(
        &mut self,
        at: SessionKey,
        packet: &Packet<'_>,
        scene: &mut HostScene<'_>,
    ) -> Result<(), CheckError> {
        let mut outputs = Vec::new();
        let Some((session, _)) = self.session_mut(at) else { return Ok(()) };
        session.handle(ServerInput::Received(packet), &mut outputs);
        self.perform_all(at, outputs, scene)?;
        self.announce(scene)
    }

    fn session_mut(&mut self, at: SessionKey) -> Option<&mut (ServerSession, SessionDatabase)> {
        self.connections.get_mut(&at.connection)?.sessions.get_mut(&at.session)
    }

    /// Tells all sessions how far the history reaches.
    pub(super) fn announce(&mut self, scene: &mut HostScene<'_>) -> Result<(), CheckError> {
        if self.is_down {
            return Ok(());
        }
        let status = self.server.status()?;
        let all: Vec<SessionKey> = self
            .connections
            .iter()
            .flat_map(|(connection, held)| {
                held.sessions
                    .keys()
                    .map(|session| SessionKey { connection: *connection, session: *session })
            })
            .collect();
        for at in all {
            let Some((session, _)) = self.session_mut(at) else { continue };
            let mut outputs = Vec::new();
            let (head, durable_seq) = (status.head, status.durable_seq);
            session.handle(ServerInput::HeadMoved { head, durable_seq }, &mut outputs);
            self.perform_all(at, outputs, scene)?;
        }
        Ok(())
    }

    fn perform_all(
        &mut self,
        at: SessionKey,
        outputs: Vec<ServerOutput<'_>>,
        scene: &mut HostScene<'_>,
    ) -> Result<(), CheckError> {
        let mut replies: VecDeque<ServerOutput<'static>> = VecDeque::new();
        for output in outputs {
            self.perform(at, &output, (&mut replies, scene))?;
        }
        while let Some(output) = replies.pop_front() {
            if self.is_down {
                return Ok(());
            }
            self.perform(at, &output, (&mut replies, scene))?;
        }
        Ok(())
    }

    fn perform(
        &mut self,
        at: SessionKey,
        output: &ServerOutput<'_>,
        (replies, scene): (&mut VecDeque<ServerOutput<'static>>, &mut HostScene<'_>),
    ) -> Result<(), CheckError> {
        match output {
            ServerOutput::Send(bytes) => {
                self.outbox.push(HostMessage::Frame(at.connection, bytes.clone()));
                Ok(())
            }
            ServerOutput::Ended => {
                if let Some(held) = self.connections.get_mut(&at.connection) {
                    held.sessions.remove(&at.session);
                }
                self.input(at.connection, ServerConnectionInput::Ended(at.session), scene)
            }
            ServerOutput::Bind { wants_identity, .. } => {
                self.bind(at, *wants_identity, (replies, scene))
            }
            ServerOutput::Submit { .. } => self.submit(at, output, (replies, scene)),
            ServerOutput::Resume(resume) => {
                self.end_others(at, resume.client, scene)?;
                self.with_database(at, output, (replies, scene))?;
                self.note_contact(at, scene.now_ms);
                Ok(())
            }
            ServerOutput::Progress { .. } => {
                self.note_contact(at, scene.now_ms);
                self.with_database(at, output, (replies, scene)).map(drop)
            }
            ServerOutput::ReadHistory { .. } | ServerOutput::ReadSnapshot { .. } => {
                self.with_database(at, output, (replies, scene)).map(drop)
            }
        }
    }

    fn note_contact(&mut self, at: SessionKey, now_ms: u64) {
        if let Some((_, database)) = self.session_mut(at) {
            let client = database.client();
            self.server.note_contact(client, now_ms);
        }
    }

    fn bind(
        &mut self,
        at: SessionKey,
        wants_identity: bool,
        (replies, scene): (&mut VecDeque<ServerOutput<'static>>, &mut HostScene<'_>),
    ) -> Result<(), CheckError> {
        let salt = self.server.world().rng(Rng::next);
        let now_ms = scene.now_ms;
        let Some((session, database)) = self.session_mut(at) else { return Ok(()) };
        let identity = wants_identity.then(|| database.identify(salt, now_ms)).transpose();
        let identity = identity.map_err(super::super::server::failed)?;
        let mut outputs = Vec::new();
        session.handle(ServerInput::Bound(identity), &mut outputs);
        replies.extend(outputs.into_iter().map(detached));
        Ok(())
    }

    /// Ends the other sessions of a client.
    fn end_others(
        &mut self,
        at: SessionKey,
        client: u32,
        scene: &mut HostScene<'_>,
    ) -> Result<(), CheckError> {
        let mut others = Vec::new();
        for (connection, held) in &self.connections {
            for (session, (_, database)) in &held.sessions {
                let is_this = (*connection, *session) == (at.connection, at.session);
                if database.client() == client && !is_this {
                    others.push(SessionKey { connection: *connection, session: *session });
                }
            }
        }
        for other in others {
            scene.probe.mark("a session ended an older one of its client");
            let Some((session, _)) = self.session_mut(other) else { continue };
            let mut outputs = Vec::new();
            let code = Code::BOUND_ELSEWHERE;
            let fail = ServerInput::Fail { code, retry_after_ms: 0, message: "" };
            session.handle(fail, &mut outputs);
            self.perform_all(other, outputs, scene)?;
        }
        Ok(())
    }

    /// Lets the database perform an output; returns its reply to a submission.
    fn with_database(
        &mut self,
        at: SessionKey,
        output: &ServerOutput<'_>,
        (replies, scene): (&mut VecDeque<ServerOutput<'static>>, &mut HostScene<'_>),
    ) -> Result<SubmissionReply, CheckError> {
        let Self { connections, snapshots, states, .. } = self;
        let model = scene.oracle.history.server.state();
        let held = connections.get_mut(&at.connection);
        let held = held.and_then(|held| held.sessions.get_mut(&at.session));
        let Some((session, database)) = held else { return Ok(SubmissionReply::default()) };
        let mut reply = SubmissionReply::default();
        let mut take = |input: ServerInput<'_>| {
            match &input {
                ServerInput::Submitted { rejected, .. } => {
                    let of =
                        |entry: &EntryRejection| (entry.client_seq, entry.code, entry.operation);
                    reply.rejected = rejected.iter().map(of).collect();
                }
                ServerInput::Fail { code, .. } => reply.failed = Some(*code),
                ServerInput::Snapshot { part, .. } => {
                    let of = (part.epoch, part.seq, part.horizon);
                    states.entry(of).or_insert_with(|| model.clone());
                }
                _ => {}
            }
            let mut outputs = Vec::new();
            session.handle(input, &mut outputs);
            replies.extend(outputs.into_iter().map(detached));
        };
        database.perform(output, scene.now_ms, (snapshots, &mut take));
        Ok(reply)
    }

    /// Submits entries, sometimes with a crash at one of the calls that change the file.
    fn submit(
        &mut self,
        at: SessionKey,
        output: &ServerOutput<'_>,
        (replies, scene): (&mut VecDeque<ServerOutput<'static>>, &mut HostScene<'_>),
    ) -> Result<(), CheckError> {
        let ServerOutput::Submit { entries, .. } = output else { return Ok(()) };
        let Some((_, database)) = self.session_mut(at) else { return Ok(()) };
        let client = database.client();
        let submitted = Submitted { now_ms: scene.now_ms, may_write: self.may_write };
        let before = self.server.status()?.head;
        let has_errors = self.server.begin_errors();
        if !has_errors {
            self.server.prepare_crash();
        }
        let reply = self.with_database(at, output, (replies, scene))?;
        if has_errors {
            let has_failed = reply.failed == Some(Code::STORE_FAILED);
            let attempt = DiskTrial { client, head: before, has_failed };
            let ended = self.server.end_errors(attempt, scene.oracle, scene.probe)?;
            if let Some(is_committed) = ended {
                self.is_down = true;
                let entries = if is_committed { &entries[..] } else { &[] };
                scene.oracle.take_all(client, entries, submitted)?;
                return self.server.compare_end(scene.oracle);
            }
        }
        let after = self.server.status()?.head;
        if self.server.crashes && !has_errors && after > before {
            self.server.crashes = false;
            self.is_down = true;
            let heads = [before, after];
            if !self.server.crash_during_submission(heads, scene.probe)? {
                return Ok(());
            }
        }
        if after > before {
            self.note_contact(at, scene.now_ms);
        }
        compare_reply(&Uploaded { client, entries, submitted }, &reply, scene)?;
        self.server.compare_end(scene.oracle)
    }
}

/// Entries that a client submits.
struct Uploaded<'a> {
    client: u32,
    entries: &'a [&'a [u8]],
    submitted: Submitted,
}

/// Compares the reply to a submission with the model.
fn compare_reply(
    &Uploaded { client, entries, submitted }: &Uploaded<'_>,
    reply: &SubmissionReply,
    scene: &mut HostScene<'_>,
) -> Result<(), Violation> {
    let mut rejected = Vec::new();
    let mut failed = None;
    for bytes in entries {
        let entry = scene.oracle.entry(client, bytes)?;
        match scene.oracle.take(&entry, submitted) {
            Ok(ModelAnswer::Sequenced(_)) => scene.oracle.fold_last(client, bytes),
            Ok(ModelAnswer::Acknowledged) => {}
            Err(Refusal::Gap) => failed = Some(Code::GAP),
            Err(Refusal::Base) => failed = Some(Code::DIVERGED),
            Err(Refusal::Expired) => failed = Some(Code::EXPIRED),
            Err(refusal @ (Refusal::Schema | Refusal::Element | Refusal::Forbidden)) => {
                scene.probe.mark(match refusal {
                    Refusal::Forbidden => "an entry was refused: no permission",
                    _ => "an entry was refused",
                });
                let letter = scene.oracle.letter(client, entry.client_seq);
                let of = |letter: EntryRefusal| (entry.client_seq, code(letter), letter.operation);
                rejected.extend(letter.map(of));
            }
        }
        if failed.is_some() {
            break;
        }
    }
    let is_rejected = failed.is_some() || reply.rejected == rejected;
    if reply.failed == failed && is_rejected {
        return Ok(());
    }
    let text = format!("{reply:?} answers client {client}, not {failed:?} and {rejected:?}");
    violation(SY16.id, text)
}

/// Detaches an output of a reply, which borrows no frame.
fn detached(output: ServerOutput<'_>) -> ServerOutput<'static> {
    match output {
        ServerOutput::Send(bytes) => ServerOutput::Send(bytes),
        ServerOutput::Ended => ServerOutput::Ended,
        ServerOutput::ReadHistory { ticket, from, bytes_max } => {
            ServerOutput::ReadHistory { ticket, from, bytes_max }
        }
        ServerOutput::ReadSnapshot { ticket, snapshot, offset } => {
            ServerOutput::ReadSnapshot { ticket, snapshot, offset }
        }
        ServerOutput::Resume(resume) => ServerOutput::Resume(resume),
        ServerOutput::Progress { cursor, oldest_base } => {
            ServerOutput::Progress { cursor, oldest_base }
        }
        ServerOutput::Bind { .. } | ServerOutput::Submit { .. } => {
            unreachable!("FR4: a reply asks for {output:?}")
        }
    }
}
