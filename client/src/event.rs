//! Events: reports of the driver to callbacks and sessions.
//!
//! - U1 Printing any of them omits passwords, tokens and bodies.

use fastness::Error;
use fastness_auth::users::UserId;
use fastness_auth::{AuthError, Token};

/// Event for callbacks.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A user has logged in.
    LoggedIn(UserId),
    /// The server has revoked the token of a user who logged out.
    LoggedOut(UserId),
    /// The server has ended the login of a user (615): the user was logged out here too.
    LoginEnded(UserId, AuthError),
    /// The server refused to revoke the token of a user who logged out.
    RevocationRefused(UserId, AuthError),
    /// The user store failed.
    StoreFailed(Error),
}

/// Event of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SessionEvent {
    /// Use this token from now on.
    Token(Token),
    /// The user has logged out: stop until the next token.
    Parked,
    /// The session waits for a token, because a request failed, as without a network. The client
    /// repeats it by itself, with back-off up to five minutes.
    Waiting(AuthError),
    /// Token renewal has stopped. After 615 the user is logged out, and [`SessionEvent::Parked`]
    /// follows. After 614 the user may not open this path, and another login of the same user
    /// changes nothing. An error that is not of the server ends with the network that caused it.
    Failed(AuthError),
}
