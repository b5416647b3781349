//! Jobs of workers, which come from connections.

use super::link::{Link, Work};
use fastness_sync::frame::Packet;
use fastness_sync::session::ConnectionTerms;
use std::sync::Arc;

/// User of a connection, by its token.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// Identity of the account.
    pub(super) identity: Arc<str>,
    /// Whether the token permits uploads.
    pub(super) may_write: bool,
}

/// Number of a session, and of its connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct SessionKey {
    pub(super) connection: u64,
    pub(super) session: u32,
}

/// A session that its BIND follows.
pub(super) struct NewSession {
    pub(super) key: SessionKey,
    pub(super) terms: ConnectionTerms,
    pub(super) caller: Caller,
    pub(super) link: Arc<Link>,
}

/// Job of a worker.
pub(super) enum Job {
    /// A session begins.
    Open(NewSession),
    /// A frame for a session, whose bytes are counted.
    Frame { key: SessionKey, packet: Packet<'static>, work: Work },
    /// A connection takes answers again.
    Drained(u64),
    /// A connection has ended.
    Gone(u64),
    /// The worker ends.
    Stop,
}
