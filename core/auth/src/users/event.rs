//! Inputs and outputs of the user state machine, as values.
//!
//! - U1 Printing any of them omits passwords, tokens and bodies.
//!
//! Specified in docs/auth.md#users-over-time.

use crate::auth_url::AuthUrl;
use crate::credentials::Credentials;
use crate::error::{AuthError, NetworkError, RequestError};
use crate::refresh::RequestId;
use crate::request::Request;
use crate::response::UserInfo;
use crate::secret::{Secret, SecretBytes};
use crate::token::Token;
use crate::user::User;
use std::fmt;

/// Id of a user, logged in or not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserId {
    /// Address of the server.
    pub url: AuthUrl,
    /// Identity of the user at the server.
    pub identity: String,
}

/// Id of a call, chosen by the program; [`Output::CallDone`] returns it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// Id of a session, chosen by the program: one for each open file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

/// Event for the state machine.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The program makes a call.
    Call(CallId, Call),
    /// The program cancels a call. The server may still execute it.
    Cancel(CallId),
    /// The user logs out.
    LogOut(UserId),
    /// A file of a user was opened at a path of the server. An open session of this id is closed.
    Open(SessionId, UserId, String),
    /// A file was closed.
    Close(SessionId),
    /// The server rejected the token of a session, whatever the clock says.
    Expired(SessionId),
    /// A request got a response or failed. Each [`Output::Send`] gets exactly one.
    Response(RequestId, HttpOutcome),
    /// The network is down.
    Offline,
    /// The network is up, or has changed.
    Online,
    /// Time has passed.
    Wake,
}

/// Call of a program. A call is never retried, because the server may have executed the first
/// attempt.
#[derive(Clone, PartialEq, Debug)]
pub enum Call {
    /// Log in at an address.
    LogIn(AuthUrl, Credentials),
    /// Change the password of a logged-in user.
    ChangePassword(UserId, Secret),
    /// Change the password of the user with this identity, as an administrator.
    ChangePasswordOf(UserId, String, Secret),
    /// Look up a user by provider and id, as an administrator.
    LookUp(UserId, String, String),
}

/// Outcome of a request: status and body, or a network failure.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpOutcome(pub(super) Result<(u16, SecretBytes), NetworkError>);

/// Action for the caller; actions are performed in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this request.
    Send(RequestId, Request),
    /// Cancel this request; its response is ignored.
    CancelRequest(RequestId),
    /// Report the result of a call.
    CallDone(CallId, CallResult),
    /// Notify: a user has logged in.
    LoggedIn(UserId),
    /// Notify: the server has revoked the token of a user who logged out.
    LoggedOut(UserId),
    /// Notify: the server refused to revoke the token of a user who logged out. There is no retry.
    RevocationRefused(UserId, AuthError),
    /// Deliver this token to the session.
    DeliverToken(SessionId, Token),
    /// Stop the session until its user logs in again.
    Park(SessionId),
    /// Report to the session that it waits for a token, because a request failed; it is repeated
    /// by itself.
    SessionWaiting(SessionId, AuthError),
    /// Report to the session that token renewal has failed. The next login or opening restarts it;
    /// if the error did not come from the server, a network change does too.
    SessionFailed(SessionId, AuthError),
}

/// Result of a call.
pub type CallResult = Result<CallSuccess, CallError>;

/// Result of a successful call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallSuccess {
    /// This user is logged in.
    LoggedIn(User),
    /// The password is changed.
    PasswordChanged,
    /// Result of a look-up; `None` after any error, as the user may not exist.
    Found(Option<UserInfo>),
}

/// Error of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallError {
    /// The call is invalid; no request was sent.
    Refused(RequestError),
    /// The server or the network failed.
    Failed(AuthError),
}

impl HttpOutcome {
    /// Creates the outcome of a request with a response.
    #[must_use]
    pub const fn new(status: u16, body: Vec<u8>) -> Self {
        Self(Ok((status, SecretBytes::new(body))))
    }

    /// Creates the outcome of a request without a response.
    #[must_use]
    pub const fn failed(fault: NetworkError) -> Self {
        Self(Err(fault))
    }

    /// Parses the response, if there is one.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(u16, &[u8]) -> Result<T, AuthError>,
    ) -> Result<T, AuthError> {
        match &self.0 {
            Ok((status, body)) => read(*status, body.expose()),
            Err(fault) => Err(AuthError::from_network(*fault)),
        }
    }
}

impl fmt::Debug for HttpOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok((status, _)) => f.debug_tuple("HttpOutcome").field(status).finish(),
            Err(fault) => f.debug_tuple("HttpOutcome").field(fault).finish(),
        }
    }
}

impl UserId {
    /// Returns the id of a user.
    #[must_use]
    pub fn of(user: &User) -> Self {
        Self { url: user.url.clone(), identity: user.identity().to_owned() }
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.identity.escape_debug(), self.url)
    }
}

impl From<RequestError> for CallError {
    fn from(refusal: RequestError) -> Self {
        Self::Refused(refusal)
    }
}

impl From<AuthError> for CallError {
    fn from(error: AuthError) -> Self {
        Self::Failed(error)
    }
}

impl std::error::Error for CallError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}
