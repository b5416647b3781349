//! The tokens of one open file, as they come.

use crate::driver::Message;
use fastness_auth::users::{Input, SessionId};
use fastness_auth::{AuthError, Token};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// What a session is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// Use this token from now on.
    Token(Token),
    /// The user has logged out: stop, until there is a token again.
    Parked,
    /// There will be no token until the user logs in again.
    Failed(AuthError),
}

/// The tokens of one open file. Dropped, it asks for no more.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) events: Receiver<SessionEvent>,
    pub(crate) driver: Sender<Message>,
}

impl Session {
    /// Waits for what comes next; nothing comes after the client was closed.
    #[must_use]
    pub fn next(&self) -> Option<SessionEvent> {
        self.events.recv().ok()
    }

    /// Waits for what comes next, so long.
    #[must_use]
    pub fn next_within(&self, timeout: Duration) -> Option<SessionEvent> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Says that the server no longer accepts the token.
    pub fn expired(&self) {
        self.tell(Input::Expired(self.id));
    }

    fn tell(&self, input: Input) {
        // Without a driver there is nobody left to tell.
        self.driver.send(Message::Input(input)).unwrap_or_default();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.tell(Input::Close(self.id));
    }
}
