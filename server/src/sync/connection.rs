//! One connection: its machine, its WebSocket, and the workers of its sessions.
//!
//! - H24 A session goes to a worker with the user of the connection's token.
//! - H25 A connection reads while its queues have room.
//! - H27 A stop waits for the frames in work before it ends the connection.

use super::hub::{SyncHub, WrittenAnswer};
use super::job::{Caller, Job, NewSession, SessionKey};
use super::link::{Link, LinkEvent};
use super::metered::{Metered, ReadQuota};
use crate::clocks::ConnectionClock;
use crate::connections::ConnectionSlot;
use fastness_sync::frame::{Code, FRAME_BYTES_MAX, Message as FrameMessage, Packet};
use fastness_sync::session::{
    ConnectionTerms, ServerConnection, ServerConnectionInput, ServerConnectionOutput,
};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Time for the client to close, too.
const CLOSING_PATIENCE: Duration = Duration::from_secs(1);

/// Bytes that are read from a client that has not closed yet.
const LINGERING_BYTES: usize = 2 * FRAME_BYTES_MAX;

/// Permits of a connection, returned on drop.
pub(super) struct Permits {
    pub(super) _slot: Option<ConnectionSlot>,
    pub(super) _permit: OwnedSemaphorePermit,
}

/// A connection.
struct Connection {
    hub: Arc<SyncHub>,
    number: u64,
    terms: ConnectionTerms,
    machine: ServerConnection,
    link: Arc<Link>,
    quota: ReadQuota,
    clock: ConnectionClock,
    caller: Option<Caller>,
    /// Workers of the sessions.
    sessions: BTreeMap<u32, usize>,
    is_closed: bool,
    /// Time until which the connection is not read, because its user uploads too much.
    paused_until: Option<Instant>,
}

/// Serves a connection to its end.
pub(super) async fn serve<S>(
    stream: WebSocketStream<Metered<S>>,
    hub: Arc<SyncHub>,
    permits: Permits,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(terms) = hub.terms() else { return };
    let link = Arc::new(hub.link());
    let quota = stream.get_ref().quota();
    let mut connection = Connection::new(&hub, terms, (&link, quota.clone()));
    let number = connection.number;
    let (mut writing, mut reading) = stream.split();
    {
        let drive = async {
            connection.drive(&mut reading).await;
            connection.leave();
            // Queued answers are still sent.
            link.complete();
        };
        let write = async {
            let written = |answer| hub.written(number, answer);
            if let Err(error) = write(&mut writing, &link, written).await {
                tracing::debug!(%error, "sync: cannot write");
            }
        };
        tokio::pin!(drive, write);
        tokio::select! {
            () = &mut drive => write.await,
            () = &mut write => {}
        }
    }
    drop(connection);
    if let Ok(stream) = reading.reunite(writing) {
        quota.end();
        // An error is the time-out.
        drop(time::timeout(CLOSING_PATIENCE, linger(stream.into_inner())).await);
    }
    drop(permits);
}

/// Writes answers to the last one, and then the end of the WebSocket.
async fn write<S>(
    writing: &mut SplitSink<WebSocketStream<S>, Message>,
    link: &Link,
    written: impl Fn(WrittenAnswer),
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(bytes) = link.next_answer().await {
        let count = bytes.len();
        writing.send(Message::Binary(bytes.into())).await?;
        written(WrittenAnswer { bytes: count, has_room: link.written(count) });
    }
    let close = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    // If the client has closed first, its answer is queued, and nothing can be sent.
    drop(writing.send(Message::Close(Some(close))).await);
    writing.close().await
}

/// Reads the rest: because of data that was not read, the system would drop the last answers.
async fn linger<S>(mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.shutdown().await?;
    let (mut rest, mut buffer) = (LINGERING_BYTES, [0; 4096]);
    while rest > 0 {
        match stream.read(&mut buffer).await? {
            0 => break,
            count => rest = rest.saturating_sub(count),
        }
    }
    Ok(())
}

impl Connection {
    fn new(
        hub: &Arc<SyncHub>,
        terms: ConnectionTerms,
        (link, quota): (&Arc<Link>, ReadQuota),
    ) -> Self {
        let clock = ConnectionClock::new(hub.clocks);
        Self {
            hub: Arc::clone(hub),
            number: hub.register(link),
            terms,
            machine: ServerConnection::new(clock.now_ms(), terms),
            link: Arc::clone(link),
            quota,
            clock,
            caller: None,
            sessions: BTreeMap::new(),
            is_closed: false,
            paused_until: None,
        }
    }

    /// Handles messages, events and time until the connection ends.
    async fn drive<S>(&mut self, reading: &mut SplitStream<WebSocketStream<S>>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let link = Arc::clone(&self.link);
        let mut stopping = self.hub.stopping();
        while !self.is_closed {
            self.handle_events();
            let is_stopping = *stopping.borrow_and_update();
            if is_stopping && link.is_idle() {
                self.close(Code::CONNECTION_CLOSED, 0);
                break;
            }
            let pause = self.pause_left();
            let wait = self.until_deadline();
            let deadline = time::sleep(pause.map_or(wait, |pause| wait.min(pause)));
            tokio::select! {
                message = reading.next(), if !is_stopping && pause.is_none() && link.may_read() => {
                    self.read(message);
                }
                () = link.changed() => {}
                _ = stopping.changed() => {}
                () = deadline => self.input(ServerConnectionInput::Tick),
            }
        }
    }

    fn until_deadline(&self) -> Duration {
        let deadline = self.machine.deadline().unwrap_or(u64::MAX);
        Duration::from_millis(deadline.saturating_sub(self.clock.now_ms()))
    }

    /// Returns the time for which the connection is not read.
    fn pause_left(&self) -> Option<Duration> {
        let left = self.paused_until?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    fn handle_events(&mut self) {
        for event in self.link.take_events() {
            match event {
                LinkEvent::Ended(session) => {
                    self.sessions.remove(&session);
                    self.input(ServerConnectionInput::Ended(session));
                }
                LinkEvent::Drained => self.hub.drained(self.number),
                LinkEvent::Close { code, retry_after_ms } => self.close(code, retry_after_ms),
            }
        }
    }

    fn read(&mut self, message: Option<Result<Message, Error>>) {
        match message {
            Some(Ok(Message::Binary(bytes))) => {
                self.hub.counters.frames_received.add(1);
                self.hub.counters.bytes_received.add(bytes.len());
                if let Some(caller) = &self.caller {
                    let now = Instant::now();
                    let pause = self.hub.upload_rates.pause(&caller.identity, bytes.len(), now);
                    self.paused_until = Some(now + pause);
                }
                self.input(ServerConnectionInput::Received(&bytes));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(_)) | Err(Error::Protocol(_))) => {
                self.close(Code::MALFORMED_FRAME, 0);
            }
            Some(Err(Error::Capacity(_))) => self.close(Code::LIMIT_EXCEEDED, 0),
            Some(Err(_)) if self.quota.is_used_up() => self.close(Code::LIMIT_EXCEEDED, 0),
            Some(Ok(Message::Close(_) | Message::Frame(_)) | Err(_)) | None => {
                self.is_closed = true;
            }
        }
    }

    fn close(&mut self, code: Code, retry_after_ms: u64) {
        self.input(ServerConnectionInput::Close { code, retry_after_ms });
    }

    fn input(&mut self, input: ServerConnectionInput<'_>) {
        let mut outputs = Vec::new();
        self.machine.handle(self.clock.now_ms(), input, &mut outputs);
        for output in outputs {
            match output {
                ServerConnectionOutput::Send(bytes) => self.link.answer(bytes),
                ServerConnectionOutput::Close => self.is_closed = true,
                ServerConnectionOutput::Authenticate { ticket, token } => {
                    self.authenticate(ticket, &token);
                }
                // The BIND that follows names the worker.
                ServerConnectionOutput::Open(_) => {}
                ServerConnectionOutput::Deliver(packet) => self.deliver(packet),
            }
        }
    }

    fn authenticate(&mut self, ticket: u64, token: &str) {
        match self.hub.authenticate(self.number, token) {
            Ok((caller, expires)) => {
                let user = Arc::clone(&caller.identity);
                let expires_at_ms = self.clock.at_ms(expires);
                self.input(ServerConnectionInput::Authenticated {
                    ticket,
                    user: &user,
                    expires_at_ms,
                });
                if !self.is_closed {
                    self.caller = Some(caller);
                    self.quota.end();
                }
            }
            Err(code) => self.input(ServerConnectionInput::Unauthenticated { ticket, code }),
        }
    }

    fn deliver(&mut self, packet: Packet<'_>) {
        let Some(caller) = &self.caller else { return };
        let session = packet.session();
        let key = SessionKey { connection: self.number, session };
        if packet.is_bind() {
            let path = match packet.frame().map(|frame| frame.message) {
                Ok(FrameMessage::Bind(bind)) => bind.path,
                // The session refuses the frame.
                Ok(_) | Err(_) => "",
            };
            let worker = self.hub.worker_of(path, &caller.identity);
            self.sessions.insert(session, worker);
            let (terms, link, caller) = (self.terms, Arc::clone(&self.link), caller.clone());
            self.hub.send(worker, Job::Open(NewSession { key, terms, caller, link }));
        }
        if let Some(worker) = self.sessions.get(&session) {
            let work = self.link.begin_work(packet.body_bytes());
            self.hub.send(*worker, Job::Frame { key, packet: packet.into_owned(), work });
        }
    }

    /// Ends the sessions.
    fn leave(&mut self) {
        let workers: BTreeSet<usize> = std::mem::take(&mut self.sessions).into_values().collect();
        for worker in workers {
            self.hub.send(worker, Job::Gone(self.number));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leave();
        self.hub.registry.remove(self.number);
    }
}
