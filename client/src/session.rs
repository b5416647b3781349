//! Session: the access tokens of one open file.

use crate::driver::Message;
use fastness_auth::users::{Input, SessionId};
use fastness_auth::{AuthError, Token};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// Event of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// Use this token from now on.
    Token(Token),
    /// The user has logged out: stop until the next token.
    Parked,
    /// Token renewal has failed until the user logs in again.
    Failed(AuthError),
}

/// Session of one open file. Dropping it stops the renewal of its token.
#[derive(Debug)]
pub struct Session {
    pub(crate) id: SessionId,
    pub(crate) events: Receiver<SessionEvent>,
    pub(crate) driver: Sender<Message>,
}

impl Session {
    /// Waits for the next event; `None` after the client was closed.
    #[must_use]
    pub fn recv(&self) -> Option<SessionEvent> {
        self.events.recv().ok()
    }

    /// Waits for the next event, with a time-out.
    #[must_use]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<SessionEvent> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Reports that the server rejected the token.
    pub fn expired(&self) {
        self.tell(Input::Expired(self.id));
    }

    fn tell(&self, input: Input) {
        // After the end of the driver there is no receiver.
        self.driver.send(Message::Input(input)).unwrap_or_default();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.tell(Input::Close(self.id));
    }
}
