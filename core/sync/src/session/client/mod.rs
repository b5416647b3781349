//! The session of a client: one client file and one database of a server, over a connection.
//!
//! - SV1 No entry is taken out for the refusal of one that a copy of the file wrote.
//! - SY8 A download that the file has is ignored, and one that does not follow is refused.
//! - SY17 A server that owes an answer for a minute is asked again. A refusal that another copy of
//!   the file learned of is concluded from the history.
//! - FR8 A server that asks for one reset after another gets them at growing intervals.

mod connection;
mod download;
mod io;
mod receive;
mod rejected;
mod transfer;
mod upload;

pub use connection::ClientConnection;
pub use io::{
    Apply, ClientConnectionInput, ClientConnectionOutput, ClientInput, ClientOutput, FileState,
    RejectedEntry, Report, SnapshotBytes,
};

use super::backoff::Backoff;
use crate::fault;
use crate::frame::{Bind, Code, Compression, Empty, Frame, Message, Resume, Upload};
use download::DownloadProgress;
use upload::UploadWindow;

type Outputs<'a> = Vec<ClientOutput<'a>>;

/// Longest time without a frame while the server owes an answer.
const STALL_MS: u64 = 60_000;
/// Time after which a binding counts as a success.
const SETTLED_MS: u64 = 60_000;
/// Most bytes of entries that wait for their acknowledgement, however many a server permits.
const WINDOW_BYTES_MAX: u64 = 16 << 20;
/// Most marks that wait for their answer.
const MARKS_MAX: usize = 256;

/// The session of a client.
#[derive(Clone, Debug)]
pub struct ClientSession {
    path: String,
    schema_hash: u64,
    backoff: Backoff,
    phase: ClientPhase,
    is_online: bool,
    /// The driver performs a reset or a change of identity.
    is_recovering: bool,
    number: u32,
    /// BIND is sent under this number.
    is_bound: bool,
    window_bytes: u64,
    ticket: u64,
    state: FileState,
    upload: UploadWindow,
    download: DownloadProgress,
    /// Entries that the server had answered when the session resumed, until their answers are here.
    answered: Option<AnsweredEntries>,
    /// Refusals that wait for the answer that they belong to.
    rejected: Vec<RejectedEntry>,
    /// Numbers that the app waits for.
    marks: Vec<WantedMark>,
    /// Downloads in a row that could not be used.
    bad_downloads: u32,
    /// The snapshot of a reset: its number and the bytes that are stored.
    snapshot: Option<(u64, u64)>,
    is_part_owed: bool,
    stall_ms: u64,
    live_ms: u64,
}

/// Phase of the session on its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientPhase {
    /// Offline, or while the driver recovers.
    Idle,
    /// Binds at this time.
    Waiting { until_ms: u64 },
    /// Waits for a number of the connection.
    Numbering,
    /// Waits for the state of the file.
    Reading,
    /// BIND is sent, for an identity.
    Binding,
    /// RESUME is sent.
    Resuming,
    /// Entries flow.
    Live,
    /// A snapshot is fetched.
    Fetching,
}

/// Own entries that the server had answered when the session resumed.
#[derive(Clone, Copy, Debug)]
struct AnsweredEntries {
    last_client_seq: u64,
    chain_hash: u64,
    /// Head of the history, which has all of them that were not refused.
    head: u64,
}

/// A mark in the download.
#[derive(Clone, Copy, Debug)]
struct WantedMark {
    number: u64,
    is_sent: bool,
    /// Seq that has to be applied, once the server has answered.
    after: Option<u64>,
}

impl ClientSession {
    /// Makes a session that is offline. The seed is random.
    #[must_use]
    pub fn new(path: &str, schema_hash: u64, seed: u64) -> Self {
        Self {
            path: path.to_owned(),
            schema_hash,
            backoff: Backoff::new(seed),
            phase: ClientPhase::Idle,
            is_online: false,
            is_recovering: false,
            number: 0,
            is_bound: false,
            window_bytes: 0,
            ticket: 0,
            state: FileState::default(),
            upload: UploadWindow::default(),
            download: DownloadProgress::default(),
            answered: None,
            rejected: Vec::new(),
            marks: Vec::new(),
            bad_downloads: 0,
            snapshot: None,
            is_part_owed: false,
            stall_ms: 0,
            live_ms: 0,
        }
    }

    /// Returns the number of the session, 0 while it has none.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// Returns the time of the next [`ClientInput::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let waiting = match self.phase {
            ClientPhase::Waiting { until_ms } => Some(until_ms),
            ClientPhase::Idle
            | ClientPhase::Numbering
            | ClientPhase::Reading
            | ClientPhase::Binding
            | ClientPhase::Resuming
            | ClientPhase::Live
            | ClientPhase::Fetching => None,
        };
        let stall = self.is_owed().then_some(self.stall_ms);
        [waiting, stall, self.report_due()].into_iter().flatten().min()
    }

    /// Takes an input and appends the outputs.
    pub fn handle<'a>(&mut self, now_ms: u64, input: ClientInput<'a>, out: &mut Outputs<'a>) {
        match input {
            ClientInput::Online { window_bytes } => {
                self.is_online = true;
                self.window_bytes = fault::client::window(window_bytes, WINDOW_BYTES_MAX);
                if self.phase == ClientPhase::Idle && self.may_bind() {
                    self.bind(out);
                }
            }
            ClientInput::Offline => self.go_offline(),
            ClientInput::Number(number) => self.numbered(number, out),
            ClientInput::State { ticket, state } => self.read_state(now_ms, ticket, state, out),
            ClientInput::Received(packet) => self.received(now_ms, packet, out),
            ClientInput::Flooded => {
                if self.is_bound {
                    self.violated(now_ms, Code::LIMIT_EXCEEDED, out);
                }
            }
            ClientInput::LocalEntries { durable_client_seq } => {
                // A reset numbers entries again, and the state that follows it says how far.
                if !self.is_recovering {
                    self.upload.set_durable(durable_client_seq);
                    self.read_pending(out);
                }
            }
            ClientInput::Pending { ticket, oldest_base, entries } => {
                let upload = Upload { oldest_base, entries };
                self.send_pending(now_ms, ticket, upload, out);
            }
            ClientInput::Applied { ticket, oldest_base } => {
                if self.download.apply(ticket, oldest_base) {
                    self.applied(now_ms, out);
                }
            }
            ClientInput::Unusable { ticket } => {
                if self.phase == ClientPhase::Live && self.download.is_applying(ticket) {
                    self.bad_download(now_ms, out);
                }
            }
            ClientInput::Cloned => {
                if self.phase == ClientPhase::Live {
                    self.unbind(out);
                    self.recover(ClientOutput::NewIdentity, out);
                }
            }
            ClientInput::WantDownloadCompletion { number } => self.want_mark(number, out),
            ClientInput::Reconnect => self.reconnect(out),
            ClientInput::Recovered => self.recovered(now_ms, out),
            ClientInput::FetchSnapshot { snapshot, offset } => {
                self.fetch(now_ms, snapshot, offset, out);
            }
            ClientInput::Tick => self.tick(now_ms, out),
        }
    }

    const fn may_bind(&self) -> bool {
        self.is_online && (!self.is_recovering || self.snapshot.is_some())
    }

    fn tick(&mut self, now_ms: u64, out: &mut Outputs<'_>) {
        if let ClientPhase::Waiting { until_ms } = self.phase
            && now_ms >= until_ms
        {
            self.phase = ClientPhase::Idle;
            if self.may_bind() {
                self.bind(out);
            }
        }
        if self.is_owed() && now_ms >= self.stall_ms {
            self.unbind(out);
            self.wait(now_ms, 0);
        }
        self.report(now_ms, out);
    }

    /// Asks for a number under which to bind.
    fn bind(&mut self, out: &mut Outputs<'_>) {
        self.phase = ClientPhase::Numbering;
        out.push(ClientOutput::WantNumber);
    }

    /// Binds again: at once after a success, else after a delay.
    fn rebind(&mut self, now_ms: u64, out: &mut Outputs<'_>) {
        let is_fresh = self.backoff.is_fresh();
        self.wait(now_ms, 0);
        if is_fresh && self.may_bind() {
            self.bind(out);
        }
    }

    /// Binds at once, if a delay is all that the session waits for.
    fn reconnect(&mut self, out: &mut Outputs<'_>) {
        if !matches!(self.phase, ClientPhase::Waiting { .. }) || fault::planted("NR-84") {
            return;
        }
        self.backoff.reset();
        self.phase = ClientPhase::Idle;
        if self.may_bind() {
            self.bind(out);
        }
    }

    /// Waits for the next delay, or longer.
    fn wait(&mut self, now_ms: u64, delay_ms_min: u64) {
        let has_settled = now_ms >= self.live_ms.saturating_add(SETTLED_MS);
        if self.phase == ClientPhase::Live && has_settled {
            self.backoff.reset();
        }
        self.leave();
        let delay = self.backoff.next_ms().max(delay_ms_min);
        self.phase = ClientPhase::Waiting { until_ms: now_ms.saturating_add(delay) };
    }

    fn unbind(&mut self, out: &mut Outputs<'_>) {
        if self.is_bound {
            self.send(Message::Unbind(Empty), out);
            self.is_bound = false;
        }
    }

    /// The binding has ended: its number is of no use any more.
    fn leave(&mut self) {
        (self.number, self.is_bound, self.is_part_owed) = (0, false, false);
        self.answered = None;
        self.rejected.clear();
        self.phase = ClientPhase::Idle;
        for mark in &mut self.marks {
            (mark.is_sent, mark.after) = (false, None);
        }
    }

    fn go_offline(&mut self) {
        self.is_online = false;
        let is_waiting = matches!(self.phase, ClientPhase::Waiting { .. });
        if !is_waiting {
            self.leave();
        }
    }

    fn numbered(&mut self, number: u32, out: &mut Outputs<'_>) {
        if self.phase == ClientPhase::Numbering && number > 0 {
            self.number = number;
            self.read_file(out);
        }
    }

    fn read_file(&mut self, out: &mut Outputs<'_>) {
        self.phase = ClientPhase::Reading;
        let ticket = self.next_ticket();
        out.push(ClientOutput::ReadState { ticket });
    }

    const fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    fn read_state(&mut self, now_ms: u64, ticket: u64, state: FileState, out: &mut Outputs<'_>) {
        if self.phase != ClientPhase::Reading || self.ticket != ticket {
            return;
        }
        self.state = state;
        self.owe(now_ms);
        let wants_identity = state.client == 0;
        if !self.is_bound {
            self.is_bound = true;
            let (path, schema_hash) = (self.path.clone(), self.schema_hash);
            self.send(Message::Bind(Bind { path: &path, schema_hash, wants_identity }), out);
        }
        if self.snapshot.is_some() {
            self.get_part(now_ms, out);
        } else if wants_identity {
            self.phase = ClientPhase::Binding;
        } else {
            let FileState { client, client_salt, epoch, cursor, cursor_salt, .. } = state;
            let FileState { last_client_seq, chain_hash, oldest_base, .. } = state;
            let resume = Resume {
                client,
                client_salt,
                epoch,
                cursor,
                cursor_salt,
                last_client_seq,
                chain_hash,
                oldest_base,
            };
            self.phase = ClientPhase::Resuming;
            self.send(Message::Resume(resume), out);
        }
    }

    /// The server owes an answer from now on.
    const fn owe(&mut self, now_ms: u64) {
        self.stall_ms = now_ms.saturating_add(STALL_MS);
    }

    /// Leaves the work to the driver, which ends with [`ClientInput::Recovered`].
    fn recover<'a>(&mut self, output: ClientOutput<'a>, out: &mut Outputs<'a>) {
        self.leave();
        self.upload.clear();
        self.is_recovering = true;
        out.push(output);
    }

    fn recovered(&mut self, now_ms: u64, out: &mut Outputs<'_>) {
        if self.is_recovering {
            self.unbind(out);
            (self.is_recovering, self.snapshot) = (false, None);
            self.rebind(now_ms, out);
        }
    }

    /// Sends a frame of the session. False if it exceeds a limit.
    fn send(&self, message: Message<'_>, out: &mut Outputs<'_>) -> bool {
        let bytes = Frame::new(self.number, message).encode(Compression::Auto);
        let is_sent = bytes.is_ok();
        out.extend(bytes.into_iter().map(ClientOutput::Send));
        is_sent
    }
}
