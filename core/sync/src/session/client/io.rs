//! Inputs and outputs of a client's connection and sessions.

use crate::frame::{Code, Identity, Item, Packet};

/// Input of [`ClientConnection`](crate::session::ClientConnection).
#[derive(Clone, Copy, Debug)]
pub enum ClientConnectionInput<'a> {
    /// The transport is connected.
    Connected,
    /// The transport is closed, or could not be connected.
    Disconnected,
    /// The transport delivered a message.
    Received(&'a [u8]),
    /// An access token: the first, or one that replaces it.
    Token(&'a str),
    /// No access token is to be had: the login has ended.
    LoggedOut,
    /// The network is up, or has changed: a connection that waits connects at once.
    Reconnect,
    /// The deadline passed.
    Tick,
}

/// Output of [`ClientConnection`](crate::session::ClientConnection).
#[derive(Clone, Debug)]
pub enum ClientConnectionOutput<'a> {
    /// Connect the transport.
    Connect,
    /// Send a message.
    Send(Vec<u8>),
    /// Close the transport. Nothing of it may be an input afterwards.
    Close,
    /// Get an access token; the answer is an input.
    RefreshToken,
    /// Log the user out. Files and pending entries remain.
    LogOut(Code),
    /// Sessions can be bound: [`ClientInput::Online`] for each.
    Online {
        /// Bytes of entries that a session may have unacknowledged.
        window_bytes: u64,
        /// Time of the server minus that of the client, for the stamps of entries.
        clock_offset_ms: i64,
    },
    /// Sessions have lost their connection: [`ClientInput::Offline`] for each.
    Offline,
    /// A frame for the session that has its number.
    Deliver(Packet<'a>),
    /// An error for the app or the log.
    Report(Report),
}

/// An error for the app or the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Reason.
    pub code: Code,
    /// Reason for people.
    pub message: String,
}

/// State of a client file, as its session needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileState {
    /// Number of the client, 0 before the first IDENT.
    pub client: u32,
    /// Salt of the client.
    pub client_salt: u64,
    /// Epoch of the history, 0 without one.
    pub epoch: u64,
    /// Seq of the last entry that the file has applied.
    pub cursor: u64,
    /// Salt of that entry.
    pub cursor_salt: u64,
    /// Number of the last own entry that the server acknowledged.
    pub last_client_seq: u64,
    /// Chain hash of the own entries up to that.
    pub chain_hash: u64,
    /// Least base of the pending entries; the cursor if nothing is pending.
    pub oldest_base: u64,
    /// Number of the last own entry that is durable on this device.
    pub durable_client_seq: u64,
}

/// Input of [`ClientSession`](crate::session::ClientSession).
#[derive(Clone, Debug)]
pub enum ClientInput<'a> {
    /// The connection is ready.
    Online {
        /// Bytes of entries that may be unacknowledged.
        window_bytes: u64,
    },
    /// The connection is lost.
    Offline,
    /// A number for the session: the answer to [`ClientOutput::WantNumber`].
    Number(u32),
    /// A frame of the session arrived.
    Received(&'a Packet<'a>),
    /// More frames of the session wait than an honest server sends without an answer; the driver
    /// has dropped the last ones.
    Flooded,
    /// The answer to [`ClientOutput::ReadState`].
    State {
        /// Ticket of the question.
        ticket: u64,
        /// State of the file.
        state: FileState,
    },
    /// Local entries are durable up to this number.
    LocalEntries {
        /// Number of the last one.
        durable_client_seq: u64,
    },
    /// The answer to [`ClientOutput::ReadPending`].
    Pending {
        /// Ticket of the question.
        ticket: u64,
        /// Least base of the pending entries.
        oldest_base: u64,
        /// Entries from the wanted number on, without gaps.
        entries: Vec<&'a [u8]>,
    },
    /// A download is applied and durable.
    Applied {
        /// Ticket of the [`ClientOutput::Apply`].
        ticket: u64,
        /// Least base of the pending entries, the cursor if nothing is pending.
        oldest_base: u64,
    },
    /// A download cannot be applied: it contains an undecodable entry.
    Unusable {
        /// Ticket of the [`ClientOutput::Apply`].
        ticket: u64,
    },
    /// The file's own chain hash is another one than that of a [`ClientOutput::Acknowledge`].
    Cloned,
    /// The app wants to know when the download is complete as of now.
    WantDownloadCompletion {
        /// Number of the app's choice.
        number: u64,
    },
    /// The network is up, or has changed, or the app has mended the cause of an error: a session
    /// that waits binds at once.
    Reconnect,
    /// A reset or a new identity, which an output asked for, is complete.
    Recovered,
    /// A part of a snapshot is wanted during a reset.
    FetchSnapshot {
        /// Number of the snapshot, 0 for the newest.
        snapshot: u64,
        /// Bytes that are stored already.
        offset: u64,
    },
    /// The deadline passed.
    Tick,
}

/// Output of [`ClientSession`](crate::session::ClientSession).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientOutput<'a> {
    /// Send a message.
    Send(Vec<u8>),
    /// Give the session a number of the connection.
    WantNumber,
    /// Read the state of the file.
    ReadState {
        /// Ticket for the answer.
        ticket: u64,
    },
    /// Read pending entries, at least one.
    ReadPending {
        /// Ticket for the answer.
        ticket: u64,
        /// Number of the first.
        from_client_seq: u64,
        /// Number of the last one at most.
        to_client_seq: u64,
        /// Bytes of them at most, the first excepted.
        bytes_max: usize,
    },
    /// Store the identity of the file.
    StoreIdentity(Identity),
    /// Apply entries of the history.
    Apply(Apply<'a>),
    /// The server has answered the own entries up to this one.
    Acknowledge {
        /// Number of the last one.
        last_client_seq: u64,
        /// Seq up to which a backup reaches.
        durable_seq: u64,
        /// Chain hash of the entries, if the server sent it: compare, [`ClientInput::Cloned`].
        chain_hash: Option<u64>,
        /// Those of the entries that the server refused, in order: store them as dead letters,
        /// unless the chain hash is another one.
        refused: Vec<RejectedEntry>,
    },
    /// The file has the history that the server had when the session resumed. Own entries up to
    /// this one that are pending still were refused, if the chain hash is that of the file.
    Answered {
        /// Number of the last one.
        last_client_seq: u64,
        /// Chain hash of the entries up to it.
        chain_hash: u64,
    },
    /// Perform a client reset, then [`ClientInput::Recovered`].
    Reset(Code),
    /// Drop the identity and write the pending entries again, then [`ClientInput::Recovered`].
    NewIdentity,
    /// A part of the snapshot.
    Snapshot(SnapshotBytes<'a>),
    /// The download that was marked by this number is applied.
    DownloadComplete {
        /// Number of the app's choice.
        number: u64,
    },
    /// An error for the app or the log.
    Report(Report),
}

/// An own entry that the server refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedEntry {
    /// Number of the entry.
    pub client_seq: u64,
    /// Reason.
    pub code: Code,
    /// Index of the operation, if it is one.
    pub operation: Option<u32>,
}

/// Entries of the history to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apply<'a> {
    /// Ticket for the answer.
    pub ticket: u64,
    /// Epoch of the history.
    pub epoch: u64,
    /// Seq before the first entry.
    pub from: u64,
    /// Seq of the last one.
    pub to: u64,
    /// Salt of the last one.
    pub salt: u64,
    /// Horizon of the server.
    pub horizon: u64,
    /// Seq up to which a backup reaches.
    pub durable_seq: u64,
    /// Estimate of the history that follows.
    pub bytes_left: u64,
    /// The entries.
    pub items: Vec<Item<'a>>,
}

/// A part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotBytes<'a> {
    /// Number of the snapshot.
    pub snapshot: u64,
    /// Epoch of the history.
    pub epoch: u64,
    /// Seq of the state.
    pub seq: u64,
    /// Salt of that seq.
    pub salt: u64,
    /// Horizon of the server.
    pub horizon: u64,
    /// Bytes of the snapshot.
    pub total: u64,
    /// Offset of the part.
    pub offset: u64,
    /// The part.
    pub part: &'a [u8],
    /// Hash of the snapshot, in its last part.
    pub root: Option<[u8; 32]>,
}
