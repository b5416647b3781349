//! Messages between clients and the server: calls of the server's replica and their answers.

use super::oracle::Oracle;
use super::replica::{Contained, Snapshot};
use crate::check::probe::Probe;
use fastness_models::merge::fold::State;
use fastness_sync::server::{
    Answer, ClientIdentity, DownloadRequest, HistoryPart, ResumeRefusal, ResumedClient,
    ServerStatus, SnapshotSlice,
};
use std::ops::RangeInclusive;
use std::rc::Rc;

/// No numbers of entries, which count from 1.
pub(super) const NO_NUMBERS: RangeInclusive<u64> = 0..=0;

/// A message of a connection. A connection ends with the process at either end, and with a newer
/// one of the same client.
#[derive(Clone, Debug)]
pub(super) struct SyncMessage {
    pub(super) connection: u64,
    pub(super) payload: Payload,
}

/// Content of a message.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Request(Request),
    Response(Response),
}

/// A client's state, as it resumes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resume {
    pub(super) identity: ClientIdentity,
    pub(super) epoch: u64,
    pub(super) cursor: u64,
    pub(super) cursor_salt: u64,
    pub(super) last_client_seq: u64,
    pub(super) chain_hash: u64,
    pub(super) oldest_base: u64,
}

/// A call.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// Asks for a new identity and a snapshot.
    Begin {
        /// Identities of the client before a reset.
        old: Vec<ClientIdentity>,
    },
    Resume(Resume),
    Upload {
        first: u64,
        entries: Vec<Vec<u8>>,
        oldest_base: u64,
    },
    Download(DownloadRequest),
    Progress {
        cursor: u64,
        oldest_base: u64,
    },
}

impl Request {
    fn describe(&self) -> String {
        match self {
            Self::Begin { old } => format!("begin, after {}", old.len()),
            Self::Resume(resume) => format!(
                "resume {} at {} with {} answered",
                resume.identity.client, resume.cursor, resume.last_client_seq
            ),
            Self::Upload { first, entries, oldest_base } => {
                format!("upload {} from {first}, oldest base {oldest_base}", entries.len())
            }
            Self::Download(request) => format!("download after {}", request.from),
            Self::Progress { cursor, oldest_base } => format!("progress {cursor}, {oldest_base}"),
        }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Response {
    /// The connection does not exist: the client resumes on a new one.
    Closed,
    Begun(Box<Fresh>),
    Resumed(ResumedClient),
    Refused(ResumeRefusal),
    Answers {
        first: u64,
        answers: Vec<Answer>,
    },
    Part {
        from: u64,
        part: HistoryPart,
    },
    Noted,
}

impl Response {
    fn describe(&self) -> String {
        match self {
            Self::Closed => "closed".to_owned(),
            Self::Begun(fresh) => {
                format!("begun {} at {}", fresh.identity.client, fresh.snapshot.seq)
            }
            Self::Resumed(resumed) => format!("resumed with {}", resumed.last_client_seq),
            Self::Refused(refusal) => format!("refused: {refusal:?}"),
            Self::Answers { first, answers } => format!("answers from {first}: {answers:?}"),
            Self::Part { from, part } => format!("history from {from} to {}", part.to),
            Self::Noted => "noted".to_owned(),
        }
    }
}

/// A snapshot in parts; the last one has the hash of all.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) number: u64,
    pub(super) server: ServerStatus,
    pub(super) parts: Vec<SnapshotSlice>,
}

/// A new identity, with a state to begin from.
#[derive(Clone, Debug)]
pub(super) struct Fresh {
    pub(super) identity: ClientIdentity,
    pub(super) snapshot: Snapshot,
    /// The same state as a stream of the server.
    pub(super) stream: Rc<Stream>,
    /// The snapshot before, which a client may have begun to receive.
    pub(super) older: Option<Rc<Stream>>,
    /// The same state in the model, purged as the server's.
    pub(super) model: State,
    /// The entries of the old identities that the history contains.
    pub(super) contained: Contained,
}

impl Payload {
    /// Describes a message from or to a client, for the trace.
    pub(super) fn describe(&self, client: usize) -> String {
        match self {
            Self::Request(request) => format!("> {client}: {}", request.describe()),
            Self::Response(response) => format!("< {client}: {}", response.describe()),
        }
    }
}

/// Connections have numbers of their own.
#[derive(Debug, Default)]
pub(super) struct Connections(u64);

impl Connections {
    pub(super) const fn open(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Surroundings of a process when a message arrives.
pub(super) struct Scene<'a> {
    pub(super) oracle: &'a mut Oracle,
    pub(super) connections: &'a mut Connections,
    pub(super) probe: &'a mut Probe,
    /// The time of the process.
    pub(super) now_ms: u64,
}
