//! A database behind a session: performs the outputs of a
//! [`ServerSession`](crate::session::ServerSession), and gives their results.
//!
//! - MR8 A refusal is repeated until the client knows it.
//! - SV1 A client that cannot resume gets the code of the reason.

use super::clients::{ClientIdentity, ClientProgress, ClientState};
use super::download::{DownloadRequest, HistoryItem, HistoryPart};
use super::error::{
    Answer, EntryRefusal, RefusalCode, ResumeRefusal, ServerError, ServerResult, UploadStop,
};
use super::replica::ServerReplica;
use super::snapshot_pool::{SnapshotPool, WantedPart};
use super::submit::{Access, Submission};
use crate::entry::Operations;
use crate::frame::{Code, Download, Identity, Item, PART_BYTES_MAX, Resume, Resumed, SnapshotPart};
use crate::session::{EntryRejection, ServerInput, ServerOutput};

/// The database of a session, with the rights of its user.
#[derive(Debug)]
pub struct SessionDatabase {
    replica: ServerReplica,
    user: String,
    access: Access,
    part_bytes_max: usize,
    /// 0 before the client is known.
    client: u32,
    /// Why the store failed last.
    failure: Option<ServerError>,
}

/// A callback for the result of an output.
pub type ReplyTo<'r> = dyn FnMut(ServerInput<'_>) + 'r;

/// Own entries are sent in full for none: a client that resumed has them.
#[expect(clippy::reversed_empty_ranges, reason = "no number is within")]
const NONE: std::ops::RangeInclusive<u64> = 1..=0;

impl SessionDatabase {
    /// Binds a session of a user to a database.
    #[must_use]
    pub const fn new(replica: ServerReplica, user: String, access: Access) -> Self {
        Self { replica, user, access, part_bytes_max: PART_BYTES_MAX, client: 0, failure: None }
    }

    /// Sends parts of a snapshot with at most so many bytes, within the limit of the protocol.
    #[must_use]
    pub const fn part_bytes(mut self, bytes_max: usize) -> Self {
        self.part_bytes_max = if bytes_max < PART_BYTES_MAX { bytes_max } else { PART_BYTES_MAX };
        self
    }

    /// Returns the client of the session; 0 before it is known. A session that resumes ends an
    /// older one of the client.
    #[must_use]
    pub const fn client(&self) -> u32 {
        self.client
    }

    /// Gives an identity to the client of the session; `salt` is random.
    ///
    /// # Errors
    /// As [`ServerReplica::identify`].
    pub fn identify(&mut self, salt: u64, now: u64) -> ServerResult<Identity> {
        let ClientIdentity { client, salt } = self.replica.identify(&self.user, salt, now)?;
        self.client = client;
        Ok(Identity { client, client_salt: salt })
    }

    /// Performs an output of the session at the server's time `now`, and calls `reply` with the
    /// result if it has one. Sending, binding and ending are the driver's.
    pub fn perform(
        &mut self,
        output: &ServerOutput<'_>,
        now: u64,
        (snapshots, reply): (&mut SnapshotPool, &mut ReplyTo<'_>),
    ) {
        let performed = match output {
            ServerOutput::Resume(resume) => self.resume(resume, now, reply),
            ServerOutput::Submit { ticket, oldest_base, entries } => {
                let (client, access, oldest_base) = (self.client, self.access, *oldest_base);
                let submission = Submission { client, access, entries, oldest_base };
                self.submit(*ticket, &submission, now, reply)
            }
            ServerOutput::ReadHistory { ticket, from, bytes_max } => {
                self.read_history(*ticket, (*from, *bytes_max), reply)
            }
            ServerOutput::ReadSnapshot { ticket, snapshot, offset } => {
                let (number, offset, bytes_max) = (*snapshot, *offset, self.part_bytes_max);
                let wanted = WantedPart { number, offset, bytes_max, user: &self.user };
                self.read_snapshot(*ticket, &wanted, (snapshots, reply))
            }
            ServerOutput::Progress { cursor, oldest_base } => {
                let progress = ClientProgress { cursor: *cursor, oldest_base: *oldest_base };
                self.replica.progress(self.client, progress, now).map_err(SessionFailure::from)
            }
            ServerOutput::Send(_) | ServerOutput::Bind { .. } | ServerOutput::Ended => Ok(()),
        };
        if let Err(SessionFailure { code, message, error }) = performed {
            self.failure = error.map(|error| *error);
            reply(ServerInput::Fail { code, retry_after_ms: 0, message: &message });
        }
    }

    /// Takes the error for which the last output failed with 236. The client does not get it.
    pub const fn take_failure(&mut self) -> Option<ServerError> {
        self.failure.take()
    }

    fn resume(&mut self, resume: &Resume, now: u64, reply: &mut ReplyTo<'_>) -> Performed {
        let state = ClientState {
            identity: ClientIdentity { client: resume.client, salt: resume.client_salt },
            user: &self.user,
            epoch: resume.epoch,
            cursor: resume.cursor,
            cursor_salt: resume.cursor_salt,
            last_client_seq: resume.last_client_seq,
            chain_hash: resume.chain_hash,
            oldest_base: resume.oldest_base,
        };
        let client = self.replica.resume(&state, now)??;
        self.client = resume.client;
        let letters = self.replica.dead_letters(self.client, resume.last_client_seq)?;
        let resumed = Resumed {
            epoch: client.server.epoch,
            head: client.server.head,
            horizon: client.server.horizon,
            durable_seq: client.server.durable_seq,
            last_client_seq: client.last_client_seq,
            chain_hash: client.chain_hash,
        };
        let rejected = letters.iter().map(|(number, refusal)| rejection(*number, refusal));
        reply(ServerInput::Resumed { resumed, rejected: rejected.collect() });
        Ok(())
    }

    fn submit(
        &self,
        ticket: u64,
        submission: &Submission<'_>,
        now: u64,
        reply: &mut ReplyTo<'_>,
    ) -> Performed {
        let answers = self.replica.submit(submission, now)?;
        let (mut rejected, mut last_client_seq, mut stopped) = (Vec::new(), 0, None);
        for (entry, answer) in submission.entries.iter().zip(&answers) {
            if let Answer::Stopped(stop) = answer {
                stopped = Some(*stop);
                break;
            }
            let header = Operations::new(entry).map(|operations| operations.header());
            let number = header.map_or(0, |header| header.client_seq);
            last_client_seq = last_client_seq.max(number);
            if let Answer::Refused(refusal) = answer {
                rejected.push(rejection(number, refusal));
            }
        }
        // The client hears of its refusals before the session ends.
        if stopped.is_none() || last_client_seq > 0 {
            let status = self.replica.status()?;
            let (durable_seq, head) = (status.durable_seq, status.head);
            reply(ServerInput::Submitted { ticket, last_client_seq, durable_seq, head, rejected });
        }
        stopped.map_or(Ok(()), |stop| Err(SessionFailure::from(stop)))
    }

    fn read_history(
        &self,
        ticket: u64,
        (from, bytes_max): (u64, usize),
        reply: &mut ReplyTo<'_>,
    ) -> Performed {
        let request = DownloadRequest { client: self.client, from, full: NONE, bytes_max };
        let HistoryPart { server, salt, bytes_left, items, .. } =
            self.replica.download(&request)??;
        let items = items.iter().map(|item| match item {
            HistoryItem::Entry { client, entry } => Item::Entry { client: *client, entry },
            HistoryItem::Own { client_seq, stamp } => {
                Item::Own { client_seq: *client_seq, stamp: *stamp }
            }
        });
        let items = items.collect();
        let (head, horizon, durable_seq) = (server.head, server.horizon, server.durable_seq);
        let download = Download { from, salt, head, horizon, durable_seq, bytes_left, items };
        reply(ServerInput::History { ticket, download });
        Ok(())
    }

    fn read_snapshot(
        &self,
        ticket: u64,
        wanted: &WantedPart<'_>,
        (snapshots, reply): (&mut SnapshotPool, &mut ReplyTo<'_>),
    ) -> Performed {
        let pooled = snapshots.part(&self.replica, wanted)?;
        let server = pooled.reader.server();
        if self.client > 0 && pooled.offset == 0 {
            self.replica.hold(self.client, server.head)?;
        }
        let part = SnapshotPart {
            snapshot: pooled.number,
            epoch: server.epoch,
            seq: server.head,
            salt: server.salt,
            horizon: server.horizon,
            total: pooled.reader.total().unwrap_or_default(),
            offset: pooled.offset,
            part: &pooled.slice.bytes,
            root: pooled.slice.root,
        };
        reply(ServerInput::Snapshot { ticket, part });
        Ok(())
    }
}

fn rejection(client_seq: u64, refusal: &EntryRefusal) -> EntryRejection {
    let reason = match refusal.code {
        RefusalCode::Malformed => "the entry cannot be decoded",
        RefusalCode::Limit => "the entry exceeds a limit",
        RefusalCode::Schema => "a definition conflicts with the schema",
        RefusalCode::Element => "the id of an element is used or of others",
        RefusalCode::Forbidden => "the user may not write",
    };
    let (code, operation, reason) = (refusal.code.code(), refusal.operation, reason.to_owned());
    EntryRejection { client_seq, code, operation, reason }
}

/// Reason for which a session ends.
struct SessionFailure {
    code: Code,
    message: String,
    /// The error, if it is for the log of the server only.
    error: Option<Box<ServerError>>,
}

type Performed = Result<(), SessionFailure>;

impl SessionFailure {
    fn new(code: Code, message: impl ToString) -> Self {
        Self { code, message: message.to_string(), error: None }
    }
}

impl From<ServerError> for SessionFailure {
    fn from(error: ServerError) -> Self {
        let code = match error {
            ServerError::UnknownClient(_) => Code::UNKNOWN_CLIENT,
            ServerError::Offset(_) => Code::BAD_ORDER,
            ServerError::Store(_)
            | ServerError::Malformed(_)
            | ServerError::NoClientNumber
            | ServerError::NotKept(_)
            | ServerError::TooManyDatabases => Code::STORE_FAILED,
        };
        if code == Code::STORE_FAILED {
            // A path or a page is none of the client's business.
            return Self { code, message: String::new(), error: Some(Box::new(error)) };
        }
        Self::new(code, error)
    }
}

impl From<ResumeRefusal> for SessionFailure {
    fn from(refusal: ResumeRefusal) -> Self {
        match refusal {
            ResumeRefusal::UnknownClient => Self::new(Code::UNKNOWN_CLIENT, "unknown client"),
            ResumeRefusal::CursorAboveHead => Self::new(Code::BAD_CURSOR, "cursor above the head"),
            ResumeRefusal::Diverged => Self::new(Code::DIVERGED, "another history"),
            ResumeRefusal::Expired => Self::new(Code::EXPIRED, "below the horizon"),
            ResumeRefusal::Cloned => Self::new(Code::CLONED, "other entries of the client"),
        }
    }
}

impl From<UploadStop> for SessionFailure {
    fn from(stop: UploadStop) -> Self {
        match stop {
            UploadStop::Header(error) => Self::new(Code::BAD_ENTRY, error),
            UploadStop::Gap { expected } => {
                Self::new(Code::GAP, format!("entry {expected} is missing"))
            }
            UploadStop::Base => Self::new(Code::DIVERGED, "a base out of bounds"),
            UploadStop::Expired => Self::new(Code::EXPIRED, "a base below the horizon"),
        }
    }
}
