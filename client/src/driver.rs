//! The thread that owns the users: takes what happens, one after the other, and sees that what
//! follows is done.
//!
//! - Z1 Whoever waits for a call gets its outcome, also if the file fails.

use crate::client::Notice;
use crate::error::ClientError;
use crate::session::SessionEvent;
use fastness_auth::users::{
    Answer, Call, CallId, Input, Outcome, Output, SessionId, Success, UserFile, UserId,
};
use fastness_auth::{NetworkFault, PAUSE_MAX, Request, RequestId, Time, User};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the driver is told.
pub(crate) enum Message {
    /// Something happened.
    Input(Input),
    /// The program asks for something, and waits.
    Call(Call, Sender<Result<Success, ClientError>>),
    /// A user logs out; the answer comes when that is durable.
    LogOut(UserId, Sender<Result<(), ClientError>>),
    /// A file was opened.
    Open(UserId, String, Sender<(SessionId, Receiver<SessionEvent>)>),
    /// Who is logged in.
    Users(Sender<Vec<User>>),
    /// The client is closed.
    Stop,
}

pub(crate) struct Driver {
    pub(crate) file: UserFile,
    pub(crate) messages: Receiver<Message>,
    pub(crate) network: Sender<(RequestId, Request)>,
    pub(crate) notices: Sender<Notice>,
    pub(crate) waiting: BTreeMap<CallId, Sender<Result<Success, ClientError>>>,
    pub(crate) sessions: BTreeMap<SessionId, Sender<SessionEvent>>,
    pub(crate) next: u64,
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(0).plus(since)
}

impl Driver {
    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        loop {
            // What is due does not wait until nobody has anything to say.
            if self.pause().is_zero() {
                self.handle(Input::Wake).unwrap_or_default();
            }
            let pause = self.pause();
            match self.messages.recv_timeout(pause) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => self.handle(Input::Wake).unwrap_or_default(),
                Ok(message) => self.take(message),
            }
        }
    }

    /// How long there is nothing to do, unless somebody says something.
    fn pause(&self) -> Duration {
        self.file.deadline().map_or(PAUSE_MAX, |deadline| deadline.since(now()).min(PAUSE_MAX))
    }

    /// Whoever asked may have gone meanwhile; then nobody misses the answer.
    fn take(&mut self, message: Message) {
        match message {
            // What the file failed is told to whom it concerns, and to listeners.
            Message::Input(Input::Answer(id, answer)) => {
                // An answer that cannot be kept is one that was lost: what can be asked again is.
                if self.handle(Input::Answer(id, answer)).is_err() {
                    let lost = Answer::none(NetworkFault::Lost);
                    self.handle(Input::Answer(id, lost)).unwrap_or_default();
                }
            }
            Message::Input(input) => {
                if let Input::Close(session) = &input {
                    self.sessions.remove(session);
                }
                self.handle(input).unwrap_or_default();
            }
            Message::Call(call, reply) => {
                let id = CallId(self.number());
                self.waiting.insert(id, reply);
                self.handle(Input::Call(id, call)).unwrap_or_default();
            }
            Message::LogOut(user, reply) => {
                let outcome = self.handle(Input::LogOut(user));
                reply.send(outcome).unwrap_or_default();
            }
            Message::Open(user, path, reply) => {
                let id = SessionId(self.number());
                let (events, receiver) = std::sync::mpsc::channel();
                self.sessions.insert(id, events);
                reply.send((id, receiver)).unwrap_or_default();
                self.handle(Input::Open(id, user, path)).unwrap_or_default();
            }
            Message::Users(reply) => {
                let users = self.file.users().valid(now()).cloned().collect();
                reply.send(users).unwrap_or_default();
            }
            Message::Stop => {}
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn handle(&mut self, input: Input) -> Result<(), ClientError> {
        let mut outputs = Vec::new();
        let outcome = self.file.handle(now(), input, &mut outputs);
        if let Err(error) = outcome {
            // Which call it was for is not known any more; each may be asked again.
            for (_, reply) in std::mem::take(&mut self.waiting) {
                reply.send(Err(ClientError::Store(error.clone()))).unwrap_or_default();
            }
            self.notices.send(Notice::StoreFailed(error.clone())).unwrap_or_default();
            return Err(error.into());
        }
        outputs.into_iter().for_each(|output| self.carry_out(output));
        Ok(())
    }

    fn carry_out(&mut self, output: Output) {
        let notice = |notice| self.notices.send(notice).unwrap_or_default();
        match output {
            Output::Send(id, request) => self.network.send((id, request)).unwrap_or_default(),
            // What is under way ends by its time-outs; its answer is ignored.
            Output::Forget(_) => {}
            Output::Done(id, outcome) => self.done(id, outcome),
            Output::LoggedIn(user) => notice(Notice::LoggedIn(user)),
            Output::LoggedOut(user) => notice(Notice::LoggedOut(user)),
            Output::NotRevoked(user, error) => notice(Notice::NotRevoked(user, error)),
            Output::HandOver(id, token) => self.tell(id, SessionEvent::Token(token)),
            Output::Park(id) => self.tell(id, SessionEvent::Parked),
            Output::Failed(id, error) => self.tell(id, SessionEvent::Failed(error)),
        }
    }

    fn done(&mut self, id: CallId, outcome: Outcome) {
        if let Some(reply) = self.waiting.remove(&id) {
            reply.send(outcome.map_err(ClientError::from)).unwrap_or_default();
        }
    }

    fn tell(&self, id: SessionId, event: SessionEvent) {
        if let Some(events) = self.sessions.get(&id) {
            events.send(event).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests;
