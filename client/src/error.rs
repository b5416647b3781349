//! Errors of the client.

use fastness::Error;
use fastness_auth::users::CallError;
use fastness_auth::{AuthError, RequestError};
use std::fmt;

/// Error of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ClientError {
    /// The call is invalid; no request was sent.
    Refused(RequestError),
    /// The server or the network failed.
    Failed(AuthError),
    /// The user store failed. Reopening shows whether the call took effect.
    Store(Error),
    /// The configuration is invalid.
    Config(ConfigError),
    /// The call was cancelled. The server may have executed it.
    Cancelled,
    /// The client is closed, or the system refused threads.
    Closed,
}

/// Problem of a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The address of the proxy is invalid.
    Proxy,
    /// The root certificates are not valid PEM.
    RootCertificates,
    /// The address of the server is invalid.
    Address,
    /// Synced files check the certificate of a server always.
    CertificateCheck,
}

impl ClientError {
    /// Returns the error of the server or the network.
    #[must_use]
    pub const fn auth(&self) -> Option<&AuthError> {
        if let Self::Failed(error) = self { Some(error) } else { None }
    }
}

impl From<CallError> for ClientError {
    fn from(failure: CallError) -> Self {
        match failure {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::Failed(error) => Self::Failed(error),
        }
    }
}

impl From<RequestError> for ClientError {
    fn from(refusal: RequestError) -> Self {
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
            Self::Cancelled => {
                f.write_str("the call was cancelled; the server may have executed it")
            }
            Self::Closed => f.write_str("the client is closed; open another"),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Proxy => "the proxy is no address; give one like http://host:port",
            Self::RootCertificates => "the roots are no certificates; give some in PEM",
            Self::Address => "the address of the server is invalid; give one with a host",
            Self::CertificateCheck => {
                "the certificate of a sync server is always checked; trust its root instead"
            }
        })
    }
}
