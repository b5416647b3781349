//! URL of an auth server: validation, and joining of actions.
//!
//! - U6 An action follows the address after exactly one slash.
//! - U7 An invalid address is refused with the reason.
//!
//! Specified in docs/auth.md#addresses.

use crate::error::{AuthUrlProblem, RequestError};
use crate::fault::{self, Fault};
use std::fmt;
use std::fmt::Write as _;

/// URL of an auth server: `http` or `https`, with its exact text preserved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthUrl {
    text: String,
    /// Offset of the path; the length of the text if there is no path.
    path_at: usize,
}

impl AuthUrl {
    /// Validates a URL and keeps its text unchanged.
    ///
    /// # Errors
    /// [`RequestError::Url`] if the URL is invalid.
    pub fn parse(text: impl Into<String>) -> Result<Self, RequestError> {
        let text = text.into();
        let path_at = check(&text)?;
        Ok(Self { text, path_at })
    }

    /// Validates a URL for a login; an empty path becomes `/auth`.
    ///
    /// # Errors
    /// [`RequestError::Url`] if the URL is invalid.
    pub fn for_login(text: impl Into<String>) -> Result<Self, RequestError> {
        let mut url = Self::parse(text)?;
        if url.path().is_empty() {
            url.text.insert_str(url.path_at, "/auth");
        }
        Ok(url)
    }

    /// Returns the text of the URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        let rest = &self.text[self.path_at..];
        rest.split_once('?').map_or(rest, |(path, _)| path)
    }

    /// Returns the offset of the path, which is the same in every joined URL.
    pub(crate) const fn path_at(&self) -> usize {
        self.path_at
    }

    /// Joins an action: after exactly one slash and before the query.
    pub(crate) fn join(&self, action: &str) -> String {
        let path_end = self.path_at + self.path().len();
        let (base, query) = self.text.split_at(path_end);
        let slash = match base.ends_with('/') {
            true if fault::on(Fault::Au03) => "/",
            true => "",
            false => "/",
        };
        format!("{base}{slash}{action}{query}")
    }
}

impl fmt::Display for AuthUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for AuthUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AuthUrl").field(&self.text).finish()
    }
}

/// Validates a URL and returns the offset of its path.
fn check(text: &str) -> Result<usize, AuthUrlProblem> {
    let rest = ["http://", "https://"]
        .into_iter()
        .find_map(|scheme| {
            let (head, rest) = text.split_at_checked(scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then_some(rest)
        })
        .ok_or(AuthUrlProblem::Scheme)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if authority.contains('@') {
        return Err(AuthUrlProblem::Login);
    }
    check_authority(authority)?;
    if rest.contains('#') {
        return Err(AuthUrlProblem::Fragment);
    }
    if !rest.bytes().all(|byte| is_plain(byte) || b"/?%".contains(&byte)) {
        return Err(AuthUrlProblem::Character);
    }
    Ok(text.len() - rest.len())
}

fn check_authority(authority: &str) -> Result<(), AuthUrlProblem> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or(AuthUrlProblem::Host)?;
            if !host.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)) {
                return Err(AuthUrlProblem::Host);
            }
            (host, if rest.is_empty() { None } else { Some(rest) })
        }
        None => match authority.find(':') {
            Some(at) => (&authority[..at], Some(&authority[at..])),
            None => (authority, None),
        },
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    if host.is_empty() {
        return Err(AuthUrlProblem::Host);
    }
    if !host.bytes().all(is_host) {
        return Err(AuthUrlProblem::Character);
    }
    let Some(port) = port else { return Ok(()) };
    let digits = port.strip_prefix(':').ok_or(AuthUrlProblem::Port)?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && digits.parse::<u16>().is_ok() { Ok(()) } else { Err(AuthUrlProblem::Port) }
}

/// Returns whether a path segment may contain the byte without percent-encoding.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'')
        || matches!(byte, b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=')
}

/// Percent-encodes a text as one path segment.
pub(crate) fn path_part(name: &'static str, text: &str) -> Result<String, RequestError> {
    match text {
        "" => return Err(RequestError::Empty(name)),
        "." | ".." => return Err(RequestError::DotSegment(name)),
        _ => {}
    }
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            part.push(char::from(byte));
        } else {
            write!(part, "%{byte:02X}").expect("U7: a string takes what is written");
        }
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn login(text: &str, expect: &str) {
        assert_eq!(AuthUrl::for_login(text).unwrap().as_str(), expect);
    }

    #[test]
    fn an_empty_path_becomes_auth_for_a_login_only() {
        login("http://h", "http://h/auth");
        login("http://h:8080", "http://h:8080/auth");
        login("http://h?x", "http://h/auth?x");
        for kept in ["http://h/", "http://h/?x", "http://h/custom/", "HTTPS://[::1]:9443/a%20b"] {
            login(kept, kept);
        }
        assert_eq!(AuthUrl::parse("http://h").unwrap().as_str(), "http://h");
    }

    #[test]
    fn an_action_follows_exactly_one_slash() {
        for (base, expect) in [
            ("http://h", "http://h/revoke"),
            ("http://h/", "http://h/revoke"),
            ("http://h/auth", "http://h/auth/revoke"),
            ("http://h/auth/", "http://h/auth/revoke"),
            ("http://h:1/a/b?c=/d", "http://h:1/a/b/revoke?c=/d"),
            ("http://h?c", "http://h/revoke?c"),
        ] {
            assert_eq!(AuthUrl::parse(base).unwrap().join("revoke"), expect);
        }
    }

    #[track_caller]
    fn refused(text: &str, expect: AuthUrlProblem) {
        assert_eq!(AuthUrl::parse(text), Err(RequestError::Url(expect)), "{text}");
    }

    #[test]
    fn invalid_addresses_are_refused_by_name() {
        use AuthUrlProblem::{Character, Fragment, Host, Login, Port, Scheme};
        for text in ["", "h", "realm://h", "http:/h", "ftp://h/", "http", "é//h"] {
            refused(text, Scheme);
        }
        for text in ["http://", "http:///auth", "http://:80/", "http://[::1", "http://[g]/"] {
            refused(text, Host);
        }
        for text in ["http://h:/", "http://h:65536", "http://h:1x", "http://h:+1", "http://[::1]1"]
        {
            refused(text, Port);
        }
        for text in ["http://user:secret@h/", "http://user@h"] {
            refused(text, Login);
        }
        refused("http://h/a#b", Fragment);
        for text in ["http://h/a b", "http://h/\r\nX: y", "http://h\n/", "http://h/é", "http://é/"]
        {
            refused(text, Character);
        }
    }

    #[test]
    fn parts_of_a_path_stay_one_part() {
        for (text, expect) in [
            ("bob", "bob"),
            ("bob@example.com", "bob@example.com"),
            ("a/b?c#d%41", "a%2Fb%3Fc%23d%2541"),
            ("é \r\n", "%C3%A9%20%0D%0A"),
            ("...", "..."),
        ] {
            assert_eq!(path_part("id", text).unwrap(), expect);
        }
        assert_eq!(path_part("id", ""), Err(RequestError::Empty("id")));
        assert_eq!(path_part("id", ".."), Err(RequestError::DotSegment("id")));
    }
}
