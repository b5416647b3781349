//! The connection of a client: transport, version, token, liveness. Its sessions share it.
//!
//! Messages and decisions come in, messages and requests go out. Frames of sessions pass through:
//! their heads are checked here.
//!
//! - FR4 Any messages and inputs leave a connection in a state from which it recovers; no input
//!   has more than a bounded number of outputs.
//! - FR8 A server that accepts connections and then ends them is called at growing intervals.

use super::SETTLED_MS;
use super::io::{ClientConnectionInput, ClientConnectionOutput, Report};
use crate::fault;
use crate::frame::{
    Action, Auth, AuthOk, Code, Compression, Failed, Frame, Hello, Message, Packet, Ping, Welcome,
};
use crate::session::backoff::Backoff;
use crate::session::{HANDSHAKE_MS, PROTOCOL_VERSION};

type ConnectionOutputs<'a> = Vec<ClientConnectionOutput<'a>>;

/// Time before the end of a token at which another one is asked for.
const REFRESH_AHEAD_MS: u64 = 60_000;
/// Shortest time between two such requests.
const REFRESH_MS_MIN: u64 = 10_000;

/// The connection of a client.
#[derive(Clone, Debug)]
pub struct ClientConnection {
    library: String,
    token: Option<String>,
    /// A token was refused, and another one is asked for.
    is_refreshing: bool,
    backoff: Backoff,
    phase: Phase,
    last_session: u32,
    timer: Timer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Connects at this time.
    Waiting {
        until_ms: u64,
    },
    /// Connects when a token comes in.
    WithoutToken,
    Connecting {
        until_ms: u64,
    },
    /// HELLO is sent.
    Greeting {
        until_ms: u64,
    },
    /// Waits for a token, or for its acceptance.
    Authenticating {
        until_ms: u64,
    },
    Online,
}

/// Times of a connection after its WELCOME.
#[derive(Clone, Copy, Debug, Default)]
struct Timer {
    window_bytes: u64,
    clock_offset_ms: i64,
    ping_ms: u64,
    online_ms: u64,
    received_ms: u64,
    pinged_ms: u64,
    round_trip_ms: u64,
    refresh_ms: Option<u64>,
}

impl ClientConnection {
    /// Makes a connection that begins to connect at its first [`ClientConnectionInput::Tick`]. The
    /// seed is random.
    #[must_use]
    pub fn new(library: &str, seed: u64) -> Self {
        Self {
            library: library.to_owned(),
            token: None,
            is_refreshing: false,
            backoff: Backoff::new(seed),
            phase: Phase::Waiting { until_ms: 0 },
            last_session: 0,
            timer: Timer::default(),
        }
    }

    /// Returns a number for a session, unless the connection is not ready.
    pub fn number(&mut self) -> Option<u32> {
        if self.phase != Phase::Online {
            return None;
        }
        self.last_session = self.last_session.checked_add(1)?;
        Some(self.last_session)
    }

    /// Returns the time of the next [`ClientConnectionInput::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::WithoutToken => None,
            Phase::Waiting { until_ms }
            | Phase::Connecting { until_ms }
            | Phase::Greeting { until_ms }
            | Phase::Authenticating { until_ms } => Some(until_ms),
            Phase::Online => {
                let Timer { ping_ms, received_ms, pinged_ms, .. } = self.timer;
                let silent = received_ms.saturating_add(2 * ping_ms);
                let ping = pinged_ms.saturating_add(ping_ms);
                let refresh = self.timer.refresh_ms.unwrap_or(u64::MAX);
                Some(silent.min(ping).min(refresh))
            }
        }
    }

    /// Takes an input and appends the outputs.
    pub fn handle<'a>(
        &mut self,
        now_ms: u64,
        input: ClientConnectionInput<'a>,
        out: &mut ConnectionOutputs<'a>,
    ) {
        match input {
            ClientConnectionInput::Connected => self.connected(now_ms, out),
            ClientConnectionInput::Disconnected => {
                if self.is_connected() {
                    self.lose(now_ms, out);
                }
            }
            ClientConnectionInput::Received(bytes) => self.received(now_ms, bytes, out),
            ClientConnectionInput::Token(token) => self.token(now_ms, token, out),
            ClientConnectionInput::LoggedOut => {
                self.close(out);
                self.token = None;
                self.phase = Phase::WithoutToken;
            }
            ClientConnectionInput::Reconnect => {
                if let Phase::Waiting { until_ms } = &mut self.phase {
                    self.backoff.reset();
                    *until_ms = now_ms;
                }
            }
            ClientConnectionInput::Tick => self.tick(now_ms, out),
        }
    }

    const fn is_connected(&self) -> bool {
        !matches!(self.phase, Phase::Waiting { .. } | Phase::WithoutToken)
    }

    fn connected(&mut self, now_ms: u64, out: &mut ConnectionOutputs<'_>) {
        if !matches!(self.phase, Phase::Connecting { .. }) {
            return;
        }
        let hello = Hello {
            version_min: PROTOCOL_VERSION,
            version_max: PROTOCOL_VERSION,
            features: 0,
            now_ms,
            library: &self.library,
        };
        send(Message::Hello(hello), out);
        self.phase = Phase::Greeting { until_ms: now_ms.saturating_add(HANDSHAKE_MS) };
    }

    fn received<'a>(&mut self, now_ms: u64, bytes: &'a [u8], out: &mut ConnectionOutputs<'a>) {
        if !self.is_connected() {
            return;
        }
        self.timer.received_ms = now_ms;
        let packet = match Packet::open(bytes) {
            Ok(packet) => packet,
            Err(error) => return self.refuse(now_ms, error.code(), out),
        };
        if packet.session() > 0 {
            if self.phase == Phase::Online {
                if packet.is_progress() {
                    self.backoff.reset();
                }
                out.push(ClientConnectionOutput::Deliver(packet));
            }
            return;
        }
        let frame = match packet.frame() {
            Ok(frame) => frame,
            Err(error) => return self.refuse(now_ms, error.code(), out),
        };
        if !frame.extensions.is_empty() {
            return self.refuse(now_ms, Code::BAD_ORDER, out);
        }
        match (self.phase, &frame.message) {
            (Phase::Greeting { .. }, Message::Welcome(welcome)) => {
                self.welcome(now_ms, welcome, out);
            }
            (Phase::Authenticating { .. } | Phase::Online, Message::AuthOk(accepted)) => {
                self.accepted(now_ms, accepted, out);
            }
            (Phase::Online | Phase::Authenticating { .. }, Message::Pong(pong)) => {
                self.timer.round_trip_ms = now_ms.saturating_sub(pong.now_ms);
            }
            (_, Message::Failed(failed)) => self.failed(now_ms, failed, out),
            _ => self.refuse(now_ms, Code::BAD_ORDER, out),
        }
    }

    fn welcome(&mut self, now_ms: u64, welcome: &Welcome, out: &mut ConnectionOutputs<'_>) {
        if welcome.version != PROTOCOL_VERSION || welcome.features != 0 {
            return self.refuse(now_ms, Code::NO_COMMON_VERSION, out);
        }
        self.timer = Timer {
            window_bytes: welcome.window_bytes,
            clock_offset_ms: welcome.now_ms.wrapping_sub(now_ms).cast_signed(),
            ping_ms: welcome.ping_ms,
            received_ms: now_ms,
            pinged_ms: now_ms,
            ..Timer::default()
        };
        self.phase = Phase::Authenticating { until_ms: now_ms.saturating_add(HANDSHAKE_MS) };
        match &self.token {
            Some(token) => send(Message::Auth(Auth { token }), out),
            None => out.push(ClientConnectionOutput::RefreshToken),
        }
    }

    fn accepted(&mut self, now_ms: u64, accepted: &AuthOk<'_>, out: &mut ConnectionOutputs<'_>) {
        self.is_refreshing = false;
        let server_now = now_ms.saturating_add_signed(self.timer.clock_offset_ms);
        let lifetime = accepted.expires_at_ms.saturating_sub(server_now);
        let until_refresh = lifetime.saturating_sub(REFRESH_AHEAD_MS).max(REFRESH_MS_MIN);
        self.timer.refresh_ms = Some(now_ms.saturating_add(until_refresh));
        if self.phase != Phase::Online {
            self.phase = Phase::Online;
            self.last_session = 0;
            self.timer.online_ms = now_ms;
            if fault::planted("NR-70") {
                self.backoff.reset();
            }
            let Timer { window_bytes, clock_offset_ms, .. } = self.timer;
            out.push(ClientConnectionOutput::Online { window_bytes, clock_offset_ms });
        }
    }

    fn token<'a>(&mut self, now_ms: u64, token: &str, out: &mut ConnectionOutputs<'a>) {
        self.token = Some(token.to_owned());
        match self.phase {
            Phase::WithoutToken => self.phase = Phase::Waiting { until_ms: now_ms },
            Phase::Authenticating { .. } | Phase::Online => {
                send(Message::Auth(Auth { token }), out);
            }
            Phase::Waiting { .. } | Phase::Connecting { .. } | Phase::Greeting { .. } => {}
        }
    }

    fn tick(&mut self, now_ms: u64, out: &mut ConnectionOutputs<'_>) {
        if self.deadline().is_none_or(|deadline| now_ms < deadline) {
            return;
        }
        match self.phase {
            Phase::WithoutToken => {}
            Phase::Waiting { .. } => {
                self.phase = Phase::Connecting { until_ms: now_ms.saturating_add(HANDSHAKE_MS) };
                out.push(ClientConnectionOutput::Connect);
            }
            Phase::Connecting { .. } | Phase::Greeting { .. } | Phase::Authenticating { .. } => {
                self.lose(now_ms, out);
            }
            Phase::Online => self.tick_online(now_ms, out),
        }
    }

    fn tick_online(&mut self, now_ms: u64, out: &mut ConnectionOutputs<'_>) {
        let Timer { ping_ms, received_ms, pinged_ms, .. } = self.timer;
        if now_ms >= received_ms.saturating_add(2 * ping_ms) {
            return self.lose(now_ms, out);
        }
        if now_ms >= pinged_ms.saturating_add(ping_ms) {
            self.timer.pinged_ms = now_ms;
            let round_trip_ms = self.timer.round_trip_ms;
            send(Message::Ping(Ping { now_ms, round_trip_ms }), out);
        }
        if self.timer.refresh_ms.is_some_and(|at| now_ms >= at) {
            self.timer.refresh_ms = None;
            out.push(ClientConnectionOutput::RefreshToken);
        }
    }

    fn failed(&mut self, now_ms: u64, failed: &Failed<'_>, out: &mut ConnectionOutputs<'_>) {
        let report = Report { code: failed.code, message: failed.message.to_owned() };
        match failed.action {
            Action::RefreshToken => {
                self.close(out);
                self.phase = Phase::WithoutToken;
                self.token = None;
                if self.is_refreshing {
                    self.is_refreshing = false;
                    out.push(ClientConnectionOutput::LogOut(failed.code));
                } else {
                    self.is_refreshing = true;
                    out.push(ClientConnectionOutput::RefreshToken);
                }
            }
            Action::Retry | Action::Resume => {
                let delay = self.delay_ms(now_ms).max(failed.retry_after_ms);
                self.wait(now_ms.saturating_add(delay), out);
            }
            Action::NewIdentity | Action::Reset | Action::Stop => {
                out.push(ClientConnectionOutput::Report(report));
                let delay = self.backoff.longest_ms();
                self.wait(now_ms.saturating_add(delay), out);
            }
        }
    }

    /// The server sent what it must not send.
    fn refuse(&mut self, now_ms: u64, code: Code, out: &mut ConnectionOutputs<'_>) {
        let message = "the server sent an invalid frame".to_owned();
        out.push(ClientConnectionOutput::Report(Report { code, message }));
        let delay = self.backoff.longest_ms();
        self.wait(now_ms.saturating_add(delay), out);
    }

    /// Returns the delay after a failure. A connection that lasted was none.
    fn delay_ms(&mut self, now_ms: u64) -> u64 {
        let has_settled = now_ms >= self.timer.online_ms.saturating_add(SETTLED_MS);
        if self.phase == Phase::Online && has_settled {
            self.backoff.reset();
        }
        self.backoff.next_ms()
    }

    fn lose(&mut self, now_ms: u64, out: &mut ConnectionOutputs<'_>) {
        let delay = self.delay_ms(now_ms);
        self.wait(now_ms.saturating_add(delay), out);
    }

    fn wait(&mut self, until_ms: u64, out: &mut ConnectionOutputs<'_>) {
        self.close(out);
        self.phase = Phase::Waiting { until_ms };
    }

    fn close(&mut self, out: &mut ConnectionOutputs<'_>) {
        if self.phase == Phase::Online {
            out.push(ClientConnectionOutput::Offline);
        }
        if self.is_connected() {
            out.push(ClientConnectionOutput::Close);
        }
    }
}

fn send(message: Message<'_>, out: &mut ConnectionOutputs<'_>) {
    // A name or token beyond its limit is not sent, and the handshake times out.
    if let Ok(bytes) = Frame::new(0, message).encode(Compression::Auto) {
        out.push(ClientConnectionOutput::Send(bytes));
    }
}
