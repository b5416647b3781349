//! URLs of synced files. They are split here, not by a library: those that there are bring a URL
//! into a canonical form, which hides just what must be refused.

use super::error::{ConfigError, UrlProblem};
use super::hash;
use crate::error::{Error, Result};
use std::fmt;

/// The URL of a synced file.
#[derive(Clone, Debug)]
pub struct ServerUrl {
    scheme: String,
    authority: Authority,
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

/// A URI reference in its parts; an absent part is `None`.
pub(super) struct Parts {
    pub(super) scheme: Option<String>,
    pub(super) authority: Option<Authority>,
    path: String,
    query: Option<String>,
    fragment: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Authority {
    user: Option<String>,
    pub(super) host: String,
    port: Option<u16>,
}

/// Splits a URL or a relative reference; the path is decoded.
pub(super) fn split(url: &str) -> std::result::Result<Parts, UrlProblem> {
    let (rest, fragment) = cut(url, '#');
    let (rest, query) = cut(rest, '?');
    let all_fine = |text: &Option<&str>| text.is_none_or(|text| is_encoded(text, "/?:@[]"));
    if !all_fine(&fragment) || !all_fine(&query) {
        return Err(UrlProblem::Malformed);
    }
    let (scheme, rest) = match rest.find([':', '/']) {
        Some(at) if rest[at..].starts_with(':') => (Some(&rest[..at]), &rest[at + 1..]),
        Some(_) | None => (None, rest),
    };
    if scheme.is_some_and(|scheme| !is_scheme(scheme)) {
        return Err(UrlProblem::Malformed);
    }
    if scheme.is_some() && !rest.starts_with('/') {
        // As in `mailto:somebody`: there are no segments.
        return Err(UrlProblem::NoPath);
    }
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if authority.is_empty() && path.is_empty() && query.is_none() && fragment.is_none() {
                return Err(UrlProblem::Malformed);
            }
            ((!authority.is_empty()).then_some(authority), path)
        }
        None => (None, rest),
    };
    let authority = match authority {
        Some(authority) => Some(Authority::parse(authority).ok_or(UrlProblem::Malformed)?),
        None => None,
    };
    Ok(Parts {
        scheme: scheme.map(str::to_owned),
        authority,
        path: decode(path).ok_or(UrlProblem::Malformed)?,
        query: query.map(str::to_owned),
        fragment: fragment.map(str::to_owned),
    })
}

fn cut(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter))
}

/// Returns whether a text has only characters that a URL may have there. Those beyond ASCII may
/// stand for themselves.
pub(super) fn is_encoded(text: &str, also: &str) -> bool {
    let plain = |letter: char| {
        letter.is_ascii_alphanumeric()
            || "-_.!~*'();&=+$,%".contains(letter)
            || also.contains(letter)
            || (!letter.is_ascii() && !letter.is_control() && !letter.is_whitespace())
    };
    text.chars().all(plain) && decode(text).is_some()
}

/// Decodes what is written as `%41`; `None` if something after a `%` is no number.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend(parts.next()?.bytes());
    for part in parts {
        let digits = part.get(..2).filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(part.bytes().skip(2));
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

impl Authority {
    fn parse(text: &str) -> Option<Self> {
        let (user, rest) = match text.split_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let host_end = match rest.strip_prefix('[') {
            Some(inner) => inner.find(']')? + 2,
            None => rest.find(':').unwrap_or(rest.len()),
        };
        let (host, port) = rest.split_at(host_end);
        let port = match port.strip_prefix(':') {
            None => port.is_empty().then_some(None)?,
            Some("") => None,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            Some(_) => return None,
        };
        let fine = is_host(host) && user.is_none_or(|user| is_encoded(user, ":"));
        fine.then(|| Self { user: user.map(str::to_owned), host: host.to_owned(), port })
    }
}

fn is_host(text: &str) -> bool {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match bracketed {
        Some(address) => {
            address.contains(':')
                && address.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c))
        }
        None => {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        }
    }
}

impl ServerUrl {
    /// Parses the URL of an app, relative to the host of the user's server; also returns the
    /// default name of the file.
    pub(super) fn relative_to(host: &str, is_secure: bool, url: &str) -> Result<(Self, String)> {
        let refused =
            |problem| -> Error { ConfigError::Url { url: url.to_owned(), problem }.into() };
        let parts = split(url).map_err(refused)?;
        let authority = parts.authority.unwrap_or_else(|| Authority {
            user: None,
            host: host.to_owned(),
            port: None,
        });
        let slash = if parts.path.starts_with('/') { "" } else { "/" };
        let doubled = format!("{}/", authority.host);
        let path = format!("{slash}{}", parts.path).replace(&doubled, "");
        let name = file_name(&path).map_err(refused)?;
        let scheme = scheme(parts.scheme, is_secure);
        let (query, fragment) = (parts.query, parts.fragment);
        Ok((Self { scheme, authority, path, query, fragment }, name))
    }

    /// Reads a URL that was put together from a good one and an identity.
    pub(super) fn again(url: &str) -> Result<Self> {
        let refused =
            |problem| -> Error { ConfigError::Url { url: url.to_owned(), problem }.into() };
        let parts = split(url).map_err(refused)?;
        Ok(Self {
            scheme: parts.scheme.ok_or_else(|| refused(UrlProblem::Malformed))?,
            authority: parts.authority.ok_or_else(|| refused(UrlProblem::NoHost))?,
            path: parts.path,
            query: parts.query,
            fragment: parts.fragment,
        })
    }

    /// Returns the path, which begins with `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.authority.host
    }

    /// Returns the port, if the URL has one.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.authority.port
    }

    pub(super) fn hash(&self) -> i32 {
        hash::text(&self.folded().to_string())
    }

    /// Scheme and host mean the same in upper and lower case.
    fn folded(&self) -> Self {
        let mut folded = self.clone();
        folded.scheme.make_ascii_lowercase();
        folded.authority.host.make_ascii_lowercase();
        folded
    }
}

fn scheme(given: Option<String>, is_secure: bool) -> String {
    match given {
        Some(scheme) if scheme.eq_ignore_ascii_case("http") => "realm".to_owned(),
        Some(scheme) if scheme.eq_ignore_ascii_case("https") => "realms".to_owned(),
        Some(scheme) => scheme,
        None if is_secure => "realms".to_owned(),
        None => "realm".to_owned(),
    }
}

/// Checks the segments of a path and returns the last.
fn file_name(path: &str) -> std::result::Result<String, UrlProblem> {
    let mut last = "";
    for segment in path.trim_end_matches('/').split('/').skip(1) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let refused =
            matches!(segment, "" | "." | "..") || !segment.chars().all(plain) && segment != "~";
        if refused {
            return Err(UrlProblem::Segment(segment.to_owned()));
        }
        last = segment;
    }
    if last.is_empty() {
        return Err(UrlProblem::NoPath);
    }
    if [".realm", ".realm.lock", ".realm.management"].iter().any(|end| last.ends_with(end)) {
        return Err(UrlProblem::FileName(last.to_owned()));
    }
    Ok(last.to_owned())
}

impl PartialEq for ServerUrl {
    fn eq(&self, other: &Self) -> bool {
        self.folded().to_string() == other.folded().to_string()
    }
}

impl Eq for ServerUrl {}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(user) = &self.authority.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.authority.host)?;
        if let Some(port) = self.authority.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)?;
        if let Some(query) = &self.query {
            write!(f, "?{query}")?;
        }
        if let Some(fragment) = &self.fragment {
            write!(f, "#{fragment}")?;
        }
        Ok(())
    }
}
