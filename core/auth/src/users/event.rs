//! What happens to users, and what follows from it, as values.
//!
//! - U1 Printing any of it shows no password, token or body.
//!
//! Specified in docs/auth.md#users-over-time.

use crate::address::AuthUrl;
use crate::answer::UserInfo;
use crate::credentials::Credentials;
use crate::error::{AuthError, NetworkFault, Refusal};
use crate::refresh::RequestId;
use crate::request::Request;
use crate::secret::{Secret, SecretBytes};
use crate::token::Token;
use crate::user::User;
use std::fmt;

/// Who somebody is, logged in or not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserId {
    /// Where the account is.
    pub url: AuthUrl,
    /// What the server calls the user.
    pub identity: String,
}

/// Number that the program gives a call; [`Output::Done`] brings it back.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallId(pub u64);

/// Number that the program gives a session, one for each file that is open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// The program asks for something.
    Call(CallId, Call),
    /// The program no longer wants the outcome of a call. The server may have done it all the same.
    Cancel(CallId),
    /// The user logs out.
    LogOut(UserId),
    /// A file of a user at a path of the server was opened; a session of that number is closed.
    Open(SessionId, UserId, String),
    /// A file was closed.
    Close(SessionId),
    /// The server no longer accepts the token of a session, whatever the clock says.
    Expired(SessionId),
    /// A request was answered, or could not be. Each [`Output::Send`] gets one of these.
    Answer(RequestId, Answer),
    /// There is no network.
    Offline,
    /// There is a network, or another one.
    Online,
    /// Time has passed.
    Wake,
}

/// What a program asks of a server. Nothing of it is repeated: a first attempt may have worked, and
/// only its answer been lost.
#[derive(Clone, PartialEq, Debug)]
pub enum Call {
    /// To log in at an address.
    LogIn(AuthUrl, Credentials),
    /// To change the password of a user who is logged in.
    ChangePassword(UserId, Secret),
    /// To change the password of whoever has this identity, as an administrator.
    ChangePasswordOf(UserId, String, Secret),
    /// To look up whom a provider knows under an id, as an administrator: provider, id.
    LookUp(UserId, String, String),
}

/// What came of a request: a status and a body, or none.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer(pub(super) Result<(u16, SecretBytes), NetworkFault>);

/// What is to be done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this.
    Send(RequestId, Request),
    /// The answer to this is no longer wanted: break it off if it is still under way.
    Forget(RequestId),
    /// Tell the program what came of a call.
    Done(CallId, Outcome),
    /// Tell listeners that a user has logged in.
    LoggedIn(UserId),
    /// Tell listeners that a user who logged out has been revoked by the server, too.
    LoggedOut(UserId),
    /// Log that the server refused to revoke a user who logged out; that is not tried again.
    NotRevoked(UserId, AuthError),
    /// Hand this token to the session.
    HandOver(SessionId, Token),
    /// The user of the session has logged out: it stops, until the user logs in again.
    Park(SessionId),
    /// Tell the session that there will be no token until its user logs in, or it is opened anew;
    /// or, if it was not the server that said so, until there is another network.
    Failed(SessionId, AuthError),
}

/// What came of a call.
pub type Outcome = Result<Success, Failure>;

/// What came of a call that worked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Success {
    /// This user is logged in.
    LoggedIn(User),
    /// The password is changed.
    PasswordChanged,
    /// What the server knows about the user; nothing after any error, as there may be no such user.
    Found(Option<UserInfo>),
}

/// Why a call did not work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It makes no sense; nothing was asked.
    Refused(Refusal),
    /// The server or the network failed it.
    Failed(AuthError),
}

impl Answer {
    /// Takes status and body of an answer.
    #[must_use]
    pub const fn new(status: u16, body: Vec<u8>) -> Self {
        Self(Ok((status, SecretBytes::new(body))))
    }

    /// Says why there was no answer.
    #[must_use]
    pub const fn none(fault: NetworkFault) -> Self {
        Self(Err(fault))
    }

    /// Reads the answer, if there is one.
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

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok((status, _)) => f.debug_tuple("Answer").field(status).finish(),
            Err(fault) => f.debug_tuple("Answer").field(fault).finish(),
        }
    }
}

impl UserId {
    /// Returns who a user is.
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

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::Failed(error)
    }
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}
