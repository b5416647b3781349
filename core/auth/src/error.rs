//! Errors: a failed request ([`AuthError`]) and an invalid one ([`RequestError`]). Both are
//! `Clone + PartialEq`, so that a model can predict them.
//!
//! - U2 Any status and any bytes become an error with a code.
//! - U3 The code is `code`, else `status`, else UNKNOWN; unlisted numbers are preserved.
//! - U8 [`AuthError::is_retryable`] is true only for failures that a retry can cure.
//!
//! Specified in docs/auth.md#errors.

use crate::error_code::{Category, ErrorCode};
use crate::json::Object;
use std::fmt;

/// Failure of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthError {
    code: ErrorCode,
    text: Option<String>,
    status: Option<u16>,
    network: Option<NetworkError>,
}

/// Network failure: the request got no response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum NetworkError {
    /// The connection was refused.
    Refused,
    /// The connection was lost before the end of the response.
    Lost,
    /// Connecting, writing or reading took too long.
    TimedOut,
    /// The host name did not resolve.
    HostNotFound,
    /// The certificate of the server is not trusted, or TLS failed otherwise.
    Tls,
    /// Any other failure.
    Other,
}

impl AuthError {
    /// Parses the response to a request that the server refused.
    #[must_use]
    pub fn from_response(status: u16, body: &[u8]) -> Self {
        let Some(object) = Object::read(body) else {
            return Self::malformed(Some(status), "no JSON object");
        };
        let fields = object.fields();
        let code = match ["code", "status"].into_iter().find(|key| fields.has(key)) {
            None => ErrorCode::UNKNOWN,
            Some(key) => match fields.integer(key) {
                Some(number) => ErrorCode::from_number(number),
                None => return Self::malformed(Some(status), "a code that is no number"),
            },
        };
        let text = match (fields.text("title"), fields.text("hint")) {
            (Some(title), Some(hint)) => Some(format!("{title} : {hint}")),
            (title, hint) => title.or(hint),
        };
        Self { code, text, status: Some(status), network: None }
    }

    /// Creates the error of a request without a response.
    #[must_use]
    pub const fn from_network(fault: NetworkError) -> Self {
        let code = if fault.is_retryable() { ErrorCode::IO_EXCEPTION } else { ErrorCode::UNKNOWN };
        Self { code, text: None, status: None, network: Some(fault) }
    }

    /// Creates the error of a malformed response. Its text omits the content, which may be secret.
    pub(crate) fn malformed(status: Option<u16>, what: &str) -> Self {
        let text = match status {
            Some(status) => format!("the answer with HTTP status {status} has {what}"),
            None => format!("the text has {what}"),
        };
        Self { code: ErrorCode::JSON_EXCEPTION, text: Some(text), status, network: None }
    }

    /// Returns the code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the category of the code.
    #[must_use]
    pub fn category(&self) -> Category {
        self.code.category()
    }

    /// Returns the message of the server unchanged, or the description of a malformed response.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Returns the HTTP status, if there was a response.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns the network failure, if there was no response.
    #[must_use]
    pub const fn network_error(&self) -> Option<NetworkError> {
        self.network
    }

    /// Returns whether the error came from an object server, and not from the network or a captive
    /// portal.
    #[must_use]
    pub fn is_from_server(&self) -> bool {
        self.network.is_none() && self.code != ErrorCode::JSON_EXCEPTION
    }

    /// Returns whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        if let Some(fault) = self.network {
            return fault.is_retryable();
        }
        let is_weak = matches!(self.status, Some(408 | 425 | 429 | 500 | 502..=504 | 511));
        is_weak && !self.code.is_application_code()
    }
}

impl NetworkError {
    /// Returns whether the network may recover.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Refused | Self::Lost | Self::TimedOut | Self::HostNotFound => true,
            Self::Tls | Self::Other => false,
        }
    }
}

impl std::error::Error for AuthError {}

/// Prints one line; control characters of the message are escaped.
impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code)?;
        if let Some(fault) = self.network {
            return fault.fmt(f);
        }
        let text = self.text.as_deref().unwrap_or_else(|| self.code.description());
        for letter in text.chars() {
            if letter.is_control() {
                write!(f, "{}", letter.escape_default())?;
            } else {
                write!(f, "{letter}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "the server takes no connections; is it running?",
            Self::Lost => "the connection was lost; try again",
            Self::TimedOut => "the server did not answer in time; try again",
            Self::HostNotFound => "the server's name leads to no address; check name and network",
            Self::Tls => "no trusted connection to the server; check its certificate",
            Self::Other => "the request could not be sent; check the settings of the network",
        })
    }
}

/// Invalid call: no request was built, and the program must be corrected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RequestError {
    /// The address of the server is invalid.
    Url(AuthUrlProblem),
    /// A required argument is empty: its name.
    Empty(&'static str),
    /// A path segment is `.` or `..`: the name of the argument.
    DotSegment(&'static str),
    /// The call requires an administrator.
    NotAdmin,
    /// The JSON of a user is malformed: the reason.
    MalformedUser(&'static str),
    /// The user is not logged in.
    NotLoggedIn,
    /// Several users are logged in, so there is no current user.
    MultipleUsers,
}

/// Reason why the address of a server is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AuthUrlProblem {
    /// The scheme is neither `http` nor `https`.
    Scheme,
    /// There is no host.
    Host,
    /// The port is not a number from 0 to 65535.
    Port,
    /// There is a user name or a password, which would end up in logs.
    Login,
    /// There is a fragment, which HTTP does not transmit.
    Fragment,
    /// A character must be percent-encoded.
    Character,
}

impl From<AuthUrlProblem> for RequestError {
    fn from(problem: AuthUrlProblem) -> Self {
        Self::Url(problem)
    }
}

impl std::error::Error for RequestError {}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(problem) => write!(f, "the address of the server {problem}"),
            Self::Empty(name) => write!(f, "the {name} is empty; give one"),
            Self::DotSegment(name) => write!(f, "the {name} is dots only; give another"),
            Self::NotAdmin => f.write_str("only an administrator may do this; log in as one"),
            Self::NotLoggedIn => f.write_str("the user is not logged in; log in first"),
            Self::MultipleUsers => f.write_str("several users are logged in; name one of them"),
            Self::MalformedUser(what) => write!(f, "the text is no user: it has {what}"),
        }
    }
}

impl fmt::Display for AuthUrlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "must begin with http:// or https://",
            Self::Host => "names no host",
            Self::Port => "has a port that is not a number up to 65535",
            Self::Login => "holds a name or a password; leave them out and log in",
            Self::Fragment => "has a fragment; leave out what begins with #",
            Self::Character => "has a character that must be percent-encoded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, number: i64, text: Option<&str>) {
        let error = AuthError::from_response(400, body.as_bytes());
        assert_eq!((error.code().number(), error.message()), (number, text), "{body}");
        assert_eq!(error.status(), Some(400));
    }

    #[test]
    fn title_and_hint_are_joined_and_null_is_nothing() {
        check(r#"{"code": 611, "title": "a", "hint": "b"}"#, 611, Some("a : b"));
        check(r#"{"code": 611, "title": null, "hint": "b"}"#, 611, Some("b"));
        check(r#"{"code": 611, "title": "a", "hint": null}"#, 611, Some("a"));
        check(r#"{"code": 611, "title": null}"#, 611, None);
        check(r#"{"code": 611, "title": ""}"#, 611, Some(""));
    }

    #[test]
    fn code_counts_before_status_even_if_it_says_nothing() {
        check(r#"{"code": 99999, "status": 401}"#, 99_999, None);
        let nothing = Some("the answer with HTTP status 400 has a code that is no number");
        check(r#"{"code": null, "status": 401}"#, 1, nothing);
        check(r#"{"status": {}}"#, 1, nothing);
        check("{}", -1, None);
    }

    #[track_caller]
    fn repeats(status: u16, body: &str, expect: bool) {
        let error = AuthError::from_response(status, body.as_bytes());
        assert_eq!(error.is_retryable(), expect, "{status} {body}");
    }

    #[test]
    fn only_retryable_failures_are_retried() {
        for status in [408, 425, 429, 500, 502, 503, 504, 511] {
            repeats(status, "<html>", true);
            repeats(status, &format!("{{\"status\": {status}}}"), true);
            repeats(status, r#"{"code": 611}"#, false);
        }
        for status in [0, 100, 301, 400, 401, 403, 404, 409, 501, 505, 999] {
            repeats(status, "<html>", false);
            // The code in the body has no effect; the original would retry forever.
            repeats(status, r#"{"code": 0}"#, false);
            repeats(status, r#"{"status": 503}"#, false);
        }
    }

    #[test]
    fn network_errors_are_recoverable_if_a_retry_helps() {
        use NetworkError::{HostNotFound, Lost, Other, Refused, TimedOut, Tls};
        for fault in [Refused, Lost, TimedOut, HostNotFound, Tls, Other] {
            let error = AuthError::from_network(fault);
            assert_eq!(error.is_retryable(), error.category() == Category::Recoverable);
            assert_eq!(error.is_retryable(), error.code() == ErrorCode::IO_EXCEPTION);
            assert_eq!((error.network_error(), error.status()), (Some(fault), None));
        }
    }

    #[test]
    fn a_servers_text_cannot_break_a_line_of_a_log() {
        let error = AuthError::from_response(400, br#"{"title": "a\nb\u001b[31m", "code": 601}"#);
        assert_eq!(error.to_string(), "INVALID_PARAMETERS(601): a\\nb\\u{1b}[31m");
    }
}
