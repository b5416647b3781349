//! One connection of the server in memory.

use super::support::ServerState;
use fastness_sync::frame::Packet;
use fastness_sync::server::{Access, SessionDatabase};
use fastness_sync::session::{
    ConnectionTerms, ServerConnection, ServerConnectionInput, ServerConnectionOutput, ServerInput,
    ServerOutput, ServerSession,
};
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};
use tungstenite::{Error, Message, WebSocket};

pub(crate) const TERMS: ConnectionTerms =
    ConnectionTerms { window_bytes: 1 << 20, ping_ms: 30_000, connection: 9 };

/// Sends something in the place of a frame.
pub(crate) type Tamper = Arc<dyn Fn(&mut WebSocket<TcpStream>, Vec<u8>) -> Next + Send + Sync>;

/// The behaviour of the server afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// The server goes on, and is honest.
    Honest,
    /// The server does the same with the next frame of this type.
    Again,
    /// The server closes the connection, and is honest on the next one.
    Closed,
    /// The server says no more on this connection.
    Silent,
}

pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

type Session = (ServerSession, SessionDatabase);

/// The server's side of a connection.
pub(crate) struct Peer {
    state: Arc<ServerState>,
    socket: WebSocket<TcpStream>,
    connection: ServerConnection,
    sessions: BTreeMap<u32, Session>,
    is_open: bool,
    is_silent: bool,
    /// The epoch that the sessions began with.
    generation: u64,
}

impl Peer {
    pub(crate) fn new(state: Arc<ServerState>, socket: WebSocket<TcpStream>) -> Self {
        let generation = state.generation.load(Ordering::SeqCst);
        let terms = ConnectionTerms { ping_ms: state.ping_ms.load(Ordering::SeqCst), ..TERMS };
        let connection = ServerConnection::new(now(), terms);
        let (sessions, is_open, is_silent) = (BTreeMap::new(), true, false);
        Self { state, socket, connection, sessions, is_open, is_silent, generation }
    }

    /// Serves until the connection ends, or the server cuts it.
    pub(crate) fn serve(mut self) {
        while self.is_open && self.generation == self.state.generation.load(Ordering::SeqCst) {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => {
                    // A mark is about what the database has now.
                    self.move_heads();
                    self.input(ServerConnectionInput::Received(&bytes));
                }
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
            self.input(ServerConnectionInput::Tick);
            self.move_heads();
        }
    }

    fn send(&mut self, bytes: Vec<u8>) {
        if self.is_silent {
            return;
        }
        let mut held = self.state.tamper.lock().unwrap();
        if let Some((_, tamper)) = held.take_if(|(code, _)| *code == bytes[0]) {
            drop(held);
            let code = bytes[0];
            match tamper(&mut self.socket, bytes) {
                Next::Honest => {}
                Next::Again => *self.state.tamper.lock().unwrap() = Some((code, tamper)),
                Next::Closed => self.is_open = false,
                Next::Silent => self.is_silent = true,
            }
            return;
        }
        drop(held);
        if self.socket.send(Message::binary(bytes)).is_err() {
            self.is_open = false;
        }
    }

    fn input(&mut self, input: ServerConnectionInput<'_>) {
        let mut outputs = Vec::new();
        self.connection.handle(now(), input, &mut outputs);
        for output in outputs {
            match output {
                ServerConnectionOutput::Send(bytes) => self.send(bytes),
                ServerConnectionOutput::Close => self.is_open = false,
                ServerConnectionOutput::Authenticate { ticket, token } => {
                    self.authenticate(ticket, &token);
                }
                ServerConnectionOutput::Open(number) => {
                    let replica = self.state.replica();
                    let database = SessionDatabase::new(replica, "me".into(), Access::Write);
                    self.sessions.insert(number, (ServerSession::new(number, &TERMS), database));
                }
                ServerConnectionOutput::Deliver(packet) => self.deliver(&packet),
            }
        }
    }

    fn authenticate(&mut self, ticket: u64, token: &str) {
        let expires_at_ms = now() + self.state.token_ms.load(Ordering::SeqCst);
        let input = match self.state.is_valid(token) {
            true => ServerConnectionInput::Authenticated { ticket, user: "me", expires_at_ms },
            false => ServerConnectionInput::Unauthenticated {
                ticket,
                code: fastness_sync::frame::Code::BAD_TOKEN,
            },
        };
        let mut outputs = Vec::new();
        self.connection.handle(now(), input, &mut outputs);
        for output in outputs {
            match output {
                ServerConnectionOutput::Send(bytes) => self.send(bytes),
                ServerConnectionOutput::Close => self.is_open = false,
                other => panic!("{other:?}"),
            }
        }
    }

    fn deliver(&mut self, packet: &Packet<'_>) {
        let number = packet.session();
        let Some((session, _)) = self.sessions.get_mut(&number) else { return };
        let mut outputs = Vec::new();
        session.handle(ServerInput::Received(packet), &mut outputs);
        outputs.into_iter().for_each(|output| self.perform(number, &output));
    }

    fn move_heads(&mut self) {
        let status = self.state.replica().status().unwrap();
        let (head, durable_seq) = (status.head, status.durable_seq);
        for number in self.sessions.keys().copied().collect::<Vec<_>>() {
            let Some((session, _)) = self.sessions.get_mut(&number) else { continue };
            let mut outputs = Vec::new();
            session.handle(ServerInput::HeadMoved { head, durable_seq }, &mut outputs);
            outputs.into_iter().for_each(|output| self.perform(number, &output));
        }
    }

    fn perform(&mut self, number: u32, output: &ServerOutput<'_>) {
        match output {
            ServerOutput::Send(bytes) => return self.send(bytes.clone()),
            ServerOutput::Ended => {
                self.sessions.remove(&number);
                return self.input(ServerConnectionInput::Ended(number));
            }
            _ => {}
        }
        let Some((session, database)) = self.sessions.get_mut(&number) else { return };
        let mut sent = Vec::new();
        let mut pending = VecDeque::new();
        let mut take = |outputs: Vec<ServerOutput<'_>>| {
            for output in outputs {
                match output {
                    ServerOutput::Send(bytes) => sent.push(bytes),
                    ServerOutput::ReadHistory { ticket, from, bytes_max } => {
                        pending.push_back(ServerOutput::ReadHistory { ticket, from, bytes_max });
                    }
                    ServerOutput::ReadSnapshot { ticket, snapshot, offset } => {
                        pending.push_back(ServerOutput::ReadSnapshot { ticket, snapshot, offset });
                    }
                    ServerOutput::Ended => pending.push_back(ServerOutput::Ended),
                    ServerOutput::Resume(resume) => pending.push_back(ServerOutput::Resume(resume)),
                    other => panic!("{other:?}"),
                }
            }
        };
        if let ServerOutput::Bind { wants_identity, .. } = output {
            let salt = now() ^ u64::from(number);
            let identity = wants_identity.then(|| database.identify(salt, now()).unwrap());
            let mut outputs = Vec::new();
            session.handle(ServerInput::Bound(identity), &mut outputs);
            take(outputs);
        } else {
            let mut snapshots = self.state.snapshots.lock().unwrap();
            database.perform(
                output,
                now(),
                (&mut snapshots, &mut |input| {
                    let mut outputs = Vec::new();
                    session.handle(input, &mut outputs);
                    take(outputs);
                }),
            );
        }
        sent.into_iter().for_each(|bytes| self.send(bytes));
        while let Some(output) = pending.pop_front() {
            self.perform(number, &output);
        }
    }
}
