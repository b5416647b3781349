//! Inputs and outputs of a server's connection and sessions.

use crate::frame::{Code, Download, Identity, Packet, Resume, Resumed, SnapshotPart};

/// Input of [`ServerConnection`](crate::session::ServerConnection).
#[derive(Clone, Copy, Debug)]
pub enum ServerConnectionInput<'a> {
    /// The transport delivered a message.
    Received(&'a [u8]),
    /// The token is valid: an answer to [`ServerConnectionOutput::Authenticate`].
    Authenticated {
        /// Ticket of the question.
        ticket: u64,
        /// User of the token.
        user: &'a str,
        /// Time at which the token expires.
        expires_at_ms: u64,
    },
    /// The token is refused, or cannot be verified.
    Unauthenticated {
        /// Ticket of the question.
        ticket: u64,
        /// Reason.
        code: Code,
    },
    /// A session has ended.
    Ended(u32),
    /// The connection has to end: shutdown, overload, a revoked login.
    Close {
        /// Reason.
        code: Code,
        /// Delay before the client returns; 0 for its own.
        retry_after_ms: u64,
    },
    /// The deadline passed.
    Tick,
}

/// Output of [`ServerConnection`](crate::session::ServerConnection).
#[derive(Clone, Debug)]
pub enum ServerConnectionOutput<'a> {
    /// Send a message.
    Send(Vec<u8>),
    /// Close the transport, and drop the sessions.
    Close,
    /// Verify an access token.
    Authenticate {
        /// Ticket for the answer.
        ticket: u64,
        /// The token.
        token: String,
    },
    /// Make a session with this number; its BIND follows.
    Open(u32),
    /// A frame for the session that has its number.
    Deliver(Packet<'a>),
}

/// Input of [`ServerSession`](crate::session::ServerSession).
#[derive(Clone, Debug)]
pub enum ServerInput<'a> {
    /// A frame of the session arrived.
    Received(&'a Packet<'a>),
    /// The database is open for the session, with an identity if the client wanted one.
    Bound(Option<Identity>),
    /// The client may resume.
    Resumed {
        /// State of the database.
        resumed: Resumed,
        /// Entries above the client's last one that were refused.
        rejected: Vec<EntryRejection>,
    },
    /// The answer to [`ServerOutput::Submit`], durable.
    Submitted {
        /// Ticket of the question.
        ticket: u64,
        /// Number of the client's last entry that has an answer.
        last_client_seq: u64,
        /// Seq up to which a backup reaches.
        durable_seq: u64,
        /// Last seq of the history.
        head: u64,
        /// Entries that were refused.
        rejected: Vec<EntryRejection>,
    },
    /// The answer to [`ServerOutput::ReadHistory`].
    History {
        /// Ticket of the question.
        ticket: u64,
        /// Entries from the wanted seq on.
        download: Download<'a>,
    },
    /// The answer to [`ServerOutput::ReadSnapshot`].
    Snapshot {
        /// Ticket of the question.
        ticket: u64,
        /// The part; the first one of the newest snapshot if the wanted one no longer exists.
        part: SnapshotPart<'a>,
    },
    /// The history or the backup has advanced.
    HeadMoved {
        /// Last seq of the history.
        head: u64,
        /// Seq up to which a backup reaches.
        durable_seq: u64,
    },
    /// The session has to end: the answer to any question, another binding, shutdown.
    Fail {
        /// Reason.
        code: Code,
        /// Delay before the client returns; 0 for its own.
        retry_after_ms: u64,
        /// Reason for people.
        message: &'a str,
    },
}

/// An entry that the server refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRejection {
    /// Number of the entry.
    pub client_seq: u64,
    /// Reason.
    pub code: Code,
    /// Index of the operation, if it is one.
    pub operation: Option<u32>,
    /// Reason for people.
    pub reason: String,
}

/// Output of [`ServerSession`](crate::session::ServerSession).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerOutput<'a> {
    /// Send a message.
    Send(Vec<u8>),
    /// Open a database for the user of the connection: [`ServerInput::Bound`] or
    /// [`ServerInput::Fail`].
    Bind {
        /// Path of the database.
        path: &'a str,
        /// Hash of the client's schema.
        schema_hash: u64,
        /// The client has no identity.
        wants_identity: bool,
    },
    /// Compare the state of a client with the database: [`ServerInput::Resumed`] or
    /// [`ServerInput::Fail`]. Another session of the client fails with 108.
    Resume(Resume),
    /// Submit entries: [`ServerInput::Submitted`] or [`ServerInput::Fail`].
    Submit {
        /// Ticket for the answer.
        ticket: u64,
        /// Least base of the client's pending entries.
        oldest_base: u64,
        /// The entries, in order.
        entries: Vec<&'a [u8]>,
    },
    /// Read entries of the history, at least one: [`ServerInput::History`] or
    /// [`ServerInput::Fail`].
    ReadHistory {
        /// Ticket for the answer.
        ticket: u64,
        /// Seq before the first.
        from: u64,
        /// Bytes of them at most, the first excepted.
        bytes_max: usize,
    },
    /// Read a part of a snapshot: [`ServerInput::Snapshot`] or [`ServerInput::Fail`].
    ReadSnapshot {
        /// Ticket for the answer.
        ticket: u64,
        /// Number of the snapshot, 0 for the newest.
        snapshot: u64,
        /// Offset of the part.
        offset: u64,
    },
    /// The client has applied the history up to here.
    Progress {
        /// Seq of the last entry that it has applied.
        cursor: u64,
        /// Least base of its pending entries.
        oldest_base: u64,
    },
    /// The session has ended: drop it.
    Ended,
}
