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
        self.server_call.token()
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
    /// An answer that our server never gives.
    Hostile(&'static HostileAnswer),
}

/// An answer of a hostile or broken server.
#[derive(Debug)]
pub(super) struct HostileAnswer {
    pub(super) status: u16,
    pub(super) body: &'static str,
    class: AnswerClass,
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

const fn hostile(status: u16, body: &'static str, class: AnswerClass) -> HostileAnswer {
    HostileAnswer { status, body, class }
}

/// Refusals without a code, or with a code of an odd type. A code is `code`, else `status`, else
/// -1; a status of 500 and the like is retried unless an application (601 and up) gave the code.
const HOSTILE_REFUSALS: [HostileAnswer; 12] = [
    hostile(400, "{}", AnswerClass::Refused(-1)),
    hostile(500, "{}", AnswerClass::Retryable),
    hostile(401, r#"{"code": null}"#, AnswerClass::Foreign),
    hostile(404, r#"{"code": [615]}"#, AnswerClass::Foreign),
    hostile(503, r#"{"code": "abc"}"#, AnswerClass::Retryable),
    hostile(503, r#"{"code": 614}"#, AnswerClass::Refused(614)),
    hostile(429, r#"{"status": "429"}"#, AnswerClass::Retryable),
    hostile(403, r#"{"code": "614.9", "status": 503}"#, AnswerClass::Refused(614)),
    hostile(400, r#"{"code": 1e300}"#, AnswerClass::Refused(i64::MAX)),
    hostile(0, "", AnswerClass::Foreign),
    hostile(599, "[]", AnswerClass::Foreign),
    hostile(301, "\u{feff}{\"code\": -7} and more", AnswerClass::Refused(-7)),
];

/// Successes that contain no token, to a request for one.
const HOSTILE_SUCCESSES: [HostileAnswer; 7] = [
    hostile(200, "", AnswerClass::Foreign),
    hostile(200, "[]", AnswerClass::Foreign),
    hostile(204, "{}", AnswerClass::Foreign),
    hostile(200, r#"{"access_token": null, "refresh_token": null}"#, AnswerClass::Foreign),
    hostile(200, r#"{"access_token": {"token": "t"}, "refresh_token": 7}"#, AnswerClass::Foreign),
    hostile(
        200,
        r#"{"access_token": {"token": "", "token_data":
            {"identity": "i", "expires": 9000000000, "access": []}}}"#,
        AnswerClass::Foreign,
    ),
    hostile(
        200,
        r#"{"access_token": {"token": "t", "token_data":
            {"identity": "i", "expires": 9000000000, "access": []}},
            "refresh_token": {"token": "", "token_data":
            {"identity": "i", "expires": 9000000000, "access": []}}}"#,
        AnswerClass::Foreign,
    ),
];

/// Tokens for one file with values of odd types and odd times.
const HOSTILE_TOKENS: [HostileAnswer; 3] = [
    hostile(
        200,
        r#"{"access_token": {"token": 12, "token_data":
            {"identity": true, "expires": "-9e300", "access": [null, {}]}}}"#,
        AnswerClass::Granted,
    ),
    hostile(
        299,
        r#"{"access_token": {"token": "t", "token_data":
            {"identity": "", "expires": 9223372036854775807, "access": [], "is_admin": "x"}}}"#,
        AnswerClass::Granted,
    ),
    hostile(
        200,
        r#"{"access_token": 1, "access_token": {"token": "t", "token_data":
            {"identity": "i", "expires": 0, "access": ["?"], "path": 7}}} trailing"#,
        AnswerClass::Granted,
    ),
];

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

    /// Returns what a hostile server answers to a request.
    pub(super) fn hostile(purpose: &Purpose, operand: u8) -> Self {
        let kinds: &[&[HostileAnswer]] = match purpose {
            Purpose::LogIn(_) => &[&HOSTILE_REFUSALS, &HOSTILE_SUCCESSES],
            Purpose::Token(..) => &[&HOSTILE_REFUSALS, &HOSTILE_SUCCESSES, &HOSTILE_TOKENS],
            // Any success counts, whatever its body is.
            Purpose::ChangePassword(_) | Purpose::Revoke(_) => &[&HOSTILE_REFUSALS],
            Purpose::LookUp(_) | Purpose::ForeignCall => &[&HOSTILE_REFUSALS, &HOSTILE_SUCCESSES],
        };
        let count = kinds.iter().map(|kind| kind.len()).sum::<usize>();
        let mut all = kinds.iter().copied().flatten();
        let answer = all.nth(usize::from(operand) % count).expect("below the count");
        Self::Hostile(answer)
    }

    pub(super) const fn class(&self) -> AnswerClass {
        match self {
            Self::Hostile(answer) => answer.class,
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
            Self::Hostile(HostileAnswer { status, body, .. }) => {
                HttpOutcome::new(*status, body.as_bytes().to_vec())
            }
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
