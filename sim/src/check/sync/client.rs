//! A client: an app with its file, a clock, and one connection at a time.

use super::super::compare::CheckError;
use super::file::ClientFile;
use super::letters::stored;
use super::message::{
    Connections, Fresh, NO_NUMBERS, Payload, Request, Response, Resume, Scene, SyncMessage,
};
use super::oracle::Oracle;
use super::replica::{BadPart, Replica, Snapshot};
use super::server::cause;
use crate::check::definition::Violation;
use crate::check::probe::Probe;
use crate::check::promises::{SY4, SY7};
use fastness_sync::client::ClientMeta;
use fastness_sync::entry::Operations;
use fastness_sync::reset::Cause;
use fastness_sync::server::{Answer, DownloadRequest, HistoryPart, ResumedClient, UploadStop};

/// Time after which an answer counts as lost.
const TIMEOUT_MS: u64 = 2_000;
/// Time between calls while the client has something to do.
const BUSY_MS: u64 = 20;
/// Most time between calls.
const IDLE_MS: u64 = 10_000;
/// Most entries of an upload.
const UPLOAD_MAX: usize = 3;

/// A client.
pub(super) struct Client<'w> {
    /// Its replica in memory; none before it has an identity.
    pub(super) replica: Option<Replica>,
    /// Its file, until a reset: from then on, the client is in memory.
    pub(super) file: Option<ClientFile<'w>>,
    /// Fingerprint of the replica when it was compared with the model last.
    pub(super) compared: Option<([u64; 6], ClientMeta)>,
    /// Local time minus true time.
    pub(super) skew_ms: i64,
    /// A cause to reset, in the file.
    pub(super) reset: Option<Cause>,
    connection: u64,
    is_resumed: bool,
    /// The time of the next call.
    pub(super) next_ms: u64,
    pause_ms: u64,
    /// Number of the last entry that was sent on this connection, and the time.
    uploaded: (u64, u64),
    /// Number of the last entry that was ever sent.
    pub(super) sent: u64,
    calls: u64,
}

impl<'w> Client<'w> {
    pub(super) fn new(connections: &mut Connections, file: ClientFile<'w>) -> Self {
        let connection = connections.open();
        let (replica, reset, is_resumed) = (None, None, false);
        let (skew_ms, next_ms, pause_ms) = (0, 0, BUSY_MS);
        let (uploaded, sent, calls) = ((0, 0), 0, 0);
        let (file, compared) = (Some(file), None);
        Self {
            replica,
            file,
            compared,
            skew_ms,
            reset,
            connection,
            is_resumed,
            next_ms,
            pause_ms,
            uploaded,
            sent,
            calls,
        }
    }

    /// Ends the process; the file remains.
    pub(super) fn restart(&mut self, connections: &mut Connections) {
        self.connection = connections.open();
        self.is_resumed = false;
        self.uploaded = (0, 0);
    }

    /// Follows the file after a crash of its process. A power loss takes entries that were not
    /// durable, which were never sent.
    pub(super) fn follow_restart(
        &mut self,
        connections: &mut Connections,
        (oracle, probe): (&mut Oracle, &mut Probe),
    ) -> Result<(), CheckError> {
        if !self.file.as_mut().is_some_and(ClientFile::take_restart) {
            return Ok(());
        }
        self.restart(connections);
        self.compared = None;
        let (Some(file), Some(replica)) = (&self.file, &mut self.replica) else { return Ok(()) };
        let last = file.last_after_restart(self.sent)?;
        if last >= replica.last_client_seq {
            return Ok(());
        }
        let client = replica.identity.client;
        probe.mark("client: a power loss took entries that were not sent");
        replica.lose_after(last);
        oracle.lost_after(client.into(), last);
        Ok(())
    }

    /// Calls soon.
    pub(super) fn wake(&mut self, now_ms: u64) {
        self.pause_ms = BUSY_MS;
        self.next_ms = self.next_ms.min(now_ms + BUSY_MS);
    }

    /// Tells whether all entries are in the canonical state, which is that of the server.
    pub(super) fn is_quiet(&self, oracle: &Oracle) -> bool {
        self.replica.as_ref().is_none_or(|replica| {
            self.reset.is_none()
                && replica.answered == replica.last_client_seq
                && replica.pending().next().is_none()
                && replica.cursor == oracle.head()
                && oracle.is_current(replica.epoch)
        })
    }

    /// Makes the next call.
    pub(super) fn call(&mut self, now_ms: u64) -> Result<SyncMessage, CheckError> {
        self.calls += 1;
        self.next_ms = now_ms + TIMEOUT_MS + self.pause_ms;
        self.pause_ms = (self.pause_ms * 2).min(IDLE_MS);
        let request = match &self.replica {
            None => Request::Begin { old: Vec::new() },
            Some(replica) if self.reset.is_some() => {
                let identities = replica.earlier.iter().chain([&replica.identity]);
                Request::Begin { old: identities.copied().collect() }
            }
            Some(replica) if !self.is_resumed => Request::Resume(resume(replica)),
            Some(_) => self.exchange(now_ms)?,
        };
        Ok(SyncMessage { connection: self.connection, payload: Payload::Request(request) })
    }

    fn exchange(&mut self, now_ms: u64) -> Result<Request, CheckError> {
        if let Some(request) = self.upload(now_ms)? {
            return Ok(request);
        }
        let replica = self.replica.as_ref().expect("the client has resumed");
        Ok(self.read(replica))
    }

    /// Sends the next entries, without waiting for the answers to those before.
    fn upload(&mut self, now_ms: u64) -> Result<Option<Request>, CheckError> {
        let replica = self.replica.as_ref().filter(|_| !self.calls.is_multiple_of(4));
        let Some(replica) = replica else { return Ok(None) };
        if now_ms >= self.uploaded.1 + TIMEOUT_MS {
            self.uploaded.0 = 0;
        }
        let after = self.uploaded.0.max(replica.answered);
        let mut entries = match &self.file {
            Some(file) => file.upload_after(after, UPLOAD_MAX)?,
            None => replica.entries_from(after + 1, UPLOAD_MAX),
        };
        let Some(first) = entries.first().map(|entry| number_of(entry)) else { return Ok(None) };
        // A refused entry is pending no longer, and the answers name the first one only.
        let following = (first..).zip(&entries).take_while(|(at, entry)| number_of(entry) == *at);
        let count = following.count();
        entries.truncate(count);
        let last = first + entries.len() as u64 - 1;
        self.uploaded = (last, now_ms);
        self.sent = self.sent.max(last);
        self.next_ms = now_ms + BUSY_MS;
        Ok(Some(Request::Upload { first, entries, oldest_base: replica.oldest_base() }))
    }

    /// Asks for the history, or reports how far the client is.
    fn read(&self, replica: &Replica) -> Request {
        let (cursor, oldest_base) = (replica.cursor, replica.oldest_base());
        if self.calls.is_multiple_of(5) {
            return Request::Progress { cursor, oldest_base };
        }
        let (client, full) = (replica.identity.client, NO_NUMBERS);
        Request::Download(DownloadRequest { client, from: cursor, full, bytes_max: 0 })
    }

    /// Takes an answer of the server.
    pub(super) fn handle(
        &mut self,
        (connection, response): (u64, Response),
        scene: &mut Scene<'_>,
    ) -> Result<(), CheckError> {
        if connection != self.connection {
            scene.probe.mark("an answer came after its connection ended");
            return Ok(());
        }
        self.next_ms = scene.now_ms + self.pause_ms;
        match response {
            Response::Closed => {
                self.restart(scene.connections);
                self.wake(scene.now_ms);
            }
            Response::Begun(fresh) => self.begin(*fresh, scene)?,
            Response::Resumed(resumed) => self.resumed(resumed, scene),
            Response::Refused(refusal) => self.refuse(cause(refusal), scene),
            Response::Answers { first, answers } => self.answer(first, &answers, scene)?,
            Response::Part { from, part } => self.download(from, &part, scene)?,
            Response::Noted => {}
        }
        let Scene { connections, oracle, probe, .. } = scene;
        self.follow_restart(connections, (oracle, probe))
    }

    fn refuse(&mut self, cause: Cause, scene: &mut Scene<'_>) {
        self.reset.get_or_insert(cause);
        self.restart(scene.connections);
        self.pause_ms = BUSY_MS;
    }

    fn answer(
        &mut self,
        first: u64,
        answers: &[Answer],
        scene: &mut Scene<'_>,
    ) -> Result<(), CheckError> {
        let Some(replica) = &mut self.replica else { return Ok(()) };
        let (refused, stop) = replica.answer(first, answers);
        let client = replica.identity.client;
        for number in refused {
            scene.oracle.refused(client.into(), number)?;
            scene.probe.mark("an entry was refused");
        }
        self.bury((first, answers), scene)?;
        match stop {
            Some(UploadStop::Gap { .. }) => {
                self.uploaded.0 = 0;
                scene.probe.mark("an upload had a gap");
            }
            Some(UploadStop::Expired) => self.refuse(Cause::Expired, scene),
            Some(stop) => {
                let text = format!("the server stopped an upload: {stop:?}");
                return Err(Violation::new(SY4.id, text).into());
            }
            None => {}
        }
        self.wake(scene.now_ms);
        Ok(())
    }

    /// Makes dead letters of refused entries, or tells the file why an entry is one.
    fn bury(
        &mut self,
        (first, answers): (u64, &[Answer]),
        scene: &mut Scene<'_>,
    ) -> Result<(), CheckError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        for (number, answer) in (first..).zip(answers) {
            if let Answer::Refused(refusal) = answer {
                file.refuse((number, stored(*refusal)), scene.probe)?;
            }
        }
        Ok(())
    }

    fn resumed(&mut self, resumed: ResumedClient, scene: &mut Scene<'_>) {
        let Some(replica) = &self.replica else { return };
        let is_late = resumed.last_client_seq < replica.answered;
        if is_late || self.is_resumed {
            return;
        }
        if resumed.last_client_seq > replica.answered {
            scene.probe.mark("resumed after an answer was lost");
        }
        // The server has entries of the client that the client has, or has not written.
        if replica.chain_up_to(resumed.last_client_seq) == Some(resumed.chain_hash) {
            self.is_resumed = true;
            self.pause_ms = BUSY_MS;
        } else {
            self.refuse(Cause::Cloned, scene);
        }
    }

    fn begin(&mut self, fresh: Fresh, scene: &mut Scene<'_>) -> Result<(), CheckError> {
        self.pause_ms = BUSY_MS;
        self.is_resumed = false;
        if self.replica.is_some() {
            return self.start_again(fresh, scene);
        }
        let Fresh { identity, mut snapshot, .. } = fresh;
        let mut written = Vec::new();
        if let Some(file) = &self.file {
            // A file reads the history from its beginning.
            snapshot = Snapshot { epoch: snapshot.epoch, ..Snapshot::default() };
            file.identify(identity)?;
            written = file.entries_after(0)?;
        }
        scene.oracle.begin(identity.client.into(), (snapshot.epoch, snapshot.seq))?;
        let mut replica = Replica::new(identity, snapshot);
        replica.number_drafts_apart();
        for entry in written {
            let own = replica.push(entry);
            let own = own.map_err(|error| Violation::new(SY4.id, format!("{error:?}")))?;
            scene.oracle.wrote(identity.client.into(), &own)?;
        }
        self.replica = Some(replica);
        Ok(())
    }

    fn download(
        &mut self,
        from: u64,
        part: &HistoryPart,
        scene: &mut Scene<'_>,
    ) -> Result<(), CheckError> {
        let Some(mut replica) = self.replica.clone() else { return Ok(()) };
        let refused = match replica.download(part, from) {
            Ok(refused) => refused,
            Err(BadPart::Late) => {
                scene.probe.mark("a part of the history arrived twice or late");
                let file = self.file.as_ref().filter(|_| part.server.epoch == replica.epoch);
                return file.map_or(Ok(()), |file| file.download_late((from, part)));
            }
            Err(bad) => {
                let text = format!("the history contradicts itself: {bad:?}");
                return Err(Violation::new(SY7.id, text).into());
            }
        };
        if let Some(file) = &mut self.file
            && !file.download((from, part), scene.probe)?
        {
            return Ok(());
        }
        let client = replica.identity.client;
        self.replica = Some(replica);
        for number in refused {
            scene.oracle.refused(client.into(), number)?;
        }
        if !part.items.is_empty() || part.bytes_left > 0 {
            self.pause_ms = BUSY_MS;
        }
        if part.bytes_left > 0 {
            scene.probe.mark("downloaded in several parts");
        }
        Ok(())
    }
}

fn resume(replica: &Replica) -> Resume {
    Resume {
        identity: replica.identity,
        epoch: replica.epoch,
        cursor: replica.cursor,
        cursor_salt: replica.cursor_salt,
        last_client_seq: replica.answered,
        chain_hash: replica.chain_hash,
        oldest_base: replica.oldest_base(),
    }
}

/// Returns the number of an encoded entry.
fn number_of(entry: &[u8]) -> u64 {
    Operations::new(entry).map_or(0, |operations| operations.header().client_seq)
}
