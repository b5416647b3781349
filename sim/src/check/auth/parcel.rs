//! Messages between program and servers, with their intended meaning.

use super::server::Work;
use fastness_auth::users::{Answer, CallId};
use fastness_auth::{NetworkFault, Request, RequestId};
use fastness_models::auth::Who;
use fastness_models::auth_server::{Ask, LATER, Reply};
use std::rc::Rc;

/// The purpose of a request of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    LogIn(CallId),
    ChangePassword(CallId),
    LookUp(CallId),
    /// A token for a session, and the model's counter for the state of that session.
    Token(u8, u64),
    Revoke(Who),
    /// A request of a stranger who has the token.
    Stranger,
}

/// The process number of the stranger.
pub(super) const STRANGER: u32 = u32::MAX;

impl Purpose {
    /// Returns the call that the request serves, if any.
    pub(super) const fn call(&self) -> Option<CallId> {
        match self {
            Self::LogIn(call) | Self::ChangePassword(call) | Self::LookUp(call) => Some(*call),
            Self::Token(..) | Self::Revoke(_) | Self::Stranger => None,
        }
    }
}

/// A request with its expected meaning.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// The process that sent it; the answer reaches no other process.
    pub(super) life: u32,
    pub(super) id: RequestId,
    pub(super) server: usize,
    pub(super) purpose: Purpose,
    /// The call that the server must parse from it.
    pub(super) ask: Ask,
}

impl Exchange {
    /// Returns the refresh token that the request uses, unless it revokes it.
    pub(super) fn token(&self) -> Option<&str> {
        match &self.ask {
            Ask::Token(token, _)
            | Ask::Exchange(token, _)
            | Ask::ChangePassword(token, ..)
            | Ask::LookUp(token, _) => Some(token),
            Ask::Register(..) | Ask::LogIn(..) | Ask::Revoke(_) => None,
        }
    }

    /// Whether the request exchanges refresh tokens.
    pub(super) const fn exchanges(&self) -> bool {
        matches!(self.ask, Ask::Exchange(..))
    }
}

/// The position of a message.
#[derive(Debug)]
pub(super) enum Stage {
    ToServer(Rc<Request>),
    AtServer(Work),
    ToProgram(Carried),
}

/// A message in flight.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) exchange: Rc<Exchange>,
    pub(super) stage: Stage,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub(super) enum Carried {
    /// The server's answer, with the model's reply.
    Reply(u16, Vec<u8>, Reply),
    /// The server's answer when its disk failed.
    Failed(u16, Vec<u8>),
    /// A page from a proxy or hotspot instead of an answer.
    Page(u16),
    Fault(NetworkFault),
}

/// The class of an answer, see docs/auth.md#repeating.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Worth {
    Granted,
    /// A retry may succeed.
    Weak,
    /// The answer does not come from the server.
    Foreign,
    /// The server refused.
    Refused(i64),
}

/// Results of a lost message.
const LOSSES: [Carried; 8] = [
    Carried::Fault(NetworkFault::TimedOut),
    Carried::Fault(NetworkFault::Lost),
    Carried::Fault(NetworkFault::Refused),
    Carried::Fault(NetworkFault::HostNotFound),
    Carried::Fault(NetworkFault::Tls),
    Carried::Fault(NetworkFault::Other),
    Carried::Page(503),
    Carried::Page(302),
];

impl Carried {
    /// Returns the result of a lost message.
    pub(super) fn lost(operand: u8) -> Self {
        LOSSES[usize::from(operand) % LOSSES.len()].clone()
    }

    pub(super) const fn worth(&self) -> Worth {
        match self {
            Self::Reply(_, _, Reply::Refused(LATER)) | Self::Failed(..) => Worth::Weak,
            Self::Reply(_, _, Reply::Refused(code)) => Worth::Refused(*code),
            Self::Reply(..) => Worth::Granted,
            Self::Page(503)
            | Self::Fault(
                NetworkFault::TimedOut
                | NetworkFault::Lost
                | NetworkFault::Refused
                | NetworkFault::HostNotFound,
            ) => Worth::Weak,
            Self::Page(_) | Self::Fault(_) => Worth::Foreign,
        }
    }

    /// Returns the result as the program receives it.
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Reply(status, body, _) | Self::Failed(status, body) => {
                Answer::new(*status, body.clone())
            }
            Self::Page(status) => Answer::new(*status, PAGE.to_vec()),
            Self::Fault(fault) => Answer::none(*fault),
        }
    }
}

/// The body of such a page.
pub(super) const PAGE: &[u8] = b"<html>Welcome to our trains</html>";

impl Parcel {
    /// Duplicates the message, if the network can.
    pub(super) fn again(&self) -> Option<Self> {
        let stage = match &self.stage {
            Stage::ToServer(request) => Stage::ToServer(Rc::clone(request)),
            Stage::ToProgram(carried) => Stage::ToProgram(carried.clone()),
            Stage::AtServer(_) => return None,
        };
        Some(Self { exchange: Rc::clone(&self.exchange), stage })
    }
}
