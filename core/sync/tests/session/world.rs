//! A server, clients, and links that lose, repeat, reorder and cut, in virtual time. The drivers
//! perform effects at once and deliver their results late, in order.

use super::database::{ClientFile, Database};
use fastness_sync::frame::{Code, Packet};
use fastness_sync::session::{
    ClientConnection, ClientConnectionInput, ClientConnectionOutput, ClientInput, ClientOutput,
    ClientSession, ConnectionTerms, ServerConnection, ServerConnectionInput,
    ServerConnectionOutput, ServerInput, ServerOutput, ServerSession,
};
use std::collections::BTreeMap;

/// Most outputs of one input: the marks that one answer completes, and a few.
const OUTPUTS_MAX: usize = 300;
const TERMS: ConnectionTerms =
    ConnectionTerms { window_bytes: 1 << 20, ping_ms: 30_000, connection: 9 };

/// A source of random numbers (`SplitMix64`).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }
}

/// Faults of links, each as one in so many frames; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) lose: u64,
    pub(crate) repeat: u64,
    pub(crate) reorder: u64,
    pub(crate) cut: u64,
    /// A cut that only one side notices.
    pub(crate) half_open: bool,
    /// The server ends a session, or refuses a token.
    pub(crate) refuse: u64,
}

/// A result or message on its way.
#[derive(Debug)]
enum Event {
    ToServer { link: u64, bytes: Vec<u8> },
    ToClient { link: u64, bytes: Vec<u8> },
    Connected { link: u64 },
    Disconnected { link: u64 },
    Token,
    Client(ClientInput<'static>),
    Pending { ticket: u64, from: u64, to: u64, bytes_max: usize },
    Verified { link: u64, ticket: u64 },
    Unverified { link: u64, ticket: u64 },
    Server { link: u64, session: u32, input: ServerInput<'static> },
    History { link: u64, session: u32, ticket: u64, from: u64, bytes_max: usize },
}

/// One client with its side of the server.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) file: ClientFile,
    pub(crate) session: ClientSession,
    connection: ClientConnection,
    /// The link that the client uses; 0 without one.
    link: u64,
    servers: BTreeMap<u64, ServerSide>,
    pub(crate) completed: Vec<u64>,
    pub(crate) resets: Vec<Code>,
    pub(crate) new_identities: u64,
    pub(crate) log_outs: u64,
}

#[derive(Debug)]
struct ServerSide {
    connection: ServerConnection,
    sessions: BTreeMap<u32, (ServerSession, u32)>,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) database: Database,
    pub(crate) peers: Vec<Peer>,
    pub(crate) faults: Faults,
    pub(crate) random: Dice,
    events: BTreeMap<(u64, u64), (usize, Event)>,
    order: u64,
    /// Latest time in each lane, which keeps its order.
    lanes: BTreeMap<(usize, &'static str), u64>,
    pub(crate) frames: u64,
    links: u64,
    pub(crate) transcript: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(clients: usize, seed: u64) -> Self {
        let mut random = Dice(seed);
        let peer = |index: usize| Peer {
            file: ClientFile::default(),
            session: ClientSession::new("/notes", 1, seed ^ index as u64),
            connection: ClientConnection::new("test", seed.rotate_left(9) ^ index as u64),
            link: 0,
            servers: BTreeMap::new(),
            completed: Vec::new(),
            resets: Vec::new(),
            new_identities: 0,
            log_outs: 0,
        };
        let peers = (0..clients).map(peer).collect();
        let now = 1_000_000 + random.below(1000);
        Self {
            now,
            database: Database::new(),
            peers,
            faults: Faults::default(),
            random,
            events: BTreeMap::new(),
            order: 0,
            lanes: BTreeMap::new(),
            frames: 0,
            links: 0,
            transcript: None,
        }
    }

    fn push(&mut self, at: u64, peer: usize, event: Event) {
        self.order += 1;
        self.events.insert((at, self.order), (peer, event));
    }

    /// Schedules an event behind the earlier ones of its lane.
    fn later(&mut self, peer: usize, lane: &'static str, event: Event) {
        let at = self.now + self.random.below(20);
        let last = self.lanes.entry((peer, lane)).or_default();
        *last = at.max(*last);
        let at = *last;
        self.push(at, peer, event);
    }

    /// Links keep the order of frames.
    fn is_ordered(&self) -> bool {
        self.faults.lose == 0 && self.faults.reorder == 0
    }

    fn one_in(&mut self, count: u64) -> bool {
        count > 0 && self.random.one_in(count)
    }

    /// Sends a frame over a link, with its faults.
    fn transmit(&mut self, peer: usize, bytes: Vec<u8>, link: u64, is_up: bool) {
        self.frames += 1;
        self.note(peer, &bytes, is_up);
        if self.one_in(self.faults.lose) {
            return;
        }
        let copies = 1 + u64::from(self.one_in(self.faults.repeat));
        for _ in 0..copies {
            let bytes = bytes.clone();
            let event = match is_up {
                true => Event::ToServer { link, bytes },
                false => Event::ToClient { link, bytes },
            };
            if self.one_in(self.faults.reorder) {
                let at = self.now + self.random.below(200);
                self.push(at, peer, event);
            } else {
                self.later(peer, if is_up { "up" } else { "down" }, event);
            }
        }
        if self.one_in(self.faults.cut) {
            self.cut(peer);
        }
    }

    fn note(&mut self, peer: usize, bytes: &[u8], is_up: bool) {
        let Some(transcript) = &mut self.transcript else { return };
        let packet = Packet::open(bytes).unwrap();
        let frame = packet.frame().unwrap();
        let arrow = if is_up { "->" } else { "<-" };
        transcript.push(format!("{peer} {arrow} {} {:?}", frame.session, frame.message));
    }

    /// Cuts the link of a client. One of both sides may not notice.
    pub(crate) fn cut(&mut self, peer: usize) {
        let link = std::mem::take(&mut self.peers[peer].link);
        if link == 0 {
            return;
        }
        let notices = if self.faults.half_open { self.random.below(3) } else { 2 };
        if notices != 0 {
            self.later(peer, "client", Event::Disconnected { link });
        }
        if notices != 1 {
            self.peers[peer].servers.remove(&link);
        }
    }

    /// The time of the next event or deadline.
    fn next_time(&self) -> u64 {
        let event = self.events.keys().next().map(|(at, _)| *at);
        let deadlines = self.peers.iter().flat_map(|peer| {
            let servers = peer.servers.values().map(|side| side.connection.deadline());
            servers.chain([peer.session.deadline(), peer.connection.deadline()])
        });
        let next = deadlines.flatten().chain(event).min();
        next.unwrap_or(u64::MAX).max(self.now)
    }

    /// Runs until a time.
    pub(crate) fn run_until(&mut self, end: u64) {
        while self.next_time() <= end {
            self.now = self.next_time();
            self.tick();
            while let Some(first) = self.events.first_entry().filter(|of| of.key().0 <= self.now) {
                let (peer, event) = first.remove();
                self.dispatch(peer, event);
            }
        }
        self.now = end;
    }

    /// Handles all deadlines that have passed: FR5, each is followed by a later one.
    fn tick(&mut self) {
        let now = self.now;
        for peer in 0..self.peers.len() {
            if self.peers[peer].connection.deadline().is_some_and(|at| at <= now) {
                self.connection(peer, ClientConnectionInput::Tick);
                let next = self.peers[peer].connection.deadline();
                assert!(next.is_none_or(|next| next > now), "FR5: a connection spins");
            }
            if self.peers[peer].session.deadline().is_some_and(|at| at <= now) {
                self.client(peer, ClientInput::Tick);
                let next = self.peers[peer].session.deadline();
                assert!(next.is_none_or(|next| next > now), "FR5: a session spins");
            }
            let links: Vec<u64> = self.peers[peer].servers.keys().copied().collect();
            for link in links {
                self.server_connection(peer, link, ServerConnectionInput::Tick);
                let side = self.peers[peer].servers.get(&link);
                let next = side.and_then(|side| side.connection.deadline());
                assert!(next.is_none_or(|next| next > now), "FR5: a server's connection spins");
            }
        }
    }

    fn dispatch(&mut self, peer: usize, event: Event) {
        match event {
            Event::ToServer { link, bytes } => {
                self.server_connection(peer, link, ServerConnectionInput::Received(&bytes));
            }
            Event::ToClient { link, bytes } if link == self.peers[peer].link => {
                self.connection(peer, ClientConnectionInput::Received(&bytes));
            }
            Event::Connected { link } => {
                self.peers[peer].link = link;
                let connection = ServerConnection::new(self.now, TERMS);
                let side = ServerSide { connection, sessions: BTreeMap::new() };
                self.peers[peer].servers.insert(link, side);
                self.connection(peer, ClientConnectionInput::Connected);
            }
            Event::Disconnected { link } => {
                if [0, link].contains(&self.peers[peer].link) {
                    self.connection(peer, ClientConnectionInput::Disconnected);
                }
            }
            Event::Token => self.connection(peer, ClientConnectionInput::Token("token")),
            Event::Client(input) => self.client(peer, input),
            Event::Pending { ticket, from, to, bytes_max } => {
                let (oldest_base, owned) = self.peers[peer].file.pending(from, to, bytes_max);
                let entries = owned.iter().map(Vec::as_slice).collect();
                self.client(peer, ClientInput::Pending { ticket, oldest_base, entries });
            }
            Event::Verified { link, ticket } => {
                let expires_at_ms = self.now + 120_000;
                let input =
                    ServerConnectionInput::Authenticated { ticket, user: "u", expires_at_ms };
                self.server_connection(peer, link, input);
            }
            Event::Unverified { link, ticket } => {
                let code = Code::BAD_TOKEN;
                let input = ServerConnectionInput::Unauthenticated { ticket, code };
                self.server_connection(peer, link, input);
            }
            Event::Server { link, session, input } => self.server(peer, (link, session), input),
            Event::History { link, session, ticket, from, bytes_max } => {
                let database = std::mem::replace(&mut self.database, Database::new());
                let client = self.client_of(peer, (link, session));
                let download = database.download(client, from, bytes_max);
                self.server(peer, (link, session), ServerInput::History { ticket, download });
                // The session's outputs do not reach the database, which is put back.
                assert!(self.database.history.is_empty(), "the driver reads only");
                self.database = database;
            }
            Event::ToClient { .. } => {}
        }
    }

    fn connection(&mut self, peer: usize, input: ClientConnectionInput<'_>) {
        let mut out = Vec::new();
        let now = self.now;
        self.peers[peer].connection.handle(now, input, &mut out);
        assert!(out.len() <= OUTPUTS_MAX, "FR4: {} outputs", out.len());
        for output in out {
            match output {
                ClientConnectionOutput::Connect => {
                    self.links += 1;
                    let link = self.links;
                    match self.one_in(self.faults.cut) {
                        true => self.later(peer, "client", Event::Disconnected { link: 0 }),
                        false => self.later(peer, "client", Event::Connected { link }),
                    }
                }
                ClientConnectionOutput::Send(bytes) => {
                    let link = self.peers[peer].link;
                    self.transmit(peer, bytes, link, true);
                }
                ClientConnectionOutput::Close => {
                    let link = std::mem::take(&mut self.peers[peer].link);
                    if !self.faults.half_open {
                        self.peers[peer].servers.remove(&link);
                    }
                }
                ClientConnectionOutput::RefreshToken => self.later(peer, "token", Event::Token),
                ClientConnectionOutput::LogOut(_) => {
                    // The user logs in again.
                    self.peers[peer].log_outs += 1;
                    self.later(peer, "token", Event::Token);
                }
                ClientConnectionOutput::Online { window_bytes, .. } => {
                    self.client(peer, ClientInput::Online { window_bytes });
                }
                ClientConnectionOutput::Offline => self.client(peer, ClientInput::Offline),
                ClientConnectionOutput::Deliver(packet) => {
                    if packet.session() == self.peers[peer].session.number() {
                        self.client(peer, ClientInput::Received(&packet));
                    }
                }
                ClientConnectionOutput::Report(_) => {}
            }
        }
    }

    pub(crate) fn client(&mut self, peer: usize, input: ClientInput<'_>) {
        let mut out = Vec::new();
        let now = self.now;
        self.peers[peer].session.handle(now, input, &mut out);
        assert!(out.len() <= OUTPUTS_MAX, "FR4: {} outputs", out.len());
        for output in out {
            self.client_output(peer, output);
        }
    }

    fn client_output(&mut self, peer: usize, output: ClientOutput<'_>) {
        let reply = |input| Event::Client(input);
        match output {
            ClientOutput::Send(bytes) => {
                let link = self.peers[peer].link;
                self.transmit(peer, bytes, link, true);
            }
            ClientOutput::WantNumber => {
                if let Some(number) = self.peers[peer].connection.number() {
                    self.later(peer, "file", reply(ClientInput::Number(number)));
                }
            }
            ClientOutput::ReadState { ticket } => {
                let state = self.peers[peer].file.state();
                self.later(peer, "file", reply(ClientInput::State { ticket, state }));
            }
            ClientOutput::ReadPending { ticket, from_client_seq, to_client_seq, bytes_max } => {
                let (from, to) = (from_client_seq, to_client_seq);
                self.later(peer, "file", Event::Pending { ticket, from, to, bytes_max });
            }
            ClientOutput::StoreIdentity(identity) => self.peers[peer].file.identify(&identity),
            ClientOutput::Apply(apply) => {
                let is_ordered = self.is_ordered();
                let file = &mut self.peers[peer].file;
                file.apply(&apply, is_ordered);
                let oldest_base = file.state().oldest_base;
                let ticket = apply.ticket;
                self.later(peer, "file", reply(ClientInput::Applied { ticket, oldest_base }));
            }
            ClientOutput::Acknowledge { last_client_seq, chain_hash, refused, .. } => {
                let is_ordered = self.is_ordered();
                let file = &mut self.peers[peer].file;
                refused.iter().for_each(|entry| file.reject(entry.client_seq));
                if !file.acknowledge(last_client_seq, chain_hash, is_ordered) {
                    self.client(peer, ClientInput::Cloned);
                }
            }
            ClientOutput::Answered { last_client_seq, .. } => {
                self.peers[peer].file.conclude(last_client_seq);
            }
            ClientOutput::Reset(code) => {
                self.peers[peer].resets.push(code);
                self.peers[peer].file.start_again();
                self.later(peer, "file", reply(ClientInput::Recovered));
            }
            ClientOutput::NewIdentity => {
                self.peers[peer].new_identities += 1;
                self.peers[peer].file.forget_identity();
                self.later(peer, "file", reply(ClientInput::Recovered));
            }
            ClientOutput::DownloadComplete { number } => self.peers[peer].completed.push(number),
            ClientOutput::Snapshot(_) | ClientOutput::Report(_) => {}
        }
    }

    fn server_connection(&mut self, peer: usize, link: u64, input: ServerConnectionInput<'_>) {
        let now = self.now;
        let Some(side) = self.peers[peer].servers.get_mut(&link) else { return };
        let mut out = Vec::new();
        side.connection.handle(now, input, &mut out);
        assert!(out.len() <= OUTPUTS_MAX, "FR4: {} outputs", out.len());
        for output in out {
            match output {
                ServerConnectionOutput::Send(bytes) => self.transmit(peer, bytes, link, false),
                ServerConnectionOutput::Close => {
                    self.peers[peer].servers.remove(&link);
                    self.later(peer, "down", Event::Disconnected { link });
                }
                ServerConnectionOutput::Authenticate { ticket, .. } => {
                    let event = match self.one_in(self.faults.refuse) {
                        true => Event::Unverified { link, ticket },
                        false => Event::Verified { link, ticket },
                    };
                    self.later(peer, "server", event);
                }
                ServerConnectionOutput::Open(number) => {
                    let session = ServerSession::new(number, &TERMS);
                    if let Some(side) = self.peers[peer].servers.get_mut(&link) {
                        side.sessions.insert(number, (session, 0));
                    }
                }
                ServerConnectionOutput::Deliver(packet) => {
                    let session = packet.session();
                    self.server(peer, (link, session), ServerInput::Received(&packet));
                    if self.one_in(self.faults.refuse) {
                        self.server(peer, (link, session), refusal(Code::SESSION_CLOSED));
                    }
                }
            }
        }
    }

    fn client_of(&self, peer: usize, (link, session): (u64, u32)) -> u32 {
        let side = self.peers[peer].servers.get(&link);
        side.and_then(|side| side.sessions.get(&session)).map_or(0, |(_, client)| *client)
    }

    fn server(&mut self, peer: usize, at: (u64, u32), input: ServerInput<'_>) {
        let Some(side) = self.peers[peer].servers.get_mut(&at.0) else { return };
        let Some((session, _)) = side.sessions.get_mut(&at.1) else { return };
        let mut out = Vec::new();
        session.handle(input, &mut out);
        assert!(out.len() <= OUTPUTS_MAX, "FR4: {} outputs", out.len());
        for output in out {
            self.server_output(peer, at, output);
        }
    }

    fn server_output(&mut self, peer: usize, at: (u64, u32), output: ServerOutput<'_>) {
        let (link, session) = at;
        let input = match output {
            ServerOutput::Send(bytes) => return self.transmit(peer, bytes, link, false),
            ServerOutput::Ended => {
                if let Some(side) = self.peers[peer].servers.get_mut(&link) {
                    side.sessions.remove(&session);
                }
                let input = ServerConnectionInput::Ended(session);
                return self.server_connection(peer, link, input);
            }
            ServerOutput::Progress { .. } | ServerOutput::ReadSnapshot { .. } => return,
            ServerOutput::Bind { wants_identity, .. } => {
                ServerInput::Bound(wants_identity.then(|| self.database.identify()))
            }
            ServerOutput::Resume(resume) => {
                self.bind_client(peer, at, resume.client);
                match self.database.resume(&resume) {
                    Ok((resumed, rejected)) => ServerInput::Resumed { resumed, rejected },
                    Err(code) => refusal(code),
                }
            }
            ServerOutput::Submit { ticket, entries, .. } => {
                let client = self.client_of(peer, at);
                let entries: Vec<Vec<u8>> = entries.iter().map(|entry| entry.to_vec()).collect();
                let answer = self.database.submit(client, &entries);
                let head = self.database.head();
                self.announce(head);
                match answer {
                    Ok((last_client_seq, rejected)) => {
                        let durable_seq = head;
                        ServerInput::Submitted {
                            ticket,
                            last_client_seq,
                            durable_seq,
                            head,
                            rejected,
                        }
                    }
                    Err(code) => refusal(code),
                }
            }
            ServerOutput::ReadHistory { ticket, from, bytes_max } => {
                let event = Event::History { link, session, ticket, from, bytes_max };
                return self.later(peer, "server", event);
            }
        };
        self.later(peer, "server", Event::Server { link, session, input });
    }

    /// Ends the other sessions of a client, with 108.
    fn bind_client(&mut self, peer: usize, at: (u64, u32), client: u32) {
        let mut older = Vec::new();
        for (index, other) in self.peers.iter_mut().enumerate() {
            for (link, side) in &mut other.servers {
                for (session, (_, of)) in &mut side.sessions {
                    if (*link, *session) == at && index == peer {
                        *of = client;
                    } else if *of == client {
                        older.push((index, (*link, *session)));
                    }
                }
            }
        }
        for (index, at) in older {
            self.server(index, at, refusal(Code::BOUND_ELSEWHERE));
        }
    }

    /// Announces the head to every session.
    fn announce(&mut self, head: u64) {
        let mut events = Vec::new();
        for (peer, of) in self.peers.iter().enumerate() {
            for (link, side) in &of.servers {
                for session in side.sessions.keys() {
                    events.push((peer, *link, *session));
                }
            }
        }
        for (peer, link, session) in events {
            let input = ServerInput::HeadMoved { head, durable_seq: head };
            self.later(peer, "server", Event::Server { link, session, input });
        }
    }
}

pub(crate) fn refusal(code: Code) -> ServerInput<'static> {
    ServerInput::Fail { code, retry_after_ms: 0, message: "refused" }
}
