//! Session: the access tokens of one open file.

use crate::event::SessionEvent;
use crate::message::Message;
use fastness_auth::users::{Input, SessionId};
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

/// Session of one open file. Dropping it stops the renewal of its token.
#[derive(Debug)]
pub struct Session {
    pub(crate) renewal: TokenRenewal,
    pub(crate) events: Receiver<SessionEvent>,
}

/// The renewal of an access token, until it is dropped.
#[derive(Debug)]
pub(crate) struct TokenRenewal {
    pub(crate) id: SessionId,
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
        self.renewal.expired();
    }
}

impl TokenRenewal {
    /// Reports that the server rejected the token, or that another one is wanted.
    pub(crate) fn expired(&self) {
        self.tell(Input::Expired(self.id));
    }

    fn tell(&self, input: Input) {
        // After the end of the driver there is no receiver.
        self.driver.send(Message::Input(input)).unwrap_or_default();
    }
}

impl Drop for TokenRenewal {
    fn drop(&mut self) {
        self.tell(Input::Close(self.id));
    }
}
