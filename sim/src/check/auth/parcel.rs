//! What travels between program and servers, and what both were meant to understand by it.

use super::server::Work;
use fastness_auth::users::{Answer, CallId};
use fastness_auth::{NetworkFault, Request, RequestId};
use fastness_models::auth::Who;
use fastness_models::auth_server::{Ask, LATER, Reply};
use std::rc::Rc;

/// What the program sends a request for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    LogIn(CallId),
    ChangePassword(CallId),
    LookUp(CallId),
    /// A token for a session, and since when the session was as it was.
    Token(u8, u64),
    Revoke(Who),
    /// None of the program's: somebody else has the token.
    Stranger,
}

/// The process of a stranger, who is told nothing.
pub(super) const STRANGER: u32 = u32::MAX;

impl Purpose {
    /// Returns the call it is for, if it is for one.
    pub(super) const fn call(&self) -> Option<CallId> {
        match self {
            Self::LogIn(call) | Self::ChangePassword(call) | Self::LookUp(call) => Some(*call),
            Self::Token(..) | Self::Revoke(_) | Self::Stranger => None,
        }
    }
}

/// One request and everything that becomes of it.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    /// Which process sent it: its answer reaches no other.
    pub(super) life: u32,
    pub(super) id: RequestId,
    pub(super) server: usize,
    pub(super) purpose: Purpose,
    /// What the server has to read in it.
    pub(super) ask: Ask,
}

impl Exchange {
    /// Returns the refresh token that is presented, not to be ended but to be used.
    pub(super) fn token(&self) -> Option<&str> {
        match &self.ask {
            Ask::Token(token, _)
            | Ask::Exchange(token, _)
            | Ask::ChangePassword(token, ..)
            | Ask::LookUp(token, _) => Some(token),
            Ask::Register(..) | Ask::LogIn(..) | Ask::Revoke(_) => None,
        }
    }

    /// Whether it is one of refresh tokens.
    pub(super) const fn exchanges(&self) -> bool {
        matches!(self.ask, Ask::Exchange(..))
    }
}

/// Where an exchange is.
#[derive(Debug)]
pub(super) enum Stage {
    ToServer(Rc<Request>),
    AtServer(Work),
    ToProgram(Carried),
}

/// Something under way.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) exchange: Rc<Exchange>,
    pub(super) stage: Stage,
}

/// What comes of a request.
#[derive(Clone, Debug)]
pub(super) enum Carried {
    /// The server's answer, and what it means.
    Reply(u16, Vec<u8>, Reply),
    /// The server's answer when it could not do it.
    Failed(u16, Vec<u8>),
    /// Something in its place: a proxy's page, or that of a hotspot.
    Page(u16),
    Fault(NetworkFault),
}

/// What an answer is worth, as docs/auth.md#repeating says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Worth {
    Granted,
    /// Another attempt may help.
    Weak,
    /// It is not the server's word.
    Foreign,
    /// It is.
    Refused(i64),
}

/// What may be heard instead of an answer.
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
    /// Returns what is heard of a message that was lost.
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

    /// Returns it as the program is told it.
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

/// The body of a page.
pub(super) const PAGE: &[u8] = b"<html>Welcome to our trains</html>";

impl Parcel {
    /// Returns the same message once more, if the network can make that.
    pub(super) fn again(&self) -> Option<Self> {
        let stage = match &self.stage {
            Stage::ToServer(request) => Stage::ToServer(Rc::clone(request)),
            Stage::ToProgram(carried) => Stage::ToProgram(carried.clone()),
            Stage::AtServer(_) => return None,
        };
        Some(Self { exchange: Rc::clone(&self.exchange), stage })
    }
}
