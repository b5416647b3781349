//! What goes wrong with a client.

use fastness::Error;
use fastness_auth::users::Failure;
use fastness_auth::{AuthError, Refusal};
use std::fmt;

/// Why a call did not work.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The call makes no sense; nothing was asked.
    Refused(Refusal),
    /// The server or the network failed it.
    Failed(AuthError),
    /// The file of the users failed; whether the call took effect is known after opening it anew.
    Store(Error),
    /// The configuration cannot be used.
    Config(ConfigError),
    /// The client is closed, or the system gives it no threads.
    Closed,
}

/// What is wrong with a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The proxy is no address.
    Proxy,
    /// The roots are no certificates in PEM.
    Roots,
}

impl ClientError {
    /// Returns what the server said, if it was the server.
    #[must_use]
    pub const fn auth(&self) -> Option<&AuthError> {
        if let Self::Failed(error) = self { Some(error) } else { None }
    }
}

impl From<Failure> for ClientError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => Self::Refused(refusal),
            Failure::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<Refusal> for ClientError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for ClientError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<ConfigError> for ClientError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl std::error::Error for ClientError {}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Closed => f.write_str("the client is closed; open another"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy => "the proxy is no address; give one like http://host:port",
            Self::Roots => "the roots are no certificates; give some in PEM",
        })
    }
}
