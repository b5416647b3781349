//! Messages to the driver, from the client, its sessions and its network threads.

use crate::error::ClientError;
use crate::event::SessionEvent;
use fastness_auth::User;
use fastness_auth::users::{Call, CallId, CallSuccess, Input, SessionId, UserId};
use std::sync::mpsc::Sender;

/// Takes the events of a session, without blocking.
pub(crate) type EventSink = Box<dyn Fn(SessionEvent) + Send>;

/// Message to the driver.
pub(crate) enum Message {
    /// An event.
    Input(Input),
    /// A call, and the channel of its result.
    Call(CallId, Call, Sender<Result<CallSuccess, ClientError>>),
    /// Cancellation of a call.
    Cancel(CallId),
    /// A logout; the reply follows when it is durable.
    LogOut(UserId, Sender<Result<(), ClientError>>),
    /// Opening of a session.
    Open(UserId, String, EventSink, Sender<SessionId>),
    /// Query of the logged-in users.
    Users(Sender<Vec<User>>),
    /// End of the client.
    Stop,
}
