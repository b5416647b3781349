//! Access tokens: JSON Web Tokens (HS256) for one file.
//!
//! - H7 The header is compared as text, then the signature in constant time; the claims are parsed
//!   only after that. Their times are bounded on both sides, so a clock that was wrong when a token
//!   was signed does not lengthen its life.
//! - H18 A key that was replaced verifies tokens from before its replacement only.
//!
//! Specified in docs/server.md#tokens.

use super::refresh_token::derive_bytes;
use crate::fault::{self, Fault};
use crate::json::{Object, Value};
use crate::secret::Secret;
use crate::token::Permission;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::{RandomSource, Time};
use ring::hmac;
use std::fmt;
use std::io;
use std::time::Duration;
use zeroize::Zeroizing;

/// `{"alg":"HS256","typ":"JWT"}`: the only accepted header.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Longer texts are rejected unread.
const TOKEN_BYTES_MAX: usize = 4096;

/// Claims of an access token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claims {
    /// Identity of the user.
    pub identity: String,
    /// Path of the file.
    pub path: String,
    /// Permissions for the file.
    pub permissions: Vec<Permission>,
    /// Time of the signature in seconds since 1970.
    pub issued_seconds: i64,
    /// Expiry in seconds since 1970.
    pub expires_seconds: i64,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// Reason why an access token is rejected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TokenProblem {
    /// The signature is invalid: another format, another server, or tampered.
    InvalidSignature,
    /// The token has expired.
    Expired,
    /// The token was issued in the future: a clock was or is wrong.
    NotYetValid,
    /// The token lives longer than this server grants.
    TooLongLived,
}

/// Difference between two clocks that no check minds.
pub(super) const CLOCK_SKEW_MAX: Duration = Duration::from_secs(60);

/// Bytes of the record of signing keys: the current key, the time of its first use, and the key
/// before.
const RECORD_BYTES: usize = 32 + 8 + 32;

/// Keys that sign access tokens, as they are stored.
pub(super) struct SigningKeys {
    current: Zeroizing<[u8; 32]>,
    /// The key before, and the time in milliseconds when it was replaced.
    previous: Option<(Zeroizing<[u8; 32]>, Time)>,
}

impl SigningKeys {
    /// Returns the key of a server that has never rotated it.
    pub(super) fn derived(root: &[u8; 32]) -> Self {
        Self { current: derive_bytes(root, "fastness access token"), previous: None }
    }

    pub(super) fn read(record: &[u8]) -> Option<Self> {
        let record: &[u8; RECORD_BYTES] = record.try_into().ok()?;
        let (current, rest) = record.split_first_chunk::<32>()?;
        let (at, previous) = rest.split_first_chunk::<8>()?;
        let previous = Zeroizing::new(<[u8; 32]>::try_from(previous).ok()?);
        let at = Time(i64::from_be_bytes(*at));
        Some(Self { current: Zeroizing::new(*current), previous: Some((previous, at)) })
    }

    /// Replaces the current key; returns the record to store.
    pub(super) fn rotate(
        &mut self,
        now: Time,
        entropy: &dyn RandomSource,
    ) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut fresh = Zeroizing::new([0; 32]);
        entropy.fill(&mut *fresh)?;
        let old = std::mem::replace(&mut self.current, fresh);
        let mut record = Zeroizing::new(Vec::with_capacity(RECORD_BYTES));
        record.extend_from_slice(&*self.current);
        record.extend_from_slice(&now.0.to_be_bytes());
        record.extend_from_slice(&*old);
        self.previous = Some((old, now)).filter(|_| !fault::on(Fault::Sv17));
        Ok(record)
    }
}

/// Signs and verifies access tokens.
pub struct Signer {
    current: hmac::Key,
    /// The key before, and the time when it was replaced.
    previous: Option<(hmac::Key, Time)>,
    /// Longest life of a token.
    access_ttl: Duration,
}

impl Signer {
    pub(super) fn new(keys: &SigningKeys, access_ttl: Duration) -> Self {
        let key = |bytes: &Zeroizing<[u8; 32]>| hmac::Key::new(hmac::HMAC_SHA256, &**bytes);
        let previous = keys.previous.as_ref().map(|(bytes, at)| (key(bytes), *at));
        Self { current: key(&keys.current), previous, access_ttl }
    }

    /// Signs the claims.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Secret {
        let words: Value = claims.permissions.iter().map(Permission::as_str).collect();
        let object = Object::new()
            .with_text("sub", &claims.identity)
            .with("iat", claims.issued_seconds)
            .with("exp", claims.expires_seconds)
            .with_text("path", &claims.path)
            .with("access", words)
            .with("is_admin", claims.is_admin);
        let payload = Base64UrlUnpadded::encode_string(object.write().expose());
        let signed = format!("{HEADER}.{payload}");
        let tag = hmac::sign(&self.current, signed.as_bytes());
        let tag = Base64UrlUnpadded::encode_string(tag.as_ref());
        Secret::new(format!("{signed}.{tag}"))
    }

    /// Verifies a token from any text.
    ///
    /// # Errors
    /// [`TokenProblem`] unless this server signed the token, not in the future, for a life that it
    /// grants, and the token has not expired.
    pub fn verify(&self, token: &str, now: Time) -> Result<Claims, TokenProblem> {
        let claims = self.signed(token).ok_or(TokenProblem::InvalidSignature)?;
        let issued = Time::from_seconds(claims.issued_seconds);
        let expires = Time::from_seconds(claims.expires_seconds);
        if expires <= now {
            return Err(TokenProblem::Expired);
        }
        if issued > now.plus(CLOCK_SKEW_MAX) && !fault::on(Fault::Sv16) {
            return Err(TokenProblem::NotYetValid);
        }
        // Both times are cut off to seconds.
        let longest = self.access_ttl.saturating_add(Duration::from_secs(1));
        if expires.since(issued) > longest {
            return Err(TokenProblem::TooLongLived);
        }
        Ok(claims)
    }

    fn signed(&self, token: &str) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, tag) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        if header != HEADER {
            return None;
        }
        let tag = Base64UrlUnpadded::decode_vec(tag).ok()?;
        let is_by = |key: &hmac::Key| hmac::verify(key, signed.as_bytes(), &tag).is_ok();
        let is_current = is_by(&self.current);
        let replaced = self.previous.as_ref().filter(|(key, _)| !is_current && is_by(key));
        if !is_current && replaced.is_none() && !fault::on(Fault::Sv12) {
            return None;
        }
        let payload = Base64UrlUnpadded::decode_vec(payload).ok()?;
        let object = Object::read_strictly(&payload)?;
        let fields = object.fields();
        let issued_seconds = fields.integer("iat")?;
        // A replaced key may have leaked, so it vouches for tokens from before only.
        let is_late = |(_, at): &(hmac::Key, Time)| Time::from_seconds(issued_seconds) > *at;
        if replaced.is_some_and(is_late) {
            return None;
        }
        Some(Claims {
            identity: fields.string("sub")?.to_owned(),
            path: fields.string("path")?.to_owned(),
            permissions: fields.texts("access")?.into_iter().map(Permission::parse).collect(),
            issued_seconds,
            expires_seconds: fields.integer("exp")?,
            is_admin: fields.truth("is_admin")?,
        })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

impl std::error::Error for TokenProblem {}

impl fmt::Display for TokenProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidSignature => {
                "the access token was not signed by this server; ask for another"
            }
            Self::Expired => "the access token has expired; ask for another",
            Self::NotYetValid => {
                "the access token was issued in the future; set the clocks, and ask for another"
            }
            Self::TooLongLived => "the access token lives too long; ask for another",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(root: u8) -> Signer {
        Signer::new(&SigningKeys::derived(&[root; 32]), Duration::from_secs(60))
    }

    fn claims() -> Claims {
        Claims {
            identity: "i".to_owned(),
            path: "/i/x".to_owned(),
            permissions: vec![Permission::Upload, Permission::Download],
            issued_seconds: 40,
            expires_seconds: 100,
            is_admin: false,
        }
    }

    #[test]
    fn a_token_verifies_until_it_expires() {
        let signer = signer(1);
        let token = signer.sign(&claims());
        assert_eq!(signer.verify(token.expose(), Time(99_999)), Ok(claims()));
        assert_eq!(signer.verify(token.expose(), Time(100_000)), Err(TokenProblem::Expired));
        let header = Base64UrlUnpadded::decode_vec(HEADER).unwrap();
        assert_eq!(header, br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    #[test]
    fn a_token_of_a_wrong_clock_is_rejected_on_both_sides() {
        let signer = signer(1);
        let verify = |issued_seconds, expires_seconds, now: i64| {
            let claims = Claims { issued_seconds, expires_seconds, ..claims() };
            signer.verify(signer.sign(&claims).expose(), Time(now * 1000)).map(drop)
        };
        let year = 365 * 86_400;
        assert_eq!(verify(year, year + 60, 0), Err(TokenProblem::NotYetValid));
        assert_eq!(verify(61, 100, 0), Err(TokenProblem::NotYetValid));
        assert_eq!(verify(60, 100, 0), Ok(()), "clocks differ a little");
        assert_eq!(verify(0, 62, 0), Err(TokenProblem::TooLongLived));
        assert_eq!(verify(0, year, 0), Err(TokenProblem::TooLongLived));
        assert_eq!(verify(i64::MIN, i64::MAX, 0), Err(TokenProblem::TooLongLived));
        assert_eq!(verify(i64::MAX, i64::MAX, 0), Err(TokenProblem::NotYetValid));
        assert_eq!(verify(0, 60, 60), Err(TokenProblem::Expired));
    }

    #[test]
    fn a_replaced_key_verifies_tokens_from_before_until_they_expire() {
        let mut keys = SigningKeys::derived(&[1; 32]);
        let signer = |keys: &SigningKeys| Signer::new(keys, Duration::from_secs(60));
        let old = signer(&keys);
        let token = old.sign(&claims());
        let record = keys.rotate(Time(41_000), &fastness::OsRandom).unwrap();
        let stored = SigningKeys::read(&record).unwrap();
        for keys in [&keys, &stored] {
            let signer = signer(keys);
            assert_eq!(signer.verify(token.expose(), Time(50_000)), Ok(claims()));
            let late = old.sign(&Claims { issued_seconds: 42, ..claims() });
            let problem = signer.verify(late.expose(), Time(50_000));
            assert_eq!(problem, Err(TokenProblem::InvalidSignature), "signed with a leaked key");
            let fresh = signer.sign(&claims());
            assert_eq!(signer.verify(fresh.expose(), Time(50_000)), Ok(claims()));
        }
        keys.rotate(Time(43_000), &fastness::OsRandom).unwrap();
        let problem = signer(&keys).verify(token.expose(), Time(50_000));
        assert_eq!(problem, Err(TokenProblem::InvalidSignature), "two keys later");
        for length in [0, RECORD_BYTES - 1, RECORD_BYTES + 1] {
            assert!(SigningKeys::read(&vec![0; length]).is_none());
        }
    }

    #[test]
    fn other_tokens_are_rejected() {
        let other = signer(2).sign(&claims());
        let signer = signer(1);
        let token = signer.sign(&claims());
        let whole = token.expose();
        let refused = |text: &str| {
            assert_eq!(signer.verify(text, Time(0)), Err(TokenProblem::InvalidSignature), "{text}");
        };
        refused(other.expose());
        for at in 0..whole.len() {
            refused(&whole[..at]);
            let letter = if whole.as_bytes()[at] == b'A' { "B" } else { "A" };
            let mut tampered = whole.to_owned();
            tampered.replace_range(at..=at, letter);
            refused(&tampered);
        }
        let (_, rest) = whole.split_once('.').unwrap();
        let (payload, tag) = rest.split_once('.').unwrap();
        for header in [r#"{"alg":"none"}"#, r#"{"alg":"HS512","typ":"JWT"}"#, "{}", ""] {
            let header = Base64UrlUnpadded::encode_string(header.as_bytes());
            refused(&format!("{header}.{payload}.{tag}"));
            refused(&format!("{header}.{payload}."));
        }
        refused(&format!("{whole}."));
        refused(&format!("{whole}="));
        refused(&"a".repeat(TOKEN_BYTES_MAX + 1));
    }
}
