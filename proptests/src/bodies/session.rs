//! Any frames and inputs for the machines of both sides of a sync connection.
//!
//! - FR4 No input has more than a bounded number of outputs, and none panics.
//! - FR5 A deadline that is handled is followed by a later one.

use fastness_sync::frame::{
    Ack, Action, Auth, AuthOk, Bind, Code, Compression, Credit, Download, Empty, Failed, Frame,
    Hello, Identity, Item, Mark, Message, Packet, Ping, Pong, Progress, Reject, Resume, Resumed,
    SnapshotGet, SnapshotPart, Upload, Welcome,
};
use fastness_sync::session::{
    ClientConnection, ClientConnectionInput, ClientConnectionOutput, ClientInput, ClientOutput,
    ClientSession, ConnectionTerms, EntryRejection, FileState, ServerConnection,
    ServerConnectionInput, ServerConnectionOutput, ServerInput, ServerOutput, ServerSession,
};

const TERMS: ConnectionTerms =
    ConnectionTerms { window_bytes: 1 << 20, ping_ms: 30_000, connection: 9 };
/// Most outputs of one input: the marks that one answer completes, and a few.
const OUTPUTS_MAX: usize = 300;
/// Most inputs of a run.
const INPUTS_MAX: usize = 2000;

/// Feeds all four machines with inputs that the bytes select.
pub fn session(bytes: &[u8]) {
    run(bytes);
}

/// Outputs that show how far the machines came.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reached {
    applies: bool,
    uploads: bool,
    submits: bool,
    sends_history: bool,
    is_online: bool,
    is_open: bool,
}

fn run(bytes: &[u8]) -> Reached {
    let mut world = Machines {
        bytes,
        now: 1_000_000,
        client_connection: ClientConnection::new("fuzz", 1),
        client: ClientSession::new("/notes", 1, 1),
        server_connection: ServerConnection::new(1_000_000, TERMS),
        server: ServerSession::new(1, &TERMS),
        client_ticket: 0,
        server_ticket: 0,
        login_ticket: 0,
        reached: Reached::default(),
    };
    for _ in 0..INPUTS_MAX {
        let Some(kind) = world.next() else { break };
        world.now += u64::from(world.next().unwrap_or(0)) * 100;
        match kind % 4 {
            0 => world.client(kind / 4),
            1 => world.server(kind / 4),
            2 => world.client_connection(kind / 4),
            _ => world.server_connection(kind / 4),
        }
    }
    world.reached
}

struct Machines<'b> {
    bytes: &'b [u8],
    now: u64,
    client_connection: ClientConnection,
    client: ClientSession,
    server_connection: ServerConnection,
    server: ServerSession,
    /// The ticket of the last question of each machine.
    client_ticket: u64,
    server_ticket: u64,
    login_ticket: u64,
    reached: Reached,
}

impl<'b> Machines<'b> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// A small number; rarely one of the largest.
    fn number(&mut self) -> u64 {
        match self.next().unwrap_or(0) {
            255 => u64::MAX,
            254 => u64::MAX / 2,
            byte => byte.into(),
        }
    }

    fn small(&mut self) -> u32 {
        u32::from(self.next().unwrap_or(0) % 8)
    }

    fn slice(&mut self) -> &'b [u8] {
        let count = usize::from(self.next().unwrap_or(0)).min(self.bytes.len());
        let (slice, rest) = self.bytes.split_at(count);
        self.bytes = rest;
        slice
    }

    fn code(&mut self) -> Code {
        let index = usize::from(self.next().unwrap_or(0));
        Code::ALL.get(index).copied().unwrap_or(Code(9))
    }

    /// A frame of the kind that the next byte selects, or any bytes.
    fn frame(&mut self, session: u32) -> Vec<u8> {
        let code = self.next().unwrap_or(0) % 23;
        let message = match code {
            0 => return self.slice().to_vec(),
            1..=4 | 20.. => self.message_of_connection(code),
            _ => self.message_of_session(code),
        };
        let session = match code {
            1..=4 | 20 | 21 => 0,
            _ => session,
        };
        Frame::new(session, message).encode(Compression::Never).unwrap_or_default()
    }

    fn message_of_connection(&mut self, code: u8) -> Message<'b> {
        let number = self.number();
        match code {
            1 => {
                let (version_min, version_max) = (1 + self.small() / 4, 1 + self.small());
                let now_ms = number;
                let library = "fuzz";
                Message::Hello(Hello { version_min, version_max, features: 0, now_ms, library })
            }
            2 => Message::Welcome(Welcome {
                version: 1 + self.small() / 7,
                features: u64::from(self.small() / 7),
                now_ms: number,
                window_bytes: 1 << 20,
                ping_ms: 1000 + number % 60_000,
                connection: 1,
            }),
            3 => Message::Auth(Auth { token: "token" }),
            4 => Message::AuthOk(AuthOk { user: "u", expires_at_ms: number.max(self.now) }),
            20 => Message::Ping(Ping { now_ms: number, round_trip_ms: 0 }),
            21 => Message::Pong(Pong { now_ms: number }),
            _ => {
                let code = self.code();
                let action = if number == 0 { Action::Stop } else { code.action() };
                let retry_after_ms = number % 86_400_000;
                let (message, log_reference) = ("", "");
                Message::Failed(Failed { code, action, retry_after_ms, message, log_reference })
            }
        }
    }

    fn message_of_session(&mut self, code: u8) -> Message<'b> {
        let (a, b) = (self.number(), self.number());
        match code {
            5 => Message::Bind(Bind { path: "/notes", schema_hash: a, wants_identity: b == 0 }),
            6 => Message::Identity(Identity { client: 1 + self.small(), client_salt: a }),
            7 => Message::Resume(Resume {
                client: 1 + self.small(),
                client_salt: a,
                epoch: b % 3,
                cursor: a,
                cursor_salt: b,
                last_client_seq: b,
                chain_hash: 0,
                oldest_base: a,
            }),
            8 => Message::Resumed(self.resumed()),
            9 => {
                let entries = vec![b"entry" as &[u8]; 1 + usize::from(self.next().unwrap_or(0))];
                Message::Upload(Upload { oldest_base: a, entries })
            }
            10 => Message::Ack(Ack { last_client_seq: a, durable_seq: b }),
            11 => Message::Reject(Reject {
                client_seq: a.max(1),
                code: self.code(),
                operation: self.small(),
                reason: "",
            }),
            12 => Message::Download(self.download()),
            13 => Message::Credit(Credit { bytes: 1 + a % 1000 }),
            14 => Message::Mark(Mark { number: a }),
            15 => Message::SnapshotGet(SnapshotGet { snapshot: a, offset: b }),
            16 => Message::SnapshotPart(self.part()),
            17 => Message::Progress(Progress { cursor: a, oldest_base: b }),
            18 => Message::Unbind(Empty),
            _ => Message::Unbound(Empty),
        }
    }

    fn resumed(&mut self) -> Resumed {
        Resumed {
            epoch: self.number() % 3,
            head: self.number(),
            horizon: self.number() / 8,
            durable_seq: 0,
            last_client_seq: self.number(),
            chain_hash: 0,
        }
    }

    fn download(&mut self) -> Download<'b> {
        let own = Item::Own { client_seq: 1 + self.number() % 9, stamp: 5 };
        let items = match self.small() {
            0 => vec![own],
            count => vec![Item::Entry { client: 9, entry: b"entry" }; 1 + count as usize],
        };
        let from = self.number();
        let (salt, horizon, durable_seq, bytes_left) = (1, 0, 0, 0);
        let head = from.saturating_add(100);
        Download { from, salt, head, horizon, durable_seq, bytes_left, items }
    }

    fn part(&mut self) -> SnapshotPart<'b> {
        let (snapshot, offset) = (1 + u64::from(self.small()), self.number());
        let is_last = self.small() == 0;
        let part: &[u8] = b"part";
        let total = offset.saturating_add(part.len() as u64 + u64::from(!is_last));
        let root = is_last.then_some([1; 32]);
        let (epoch, seq, salt, horizon) = (1, 2, 3, 0);
        SnapshotPart { snapshot, epoch, seq, salt, horizon, total, offset, part, root }
    }

    /// The last ticket, or any.
    fn ticket(&mut self, last: u64) -> u64 {
        let byte = self.next().unwrap_or(0);
        if byte < 250 { last } else { byte.into() }
    }

    fn client(&mut self, kind: u8) {
        let ticket = self.ticket(self.client_ticket);
        let bytes;
        let packet;
        let input = match kind % 16 {
            0..=4 => {
                bytes = self.frame(self.client.number());
                let Ok(opened) = Packet::open(&bytes) else { return };
                packet = opened;
                ClientInput::Received(&packet)
            }
            5 => ClientInput::Online { window_bytes: 1 << 20 },
            6 => ClientInput::Offline,
            7 => ClientInput::Number(self.small()),
            8 => ClientInput::State { ticket, state: self.state() },
            9 => ClientInput::LocalEntries { durable_client_seq: self.number() },
            10 => {
                let count = usize::from(self.next().unwrap_or(0) % 4);
                let entry: &[u8] = if kind > 200 { b"" } else { b"entry" };
                let oldest_base = self.number();
                ClientInput::Pending { ticket, oldest_base, entries: vec![entry; count] }
            }
            11 => ClientInput::Applied { ticket, oldest_base: self.number() },
            12 => match self.small() {
                0 => ClientInput::Cloned,
                1 => ClientInput::Unusable { ticket },
                _ => ClientInput::WantDownloadCompletion { number: self.number() },
            },
            13 => ClientInput::Recovered,
            14 => ClientInput::FetchSnapshot { snapshot: self.number(), offset: self.number() },
            _ => ClientInput::Tick,
        };
        let is_tick = matches!(input, ClientInput::Tick);
        let mut out = Vec::new();
        self.client.handle(self.now, input, &mut out);
        check(out.len(), self.now, self.client.deadline().filter(|_| is_tick));
        for output in &out {
            if let ClientOutput::ReadState { ticket } | ClientOutput::ReadPending { ticket, .. } =
                output
            {
                self.client_ticket = *ticket;
            }
            if let ClientOutput::Apply(apply) = output {
                self.client_ticket = apply.ticket;
                self.reached.applies = true;
            }
            if let ClientOutput::Send(bytes) = output {
                self.reached.uploads |= bytes.first() == Some(&9);
            }
        }
    }

    fn state(&mut self) -> FileState {
        FileState {
            client: self.small(),
            epoch: self.number() % 3,
            cursor: self.number(),
            last_client_seq: self.number(),
            oldest_base: self.number(),
            durable_client_seq: self.number(),
            ..FileState::default()
        }
    }

    fn server(&mut self, kind: u8) {
        let ticket = self.ticket(self.server_ticket);
        let bytes;
        let packet;
        let input = match kind % 12 {
            0..=4 => {
                bytes = self.frame(1);
                let Ok(opened) = Packet::open(&bytes) else { return };
                packet = opened;
                ServerInput::Received(&packet)
            }
            5 => {
                let identity = Identity { client: 1 + self.small(), client_salt: 1 };
                ServerInput::Bound((kind > 100).then_some(identity))
            }
            6 => ServerInput::Resumed { resumed: self.resumed(), rejected: self.rejected() },
            7 => ServerInput::Submitted {
                ticket,
                last_client_seq: self.number(),
                durable_seq: self.number(),
                head: self.number(),
                rejected: self.rejected(),
            },
            8 => ServerInput::History { ticket, download: self.download() },
            9 => ServerInput::Snapshot { ticket, part: self.part() },
            10 => ServerInput::HeadMoved { head: self.number(), durable_seq: self.number() },
            _ if kind < 100 => {
                // A session that has ended makes place for another one.
                self.server = ServerSession::new(1, &TERMS);
                return;
            }
            _ => ServerInput::Fail { code: self.code(), retry_after_ms: 5, message: "" },
        };
        let mut out = Vec::new();
        self.server.handle(input, &mut out);
        check(out.len(), 0, None);
        for output in &out {
            self.reached.submits |= matches!(output, ServerOutput::Submit { .. });
            if let ServerOutput::Send(bytes) = output {
                self.reached.sends_history |= bytes.first() == Some(&12);
            }
            if let ServerOutput::Submit { ticket, .. }
            | ServerOutput::ReadHistory { ticket, .. }
            | ServerOutput::ReadSnapshot { ticket, .. } = output
            {
                self.server_ticket = *ticket;
            }
        }
    }

    fn rejected(&mut self) -> Vec<EntryRejection> {
        let (count, code) = (usize::from(self.next().unwrap_or(0) % 3), self.code());
        let operation = Some(u32::MAX - self.small());
        let reason = "\u{20ac}".repeat(400);
        vec![EntryRejection { client_seq: self.number(), code, operation, reason }; count]
    }

    fn client_connection(&mut self, kind: u8) {
        let bytes;
        let input = match kind % 8 {
            0..=3 => {
                bytes = self.frame(1);
                ClientConnectionInput::Received(&bytes)
            }
            4 => ClientConnectionInput::Connected,
            5 => ClientConnectionInput::Disconnected,
            6 if kind > 200 => ClientConnectionInput::LoggedOut,
            6 => ClientConnectionInput::Token("token"),
            _ => ClientConnectionInput::Tick,
        };
        let is_tick = matches!(input, ClientConnectionInput::Tick);
        let mut out = Vec::new();
        self.client_connection.handle(self.now, input, &mut out);
        check(out.len(), self.now, self.client_connection.deadline().filter(|_| is_tick));
        let is_online = |output: &_| matches!(output, ClientConnectionOutput::Online { .. });
        if out.iter().any(is_online) {
            assert!(self.client_connection.number().is_some(), "FR4: online without a number");
            self.reached.is_online = true;
        }
    }

    fn server_connection(&mut self, kind: u8) {
        let bytes;
        let ticket = self.ticket(self.login_ticket);
        let input = match kind % 8 {
            0..=3 => {
                let session = self.small();
                bytes = self.frame(session);
                ServerConnectionInput::Received(&bytes)
            }
            4 => ServerConnectionInput::Authenticated {
                ticket,
                user: if kind > 200 { "other" } else { "u" },
                expires_at_ms: self.now.saturating_add(self.number().saturating_mul(1000)),
            },
            5 => ServerConnectionInput::Ended(self.small()),
            6 if kind > 200 => ServerConnectionInput::Unauthenticated { ticket, code: self.code() },
            6 if kind > 150 => {
                self.server_connection = ServerConnection::new(self.now, TERMS);
                return;
            }
            _ => ServerConnectionInput::Tick,
        };
        let is_tick = matches!(input, ServerConnectionInput::Tick);
        let mut out = Vec::new();
        self.server_connection.handle(self.now, input, &mut out);
        check(out.len(), self.now, self.server_connection.deadline().filter(|_| is_tick));
        for output in &out {
            if let ServerConnectionOutput::Authenticate { ticket, .. } = output {
                self.login_ticket = *ticket;
            }
            self.reached.is_open |= matches!(output, ServerConnectionOutput::Open(_));
        }
    }
}

/// Checks the number of outputs, and the deadline after a tick.
fn check(outputs: usize, now: u64, deadline: Option<u64>) {
    assert!(outputs <= OUTPUTS_MAX, "FR4: {outputs} outputs of one input");
    assert!(deadline.is_none_or(|at| at > now), "FR5: {deadline:?} is not after {now}");
}

/// Inputs to begin with: handshakes, and what follows them, by a small generator.
#[must_use]
pub fn session_seeds() -> Vec<Vec<u8>> {
    // Online, a number, a state with identity, RESUMED, entries, a download and its end.
    let client: &[u8] = &[
        20, 0, 0, 28, 0, 0, 1, 32, 0, 0, 2, 1, 5, 1, 1, 9, 0, 0, 0, 8, 0, 0, 1, 9, 0, 2, 36, 0, 0,
        9, 40, 0, 0, 3, 1, 0, 0, 0, 10, 3, 0, 0, 0, 0, 12, 0, 0, 1, 1, 5, 44, 0, 0, 6, 60, 255,
    ];
    // BIND, its answer, RESUME, its answer, history, an upload, its answer, credit.
    let server: &[u8] = &[
        1, 0, 0, 5, 1, 1, 21, 0, 0, 1, 1, 0, 0, 7, 0, 1, 1, 25, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, 33,
        0, 0, 1, 2, 0, 1, 0, 0, 9, 0, 0, 2, 29, 0, 0, 3, 0, 9, 0, 0, 0, 0, 1, 0, 0, 13, 1, 1,
    ];
    let connection: &[u8] = &[
        26, 0, 30, 1, 18, 0, 2, 0, 2, 9, 0, 0, 2, 0, 4, 255, 30, 255, 30, 255, 2, 0, 21, 5, 3, 0,
        0, 0, 1, 5, 0, 0, 3, 0, 0, 0, 3, 1, 19, 0, 0, 9, 3, 0, 0, 1, 5, 1, 1,
    ];
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[6]
    };
    let mut seeds: Vec<Vec<u8>> = [client, server, connection].map(<[u8]>::to_vec).into();
    seeds.extend((0..6).map(|_| (0..400).map(|_| random()).collect()));
    seeds
}

#[cfg(test)]
mod tests {
    use super::{Reached, run, session_seeds};

    /// The seeds lead each machine into its main state, so that a fuzzer begins there.
    #[test]
    fn seeds_reach_the_main_states() {
        let mut all = Reached::default();
        for seed in session_seeds() {
            let reached = run(&seed);
            all.applies |= reached.applies;
            all.uploads |= reached.uploads;
            all.submits |= reached.submits;
            all.sends_history |= reached.sends_history;
            all.is_online |= reached.is_online;
            all.is_open |= reached.is_open;
        }
        let expect = Reached {
            applies: true,
            uploads: true,
            submits: true,
            sends_history: true,
            is_online: true,
            is_open: true,
        };
        assert_eq!(all, expect);
    }
}
