//! A client: its app's file behind a session, its connection, and its login.
//!
//! - SV1 A client whose file is no copy keeps its identity, but for a reset.
//! - SY19 An entry is sent only if it is durable. A durable one stays.
//! - SY23 Each entry that is pending no longer is named by one event.

use super::super::super::compare::CheckError;
use super::super::file::{ClientFile, failed, named};
use super::super::oracle::{ClientKey, identity};
use super::examination::{Examination, ResetStep};
use super::watcher::Watcher;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{SV1, SY17};
use fastness_sync::client::{ClientMeta, ClientReplica, FileEvent, SessionFile};
use fastness_sync::entry::Operations;
use fastness_sync::frame::{Action, Code, Packet};
use fastness_sync::session::{
    ClientConnection, ClientConnectionInput, ClientConnectionOutput, ClientInput, ClientOutput,
    ClientSession, Report,
};
use std::collections::VecDeque;

/// A message of a client over its connection, or about it.
pub(super) enum PeerMessage {
    Connect,
    Frame(Vec<u8>),
    Close,
    WantToken,
}

/// A client.
pub(super) struct Peer<'w> {
    pub(super) file: ClientFile<'w>,
    machine: ClientConnection,
    session: ClientSession,
    pub(super) connection: Option<u64>,
    /// Local time minus true time.
    pub(super) skew_ms: i64,
    /// The key that the oracle knows; 0 before the first identity.
    pub(super) key: ClientKey,
    /// The user has logged out.
    pub(super) is_logged_out: bool,
    /// Metadata and number of dead letters when the file was compared last.
    pub(super) compared: Option<(ClientMeta, usize)>,
    /// The process has restarted since then: a power loss may have taken entries.
    pub(super) has_restarted: bool,
    /// The file had dropped a part of its window then.
    pub(super) has_purged: bool,
    /// The seq up to which a backup had its entries then.
    pub(super) durable_seq: u64,
    /// The file is a copy, or was copied.
    pub(super) has_copy: bool,
    /// The resets, and the observer, of the check `reset`.
    pub(super) examination: Option<Examination>,
    pub(super) watcher: Option<Watcher>,
    /// The app has to carry out a reset.
    pub(super) awaits_app: bool,
    /// Number of the last entry that was ever sent under the identity.
    sent: u64,
    pub(super) outbox: Vec<PeerMessage>,
    seed: u64,
}

/// Surroundings of a client when it handles an event.
pub(super) struct PeerScene<'a> {
    pub(super) probe: &'a mut Probe,
    pub(super) now_ms: u64,
}

type LaterOutputs = VecDeque<ClientOutput<'static>>;

impl<'w> Peer<'w> {
    pub(super) fn new(file: ClientFile<'w>, seed: u64) -> Self {
        Self {
            file,
            machine: ClientConnection::new("sim", seed),
            session: ClientSession::new("/notes", 1, seed ^ 1),
            connection: None,
            skew_ms: 0,
            key: 0,
            is_logged_out: false,
            compared: None,
            has_restarted: false,
            has_purged: false,
            durable_seq: 0,
            has_copy: false,
            examination: None,
            watcher: None,
            awaits_app: false,
            sent: 0,
            outbox: Vec::new(),
            seed,
        }
    }

    /// Copies the file to another device; the copy has this key in the oracle.
    pub(super) fn copy(&mut self, key: ClientKey, seed: u64) -> Result<Self, CheckError> {
        self.has_copy = true;
        let file = self.file.copy()?;
        let Self { skew_ms, has_purged, durable_seq, sent, has_copy, .. } = *self;
        let of =
            Self { key, skew_ms, has_purged, durable_seq, sent, has_copy, ..Self::new(file, seed) };
        let examination = self.examination.clone();
        Ok(Self { has_restarted: true, examination, ..of })
    }

    /// Returns the number of the last entry that stays: it was sent, or its commit was durable.
    pub(super) fn least(&self) -> u64 {
        self.sent.max(self.file.durable())
    }

    /// Notes that an entry was sent.
    pub(super) fn note_sent(&mut self, number: u64) {
        self.sent = self.sent.max(number);
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        [self.machine.deadline(), self.session.deadline()].into_iter().flatten().min()
    }

    /// Begins a new process on the file, after a crash.
    pub(super) fn restart(&mut self) -> Result<(), CheckError> {
        let _: bool = self.file.take_restart();
        self.seed = self.seed.rotate_left(7) ^ 0x9e37;
        self.machine = ClientConnection::new("sim", self.seed);
        self.session = ClientSession::new("/notes", 1, self.seed ^ 1);
        self.outbox.push(PeerMessage::Close);
        (self.compared, self.has_restarted, self.watcher) = (None, true, None);
        // A crash right after a reset leaves another identity.
        let is_same = self.key == 0 || identity(self.key) == self.file.meta()?.client;
        if is_same { self.file.last_after_restart(self.sent).map(drop) } else { Ok(()) }
    }

    /// Begins with another file: the app has made a backup of this one.
    pub(super) fn replace(&mut self, file: ClientFile<'w>) {
        let Self { skew_ms, is_logged_out, seed, connection, .. } = *self;
        let examination = self.examination.take();
        *self =
            Self { skew_ms, is_logged_out, connection, examination, ..Self::new(file, seed ^ 2) };
    }

    /// Notes that a reset has given the file another identity.
    pub(super) fn renamed(&mut self, client: u32) {
        (self.key, self.sent, self.has_copy) = (client.into(), 0, false);
    }

    /// Handles the deadlines that have passed.
    pub(super) fn tick(&mut self, scene: &mut PeerScene<'_>) -> Result<(), CheckError> {
        if self.machine.deadline().is_some_and(|deadline| deadline <= scene.now_ms) {
            self.connection_input(ClientConnectionInput::Tick, scene)?;
        }
        if self.session.deadline().is_some_and(|deadline| deadline <= scene.now_ms) {
            self.session_input(ClientInput::Tick, scene)?;
        }
        Ok(())
    }

    /// Tells the session that the app has written.
    pub(super) fn wrote(&mut self, scene: &mut PeerScene<'_>) -> Result<(), CheckError> {
        let durable_client_seq = self.file.last_client_seq()?;
        self.session_input(ClientInput::LocalEntries { durable_client_seq }, scene)
    }

    pub(super) fn connection_input(
        &mut self,
        input: ClientConnectionInput<'_>,
        scene: &mut PeerScene<'_>,
    ) -> Result<(), CheckError> {
        let mut outputs = Vec::new();
        self.machine.handle(scene.now_ms, input, &mut outputs);
        for output in outputs {
            match output {
                ClientConnectionOutput::Connect => self.outbox.push(PeerMessage::Connect),
                ClientConnectionOutput::Send(bytes) => self.outbox.push(PeerMessage::Frame(bytes)),
                ClientConnectionOutput::Close => self.outbox.push(PeerMessage::Close),
                ClientConnectionOutput::RefreshToken => self.outbox.push(PeerMessage::WantToken),
                ClientConnectionOutput::LogOut(_) => {
                    scene.probe.mark("a client was logged out, and logged in again");
                    self.outbox.push(PeerMessage::WantToken);
                }
                ClientConnectionOutput::Online { window_bytes, clock_offset_ms } => {
                    let server_ms = scene.now_ms.saturating_add_signed(clock_offset_ms);
                    self.file.synchronize(server_ms);
                    self.session_input(ClientInput::Online { window_bytes }, scene)?;
                }
                ClientConnectionOutput::Offline => {
                    self.session_input(ClientInput::Offline, scene)?;
                }
                ClientConnectionOutput::Deliver(packet) => self.deliver(&packet, scene)?,
                ClientConnectionOutput::Report(report) => reported(&report)?,
            }
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        packet: &Packet<'_>,
        scene: &mut PeerScene<'_>,
    ) -> Result<(), CheckError> {
        self.session_input(ClientInput::Received(packet), scene)
    }

    fn session_input(
        &mut self,
        input: ClientInput<'_>,
        scene: &mut PeerScene<'_>,
    ) -> Result<(), CheckError> {
        let mut outputs = Vec::new();
        self.session.handle(scene.now_ms, input, &mut outputs);
        let mut later = LaterOutputs::new();
        for output in outputs {
            if self.perform(output, &mut later, scene)? {
                return self.restart();
            }
        }
        while let Some(output) = later.pop_front() {
            if self.perform(output, &mut later, scene)? {
                return self.restart();
            }
        }
        Ok(())
    }

    /// Performs an output; tells whether the process crashed.
    fn perform(
        &mut self,
        output: ClientOutput<'_>,
        later: &mut LaterOutputs,
        scene: &mut PeerScene<'_>,
    ) -> Result<bool, CheckError> {
        if matches!(output, ClientOutput::NewIdentity) && !self.has_copy {
            let text = format!("client {} is no copy, and gets another identity", self.key);
            return Err(Violation::new(SV1.id, text).into());
        }
        if self.leaves_reset(&output)? {
            return Ok(true);
        }
        let options = self.reset_options(&output)?;
        let step = ResetStep::of(&output);
        let (ends, changes) = (ends_entries(&output), changes_file(&output));
        let waiting = ends.then(|| self.file.waiting()).transpose()?;
        let crashes = self.file.crashes;
        self.file.crashes &= changes;
        let mark = mark_of(&output);
        let (session, sent, now_ms) = (&mut self.session, &mut self.sent, scene.now_ms);
        let perform = |replica: &ClientReplica| {
            let mut file = SessionFile::new(replica.clone());
            options.set(&mut file);
            let mut answer = |input: ClientInput<'_>| {
                note_sent(&input, sent);
                let mut outputs = Vec::new();
                session.handle(now_ms, input, &mut outputs);
                later.extend(outputs.into_iter().map(detached));
            };
            Ok(kept(file.perform(output, &mut answer).map_err(failed)?))
        };
        let (event, has_crashed) = self.file.change(perform, scene.probe)?;
        self.file.crashes = crashes && !changes;
        if let Some(mark) = mark {
            scene.probe.mark(mark);
        }
        if has_crashed {
            scene.probe.mark("client: crash while it performed an output");
            self.mark_crash(step, scene.probe)?;
            return Ok(true);
        }
        if let Some(waiting) = waiting {
            let named = if let KeptEvent::Ended(named) = event { named } else { Vec::new() };
            self.file.compare_ended(&waiting, named)?;
            return Ok(false);
        }
        match event {
            KeptEvent::None | KeptEvent::Ended(_) => {}
            KeptEvent::Send(bytes) => self.outbox.push(PeerMessage::Frame(bytes)),
            KeptEvent::WantNumber => {
                if let Some(number) = self.machine.number() {
                    let mut outputs = Vec::new();
                    self.session.handle(scene.now_ms, ClientInput::Number(number), &mut outputs);
                    later.extend(outputs.into_iter().map(detached));
                }
            }
            KeptEvent::Report(report) => reported(&report)?,
        }
        Ok(false)
    }
}

/// An event of the file that the client handles.
enum KeptEvent {
    None,
    Send(Vec<u8>),
    WantNumber,
    Report(Report),
    /// Own entries with these numbers are pending no longer.
    Ended(Vec<u64>),
}

fn kept(event: Option<FileEvent<'_>>) -> KeptEvent {
    match event {
        Some(FileEvent::Other(ClientOutput::Send(bytes))) => KeptEvent::Send(bytes),
        Some(FileEvent::Other(ClientOutput::WantNumber)) => KeptEvent::WantNumber,
        Some(FileEvent::Other(ClientOutput::Report(report))) => KeptEvent::Report(report),
        Some(FileEvent::Merged(merged)) => KeptEvent::Ended(named(&merged)),
        Some(FileEvent::Refused(refused)) => {
            KeptEvent::Ended(refused.into_iter().map(|(number, _)| number).collect())
        }
        Some(FileEvent::Concluded(numbers)) => KeptEvent::Ended(numbers),
        _ => KeptEvent::None,
    }
}

/// Tells whether an output may end the waiting of own entries.
const fn ends_entries(output: &ClientOutput<'_>) -> bool {
    match output {
        ClientOutput::Apply(_) | ClientOutput::Answered { .. } => true,
        ClientOutput::Acknowledge { refused, .. } => !refused.is_empty(),
        _ => false,
    }
}

/// Tells whether an output changes the file.
const fn changes_file(output: &ClientOutput<'_>) -> bool {
    ends_entries(output)
        || matches!(
            output,
            ClientOutput::StoreIdentity(_)
                | ClientOutput::Reset(_)
                | ClientOutput::NewIdentity
                | ClientOutput::Snapshot(_)
        )
}

/// Mark of an output that changes the file.
const fn mark_of(output: &ClientOutput<'_>) -> Option<&'static str> {
    Some(match output {
        ClientOutput::StoreIdentity(_) => "a client got an identity",
        ClientOutput::Apply(_) => "a client applied a download",
        ClientOutput::Acknowledge { refused, .. } if !refused.is_empty() => {
            "a client learned of a refusal"
        }
        ClientOutput::Reset(_) => "a client began to reset",
        ClientOutput::NewIdentity => "a copied file gave up its identity",
        ClientOutput::Snapshot(_) => "a client received a part of a snapshot",
        _ => return None,
    })
}

/// Notes the numbers of entries that are about to be sent.
fn note_sent(input: &ClientInput<'_>, sent: &mut u64) {
    let ClientInput::Pending { entries, .. } = input else { return };
    for entry in entries {
        if let Ok(operations) = Operations::new(entry) {
            *sent = (*sent).max(operations.header().client_seq);
        }
    }
}

/// Takes a report of an error. Both sides are real ones, so none sends what the other must refuse.
fn reported(report: &Report) -> Result<(), CheckError> {
    if report.code.action() == Action::Stop || report.code == Code::BAD_DOWNLOAD {
        let text = format!("an error {} is reported: {}", report.code.0, report.message);
        return Err(Violation::new(SY17.id, text).into());
    }
    Ok(())
}

/// Detaches an output that follows from an answer, which borrows no frame.
fn detached(output: ClientOutput<'_>) -> ClientOutput<'static> {
    match output {
        ClientOutput::Send(bytes) => ClientOutput::Send(bytes),
        ClientOutput::WantNumber => ClientOutput::WantNumber,
        ClientOutput::ReadState { ticket } => ClientOutput::ReadState { ticket },
        ClientOutput::ReadPending { ticket, from_client_seq, to_client_seq, bytes_max } => {
            ClientOutput::ReadPending { ticket, from_client_seq, to_client_seq, bytes_max }
        }
        ClientOutput::StoreIdentity(identity) => ClientOutput::StoreIdentity(identity),
        ClientOutput::Acknowledge { last_client_seq, durable_seq, chain_hash, refused } => {
            ClientOutput::Acknowledge { last_client_seq, durable_seq, chain_hash, refused }
        }
        ClientOutput::Answered { last_client_seq, chain_hash } => {
            ClientOutput::Answered { last_client_seq, chain_hash }
        }
        ClientOutput::Reset(code) => ClientOutput::Reset(code),
        ClientOutput::NewIdentity => ClientOutput::NewIdentity,
        ClientOutput::DownloadComplete { number } => ClientOutput::DownloadComplete { number },
        ClientOutput::Report(report) => ClientOutput::Report(report),
        ClientOutput::Apply(_) | ClientOutput::Snapshot(_) => {
            unreachable!("FR4: an answer leads to {output:?}")
        }
    }
}
