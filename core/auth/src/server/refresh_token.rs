//! Refresh tokens: random, authenticated by an HMAC, and stored as a second HMAC only.
//!
//! - H4 A token that this server did not issue has a wrong HMAC.
//! - H10 The stored tag does not reveal the token.
//!
//! The library compares tags in constant time. Specified in docs/server.md#tokens.

use crate::fault::{self, Fault};
use crate::secret::Secret;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::{RandomSource, Time};
use ring::hmac;
use std::io;
use zeroize::Zeroizing;

/// Id of a login: time of its start and random bytes, so ids sort by age.
pub(crate) type LoginId = [u8; 16];

/// Stored HMAC of a token.
pub(super) type Tag = [u8; 32];

const SECRET_BYTES: usize = 32;
const TAG_AT: usize = size_of::<LoginId>() + SECRET_BYTES;
const TOKEN_BYTES: usize = TAG_AT + size_of::<Tag>();

/// Keys of the refresh tokens of a server.
pub(super) struct RefreshTokenKeys {
    genuine: hmac::Key,
    stored: hmac::Key,
}

/// Authentic token: this server issued it.
pub(super) struct VerifiedToken {
    bytes: Zeroizing<[u8; TOKEN_BYTES]>,
}

/// Derives the bytes of a key for one usage.
pub(super) fn derive_bytes(root: &[u8; 32], usage: &str) -> Zeroizing<[u8; 32]> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, root), usage.as_bytes());
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

/// Derives a key for one usage.
fn derive_key(root: &[u8; 32], usage: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &*derive_bytes(root, usage))
}

impl RefreshTokenKeys {
    pub(super) fn new(root: &[u8; 32]) -> Self {
        Self {
            genuine: derive_key(root, "fastness refresh token"),
            stored: derive_key(root, "fastness stored token"),
        }
    }

    /// Generates a token for a login.
    pub(super) fn make(
        &self,
        login: &LoginId,
        entropy: &dyn RandomSource,
    ) -> io::Result<VerifiedToken> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        bytes[..login.len()].copy_from_slice(login);
        entropy.fill(&mut bytes[login.len()..TAG_AT])?;
        let tag = hmac::sign(&self.genuine, &bytes[..TAG_AT]);
        bytes[TAG_AT..].copy_from_slice(tag.as_ref());
        Ok(VerifiedToken { bytes })
    }

    /// Authenticates any text; `None` unless this server issued it.
    pub(super) fn read(&self, token: &Secret) -> Option<VerifiedToken> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        let read = Base64UrlUnpadded::decode(token.expose(), &mut *bytes).ok()?.len();
        if read != TOKEN_BYTES {
            return None;
        }
        let is_ours = hmac::verify(&self.genuine, &bytes[..TAG_AT], &bytes[TAG_AT..]).is_ok();
        if !is_ours && !fault::on(Fault::Sv11) {
            return None;
        }
        Some(VerifiedToken { bytes })
    }

    /// Returns the tag to store for a token.
    pub(super) fn tag(&self, token: &VerifiedToken) -> Tag {
        let mut tag = Tag::default();
        tag.copy_from_slice(hmac::sign(&self.stored, &*token.bytes).as_ref());
        tag
    }

    /// Returns whether a stored tag belongs to a token.
    pub(super) fn is(&self, token: &VerifiedToken, stored: &Tag) -> bool {
        hmac::verify(&self.stored, &*token.bytes, stored).is_ok()
    }
}

impl VerifiedToken {
    /// Returns the id of the login.
    pub(super) fn login(&self) -> LoginId {
        let mut login = LoginId::default();
        login.copy_from_slice(&self.bytes[..size_of::<LoginId>()]);
        login
    }

    /// Returns the time at which the login began.
    pub(super) fn began(&self) -> Time {
        let time = self.bytes.first_chunk().copied().unwrap_or_default();
        Time(i64::from_be_bytes(time))
    }

    pub(super) fn text(&self) -> Secret {
        Secret::new(Base64UrlUnpadded::encode_string(&*self.bytes))
    }
}

/// Generates the id of a login that starts now.
pub(super) fn new_login(now: Time, entropy: &dyn RandomSource) -> io::Result<LoginId> {
    let mut login = LoginId::default();
    login[..8].copy_from_slice(&now.0.max(0).to_be_bytes());
    entropy.fill(&mut login[8..])?;
    Ok(login)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastness::OsRandom;

    #[test]
    fn only_issued_tokens_are_authentic() {
        let keys = RefreshTokenKeys::new(&[1; 32]);
        let login = new_login(Time(5), &OsRandom).unwrap();
        let token = keys.make(&login, &OsRandom).unwrap();
        let text = token.text();
        let read = keys.read(&text).unwrap();
        assert_eq!((read.login(), read.began()), (login, Time(5)));
        assert!(keys.is(&read, &keys.tag(&token)));
        let other = keys.make(&login, &OsRandom).unwrap();
        assert!(!keys.is(&other, &keys.tag(&token)));

        assert!(RefreshTokenKeys::new(&[2; 32]).read(&text).is_none(), "another server's");
        let whole = text.expose();
        for end in 0..whole.len() {
            assert!(keys.read(&whole[..end].into()).is_none(), "cut off at {end}");
            let mut tampered = whole.to_owned();
            let letter = if whole.as_bytes()[end] == b'A' { "B" } else { "A" };
            tampered.replace_range(end..=end, letter);
            assert!(keys.read(&Secret::new(tampered)).is_none(), "tampered at {end}");
        }
        for text in [format!("{whole}A"), format!("{whole}=="), format!(" {whole}"), "é".into()] {
            assert!(keys.read(&Secret::new(text)).is_none());
        }
    }

    #[test]
    fn names_of_logins_sort_by_age() {
        let at = |now| new_login(Time(now), &OsRandom).unwrap();
        assert!(at(-1) < at(1) && at(1) < at(256) && at(256) < at(i64::MAX));
    }
}
