//! Messages between the threads of files and of connections.

use super::progress::ProgressRequest;
use super::transport::Transport;
use super::waiting_frame::WaitingFrame;
use super::wake::Waker;
use crate::event::SessionEvent;
use fastness::instance::Instance;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// Number of a file within a sync client.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct FileId(pub(crate) u64);

/// Message to the thread of a file.
pub(crate) enum FileMessage {
    /// Sessions can be bound.
    Online(OnlineTerms),
    /// The connection is lost.
    Offline,
    /// An attempt to connect has failed.
    Waiting(String),
    /// A number for the session.
    Number(u32),
    /// A frame for the session.
    Frame(WaitingFrame),
    /// A session that waits binds at once.
    Reconnect,
    /// The server sends frames faster than the file takes them, and some were dropped.
    Flooded,
    /// A commit of the app was made, or is about to be.
    Written,
    /// The app waits for a download mark.
    Mark(u64),
    /// The login has another state.
    Login(LoginState),
    /// The connection or the login failed.
    Failed(Failure),
    /// The app pauses the session, or continues it.
    Pause(bool),
    /// The app simulates that the server has another history.
    SimulateReset,
    /// A progress listener to add.
    Listen(ProgressRequest),
    /// The last handle was closed. The instance keeps the file open until its entries are uploaded.
    Close(Box<Instance>),
    /// The file was opened again.
    Revive,
    /// The app simulates that the server has another history, and the file is left to it. The
    /// reply comes when the session no longer has the file.
    Fail(Sender<()>),
    /// The sync client is closed.
    Stop,
}

/// State of the login of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LoginState {
    /// An access token is on its way.
    Waiting,
    /// The connection has a token.
    LoggedIn,
    /// The user has logged out.
    LoggedOut,
}

/// Terms of a connection that is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OnlineTerms {
    /// Number of the connection: numbers of sessions begin again with each one.
    pub(crate) connection: u64,
    pub(crate) window_bytes: u64,
    /// Time of the server minus that of the connection's clock.
    pub(crate) clock_offset_ms: i64,
}

/// A failure for the app.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    pub(crate) code: i64,
    pub(crate) message: String,
}

/// Message to the thread of a connection.
pub(crate) enum ConnectionMessage {
    /// A file that shares the connection.
    Attach(FileId, Sender<FileMessage>),
    /// A file that no longer does.
    Detach(FileId),
    /// A frame of a session of a connection. One of an earlier connection is dropped.
    Send(u64, Vec<u8>),
    /// A file wants a number for its session of a connection.
    WantNumber(FileId, u64),
    /// An event of the login.
    Login(SessionEvent),
    /// An attempt to connect has ended.
    Connected(u64, io::Result<Transport>),
    /// The app knows that the network is up, or has changed.
    Reconnect,
    /// The sync client is closed.
    Stop,
}

/// Sends messages to the thread of a connection.
#[derive(Clone)]
pub(crate) struct ConnectionHandle {
    pub(crate) inbox: Sender<ConnectionMessage>,
    pub(crate) waker: Arc<Waker>,
}

impl ConnectionHandle {
    pub(crate) fn send(&self, message: ConnectionMessage) {
        // After the end of the thread no one waits for an effect.
        self.inbox.send(message).unwrap_or_default();
        self.waker.wake();
    }
}
