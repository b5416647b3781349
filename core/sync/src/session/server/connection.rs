//! The connection of a server: version, token, liveness, and the numbers of its sessions.
//!
//! - FR4 Any messages and inputs leave a connection that answers or is closed.

use super::io::{ServerConnectionInput, ServerConnectionOutput};
use crate::frame::{
    Auth, AuthOk, Code, Compression, Failed, Frame, Hello, Message, Packet, Pong, Welcome,
};
use crate::session::{HANDSHAKE_MS, PROTOCOL_VERSION, SESSIONS_MAX};
use std::collections::BTreeSet;

type ServerOutputs<'a> = Vec<ServerConnectionOutput<'a>>;

/// Terms of a connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionTerms {
    /// Bytes of entries that a session may have unacknowledged, 1 MiB to 256 MiB.
    pub window_bytes: u64,
    /// Interval of PINGs, 1 s to 1 h.
    pub ping_ms: u64,
    /// Random identity of the connection, for logs.
    pub connection: u64,
}

/// The connection of a server.
#[derive(Clone, Debug)]
pub struct ServerConnection {
    terms: ConnectionTerms,
    phase: ServerPhase,
    received_ms: u64,
    ticket: u64,
    user: Option<String>,
    expires_at_ms: u64,
    sessions: BTreeSet<u32>,
    last_session: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerPhase {
    /// Waits for HELLO.
    Greeting {
        until_ms: u64,
    },
    /// Waits for AUTH and its verification.
    Authenticating {
        until_ms: u64,
    },
    Open,
    Closed,
}

impl ServerConnection {
    /// Makes the connection of a transport that is connected.
    #[must_use]
    pub const fn new(now_ms: u64, terms: ConnectionTerms) -> Self {
        Self {
            terms,
            phase: ServerPhase::Greeting { until_ms: now_ms.saturating_add(HANDSHAKE_MS) },
            received_ms: now_ms,
            ticket: 0,
            user: None,
            expires_at_ms: 0,
            sessions: BTreeSet::new(),
            last_session: 0,
        }
    }

    /// Returns the user, once a token is accepted.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Returns the time of the next [`ServerConnectionInput::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        match self.phase {
            ServerPhase::Greeting { until_ms } | ServerPhase::Authenticating { until_ms } => {
                Some(until_ms)
            }
            ServerPhase::Open => Some(self.silent_ms().min(self.expires_at_ms)),
            ServerPhase::Closed => None,
        }
    }

    /// Takes an input and appends the outputs.
    pub fn handle<'a>(
        &mut self,
        now_ms: u64,
        input: ServerConnectionInput<'a>,
        out: &mut ServerOutputs<'a>,
    ) {
        if self.phase == ServerPhase::Closed {
            return;
        }
        match input {
            ServerConnectionInput::Received(bytes) => self.received(now_ms, bytes, out),
            ServerConnectionInput::Authenticated { ticket, user, expires_at_ms } => {
                if ticket == self.ticket {
                    self.authenticated(user, expires_at_ms, out);
                }
            }
            ServerConnectionInput::Unauthenticated { ticket, code } => {
                if ticket == self.ticket {
                    self.fail(code, 0, out);
                }
            }
            ServerConnectionInput::Ended(session) => {
                self.sessions.remove(&session);
            }
            ServerConnectionInput::Close { code, retry_after_ms } => {
                self.fail(code, retry_after_ms, out);
            }
            ServerConnectionInput::Tick => self.tick(now_ms, out),
        }
    }

    const fn silent_ms(&self) -> u64 {
        self.received_ms.saturating_add(2 * self.terms.ping_ms)
    }

    fn tick(&mut self, now_ms: u64, out: &mut ServerOutputs<'_>) {
        match self.phase {
            ServerPhase::Greeting { until_ms } | ServerPhase::Authenticating { until_ms } => {
                if now_ms >= until_ms {
                    // The frame may be lost on its way, which is no fault of the client.
                    self.fail(Code::CONNECTION_CLOSED, 0, out);
                }
            }
            ServerPhase::Open if now_ms >= self.silent_ms() => {
                self.fail(Code::CONNECTION_CLOSED, 0, out);
            }
            ServerPhase::Open if now_ms >= self.expires_at_ms => {
                self.fail(Code::TOKEN_EXPIRED, 0, out);
            }
            ServerPhase::Open | ServerPhase::Closed => {}
        }
    }

    fn received<'a>(&mut self, now_ms: u64, bytes: &'a [u8], out: &mut ServerOutputs<'a>) {
        self.received_ms = now_ms;
        let packet = match Packet::open(bytes) {
            Ok(packet) => packet,
            Err(error) => return self.fail(error.code(), 0, out),
        };
        if packet.session() > 0 {
            return self.deliver(packet, out);
        }
        let frame = match packet.frame() {
            Ok(frame) if frame.extensions.is_empty() => frame,
            Ok(_) => return self.fail(Code::BAD_ORDER, 0, out),
            Err(error) => return self.fail(error.code(), 0, out),
        };
        match (self.phase, &frame.message) {
            (ServerPhase::Greeting { .. }, Message::Hello(hello)) => {
                self.greet(now_ms, hello, out);
            }
            (
                ServerPhase::Authenticating { .. } | ServerPhase::Open,
                Message::Auth(Auth { token }),
            ) => {
                self.ticket += 1;
                let token = (*token).to_owned();
                out.push(ServerConnectionOutput::Authenticate { ticket: self.ticket, token });
            }
            (ServerPhase::Authenticating { .. } | ServerPhase::Open, Message::Ping(ping)) => {
                send(Message::Pong(Pong { now_ms: ping.now_ms }), out);
            }
            _ => self.fail(Code::BAD_ORDER, 0, out),
        }
    }

    fn greet(&mut self, now_ms: u64, hello: &Hello<'_>, out: &mut ServerOutputs<'_>) {
        if !(hello.version_min..=hello.version_max).contains(&PROTOCOL_VERSION) {
            return self.fail(Code::NO_COMMON_VERSION, 0, out);
        }
        let ConnectionTerms { window_bytes, ping_ms, connection } = self.terms;
        let welcome = Welcome {
            version: PROTOCOL_VERSION,
            features: 0,
            now_ms,
            window_bytes,
            ping_ms,
            connection,
        };
        send(Message::Welcome(welcome), out);
        let until_ms = now_ms.saturating_add(HANDSHAKE_MS);
        self.phase = ServerPhase::Authenticating { until_ms };
    }

    fn authenticated(&mut self, user: &str, expires_at_ms: u64, out: &mut ServerOutputs<'_>) {
        if self.user.as_deref().is_some_and(|other| other != user) {
            return self.fail(Code::BAD_TOKEN, 0, out);
        }
        if matches!(self.phase, ServerPhase::Authenticating { .. } | ServerPhase::Open) {
            self.user = Some(user.to_owned());
            self.expires_at_ms = expires_at_ms;
            self.phase = ServerPhase::Open;
            send(Message::AuthOk(AuthOk { user, expires_at_ms }), out);
        }
    }

    fn deliver<'a>(&mut self, packet: Packet<'a>, out: &mut ServerOutputs<'a>) {
        if self.phase != ServerPhase::Open {
            return self.fail(Code::BAD_ORDER, 0, out);
        }
        let session = packet.session();
        if packet.is_bind() {
            if session <= self.last_session {
                return self.fail(Code::REUSED_SESSION, 0, out);
            }
            self.last_session = session;
            if self.sessions.len() >= SESSIONS_MAX {
                return send_failure(session, Code::TOO_MANY_SESSIONS, 0, out);
            }
            self.sessions.insert(session);
            out.push(ServerConnectionOutput::Open(session));
        }
        if self.sessions.contains(&session) {
            out.push(ServerConnectionOutput::Deliver(packet));
        }
    }

    fn fail(&mut self, code: Code, retry_after_ms: u64, out: &mut ServerOutputs<'_>) {
        send_failure(0, code, retry_after_ms, out);
        out.push(ServerConnectionOutput::Close);
        self.phase = ServerPhase::Closed;
        self.sessions.clear();
    }
}

fn send_failure(session: u32, code: Code, retry_after_ms: u64, out: &mut ServerOutputs<'_>) {
    let failed = Failed {
        code,
        action: code.action(),
        retry_after_ms: retry_after_ms.min(86_400_000),
        message: "",
        log_reference: "",
    };
    push(Frame::new(session, Message::Failed(failed)), out);
}

fn send(message: Message<'_>, out: &mut ServerOutputs<'_>) {
    push(Frame::new(0, message), out);
}

fn push(frame: Frame<'_>, out: &mut ServerOutputs<'_>) {
    // Only a name of a user beyond its limit cannot be sent; the client's handshake then ends.
    if let Ok(bytes) = frame.encode(Compression::Auto) {
        out.push(ServerConnectionOutput::Send(bytes));
    }
}
