//! Access tokens: JSON Web Tokens (HS256) for one file.
//!
//! - H7 The header is compared as text, then the signature in constant time; the claims are parsed
//!   only after that.
//!
//! Specified in docs/server.md#tokens.

use super::refresh_token::derive_key;
use crate::fault::{self, Fault};
use crate::json::{Object, Value};
use crate::secret::Secret;
use crate::token::Permission;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::Time;
use ring::hmac;
use std::fmt;

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
}

/// Signs and verifies access tokens.
pub struct Signer {
    key: hmac::Key,
}

impl Signer {
    pub(super) fn new(root: &[u8; 32]) -> Self {
        Self { key: derive_key(root, "fastness access token") }
    }

    /// Signs the claims.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> Secret {
        let words: Value = claims.permissions.iter().map(Permission::as_str).collect();
        let object = Object::new()
            .with_text("sub", &claims.identity)
            .with("exp", claims.expires_seconds)
            .with_text("path", &claims.path)
            .with("access", words)
            .with("is_admin", claims.is_admin);
        let payload = Base64UrlUnpadded::encode_string(object.write().expose());
        let signed = format!("{HEADER}.{payload}");
        let tag = hmac::sign(&self.key, signed.as_bytes());
        let tag = Base64UrlUnpadded::encode_string(tag.as_ref());
        Secret::new(format!("{signed}.{tag}"))
    }

    /// Verifies a token from any text.
    ///
    /// # Errors
    /// [`TokenProblem`] unless this server signed the token and it has not expired.
    pub fn verify(&self, token: &str, now: Time) -> Result<Claims, TokenProblem> {
        let claims = self.signed(token).ok_or(TokenProblem::InvalidSignature)?;
        let is_over = Time::from_seconds(claims.expires_seconds) <= now;
        if is_over { Err(TokenProblem::Expired) } else { Ok(claims) }
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
        let is_ours = hmac::verify(&self.key, signed.as_bytes(), &tag).is_ok();
        if !is_ours && !fault::on(Fault::Sv12) {
            return None;
        }
        let payload = Base64UrlUnpadded::decode_vec(payload).ok()?;
        let object = Object::read_strictly(&payload)?;
        let fields = object.fields();
        Some(Claims {
            identity: fields.string("sub")?.to_owned(),
            path: fields.string("path")?.to_owned(),
            permissions: fields.texts("access")?.into_iter().map(Permission::parse).collect(),
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            identity: "i".to_owned(),
            path: "/i/x".to_owned(),
            permissions: vec![Permission::Upload, Permission::Download],
            expires_seconds: 100,
            is_admin: false,
        }
    }

    #[test]
    fn a_token_verifies_until_it_expires() {
        let signer = Signer::new(&[1; 32]);
        let token = signer.sign(&claims());
        assert_eq!(signer.verify(token.expose(), Time(99_999)), Ok(claims()));
        assert_eq!(signer.verify(token.expose(), Time(100_000)), Err(TokenProblem::Expired));
        let header = Base64UrlUnpadded::decode_vec(HEADER).unwrap();
        assert_eq!(header, br#"{"alg":"HS256","typ":"JWT"}"#);
    }

    #[test]
    fn other_tokens_are_rejected() {
        let signer = Signer::new(&[1; 32]);
        let token = signer.sign(&claims());
        let whole = token.expose();
        let refused = |text: &str| {
            assert_eq!(signer.verify(text, Time(0)), Err(TokenProblem::InvalidSignature), "{text}");
        };
        let other = Signer::new(&[2; 32]).sign(&claims());
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
