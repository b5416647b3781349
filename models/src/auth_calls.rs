//! The calls to a server and their replies, as the model of its accounts has them.

/// A call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerCall {
    /// Creates an account and logs in: name, password.
    Register(String, String),
    /// Logs in: name, password.
    LogIn(String, String),
    /// Requests a token for a file: refresh token, path.
    Token(String, String),
    /// The same, with a new refresh token: refresh token, path.
    Exchange(String, String),
    /// Revokes a login: refresh token.
    Revoke(String),
    /// Changes a password: refresh token, other identity, new password.
    ChangePassword(String, Option<String>, String),
    /// Looks up an account: refresh token, name.
    LookUp(String, String),
}

impl ServerCall {
    /// Returns the refresh token that the call presents.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        match self {
            Self::Token(token, _)
            | Self::Exchange(token, _)
            | Self::ChangePassword(token, ..)
            | Self::LookUp(token, _) => Some(token),
            Self::Register(..) | Self::LogIn(..) | Self::Revoke(_) => None,
        }
    }
}

/// The reply to a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ServerReply {
    /// A login.
    LogIn {
        /// The identity; none if no answer has revealed it yet.
        identity: Option<String>,
        /// Expiry of its token, in seconds.
        expires: i64,
        /// Whether the user is an administrator.
        is_admin: bool,
    },
    /// A token for a file.
    Token {
        /// The identity.
        identity: String,
        /// The path of the file.
        path: String,
        /// Expiry, in seconds.
        expires: i64,
    },
    /// A token for a file, and a successor of the refresh token.
    Exchange {
        /// The identity.
        identity: String,
        /// The path of the file.
        path: String,
        /// Expiry of the token for the file, in seconds.
        expires: i64,
        /// Expiry of the login, in seconds.
        login_expires: i64,
    },
    /// Success.
    Done,
    /// An expired login was revoked: success, or `EXPIRED_REFRESH_TOKEN`.
    Expired,
    /// The account that was looked up.
    Found {
        /// The identity; none if no answer has revealed it yet.
        identity: Option<String>,
        /// Whether the account is an administrator's.
        is_admin: bool,
    },
    /// A refusal, with its code.
    Refused(i64),
}

/// A call between its start and its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartedCall {
    pub(crate) server_call: ServerCall,
    pub(crate) refused: Option<i64>,
    /// The number of password changes at the start.
    pub(crate) changes: u32,
}

impl StartedCall {
    /// Returns the call.
    #[must_use]
    pub const fn call(&self) -> &ServerCall {
        &self.server_call
    }

    /// Returns the reason if the start refused it.
    #[must_use]
    pub const fn refused(&self) -> Option<i64> {
        self.refused
    }
}
