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
    /// Token renewal has failed until the user logs in again.
    Failed(AuthError),
}
