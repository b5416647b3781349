//! The session of a server: one client file and one database, over a connection.
//!
//! - FR6 The answer to an entry precedes the entry in a download.
//! - SY17 Every question of a client has an answer, or ends the session with an error.
//! - FR4 A client cannot make a session hold more than its window and its credit.

mod connection;
mod io;

pub use connection::{ConnectionTerms, ServerConnection};
pub use io::{
    EntryRejection, ServerConnectionInput, ServerConnectionOutput, ServerInput, ServerOutput,
};

use crate::entry::ENTRY_BYTES_MAX;
use crate::frame::{
    Ack, BATCH_BYTES, Bind, CREDIT_BYTES, Code, Compression, Download, Empty, Failed, Frame,
    Identity, Item, Mark, Message, Packet, Reject, Resume, Resumed, SnapshotGet, SnapshotPart,
    TEXT_BYTES_MAX, Upload,
};

type SessionOutputs<'a> = Vec<ServerOutput<'a>>;

/// Most credit that a client can give.
const CREDIT_BYTES_MAX: u64 = 256 << 20;
/// Most marks that wait for their answer.
const MARKS_MAX: usize = 256;

/// The session of a server.
#[derive(Clone, Debug)]
pub struct ServerSession {
    number: u32,
    window_bytes: u64,
    phase: SessionPhase,
    ticket: u64,
    /// Tickets and bytes of the submissions that have no answer.
    submissions: Vec<(u64, u64)>,
    last_client_seq: u64,
    head: u64,
    durable_seq: u64,
    /// Seq up to which the history is sent.
    sent: u64,
    credit: u64,
    reading: Option<u64>,
    /// Greatest own entry of a read that was dropped, as it has no answer yet.
    own_read: u64,
    reading_snapshot: Option<u64>,
    /// Marks, each with the seq that has to be sent before its answer.
    marks: Vec<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum SessionPhase {
    New,
    /// The database is being opened; the next frame may have arrived already.
    Binding(Option<Early>),
    Bound,
    Resuming {
        cursor: u64,
    },
    Live,
    Ended,
}

/// A frame that a client sends right behind its BIND.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Early {
    Resume(Resume),
    SnapshotGet(SnapshotGet),
}

impl ServerSession {
    /// Makes the session with this number, for [`ServerConnectionOutput::Open`].
    #[must_use]
    pub const fn new(number: u32, terms: &ConnectionTerms) -> Self {
        Self {
            number,
            window_bytes: terms.window_bytes,
            phase: SessionPhase::New,
            ticket: 0,
            submissions: Vec::new(),
            last_client_seq: 0,
            head: 0,
            durable_seq: 0,
            sent: 0,
            credit: CREDIT_BYTES,
            reading: None,
            own_read: 0,
            reading_snapshot: None,
            marks: Vec::new(),
        }
    }

    /// Returns the number of entries that are not sent yet.
    #[must_use]
    pub const fn behind(&self) -> u64 {
        self.head.saturating_sub(self.sent)
    }

    /// Takes an input and appends the outputs. A session has no deadline: its connection has.
    pub fn handle<'a>(&mut self, input: ServerInput<'a>, out: &mut SessionOutputs<'a>) {
        if self.phase == SessionPhase::Ended {
            return;
        }
        match input {
            ServerInput::Received(packet) => self.received(packet, out),
            ServerInput::Bound(identity) => self.bound(identity, out),
            ServerInput::Resumed { resumed, rejected } => self.resumed(resumed, &rejected, out),
            ServerInput::Submitted { ticket, last_client_seq, durable_seq, head, rejected } => {
                let found = self.submissions.iter().position(|(other, _)| *other == ticket);
                let Some(index) = found else { return };
                self.submissions.remove(index);
                self.last_client_seq = self.last_client_seq.max(last_client_seq);
                self.reject(&rejected, out);
                self.durable_seq = durable_seq;
                self.acknowledge(out);
                self.moved(head, out);
            }
            ServerInput::History { ticket, download } => self.history(ticket, download, out),
            ServerInput::Snapshot { ticket, part } => self.snapshot(ticket, part, out),
            ServerInput::HeadMoved { head, durable_seq } => {
                if self.phase == SessionPhase::Live && durable_seq > self.durable_seq {
                    self.durable_seq = durable_seq;
                    self.acknowledge(out);
                }
                self.moved(head, out);
            }
            ServerInput::Fail { code, retry_after_ms, message } => {
                self.fail(code, retry_after_ms, message, out);
            }
        }
    }

    fn received<'a>(&mut self, packet: &'a Packet<'_>, out: &mut SessionOutputs<'a>) {
        if packet.session() != self.number {
            return;
        }
        let frame = match packet.frame() {
            Ok(frame) if frame.extensions.is_empty() => frame,
            Ok(_) => return self.refuse(Code::BAD_ORDER, out),
            Err(error) => return self.refuse(error.code(), out),
        };
        match (&mut self.phase, frame.message) {
            (_, Message::Unbind(Empty)) => {
                self.send(Message::Unbound(Empty), out);
                self.end(out);
            }
            (SessionPhase::New, Message::Bind(bind)) => {
                self.phase = SessionPhase::Binding(None);
                let Bind { path, schema_hash, wants_identity } = bind;
                out.push(ServerOutput::Bind { path, schema_hash, wants_identity });
            }
            (SessionPhase::Binding(early @ None), Message::Resume(resume)) => {
                *early = Some(Early::Resume(resume));
            }
            (SessionPhase::Binding(early @ None), Message::SnapshotGet(get)) => {
                *early = Some(Early::SnapshotGet(get));
            }
            (SessionPhase::Bound, Message::Resume(resume)) => self.resume(resume, out),
            (SessionPhase::Live, Message::Upload(upload)) => self.upload(upload, out),
            (SessionPhase::Live, Message::Credit(credit)) => {
                self.credit = self.credit.saturating_add(credit.bytes).min(CREDIT_BYTES_MAX);
                self.read_history(out);
            }
            (SessionPhase::Live, Message::Mark(mark)) => self.mark(&mark, out),
            (SessionPhase::Live, Message::Progress(progress)) => {
                let (cursor, oldest_base) = (progress.cursor, progress.oldest_base);
                out.push(ServerOutput::Progress { cursor, oldest_base });
            }
            (SessionPhase::Bound | SessionPhase::Live, Message::SnapshotGet(get)) => {
                self.get_snapshot(&get, out);
            }
            _ => self.refuse(Code::BAD_ORDER, out),
        }
    }

    fn bound(&mut self, identity: Option<Identity>, out: &mut SessionOutputs<'_>) {
        let SessionPhase::Binding(early) = &mut self.phase else { return };
        let early = early.take();
        self.phase = SessionPhase::Bound;
        if let Some(identity) = identity {
            self.send(Message::Identity(identity), out);
        }
        match early {
            Some(Early::Resume(resume)) => self.resume(resume, out),
            Some(Early::SnapshotGet(get)) => self.get_snapshot(&get, out),
            None => {}
        }
    }

    fn resume(&mut self, resume: Resume, out: &mut SessionOutputs<'_>) {
        self.phase = SessionPhase::Resuming { cursor: resume.cursor };
        out.push(ServerOutput::Resume(resume));
    }

    fn resumed(
        &mut self,
        resumed: Resumed,
        rejected: &[EntryRejection],
        out: &mut SessionOutputs<'_>,
    ) {
        let SessionPhase::Resuming { cursor } = self.phase else { return };
        self.phase = SessionPhase::Live;
        (self.sent, self.durable_seq) = (cursor, resumed.durable_seq);
        self.last_client_seq = resumed.last_client_seq;
        let head = resumed.head;
        // Before RESUMED, which acknowledges their numbers.
        self.reject(rejected, out);
        self.send(Message::Resumed(resumed), out);
        self.moved(head, out);
    }

    fn upload<'a>(&mut self, upload: Upload<'a>, out: &mut SessionOutputs<'a>) {
        let bytes: u64 = upload.entries.iter().map(|entry| entry.len() as u64).sum();
        let open: u64 = self.submissions.iter().map(|(_, bytes)| bytes).sum();
        if open + bytes > self.window_bytes + ENTRY_BYTES_MAX as u64 {
            return self.refuse(Code::LIMIT_EXCEEDED, out);
        }
        let ticket = self.next_ticket();
        self.submissions.push((ticket, bytes));
        let Upload { oldest_base, entries } = upload;
        out.push(ServerOutput::Submit { ticket, oldest_base, entries });
    }

    fn reject(&self, rejected: &[EntryRejection], out: &mut SessionOutputs<'_>) {
        for EntryRejection { client_seq, code, operation, reason } in rejected {
            let (client_seq, code) = (*client_seq, *code);
            let operation = operation.map_or(0, |index| index.saturating_add(1));
            let reason = within(reason);
            self.send(Message::Reject(Reject { client_seq, code, operation, reason }), out);
        }
    }

    fn acknowledge(&self, out: &mut SessionOutputs<'_>) {
        let (last_client_seq, durable_seq) = (self.last_client_seq, self.durable_seq);
        self.send(Message::Ack(Ack { last_client_seq, durable_seq }), out);
    }

    fn moved(&mut self, head: u64, out: &mut SessionOutputs<'_>) {
        self.head = self.head.max(head);
        self.read_history(out);
    }

    fn read_history(&mut self, out: &mut SessionOutputs<'_>) {
        let is_answered = self.own_read <= self.last_client_seq;
        let may_read = self.phase == SessionPhase::Live && self.reading.is_none() && is_answered;
        if may_read && self.sent < self.head && self.credit > 0 {
            let ticket = self.next_ticket();
            self.reading = Some(ticket);
            out.push(ServerOutput::ReadHistory { ticket, from: self.sent, bytes_max: BATCH_BYTES });
        }
    }

    fn history(&mut self, ticket: u64, download: Download<'_>, out: &mut SessionOutputs<'_>) {
        if self.reading != Some(ticket) {
            return;
        }
        self.reading = None;
        self.own_read = download.items.iter().map(own_number).max().unwrap_or(0);
        if self.own_read > self.last_client_seq {
            return;
        }
        let (from, to) = (download.from, download.to());
        let frame = Frame::new(self.number, Message::Download(download));
        let encoded = frame.encode_measured(Compression::Auto);
        let Some(encoded) = encoded.ok().filter(|_| from == self.sent) else {
            return self.refuse(Code::STORE_FAILED, out);
        };
        self.sent = to;
        self.credit = self.credit.saturating_sub(encoded.body_bytes as u64);
        out.push(ServerOutput::Send(encoded.bytes));
        self.answer_marks(out);
        self.read_history(out);
    }

    fn mark(&mut self, mark: &Mark, out: &mut SessionOutputs<'_>) {
        if self.marks.len() >= MARKS_MAX {
            return self.refuse(Code::LIMIT_EXCEEDED, out);
        }
        self.marks.push((mark.number, self.head));
        self.answer_marks(out);
    }

    fn answer_marks(&mut self, out: &mut SessionOutputs<'_>) {
        let mut marks = std::mem::take(&mut self.marks);
        marks.retain(|(number, after)| {
            let is_due = *after <= self.sent;
            if is_due {
                self.send(Message::Mark(Mark { number: *number }), out);
            }
            !is_due
        });
        self.marks = marks;
    }

    fn get_snapshot(&mut self, get: &SnapshotGet, out: &mut SessionOutputs<'_>) {
        if self.reading_snapshot.is_some() {
            return self.refuse(Code::BAD_ORDER, out);
        }
        let ticket = self.next_ticket();
        self.reading_snapshot = Some(ticket);
        let (snapshot, offset) = (get.snapshot, get.offset);
        out.push(ServerOutput::ReadSnapshot { ticket, snapshot, offset });
    }

    fn snapshot(&mut self, ticket: u64, part: SnapshotPart<'_>, out: &mut SessionOutputs<'_>) {
        if self.reading_snapshot != Some(ticket) {
            return;
        }
        self.reading_snapshot = None;
        if !self.send(Message::SnapshotPart(part), out) {
            self.refuse(Code::STORE_FAILED, out);
        }
    }

    const fn next_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.ticket
    }

    fn refuse(&mut self, code: Code, out: &mut SessionOutputs<'_>) {
        self.fail(code, 0, "", out);
    }

    fn fail(&mut self, code: Code, delay_ms: u64, message: &str, out: &mut SessionOutputs<'_>) {
        let failed = Failed {
            code,
            action: code.action(),
            retry_after_ms: delay_ms.min(86_400_000),
            message: within(message),
            log_reference: "",
        };
        self.send(Message::Failed(failed), out);
        self.end(out);
    }

    fn end(&mut self, out: &mut SessionOutputs<'_>) {
        self.phase = SessionPhase::Ended;
        out.push(ServerOutput::Ended);
    }

    /// Sends a frame of the session. False if it exceeds a limit.
    fn send(&self, message: Message<'_>, out: &mut SessionOutputs<'_>) -> bool {
        let bytes = Frame::new(self.number, message).encode(Compression::Auto);
        let is_sent = bytes.is_ok();
        out.extend(bytes.into_iter().map(ServerOutput::Send));
        is_sent
    }
}

/// The number of an own entry.
const fn own_number(item: &Item<'_>) -> u64 {
    match item {
        Item::Own { client_seq, .. } => *client_seq,
        Item::Entry { .. } => 0,
    }
}

/// The beginning of a text that fits into its field.
fn within(text: &str) -> &str {
    let end = (0..=text.len().min(TEXT_BYTES_MAX)).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
