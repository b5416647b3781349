//! What can go wrong: a call that failed ([`AuthError`]), and a call that makes no sense
//! ([`Refusal`]). Both are `Clone + PartialEq`, so that a model can predict them.
//!
//! - U2 Any status and any bytes become an error with a code.
//! - U3 The code is `code`, else `status`, else UNKNOWN; unlisted numbers are kept.
//! - U8 [`AuthError::retry_helps`] is true of nothing that would fail in the same way again.
//!
//! Specified in docs/auth.md#errors.

use crate::error_code::{Category, ErrorCode};
use crate::json::Object;
use std::fmt;

/// Why a call of the server failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthError {
    code: ErrorCode,
    text: Option<String>,
    status: Option<u16>,
    network: Option<NetworkFault>,
}

/// What happened instead of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum NetworkFault {
    /// Nobody took the connection.
    Refused,
    /// The connection broke, or the answer could not be read to its end.
    Lost,
    /// Connecting, writing or reading took too long.
    TimedOut,
    /// The host's name led to no address.
    HostNotFound,
    /// The server did not prove to be the one it should be, or TLS failed otherwise.
    Tls,
    /// Anything else.
    Other,
}

impl AuthError {
    /// Reads the answer to a call that the server did not grant.
    #[must_use]
    pub fn from_answer(status: u16, body: &[u8]) -> Self {
        let Some(object) = Object::read(body) else {
            return Self::unreadable(Some(status), "no JSON object");
        };
        let fields = object.fields();
        let code = match ["code", "status"].into_iter().find(|key| fields.has(key)) {
            None => ErrorCode::UNKNOWN,
            Some(key) => match fields.integer(key) {
                Some(number) => ErrorCode::from_number(number),
                None => return Self::unreadable(Some(status), "a code that is no number"),
            },
        };
        let text = match (fields.text("title"), fields.text("hint")) {
            (Some(title), Some(hint)) => Some(format!("{title} : {hint}")),
            (title, hint) => title.or(hint),
        };
        Self { code, text, status: Some(status), network: None }
    }

    /// Makes the error of a call that got no answer.
    #[must_use]
    pub const fn from_network(fault: NetworkFault) -> Self {
        let code = if fault.retry_helps() { ErrorCode::IO_EXCEPTION } else { ErrorCode::UNKNOWN };
        Self { code, text: None, status: None, network: Some(fault) }
    }

    /// The answer is not what it has to be. Of its content nothing is said: it may be secret.
    pub(crate) fn unreadable(status: Option<u16>, what: &str) -> Self {
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

    /// Returns what the server has to say, as it came, or what cannot be read.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Returns the HTTP status, if there was an answer.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        self.status
    }

    /// Returns what happened instead of an answer, if there was none.
    #[must_use]
    pub const fn network(&self) -> Option<NetworkFault> {
        self.network
    }

    /// Returns whether an object server said so, as far as can be told: not the network, and not a
    /// page that somebody on the way put in its place.
    #[must_use]
    pub fn is_of_server(&self) -> bool {
        self.network.is_none() && self.code != ErrorCode::JSON_EXCEPTION
    }

    /// Returns whether the same request can have another outcome later without anybody's doing.
    #[must_use]
    pub fn retry_helps(&self) -> bool {
        if let Some(fault) = self.network {
            return fault.retry_helps();
        }
        let is_weak = matches!(self.status, Some(408 | 425 | 429 | 500 | 502..=504 | 511));
        is_weak && !self.code.is_servers_own()
    }
}

impl NetworkFault {
    /// Returns whether the network may work later.
    #[must_use]
    pub const fn retry_helps(self) -> bool {
        match self {
            Self::Refused | Self::Lost | Self::TimedOut | Self::HostNotFound => true,
            Self::Tls | Self::Other => false,
        }
    }
}

impl std::error::Error for AuthError {}

/// One line, whatever the server's text holds.
impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code)?;
        if let Some(fault) = self.network {
            return fault.fmt(f);
        }
        let text = self.text.as_deref().unwrap_or_else(|| self.code.meaning());
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

impl fmt::Display for NetworkFault {
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

/// Why there is no request: the call makes no sense, and must be corrected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// The address of the server is not one.
    Address(AddressProblem),
    /// What must not be empty is: the name of the argument.
    Empty(&'static str),
    /// A part of a path is `.` or `..`: the name of the argument.
    Dots(&'static str),
    /// Only an administrator may do this.
    NotAdmin,
    /// A text is no user: what it has instead of what.
    NotUser(&'static str),
    /// The user is not logged in.
    NotLoggedIn,
    /// More than one user is logged in, so that none is the current one.
    SeveralUsers,
}

/// What is wrong with the address of a server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AddressProblem {
    /// It begins with neither `http://` nor `https://`.
    Scheme,
    /// It names no host.
    Host,
    /// Its port is not a number from 0 to 65535.
    Port,
    /// It holds a name or a password, which would end up in logs.
    Login,
    /// It has a fragment, which no server ever sees.
    Fragment,
    /// It has a character that must be percent-encoded.
    Character,
}

impl From<AddressProblem> for Refusal {
    fn from(problem: AddressProblem) -> Self {
        Self::Address(problem)
    }
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(problem) => write!(f, "the address of the server {problem}"),
            Self::Empty(name) => write!(f, "the {name} is empty; give one"),
            Self::Dots(name) => write!(f, "the {name} is dots only; give another"),
            Self::NotAdmin => f.write_str("only an administrator may do this; log in as one"),
            Self::NotLoggedIn => f.write_str("the user is not logged in; log in first"),
            Self::SeveralUsers => f.write_str("several users are logged in; name one of them"),
            Self::NotUser(what) => write!(f, "the text is no user: it has {what}"),
        }
    }
}

impl fmt::Display for AddressProblem {
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
        let error = AuthError::from_answer(400, body.as_bytes());
        assert_eq!((error.code().number(), error.text()), (number, text), "{body}");
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
        let error = AuthError::from_answer(status, body.as_bytes());
        assert_eq!(error.retry_helps(), expect, "{status} {body}");
    }

    #[test]
    fn only_what_a_repetition_can_help_is_repeated() {
        for status in [408, 425, 429, 500, 502, 503, 504, 511] {
            repeats(status, "<html>", true);
            repeats(status, &format!("{{\"status\": {status}}}"), true);
            repeats(status, r#"{"code": 611}"#, false);
        }
        for status in [0, 100, 301, 400, 401, 403, 404, 409, 501, 505, 999] {
            repeats(status, "<html>", false);
            // What the body claims does not count: the original would ask for ever.
            repeats(status, r#"{"code": 0}"#, false);
            repeats(status, r#"{"status": 503}"#, false);
        }
    }

    #[test]
    fn faults_of_the_network_are_recoverable_if_a_repetition_helps() {
        use NetworkFault::{HostNotFound, Lost, Other, Refused, TimedOut, Tls};
        for fault in [Refused, Lost, TimedOut, HostNotFound, Tls, Other] {
            let error = AuthError::from_network(fault);
            assert_eq!(error.retry_helps(), error.category() == Category::Recoverable);
            assert_eq!(error.retry_helps(), error.code() == ErrorCode::IO_EXCEPTION);
            assert_eq!((error.network(), error.status()), (Some(fault), None));
        }
    }

    #[test]
    fn a_servers_text_cannot_break_a_line_of_a_log() {
        let error = AuthError::from_answer(400, br#"{"title": "a\nb\u001b[31m", "code": 601}"#);
        assert_eq!(error.to_string(), "INVALID_PARAMETERS(601): a\\nb\\u{1b}[31m");
    }
}
