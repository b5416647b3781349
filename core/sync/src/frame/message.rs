//! The frames of the protocol as values. Each is declared once, with its fields in their order on
//! the wire; the declaration is both the encoder and the decoder.

use super::code::{Action, Code};
use super::error::{FrameProblem, LABEL_BYTES_MAX, TOKEN_BYTES_MAX};
use super::field::{
    ActionNumber, CodeNumber, Encoding, EntryList, Fixed, Flag, Item, ItemList, LongText, Number,
    Part, Positive, Result, Root, Small, Text, Within,
};
use crate::codec::Reader;

/// Bytes of credit of a new session.
pub const CREDIT_BYTES: u64 = 4 << 20;
/// Bytes of entries with which a sender fills a frame.
pub const BATCH_BYTES: usize = 1 << 20;

type Window = Within<{ 1 << 20 }, { 256 << 20 }>;
type PingInterval = Within<1000, 3_600_000>;
type Credited = Within<1, { 256 << 20 }>;
type Delay = Within<0, 86_400_000>;

/// A message with its fields.
trait Fields<'a>: Sized {
    fn read(reader: &mut Reader<'a>) -> Result<Self>;
    fn write(&self, bytes: &mut Vec<u8>) -> Result<()>;
}

macro_rules! fields {
    ($($(#[$meta:meta])* $name:ident [$($life:lifetime)?] {
        $($(#[$doc:meta])* $field:ident: $type:ty = $encoding:ty,)*
    } $(=> $check:ident)?)*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name $(<$life>)? {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl<'a> Fields<'a> for $name $(<$life>)? {
            fn read(reader: &mut Reader<'a>) -> Result<Self> {
                let read = Self { $($field: <$encoding as Encoding<'a>>::read(reader)?,)* };
                $(read.$check()?;)?
                Ok(read)
            }

            fn write(&self, bytes: &mut Vec<u8>) -> Result<()> {
                $(self.$check()?;)?
                $(<$encoding as Encoding<'a>>::write(bytes, &self.$field)?;)*
                Ok(())
            }
        }
    )*};
}

fields! {
    /// The first frame of a connection.
    Hello['a] {
        /// Lowest version of the protocol that the client speaks.
        version_min: u32 = Small<1>,
        /// Highest one.
        version_max: u32 = Small<1>,
        /// One bit for each feature.
        features: u64 = Number,
        /// Time of the client.
        now_ms: u64 = Number,
        /// Name and version of the client's library.
        library: &'a str = Text<LABEL_BYTES_MAX>,
    } => check

    /// The answer to HELLO.
    Welcome[] {
        /// Version of the connection.
        version: u32 = Small<1>,
        /// Features of the connection.
        features: u64 = Number,
        /// Time of the server.
        now_ms: u64 = Number,
        /// Bytes of entries that a session may have unacknowledged.
        window_bytes: u64 = Window,
        /// Silence after which a side sends a PING.
        ping_ms: u64 = PingInterval,
        /// Identity of the connection, for logs.
        connection: u64 = Fixed,
    }

    /// An access token.
    Auth['a] {
        /// The token.
        token: &'a str = Text<TOKEN_BYTES_MAX>,
    }

    /// The token is accepted.
    AuthOk['a] {
        /// User of the token.
        user: &'a str = Text<LABEL_BYTES_MAX>,
        /// Time at which the token expires.
        expires_at_ms: u64 = Number,
    }

    /// Opens a session.
    Bind['a] {
        /// Path of the database.
        path: &'a str = LongText,
        /// Hash of the client's schema.
        schema_hash: u64 = Fixed,
        /// The client file has no identity yet.
        wants_identity: bool = Flag,
    }

    /// The identity of a client file.
    Identity[] {
        /// Number of the client.
        client: u32 = Small<1>,
        /// Proof that the number is the client's.
        client_salt: u64 = Fixed,
    }

    /// State of a client file.
    Resume[] {
        /// Number of the client.
        client: u32 = Small<1>,
        /// Salt of the IDENT.
        client_salt: u64 = Fixed,
        /// Epoch of the history, 0 without one.
        epoch: u64 = Fixed,
        /// Seq of the last entry that the client has applied.
        cursor: u64 = Number,
        /// Salt of that entry.
        cursor_salt: u64 = Fixed,
        /// Number of the last own entry that the server acknowledged.
        last_client_seq: u64 = Number,
        /// Chain hash of the own entries up to that.
        chain_hash: u64 = Fixed,
        /// Least base of the pending entries; the cursor if nothing is pending.
        oldest_base: u64 = Number,
    }

    /// State of the server's database.
    Resumed[] {
        /// Epoch of the history.
        epoch: u64 = Fixed,
        /// Last seq.
        head: u64 = Number,
        /// Seq up to which entries are only in the state.
        horizon: u64 = Number,
        /// Seq up to which a backup reaches.
        durable_seq: u64 = Number,
        /// Number of the client's last entry that the server has.
        last_client_seq: u64 = Number,
        /// Chain hash of the client's entries up to that.
        chain_hash: u64 = Fixed,
    }

    /// Entries of the client.
    Upload['a] {
        /// Least base of the pending entries.
        oldest_base: u64 = Number,
        /// The entries, in order.
        entries: Vec<&'a [u8]> = EntryList,
    }

    /// Acknowledges entries of the client.
    Ack[] {
        /// Number of the last one.
        last_client_seq: u64 = Number,
        /// Seq up to which a backup reaches.
        durable_seq: u64 = Number,
    }

    /// Refuses an entry of the client; its number is used up.
    Reject['a] {
        /// Number of the entry.
        client_seq: u64 = Positive,
        /// Reason.
        code: Code = CodeNumber,
        /// Index of the operation + 1, or 0 for the whole entry.
        operation: u32 = Small<0>,
        /// Reason for people.
        reason: &'a str = LongText,
    }

    /// Entries of the history.
    Download['a] {
        /// Seq before the first entry.
        from: u64 = Number,
        /// Salt of the last entry.
        salt: u64 = Fixed,
        /// Last seq of the history.
        head: u64 = Number,
        /// Seq up to which entries are only in the state.
        horizon: u64 = Number,
        /// Seq up to which a backup reaches.
        durable_seq: u64 = Number,
        /// Estimate of the history that follows.
        bytes_left: u64 = Number,
        /// The entries, in order.
        items: Vec<Item<'a>> = ItemList,
    } => check

    /// More credit for downloads.
    Credit[] {
        /// Bytes.
        bytes: u64 = Credited,
    }

    /// A mark in the download.
    Mark[] {
        /// Number of the mark.
        number: u64 = Number,
    }

    /// Asks for a part of a snapshot.
    SnapshotGet[] {
        /// Number of the snapshot; 0 for the newest.
        snapshot: u64 = Number,
        /// Offset of the part.
        offset: u64 = Number,
    }

    /// A part of a snapshot.
    SnapshotPart['a] {
        /// Number of the snapshot.
        snapshot: u64 = Positive,
        /// Epoch of the history.
        epoch: u64 = Fixed,
        /// Seq of the state.
        seq: u64 = Number,
        /// Salt of that seq.
        salt: u64 = Fixed,
        /// Seq up to which entries are only in the state.
        horizon: u64 = Number,
        /// Bytes of the snapshot.
        total: u64 = Number,
        /// Offset of the part.
        offset: u64 = Number,
        /// The part.
        part: &'a [u8] = Part,
        /// Hash of the snapshot, in its last part.
        root: Option<[u8; 32]> = Root,
    } => check

    /// State of a client that has nothing to upload.
    Progress[] {
        /// Seq of the last entry that the client has applied.
        cursor: u64 = Number,
        /// Least base of the pending entries; the cursor if nothing is pending.
        oldest_base: u64 = Number,
    }

    /// Asks for a PONG.
    Ping[] {
        /// Time of the sender.
        now_ms: u64 = Number,
        /// Round trip of the sender's last PING, 0 if unknown.
        round_trip_ms: u64 = Number,
    }

    /// The answer to PING.
    Pong[] {
        /// Time of the PING.
        now_ms: u64 = Number,
    }

    /// Ends a session or the connection.
    Failed['a] {
        /// Reason.
        code: Code = CodeNumber,
        /// Action of the client.
        action: Action = ActionNumber,
        /// Delay before a retry; 0 for the client's own.
        retry_after_ms: u64 = Delay,
        /// Reason for people.
        message: &'a str = LongText,
        /// Name of the server's log of it.
        log_reference: &'a str = Text<LABEL_BYTES_MAX>,
    }
}

/// A frame without fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Empty;

impl<'a> Fields<'a> for Empty {
    fn read(_: &mut Reader<'a>) -> Result<Self> {
        Ok(Self)
    }

    fn write(&self, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

impl Hello<'_> {
    fn check(&self) -> Result<()> {
        let is_range = self.version_min <= self.version_max;
        if is_range { Ok(()) } else { Err(FrameProblem::Value.into()) }
    }
}

impl Download<'_> {
    /// Returns the seq of the last entry.
    #[must_use]
    pub fn to(&self) -> u64 {
        self.from.saturating_add(self.items.len() as u64)
    }

    fn check(&self) -> Result<()> {
        let to = self.from.checked_add(self.items.len() as u64);
        let is_within = to.is_some_and(|to| to <= self.head);
        if is_within { Ok(()) } else { Err(FrameProblem::Value.into()) }
    }
}

impl SnapshotPart<'_> {
    fn check(&self) -> Result<()> {
        let end = self.offset.checked_add(self.part.len() as u64);
        let is_within = end.is_some_and(|end| end <= self.total);
        let is_last = end == Some(self.total);
        let is_valid = is_within && is_last == self.root.is_some();
        if is_valid { Ok(()) } else { Err(FrameProblem::Value.into()) }
    }
}

/// Frames to which a session number belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Connection,
    Session,
    Any,
}

macro_rules! messages {
    ($($(#[$doc:meta])* $code:literal => $name:ident($fields:ty), $scope:ident;)*) => {
        /// The content of a frame.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Message<'a> {
            $($(#[$doc])* $name($fields),)*
        }

        impl<'a> Message<'a> {
            pub(super) fn read(code: u8, reader: &mut Reader<'a>) -> Result<Self> {
                Ok(match code {
                    $($code => Self::$name(Fields::read(reader)?),)*
                    _ => return Err(FrameProblem::Type.into()),
                })
            }

            pub(super) fn write(&self, bytes: &mut Vec<u8>) -> Result<()> {
                match self {
                    $(Self::$name(fields) => fields.write(bytes),)*
                }
            }

            /// Returns the number of the type on the wire.
            #[must_use]
            pub const fn code(&self) -> u8 {
                match self {
                    $(Self::$name(_) => $code,)*
                }
            }
        }

        pub(super) const fn scope(code: u8) -> Option<Scope> {
            match code {
                $($code => Some(Scope::$scope),)*
                _ => None,
            }
        }
    };
}

messages! {
    /// Client: opens the connection.
    1 => Hello(Hello<'a>), Connection;
    /// Server: the version and features of the connection.
    2 => Welcome(Welcome), Connection;
    /// Client: an access token, also in place of an older one.
    3 => Auth(Auth<'a>), Connection;
    /// Server: the token is accepted.
    4 => AuthOk(AuthOk<'a>), Connection;
    /// Client: opens a session.
    5 => Bind(Bind<'a>), Session;
    /// Server: the identity that a client file asked for.
    6 => Identity(Identity), Session;
    /// Client: its state.
    7 => Resume(Resume), Session;
    /// Server: its state.
    8 => Resumed(Resumed), Session;
    /// Client: entries.
    9 => Upload(Upload<'a>), Session;
    /// Server: acknowledges entries.
    10 => Ack(Ack), Session;
    /// Server: refuses an entry.
    11 => Reject(Reject<'a>), Session;
    /// Server: entries of the history.
    12 => Download(Download<'a>), Session;
    /// Client: credit for downloads.
    13 => Credit(Credit), Session;
    /// Both: a mark, returned once the download has reached it.
    14 => Mark(Mark), Session;
    /// Client: asks for a part of a snapshot.
    15 => SnapshotGet(SnapshotGet), Session;
    /// Server: a part of a snapshot.
    16 => SnapshotPart(SnapshotPart<'a>), Session;
    /// Client: its cursor.
    17 => Progress(Progress), Session;
    /// Client: ends a session.
    18 => Unbind(Empty), Session;
    /// Server: the last frame of a session.
    19 => Unbound(Empty), Session;
    /// Both: asks for a PONG.
    20 => Ping(Ping), Connection;
    /// Both: the answer to PING.
    21 => Pong(Pong), Connection;
    /// Server: an error of a session or of the connection.
    22 => Failed(Failed<'a>), Any;
}
