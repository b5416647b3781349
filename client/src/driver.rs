//! Driver thread: owns the user store, handles one message at a time, and performs the actions.
//!
//! - Z1 Every call gets a result, even if the user store fails.
//! - Z5 A login that the server has ended is logged out here.

use crate::error::ClientError;
use crate::event::{Event, SessionEvent};
use crate::message::{EventSink, Message};
use fastness_auth::users::{
    CallId, CallResult, CallSuccess, HttpOutcome, Input, Output, SessionId, UserId, UserStore,
};
use fastness_auth::{AuthError, BACKOFF_MAX, ErrorCode, NetworkError, Request, RequestId, Time};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) struct Driver {
    pub(crate) file: UserStore,
    pub(crate) messages: Receiver<Message>,
    pub(crate) network: Box<dyn Fn(RequestId, Request) + Send>,
    pub(crate) events: Sender<Event>,
    pub(crate) waiting: BTreeMap<CallId, Sender<Result<CallSuccess, ClientError>>>,
    pub(crate) sessions: BTreeMap<SessionId, OpenSession>,
    pub(crate) next: u64,
}

/// An open session.
pub(crate) struct OpenSession {
    user: UserId,
    events: EventSink,
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(0).plus(since)
}

impl Driver {
    /// Runs until the client is closed.
    pub(crate) fn run(mut self) {
        loop {
            // A steady stream of messages must not delay what is due.
            if self.pause().is_zero() {
                self.apply(Input::Wake).unwrap_or_default();
            }
            let pause = self.pause();
            match self.messages.recv_timeout(pause) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.apply(Input::Wake).unwrap_or_default(),
                Ok(message) => self.handle_message(message),
            }
        }
    }

    /// Returns the time until the next deadline.
    fn pause(&self) -> Duration {
        self.file.deadline().map_or(BACKOFF_MAX, |deadline| deadline.since(now()).min(BACKOFF_MAX))
    }

    /// Handles a message. A failed reply means that the caller no longer waits.
    fn handle_message(&mut self, message: Message) {
        match message {
            // `apply` reports a failure of the store to the waiting calls and the callbacks.
            Message::Input(Input::Response(id, answer)) => {
                // A response that cannot be stored counts as lost, so retryable requests are
                // retried.
                if self.apply(Input::Response(id, answer)).is_err() {
                    let lost = HttpOutcome::failed(NetworkError::Lost);
                    self.apply(Input::Response(id, lost)).unwrap_or_default();
                }
            }
            Message::Input(input) => {
                if let Input::Close(session) = &input {
                    self.sessions.remove(session);
                }
                self.apply(input).unwrap_or_default();
            }
            Message::Call(id, call, reply) => {
                self.waiting.insert(id, reply);
                self.apply(Input::Call(id, call)).unwrap_or_default();
            }
            Message::Cancel(id) => {
                // A call that is done has its result.
                if let Some(reply) = self.waiting.remove(&id) {
                    reply.send(Err(ClientError::Cancelled)).unwrap_or_default();
                    self.apply(Input::Cancel(id)).unwrap_or_default();
                }
            }
            Message::LogOut(user, reply) => {
                let outcome = self.apply(Input::LogOut(user));
                reply.send(outcome).unwrap_or_default();
            }
            Message::Open(user, path, events, reply) => {
                let id = SessionId(self.next_id());
                self.sessions.insert(id, OpenSession { user: user.clone(), events });
                reply.send(id).unwrap_or_default();
                self.apply(Input::Open(id, user, path)).unwrap_or_default();
            }
            Message::Users(reply) => {
                let users = self.file.users().valid(now()).cloned().collect();
                reply.send(users).unwrap_or_default();
            }
            Message::Stop => {}
        }
    }

    fn next_id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn apply(&mut self, input: Input) -> Result<(), ClientError> {
        let mut outputs = Vec::new();
        let outcome = self.file.handle(now(), input, &mut outputs);
        if let Err(error) = outcome {
            // The failed call is unknown, so every waiting call gets the error.
            for (_, reply) in std::mem::take(&mut self.waiting) {
                reply.send(Err(ClientError::Store(error.clone()))).unwrap_or_default();
            }
            self.events.send(Event::StoreFailed(error.clone())).unwrap_or_default();
            return Err(error.into());
        }
        outputs.into_iter().for_each(|output| self.perform(output));
        Ok(())
    }

    fn perform(&mut self, output: Output) {
        let notice = |notice| self.events.send(notice).unwrap_or_default();
        match output {
            Output::Send(id, request) => (self.network)(id, request),
            // The request ends by its time-out, and its response is ignored.
            Output::CancelRequest(_) => {}
            Output::CallDone(id, outcome) => self.done(id, outcome),
            Output::LoggedIn(user) => notice(Event::LoggedIn(user)),
            Output::LoggedOut(user) => notice(Event::LoggedOut(user)),
            Output::RevocationRefused(user, error) => notice(Event::RevocationRefused(user, error)),
            Output::DeliverToken(id, token) => self.tell(id, SessionEvent::Token(token)),
            Output::Park(id) => self.tell(id, SessionEvent::Parked),
            Output::SessionWaiting(id, error) => self.tell(id, SessionEvent::Waiting(error)),
            Output::SessionFailed(id, error) => self.fail(id, error),
        }
    }

    fn done(&mut self, id: CallId, outcome: CallResult) {
        if let Some(reply) = self.waiting.remove(&id) {
            reply.send(outcome.map_err(ClientError::from)).unwrap_or_default();
        }
    }

    /// Reports the failure of a session. The server refuses the refresh token for ever with one
    /// code: the login has ended there, and ends here too.
    fn fail(&mut self, id: SessionId, error: AuthError) {
        let Some(session) = self.sessions.get(&id) else { return };
        let user = session.user.clone();
        (session.events)(SessionEvent::Failed(error.clone()));
        if error.code() == ErrorCode::EXPIRED_REFRESH_TOKEN {
            self.events.send(Event::LoginEnded(user.clone(), error)).unwrap_or_default();
            // `apply` reports a failure of the store; the user is logged in then, and may retry.
            self.apply(Input::LogOut(user)).unwrap_or_default();
        }
    }

    fn tell(&self, id: SessionId, event: SessionEvent) {
        if let Some(session) = self.sessions.get(&id) {
            (session.events)(event);
        }
    }
}

#[cfg(test)]
mod tests;
