//! Messages between program and servers, with their intended meaning.

use fastness_auth::server::Step;
use fastness_auth::users::{CallId, HttpOutcome};
use fastness_auth::{NetworkError, Request, RequestId};
use fastness_models::auth::UserKey;
use fastness_models::auth_server::{RETRY_LATER, ServerCall, ServerReply, StartedCall};
use std::rc::Rc;

/// The purpose of a request of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    LogIn(CallId),
    ChangePassword(CallId),
    LookUp(CallId),
    /// A token for a session, and the model's counter for the state of that session.
    Token(u8, u64),
    Revoke(UserKey),
    /// A request of a stranger who has the token.
    ForeignCall,
}

/// The process number of the stranger.
pub(super) const FOREIGN_PROCESS: u32 = u32::MAX;

impl Purpose {
    /// Returns the call that the request serves, if any.
    pub(super) const fn call(&self) -> Option<CallId> {
        match self {
            Self::LogIn(call) | Self::ChangePassword(call) | Self::LookUp(call) => Some(*call),
            Self::Token(..) | Self::Revoke(_) | Self::ForeignCall => None,
        }
    }
}

/// A request with its expected meaning.
#[derive(Clone, Debug)]
pub(super) struct RoundTrip {
    /// The process that sent it; the answer reaches no other process.
    pub(super) process: u32,
    pub(super) id: RequestId,
    pub(super) server: usize,
    pub(super) purpose: Purpose,
    /// The call that the server must parse from it.
    pub(super) server_call: ServerCall,
}

impl RoundTrip {
    /// Returns the refresh token that the request uses, unless it revokes it.
    pub(super) fn token(&self) -> Option<&str> {
        match &self.server_call {
            ServerCall::Token(token, _)
            | ServerCall::Exchange(token, _)
            | ServerCall::ChangePassword(token, ..)
            | ServerCall::LookUp(token, _) => Some(token),
            ServerCall::Register(..) | ServerCall::LogIn(..) | ServerCall::Revoke(_) => None,
        }
    }

    /// Whether the request exchanges refresh tokens.
    pub(super) const fn exchanges(&self) -> bool {
        matches!(self.server_call, ServerCall::Exchange(..))
    }
}

/// The position of a message.
#[derive(Debug)]
pub(super) enum Stage {
    ToServer(Rc<Request>),
    AtServer(CallInProgress),
    ToProgram(Delivery),
}

/// A message in flight.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) round_trip: Rc<RoundTrip>,
    pub(super) stage: Stage,
}

/// The result of a request.
#[derive(Clone, Debug)]
pub(super) enum Delivery {
    /// The server's answer, with the model's reply.
    Reply(u16, Vec<u8>, ServerReply),
    /// The server's answer when its disk failed.
    Failed(u16, Vec<u8>),
    /// A page from a proxy or hotspot instead of an answer.
    Page(u16),
    Fault(NetworkError),
}

/// The class of an answer, see docs/auth.md#repeating.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AnswerClass {
    Granted,
    /// A retry may succeed.
    Retryable,
    /// The answer does not come from the server.
    Foreign,
    /// The server refused.
    Refused(i64),
}

/// Results of a lost message.
const LOSSES: [Delivery; 8] = [
    Delivery::Fault(NetworkError::TimedOut),
    Delivery::Fault(NetworkError::Lost),
    Delivery::Fault(NetworkError::Refused),
    Delivery::Fault(NetworkError::HostNotFound),
    Delivery::Fault(NetworkError::Tls),
    Delivery::Fault(NetworkError::Other),
    Delivery::Page(503),
    Delivery::Page(302),
];

impl Delivery {
    /// Returns the result of a lost message.
    pub(super) fn lost(operand: u8) -> Self {
        LOSSES[usize::from(operand) % LOSSES.len()].clone()
    }

    pub(super) const fn class(&self) -> AnswerClass {
        match self {
            Self::Reply(_, _, ServerReply::Refused(RETRY_LATER)) | Self::Failed(..) => {
                AnswerClass::Retryable
            }
            Self::Reply(_, _, ServerReply::Refused(code)) => AnswerClass::Refused(*code),
            Self::Reply(..) => AnswerClass::Granted,
            Self::Page(503)
            | Self::Fault(
                NetworkError::TimedOut
                | NetworkError::Lost
                | NetworkError::Refused
                | NetworkError::HostNotFound,
            ) => AnswerClass::Retryable,
            Self::Page(_) | Self::Fault(_) => AnswerClass::Foreign,
        }
    }

    /// Returns the result as the program receives it.
    pub(super) fn answer(&self) -> HttpOutcome {
        match self {
            Self::Reply(status, body, _) | Self::Failed(status, body) => {
                HttpOutcome::new(*status, body.clone())
            }
            Self::Page(status) => HttpOutcome::new(*status, PAGE.to_vec()),
            Self::Fault(fault) => HttpOutcome::failed(*fault),
        }
    }
}

/// The body of such a page.
pub(super) const PAGE: &[u8] = b"<html>Welcome to our trains</html>";

impl Message {
    /// Duplicates the message, if the network can.
    pub(super) fn duplicate(&self) -> Option<Self> {
        let stage = match &self.stage {
            Stage::ToServer(request) => Stage::ToServer(Rc::clone(request)),
            Stage::ToProgram(delivery) => Stage::ToProgram(delivery.clone()),
            Stage::AtServer(_) => return None,
        };
        Some(Self { round_trip: Rc::clone(&self.round_trip), stage })
    }
}

/// A call without an answer yet.
#[derive(Debug)]
pub(super) struct CallInProgress {
    pub(super) step: Step,
    pub(super) started: StartedCall,
    /// The process of the server that runs it.
    pub(super) process: u32,
}

/// The result of one step of a call.
#[derive(Debug)]
pub(super) enum Progress {
    Waiting(CallInProgress),
    Answered(Delivery),
    /// The server crashed.
    Crashed,
}
