//! Refresh tokens: random, recognised without looking anywhere, and stored as a keyed tag only.
//!
//! - H4 A text that this server did not give out has a wrong tag.
//! - H10 What is stored does not tell the token.
//!
//! Tags are compared in constant time, by the library. Specified in docs/server.md#tokens.

use crate::secret::Secret;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::fault::{self, Fault};
use fastness::{RandomSource, Time};
use ring::hmac;
use std::io;
use zeroize::Zeroizing;

/// What names a login: when it began, and random bytes. Sorted, it is by age.
pub(super) type LoginId = [u8; 16];

/// What is stored of a token.
pub(super) type Tag = [u8; 32];

const SECRET_BYTES: usize = 32;
const TAG_AT: usize = size_of::<LoginId>() + SECRET_BYTES;
const TOKEN_BYTES: usize = TAG_AT + size_of::<Tag>();

/// The keys behind all tokens of a server; their bytes are zeroed when dropped by nobody but us.
pub(super) struct TokenKeys {
    genuine: hmac::Key,
    stored: hmac::Key,
}

/// A token that this server gave out, at some time.
pub(super) struct Genuine {
    bytes: Zeroizing<[u8; TOKEN_BYTES]>,
}

/// Derives a key for one use.
pub(super) fn derived(root: &[u8; 32], usage: &str) -> hmac::Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, root), usage.as_bytes());
    hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref())
}

impl TokenKeys {
    pub(super) fn new(root: &[u8; 32]) -> Self {
        Self {
            genuine: derived(root, "fastness refresh token"),
            stored: derived(root, "fastness stored token"),
        }
    }

    /// Makes a token for a login.
    pub(super) fn make(&self, login: &LoginId, entropy: &dyn RandomSource) -> io::Result<Genuine> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        bytes[..login.len()].copy_from_slice(login);
        entropy.fill(&mut bytes[login.len()..TAG_AT])?;
        let tag = hmac::sign(&self.genuine, &bytes[..TAG_AT]);
        bytes[TAG_AT..].copy_from_slice(tag.as_ref());
        Ok(Genuine { bytes })
    }

    /// Reads any text; `None` unless this server made it.
    pub(super) fn read(&self, token: &Secret) -> Option<Genuine> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        let read = Base64UrlUnpadded::decode(token.expose(), &mut *bytes).ok()?.len();
        if read != TOKEN_BYTES {
            return None;
        }
        let is_ours = hmac::verify(&self.genuine, &bytes[..TAG_AT], &bytes[TAG_AT..]).is_ok();
        if !is_ours && !fault::on(Fault::Sv11) {
            return None;
        }
        Some(Genuine { bytes })
    }

    /// Returns what to store of a token.
    pub(super) fn tag(&self, token: &Genuine) -> Tag {
        let mut tag = Tag::default();
        tag.copy_from_slice(hmac::sign(&self.stored, &*token.bytes).as_ref());
        tag
    }

    /// Tells whether a token is the one that was stored.
    pub(super) fn is(&self, token: &Genuine, stored: &Tag) -> bool {
        hmac::verify(&self.stored, &*token.bytes, stored).is_ok()
    }
}

impl Genuine {
    /// Returns the login that the token belongs to.
    pub(super) fn login(&self) -> LoginId {
        let mut login = LoginId::default();
        login.copy_from_slice(&self.bytes[..size_of::<LoginId>()]);
        login
    }

    pub(super) fn text(&self) -> Secret {
        Secret::new(Base64UrlUnpadded::encode_string(&*self.bytes))
    }
}

/// Makes the name of a login that begins now.
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
    fn only_what_was_given_out_is_genuine() {
        let keys = TokenKeys::new(&[1; 32]);
        let login = new_login(Time(5), &OsRandom).unwrap();
        let token = keys.make(&login, &OsRandom).unwrap();
        let text = token.text();
        let read = keys.read(&text).unwrap();
        assert_eq!(read.login(), login);
        assert!(keys.is(&read, &keys.tag(&token)));
        let other = keys.make(&login, &OsRandom).unwrap();
        assert!(!keys.is(&other, &keys.tag(&token)));

        assert!(TokenKeys::new(&[2; 32]).read(&text).is_none(), "another server's");
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
