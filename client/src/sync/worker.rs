//! The thread of a file: drives the session and performs its outputs on the file.
//!
//! - CS1 A commit of the app becomes durable here and is uploaded without another call of the app.
//! - CS2 A merge is one commit of the file: readers never wait, and writers for that commit only.
//! - CS6 A manual reset changes nothing here, and the file is closed before the app is asked.
//! - SY19 An entry leaves the device only after it is durable.

use super::clock::{SteadyClock, wall_ms};
use super::event::{SyncEvent, handle};
use super::hooks::FileHook;
use super::marks::DownloadMarks;
use super::message::{
    ConnectionHandle, ConnectionMessage, Failure, FileId, FileMessage, LoginState, OnlineTerms,
};
use super::progress::{ProgressBook, ProgressDirection, ProgressRequest, UploadCounts};
use super::reset::SyncOptions;
use super::status::SessionState;
use super::table::{FileShared, FileTable};
use crate::fault;
use fastness::Time;
use fastness::config::Configuration;
use fastness::instance::{FileRegistry, Instance, SyncError};
use fastness_sync::client::{ClientError, ClientReplica, ClientResult, ResetMode, SessionFile};
use fastness_sync::frame::{Action, Code, Compression, Empty, Failed, Frame, Message, Packet};
use fastness_sync::session::{ClientInput, ClientSession};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

/// Longest sleep without a deadline.
const SLEEP_MAX: Duration = Duration::from_secs(3600);
/// Bytes of pending entries that are counted at a time.
const COUNT_BYTES: usize = 1 << 20;

/// Parts of the thread of a file.
pub(crate) struct WorkerParts {
    pub(crate) id: FileId,
    pub(crate) configuration: Configuration,
    pub(crate) options: SyncOptions,
    pub(crate) registry: FileRegistry,
    pub(crate) replica: ClientReplica,
    pub(crate) hook: Arc<FileHook>,
    pub(crate) entry: FileShared,
    pub(crate) connection: ConnectionHandle,
    pub(crate) table: Arc<FileTable>,
    pub(crate) inbox: Receiver<FileMessage>,
    pub(crate) seed: u64,
    /// Counts the files of the connection.
    pub(crate) _share: Arc<()>,
}

/// The thread of a file.
pub(crate) struct FileWorker {
    pub(super) parts: WorkerParts,
    pub(super) file: SessionFile,
    pub(super) session: ClientSession,
    pub(super) clock: SteadyClock,
    pub(super) progress: ProgressBook,
    pub(super) marks: DownloadMarks,
    /// Terms of the connection while it is ready.
    online: Option<OnlineTerms>,
    is_paused: bool,
    login: LoginState,
    /// Keeps a closed file open until its entries are uploaded.
    closing: Option<Box<Instance>>,
    pub(super) is_reset_simulated: bool,
    /// Backup of the reset in progress.
    pub(super) backup: Option<PathBuf>,
}

/// Reason for the end of a session.
pub(super) enum SessionEnd {
    /// The file was closed, and its entries are uploaded, or the user has logged out.
    Closed,
    /// The sync client is closed.
    Stopped,
    /// The file must be reset by the app.
    Reset,
    /// The same, and the simulating thread reports it.
    Simulated(Sender<()>),
    /// The file failed.
    Failed(ClientError),
    /// A panic, as of a value of the app that was dropped.
    Panicked,
}

pub(super) type Step = ControlFlow<SessionEnd>;

impl FileWorker {
    pub(crate) fn new(parts: WorkerParts) -> Self {
        let path = parts.configuration.sync().map_or("", |sync| sync.url().path()).to_owned();
        let session = ClientSession::new(&path, 0, parts.seed);
        let mut file = SessionFile::new(parts.replica.clone());
        file.key = parts.configuration.key();
        file.snapshot_bytes_max = parts.options.snapshot_bytes_max;
        Self {
            file,
            session,
            clock: SteadyClock::new(),
            progress: ProgressBook::default(),
            marks: DownloadMarks::default(),
            online: None,
            is_paused: false,
            login: LoginState::Waiting,
            closing: None,
            is_reset_simulated: false,
            backup: None,
            parts,
        }
    }

    /// Runs until the session ends. A panic ends it, too: the file can be opened again.
    pub(crate) fn run(mut self) {
        self.parts.entry.status.set_own_thread();
        let end = catch_unwind(AssertUnwindSafe(|| self.serve())).unwrap_or_else(|_| {
            self.parts.table.end(self.parts.configuration.path(), true);
            SessionEnd::Panicked
        });
        self.finish(end);
    }

    fn serve(&mut self) -> SessionEnd {
        let progress = self.file.replica().reset_in_progress().ok().flatten();
        self.file.mode = progress.map_or(ResetMode::Recover, |it| self.mode(it.code));
        let mut next = self.deliver_reports(None);
        loop {
            if let ControlFlow::Break(end) = next {
                let is_final = !matches!(end, SessionEnd::Closed);
                if self.parts.table.end(self.parts.configuration.path(), is_final) {
                    return end;
                }
            }
            next = self.step();
        }
    }

    fn step(&mut self) -> Step {
        let pause = self.session.deadline().map_or(SLEEP_MAX, |deadline| {
            Duration::from_millis(deadline.saturating_sub(self.clock.now_ms()))
        });
        let message = if pause.is_zero() {
            Err(RecvTimeoutError::Timeout)
        } else {
            self.parts.inbox.recv_timeout(pause)
        };
        self.handle(message)?;
        let is_parked = self.login == LoginState::LoggedOut;
        if self.closing.is_some() && (is_parked || self.is_uploaded()) {
            return Step::Break(SessionEnd::Closed);
        }
        Step::Continue(())
    }

    /// Handles a message, or the time that has passed without one.
    fn handle(&mut self, message: Result<FileMessage, RecvTimeoutError>) -> Step {
        let _turn = fault::take_turn();
        match message {
            Ok(message) => self.handle_message(message),
            Err(RecvTimeoutError::Timeout) => self.input(ClientInput::Tick),
            Err(RecvTimeoutError::Disconnected) => Step::Break(SessionEnd::Stopped),
        }
    }

    fn handle_message(&mut self, message: FileMessage) -> Step {
        match message {
            FileMessage::Online(terms) => self.go_online(terms)?,
            FileMessage::Offline => self.go_offline()?,
            FileMessage::Waiting(because) => {
                self.parts.entry.listeners.notify(&SyncEvent::Waiting { because });
            }
            FileMessage::Number(number) => self.input(ClientInput::Number(number))?,
            FileMessage::Reconnect => self.input(ClientInput::Reconnect)?,
            FileMessage::Flooded => self.input(ClientInput::Flooded)?,
            FileMessage::Frame(frame) => {
                fault::let_writers_in();
                if let Ok(packet) = Packet::open(&frame.bytes) {
                    self.input(ClientInput::Received(&packet))?;
                }
            }
            FileMessage::Written => self.wrote()?,
            FileMessage::Mark(number) => self.want_mark(number)?,
            FileMessage::Login(login) => {
                self.login = login;
                self.set_state();
            }
            FileMessage::Failed(Failure { code, message }) => {
                self.report(SyncError::Session { code, message });
            }
            FileMessage::Pause(is_paused) => self.pause(is_paused)?,
            FileMessage::SimulateReset => {
                self.is_reset_simulated = true;
                self.simulate()?;
            }
            FileMessage::Listen(request) => self.listen(request)?,
            FileMessage::Close(instance) => {
                self.closing = Some(instance);
                self.set_state();
                self.wrote()?;
            }
            FileMessage::Revive => {
                self.closing = None;
                self.set_state();
            }
            FileMessage::Fail(reply) => return Step::Break(SessionEnd::Simulated(reply)),
            FileMessage::Stop => return Step::Break(SessionEnd::Stopped),
        }
        Step::Continue(())
    }

    fn go_online(&mut self, terms: OnlineTerms) -> Step {
        let OnlineTerms { window_bytes, clock_offset_ms, .. } = terms;
        let server = self.clock.now_ms().saturating_add_signed(clock_offset_ms);
        self.parts.hook.clock.synchronize(server);
        self.online = Some(terms);
        if self.is_paused {
            return Step::Continue(());
        }
        self.set_connected(true);
        self.input(ClientInput::Online { window_bytes })
    }

    fn go_offline(&mut self) -> Step {
        self.online = None;
        self.set_connected(false);
        self.input(ClientInput::Offline)
    }

    fn pause(&mut self, is_paused: bool) -> Step {
        if std::mem::replace(&mut self.is_paused, is_paused) == is_paused {
            return Step::Continue(());
        }
        if let (false, Some(terms)) = (is_paused, self.online) {
            return self.go_online(terms);
        }
        self.unbind();
        self.set_connected(false);
        self.input(ClientInput::Offline)
    }

    /// Ends the session at the server, which ignores this for a session that never began.
    fn unbind(&self) {
        let number = self.session.number();
        if number > 0
            && let Ok(bytes) = Frame::new(number, Message::Unbind(Empty)).encode(Compression::Never)
        {
            self.send(bytes);
        }
    }

    /// Sends a frame of the session, unless the connection is lost.
    pub(super) fn send(&self, bytes: Vec<u8>) {
        if let Some(OnlineTerms { connection, .. }) = self.online {
            self.parts.connection.send(ConnectionMessage::Send(connection, bytes));
        }
    }

    /// Asks for a number for the session, unless the connection is lost.
    pub(super) fn want_number(&self) {
        if let Some(OnlineTerms { connection, .. }) = self.online {
            let message = ConnectionMessage::WantNumber(self.parts.id, connection);
            self.parts.connection.send(message);
        }
    }

    /// A commit of the app was made or is being made: waits for its end, and makes it durable.
    fn wrote(&mut self) -> Step {
        let written = self.durable_client_seq();
        let durable_client_seq = self.check(written)?;
        self.count_uploads()?;
        self.input(ClientInput::LocalEntries { durable_client_seq })
    }

    fn durable_client_seq(&self) -> ClientResult<u64> {
        let replica = self.file.replica();
        replica.database().store().sync()?;
        Ok(replica.meta()?.last_client_seq)
    }

    /// Whether the server has everything that the app has written.
    fn is_uploaded(&self) -> bool {
        let replica = self.file.replica();
        let is_resetting = replica.reset_in_progress().is_ok_and(|reset| reset.is_some());
        let written = replica.meta().map_or(0, |meta| meta.last_client_seq);
        !is_resetting && self.parts.entry.status.lock().uploads.uploaded >= written
    }

    /// Makes the session believe that the server has another history.
    pub(super) fn simulate(&mut self) -> Step {
        let number = self.session.number();
        if !self.is_reset_simulated || number == 0 {
            return Step::Continue(());
        }
        self.is_reset_simulated = false;
        self.unbind();
        let failed = Failed {
            code: Code::DIVERGED,
            action: Action::Reset,
            retry_after_ms: 0,
            message: "simulated",
            log_reference: "",
        };
        let frame = Frame::new(number, Message::Failed(failed)).encode(Compression::Never);
        let bytes = frame.unwrap_or_default();
        match Packet::open(&bytes) {
            Ok(packet) => self.input(ClientInput::Received(&packet)),
            Err(_) => Step::Continue(()),
        }
    }

    /// Asks the server for a mark, unless another one waits for its answer: the next one serves all
    /// that are wanted by then.
    fn want_mark(&mut self, number: u64) -> Step {
        if self.marks.is_waiting() && fault::on("NC-07") {
            return Step::Continue(());
        }
        match self.marks.want(number) {
            Some(number) => self.input(ClientInput::WantDownloadCompletion { number }),
            None => Step::Continue(()),
        }
    }

    fn listen(&mut self, request: ProgressRequest) -> Step {
        match request.direction {
            ProgressDirection::Download => {
                let number = self.parts.entry.status.next_mark();
                self.progress.listen(request, number);
                self.want_mark(number)
            }
            ProgressDirection::Upload => {
                let uploaded = self.parts.entry.status.lock().uploads.uploaded;
                self.progress.count_uploads(UploadCounts::after(uploaded));
                self.count_uploads()?;
                let last = self.file.replica().meta().map(|meta| meta.last_client_seq);
                let last = self.check(last)?;
                self.progress.listen(request, last);
                Step::Continue(())
            }
        }
    }

    /// Counts the pending entries that are not counted yet, if a listener needs that.
    pub(super) fn count_uploads(&mut self) -> Step {
        let replica = self.file.replica().clone();
        let Some(counts) = self.progress.uploads() else { return Step::Continue(()) };
        loop {
            let entries = match replica.upload_after(counts.counted, COUNT_BYTES) {
                Ok(upload) => upload.entries,
                Err(error) => return Step::Break(SessionEnd::Failed(error)),
            };
            if entries.is_empty() {
                break;
            }
            for (client_seq, entry) in entries {
                counts.push(client_seq, entry.len());
            }
        }
        self.progress.written();
        Step::Continue(())
    }

    pub(super) fn check<T>(&self, outcome: ClientResult<T>) -> ControlFlow<SessionEnd, T> {
        match outcome {
            Ok(value) => ControlFlow::Continue(value),
            Err(error) => ControlFlow::Break(SessionEnd::Failed(error)),
        }
    }

    pub(super) fn report(&self, error: SyncError) {
        handle(&self.parts.configuration, &error);
        self.parts.entry.listeners.notify(&SyncEvent::Failed(error));
    }

    fn set_state(&self) {
        self.change_state(match self.login {
            // Inactive once the file is closed.
            _ if self.closing.is_some() => SessionState::Dying,
            LoginState::LoggedOut => SessionState::Inactive,
            LoginState::LoggedIn => SessionState::Active,
            LoginState::Waiting => SessionState::WaitingForAccessToken,
        });
    }

    fn change_state(&self, state: SessionState) {
        let before =
            self.parts.entry.status.change(|status| std::mem::replace(&mut status.state, state));
        if before != state {
            self.parts.entry.listeners.notify(&SyncEvent::State(state));
        }
    }

    fn set_connected(&self, is_connected: bool) {
        let status = &self.parts.entry.status;
        let before =
            status.change(|status| std::mem::replace(&mut status.is_connected, is_connected));
        if before != is_connected {
            self.parts.entry.listeners.notify(&SyncEvent::Connected(is_connected));
        }
    }

    /// Closes the file, and then says why: an app may open or reset it at once.
    fn finish(self, end: SessionEnd) {
        self.unbind();
        self.parts.connection.send(ConnectionMessage::Detach(self.parts.id));
        let Self { parts, file, closing, progress, .. } = self;
        // Callbacks of the app are dropped, which may panic.
        catch_unwind(AssertUnwindSafe(|| drop(progress))).unwrap_or_default();
        let WorkerParts { configuration, registry, replica, entry, .. } = parts;
        let FileShared { status, listeners, .. } = entry;
        let set = |state, failure: Option<String>| {
            status.change(|status| {
                (status.state, status.is_connected) = (state, false);
                status.failure = failure;
            });
        };
        let fail = |message: String| {
            set(SessionState::Error, Some(message.clone()));
            let error = SyncError::Session { code: 0, message };
            handle(&configuration, &error);
            listeners.notify(&SyncEvent::Failed(error));
        };
        drop((file, replica));
        match end {
            SessionEnd::Closed | SessionEnd::Stopped => {
                if !fault::on("NC-04") {
                    drop(closing);
                }
                set(SessionState::Inactive, None);
                listeners.notify(&SyncEvent::State(SessionState::Inactive));
            }
            SessionEnd::Simulated(reply) => {
                drop(closing);
                set(SessionState::Error, Some("the file must be reset".to_owned()));
                reply.send(()).unwrap_or_default();
            }
            SessionEnd::Reset => {
                let required = registry.require_reset(&configuration, now());
                let error = match required {
                    Ok(reset) => SyncError::ClientReset(reset),
                    Err(error) => SyncError::Session { code: 0, message: error.to_string() },
                };
                drop(closing);
                set(SessionState::Error, Some("the file must be reset".to_owned()));
                handle(&configuration, &error);
                listeners.notify(&SyncEvent::Failed(error));
            }
            SessionEnd::Failed(error) => {
                drop(closing);
                fail(error.to_string());
            }
            SessionEnd::Panicked => {
                drop(closing);
                fail("a panic has ended the session; open the file again".to_owned());
            }
        }
    }
}

pub(super) fn now() -> Time {
    Time(i64::try_from(wall_ms()).unwrap_or(i64::MAX))
}
