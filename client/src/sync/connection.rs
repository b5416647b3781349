//! The thread of a connection: one WebSocket to a server for the files of a user.
//!
//! - CS7 A frame is sent on the connection that it was made for, or not at all.
//! - CS3 The thread never blocks but in its own wait: a server that does not answer, a file that is
//!   being merged and an app that holds a transaction delay no other file.

use super::clock::SteadyClock;
use super::inbox::FileInbox;
use super::login::Login;
use super::message::{
    ConnectionHandle, ConnectionMessage, Failure, FileId, FileMessage, LoginState, OnlineTerms,
};
use super::transport::{Target, Transport};
use super::wake::{self, Sleeper};
use crate::event::SessionEvent;
use crate::fault;
use fastness_sync::frame::{Code, Packet};
use fastness_sync::session::{ClientConnection, ClientConnectionInput, ClientConnectionOutput};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Name of the library in HELLO.
const LIBRARY: &str = concat!("fastness-client/", env!("CARGO_PKG_VERSION"));
/// Messages of the server that are handled before those of files.
const BURST: usize = 64;
/// Longest sleep without a deadline.
const SLEEP_MAX: Duration = Duration::from_secs(3600);

/// The thread of a connection.
pub(crate) struct ConnectionDriver {
    machine: ClientConnection,
    clock: SteadyClock,
    target: Arc<Target>,
    login: Login,
    login_state: LoginState,
    inbox: Receiver<ConnectionMessage>,
    handle: ConnectionHandle,
    sleeper: Sleeper,
    transport: Option<Transport>,
    /// Number of the last attempt to connect.
    attempt: u64,
    files: BTreeMap<FileId, FileInbox>,
    /// Files by the numbers of their sessions.
    numbers: BTreeMap<u32, FileId>,
    online: Option<OnlineTerms>,
    /// Number of the last session that was bound.
    last_bound: u32,
}

/// A connection that is being started.
pub(crate) struct NewConnection {
    pub(crate) handle: ConnectionHandle,
    inbox: Receiver<ConnectionMessage>,
    sleeper: Sleeper,
}

impl NewConnection {
    pub(crate) fn new() -> io::Result<Self> {
        let (waker, sleeper) = wake::pair()?;
        let (sender, inbox) = channel();
        let handle = ConnectionHandle { inbox: sender, waker: Arc::new(waker) };
        Ok(Self { handle, inbox, sleeper })
    }

    /// Starts the thread.
    pub(crate) fn start(
        self,
        target: Target,
        login: Login,
        seed: u64,
    ) -> io::Result<JoinHandle<()>> {
        let driver = ConnectionDriver {
            machine: ClientConnection::new(LIBRARY, seed),
            clock: SteadyClock::new(),
            target: Arc::new(target),
            login_state: login.state(),
            login,
            inbox: self.inbox,
            handle: self.handle,
            sleeper: self.sleeper,
            transport: None,
            attempt: 0,
            files: BTreeMap::new(),
            numbers: BTreeMap::new(),
            online: None,
            last_bound: 0,
        };
        Builder::new().name("fastness-sync".to_owned()).spawn(move || driver.run())
    }
}

impl ConnectionDriver {
    fn run(mut self) {
        if self.login_state == LoginState::LoggedOut {
            self.input(ClientConnectionInput::LoggedOut);
        }
        loop {
            self.sleeper.clear();
            while let Ok(message) = self.inbox.try_recv() {
                if matches!(message, ConnectionMessage::Stop) {
                    return self.stop();
                }
                self.handle_message(message);
            }
            self.input(ClientConnectionInput::Tick);
            let is_done = self.receive();
            let wants_write = self.flush();
            self.sleep(is_done, wants_write);
        }
    }

    fn stop(mut self) {
        // The frames that end the sessions are among those that are kept.
        self.flush();
        if let Some(transport) = self.transport.take() {
            transport.close();
        }
    }

    fn handle_message(&mut self, message: ConnectionMessage) {
        match message {
            ConnectionMessage::Attach(id, file) => {
                let file = FileInbox::new(file);
                file.send(FileMessage::Login(self.login_state));
                if let Some(terms) = self.online {
                    file.send(FileMessage::Online(terms));
                }
                self.files.insert(id, file);
            }
            ConnectionMessage::Detach(id) => {
                self.files.remove(&id);
                self.numbers.retain(|_, file| *file != id);
            }
            ConnectionMessage::Send(connection, bytes) if self.is_at(connection) => {
                self.send_of_file(bytes);
            }
            ConnectionMessage::WantNumber(id, connection) if self.is_at(connection) => {
                self.number(id);
            }
            // The file learns that the connection is lost, and binds again.
            ConnectionMessage::Send(..) | ConnectionMessage::WantNumber(..) => {}
            ConnectionMessage::Login(event) => self.login_event(event),
            ConnectionMessage::Connected(attempt, outcome) => self.connected(attempt, outcome),
            ConnectionMessage::Reconnect => {
                self.input(ClientConnectionInput::Reconnect);
                self.notify_files(|| FileMessage::Reconnect);
            }
            ConnectionMessage::Stop => {}
        }
    }

    /// Returns whether a connection is the one that is ready.
    fn is_at(&self, connection: u64) -> bool {
        let is_it = |terms: OnlineTerms| terms.connection == connection || fault::on("NC-05");
        self.online.is_some_and(is_it)
    }

    /// Sends a frame of a session. Threads of files bind in any order, and the server refuses a
    /// BIND whose number is below an earlier one: its file binds again with another number.
    fn send_of_file(&mut self, bytes: Vec<u8>) {
        let bind = Packet::open(&bytes).ok().filter(Packet::is_bind).map(|bind| bind.session());
        if let Some(number) = bind {
            if number <= self.last_bound {
                let file = self.numbers.get(&number).and_then(|id| self.files.get(id));
                if let (Some(file), Some(terms)) = (file, self.online) {
                    file.send(FileMessage::Offline);
                    file.send(FileMessage::Online(terms));
                }
                return;
            }
            self.last_bound = number;
        }
        self.send(bytes);
    }

    fn number(&mut self, id: FileId) {
        // Without a number the file gets none before the next Online.
        if let (Some(number), Some(file)) = (self.machine.number(), self.files.get(&id)) {
            self.numbers.retain(|_, file| *file != id);
            self.numbers.insert(number, id);
            file.send(FileMessage::Number(number));
        }
    }

    fn login_event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Token(token) => {
                self.input(ClientConnectionInput::Token(token.value.expose()));
                self.set_login(LoginState::LoggedIn);
            }
            SessionEvent::Parked => {
                self.input(ClientConnectionInput::LoggedOut);
                self.set_login(LoginState::LoggedOut);
            }
            SessionEvent::Waiting(error) => {
                self.notify_files(|| FileMessage::Waiting(error.to_string()));
            }
            SessionEvent::Failed(error) => {
                self.input(ClientConnectionInput::LoggedOut);
                let code = error.code().number();
                self.report(&Failure { code, message: error.to_string() });
                self.set_login(LoginState::Waiting);
            }
        }
    }

    fn set_login(&mut self, state: LoginState) {
        if std::mem::replace(&mut self.login_state, state) != state {
            self.notify_files(|| FileMessage::Login(state));
        }
    }

    fn report(&self, failure: &Failure) {
        self.notify_files(|| FileMessage::Failed(failure.clone()));
    }

    /// Sends a message to all files.
    fn notify_files(&self, message: impl Fn() -> FileMessage) {
        self.files.values().for_each(|file| file.send(message()));
    }

    fn connected(&mut self, attempt: u64, outcome: io::Result<Transport>) {
        if attempt != self.attempt {
            return;
        }
        match outcome {
            Ok(transport) => {
                self.transport = Some(transport);
                self.input(ClientConnectionInput::Connected);
            }
            Err(error) => {
                self.notify_files(|| FileMessage::Waiting(error.to_string()));
                self.input(ClientConnectionInput::Disconnected);
            }
        }
    }

    fn input(&mut self, input: ClientConnectionInput<'_>) {
        let mut outputs = Vec::new();
        self.machine.handle(self.clock.now_ms(), input, &mut outputs);
        for output in outputs {
            self.perform(output);
        }
    }

    /// Handles a message of the server; one for a session goes to its file.
    fn received(&mut self, bytes: Vec<u8>) {
        let mut outputs = Vec::new();
        let input = ClientConnectionInput::Received(&bytes);
        self.machine.handle(self.clock.now_ms(), input, &mut outputs);
        let mut session = None;
        for output in outputs {
            if let ClientConnectionOutput::Deliver(packet) = &output {
                session = Some(packet.session());
            } else {
                self.perform(output);
            }
        }
        let Some(session) = session else { return };
        let id = self.numbers.get(&session);
        let file = id.and_then(|id| self.files.get(id));
        if file.is_some_and(|file| !file.send_frame(bytes)) {
            // Later frames of the session have no use.
            self.numbers.remove(&session);
        }
    }

    fn perform(&mut self, output: ClientConnectionOutput<'_>) {
        match output {
            ClientConnectionOutput::Connect => self.connect(),
            ClientConnectionOutput::Send(bytes) => self.send(bytes),
            ClientConnectionOutput::Close => {
                self.attempt += 1;
                if let Some(transport) = self.transport.take() {
                    transport.close();
                }
            }
            ClientConnectionOutput::RefreshToken => self.login.refresh(),
            ClientConnectionOutput::LogOut(code) => self.log_out(code),
            ClientConnectionOutput::Online { window_bytes, clock_offset_ms } => {
                let terms = OnlineTerms { connection: self.attempt, window_bytes, clock_offset_ms };
                self.online = Some(terms);
                self.notify_files(|| FileMessage::Online(terms));
            }
            ClientConnectionOutput::Offline => {
                self.online = None;
                self.last_bound = 0;
                self.numbers.clear();
                self.notify_files(|| FileMessage::Offline);
            }
            ClientConnectionOutput::Report(report) => {
                let code = i64::from(report.code.0);
                self.report(&Failure { code, message: report.message });
            }
            // Only a received message has one.
            ClientConnectionOutput::Deliver(_) => {}
        }
    }

    /// Two tokens in a row were refused: the login has ended.
    fn log_out(&mut self, code: Code) {
        let message = "the server refuses the login; log in again".to_owned();
        self.report(&Failure { code: i64::from(code.0), message });
        self.login.log_out();
        self.set_login(LoginState::LoggedOut);
    }

    /// Connects on a thread of its own, as names are resolved and proxies answer when they like.
    fn connect(&mut self) {
        self.attempt += 1;
        let (attempt, target, handle) =
            (self.attempt, Arc::clone(&self.target), self.handle.clone());
        let name = "fastness-sync-connect".to_owned();
        let spawned = Builder::new().name(name).spawn(move || {
            handle.send(ConnectionMessage::Connected(attempt, target.connect()));
        });
        if spawned.is_err() {
            self.input(ClientConnectionInput::Disconnected);
        }
    }

    fn send(&mut self, bytes: Vec<u8>) {
        let sent = self.transport.as_mut().map(|transport| transport.send(bytes));
        if let Some(Err(error)) = sent {
            self.lose(&error);
        }
    }

    fn lose(&mut self, error: &io::Error) {
        self.transport = None;
        if !fault::on("NR-78") {
            self.notify_files(|| FileMessage::Waiting(error.to_string()));
        }
        self.input(ClientConnectionInput::Disconnected);
    }

    /// Handles what has arrived. Returns whether nothing is left.
    fn receive(&mut self) -> bool {
        for _ in 0..BURST {
            let Some(transport) = &mut self.transport else { return true };
            match transport.receive() {
                Ok(Some(bytes)) => self.received(bytes),
                Ok(None) => return true,
                Err(error) => {
                    self.lose(&error);
                    return true;
                }
            }
        }
        false
    }

    /// Sends what is kept. Returns whether the socket has to accept more.
    fn flush(&mut self) -> bool {
        match self.transport.as_mut().map(Transport::flush) {
            None => false,
            Some(Ok(is_left)) => is_left,
            Some(Err(error)) => {
                self.lose(&error);
                false
            }
        }
    }

    /// Sleeps until a message, the socket or the deadline.
    fn sleep(&self, is_done: bool, wants_write: bool) {
        let mut pause = Duration::ZERO;
        if is_done {
            let left = |deadline: u64| deadline.saturating_sub(self.clock.now_ms());
            pause = self
                .machine
                .deadline()
                .map_or(SLEEP_MAX, |deadline| Duration::from_millis(left(deadline)).min(SLEEP_MAX));
        }
        let mut descriptors = vec![PollFd::new(&self.sleeper, PollFlags::IN)];
        if let Some(transport) = &self.transport {
            let flags = if wants_write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            descriptors.push(PollFd::new(transport, flags));
        }
        let pause = Timespec::try_from(pause).ok();
        // A signal wakes too.
        poll(&mut descriptors, pause.as_ref()).unwrap_or_default();
    }
}
