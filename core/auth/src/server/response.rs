//! Responses of the server: status, JSON body, at most one header, and an event for the log.
//!
//! - H10 Events name accounts by identity; the body, which may contain a token, is not printed.
//!
//! Specified in docs/server.md#answers.

use super::record::AccountsError;
use crate::error_code::ErrorCode;
use crate::json::Object;
use crate::secret::SecretBytes;
use std::fmt;
use std::time::Duration;

/// One response, ready to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    status: u16,
    code: ErrorCode,
    header: Option<(&'static str, String)>,
    body: SecretBytes,
    event: Event,
}

/// Event for logs and checks.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An account was created.
    Registered(String),
    /// A user logged in.
    LoggedIn(String),
    /// An access token was issued.
    Granted(String),
    /// A refresh token was rotated.
    Rotated(String),
    /// A rotated token was presented again, so its login was ended.
    Reused(String),
    /// A login was ended.
    Revoked(String),
    /// A password was changed.
    PasswordChanged {
        /// Identity of the account.
        of: String,
        /// Identity of the caller.
        by: String,
    },
    /// An administrator looked up a user.
    LookedUp {
        /// Identity of the account.
        of: String,
        /// Identity of the caller.
        by: String,
    },
    /// A login was refused because of its password.
    WrongPassword(String),
    /// A user was refused what only an administrator may do.
    Denied(String),
    /// The request was refused.
    Refused(ErrorCode),
    /// The server failed.
    Failed(AccountsError),
}

impl Response {
    /// Creates a success.
    pub(super) fn granted(body: &Object, event: Event) -> Self {
        let code = ErrorCode::from_number(200);
        Self { status: 200, code, header: None, body: body.write(), event }
    }

    /// Creates a refusal with the status of the code.
    #[must_use]
    pub fn refused(code: ErrorCode) -> Self {
        let status = match code {
            ErrorCode::INVALID_PARAMETERS | ErrorCode::MISSING_PARAMETERS => 400,
            ErrorCode::INVALID_CREDENTIALS | ErrorCode::EXPIRED_REFRESH_TOKEN => 401,
            ErrorCode::UNKNOWN_ACCOUNT => 404,
            ErrorCode::EXISTING_ACCOUNT => 409,
            ErrorCode::ACCESS_DENIED => 403,
            other => match u16::try_from(other.number()) {
                Ok(status @ 400..=599) => status,
                Ok(_) | Err(_) => 400,
            },
        };
        let (body, event) = (error_body(status, code, None), Event::Refused(code));
        Self { status, code, header: None, body, event }
    }

    /// Creates a temporary refusal with `Retry-After`.
    #[must_use]
    pub fn later(code: ErrorCode, pause: Duration) -> Self {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        Self { header: Some(("Retry-After", seconds.to_string())), ..Self::refused(code) }
    }

    pub(super) fn method_not_allowed(allowed: &'static str) -> Self {
        let header = Some(("Allow", allowed.to_owned()));
        Self { header, ..Self::refused(ErrorCode::METHOD_NOT_ALLOWED) }
    }

    /// Creates the response to a failure of the server, without its cause.
    pub(super) fn failed(error: AccountsError) -> Self {
        let refused = Self::refused(ErrorCode::INTERNAL_SERVER_ERROR);
        Self { event: Event::Failed(error), ..refused }
    }

    pub(super) fn with_hint(self, hint: &str) -> Self {
        Self { body: error_body(self.status, self.code, Some(hint)), ..self }
    }

    pub(super) fn with_event(self, event: Event) -> Self {
        Self { event, ..self }
    }

    /// Returns the HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns the code of the body; 200 for a success.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the additional header. The content type is always `application/json; charset=utf-8`.
    #[must_use]
    pub fn header(&self) -> Option<(&'static str, &str)> {
        self.header.as_ref().map(|(name, value)| (*name, value.as_str()))
    }

    /// Returns the JSON body. It may contain a token; do not log it.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.expose()
    }

    /// Returns the event.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }
}

impl Event {
    /// Returns the name of the event, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Registered(_) => "registered",
            Self::LoggedIn(_) => "logged-in",
            Self::Granted(_) => "granted",
            Self::Rotated(_) => "rotated",
            Self::Reused(_) => "reused-token",
            Self::Revoked(_) => "revoked",
            Self::PasswordChanged { .. } => "password-changed",
            Self::LookedUp { .. } => "looked-up",
            Self::WrongPassword(_) => "wrong-password",
            Self::Denied(_) => "denied",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
        }
    }

    /// Returns the identity of the account, if it is known.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Registered(of)
            | Self::LoggedIn(of)
            | Self::Granted(of)
            | Self::Rotated(of)
            | Self::Reused(of)
            | Self::Revoked(of)
            | Self::PasswordChanged { of, .. }
            | Self::WrongPassword(of)
            | Self::LookedUp { of, .. } => Some(of),
            Self::Denied(_) | Self::Refused(_) | Self::Failed(_) => None,
        }
    }

    /// Returns the identity of the caller, if it is known and may be another one than the account.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        match self {
            Self::PasswordChanged { by, .. } | Self::LookedUp { by, .. } | Self::Denied(by) => {
                Some(by)
            }
            Self::Registered(_)
            | Self::LoggedIn(_)
            | Self::Granted(_)
            | Self::Rotated(_)
            | Self::Reused(_)
            | Self::Revoked(_)
            | Self::WrongPassword(_)
            | Self::Refused(_)
            | Self::Failed(_) => None,
        }
    }

    /// Returns whether an account or one of its logins has changed.
    #[must_use]
    pub const fn is_change(&self) -> bool {
        match self {
            Self::Registered(_)
            | Self::LoggedIn(_)
            | Self::Rotated(_)
            | Self::Reused(_)
            | Self::Revoked(_)
            | Self::PasswordChanged { .. } => true,
            Self::Granted(_)
            | Self::LookedUp { .. }
            | Self::WrongPassword(_)
            | Self::Denied(_)
            | Self::Refused(_)
            | Self::Failed(_) => false,
        }
    }
}

fn error_body(status: u16, code: ErrorCode, hint: Option<&str>) -> SecretBytes {
    let object = Object::new()
        .with("status", status)
        .with("code", code.number())
        .with_text("title", code.description());
    match hint {
        Some(hint) => object.with_text("hint", hint),
        None => object,
    }
    .write()
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("code", &self.code)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AuthError;

    #[test]
    fn our_client_reads_the_code_of_every_refusal() {
        for code in ErrorCode::all().filter(|code| code.number() >= 400) {
            let answer = Response::refused(code).with_hint("hint \"\n");
            let error = AuthError::from_response(answer.status(), answer.body());
            assert_eq!(error.code(), code);
            assert!((400..600).contains(&answer.status()), "{code}");
            assert_eq!(error.message(), Some(&*format!("{} : hint \"\n", code.description())));
        }
    }

    #[test]
    fn retry_after_rounds_up_to_seconds() {
        let later = |millis| {
            let pause = Duration::from_millis(millis);
            Response::later(ErrorCode::TOO_MANY_REQUESTS, pause).header().unwrap().1.to_owned()
        };
        assert_eq!((later(1), later(1000), later(1001)), ("1".into(), "1".into(), "2".into()));
    }
}
