//! Tokens: what a server gives out for credentials, and what it lets its bearer do until when.
//!
//! - U1 The text of a token is never printed.
//! - U4 A token reads back as it was written, with its permissions in their order.
//! - U5 Expiry saturates.
//!
//! Specified in docs/auth.md#tokens.

use crate::error::AuthError;
use crate::json::{Fields, Object, Value};
use crate::secret::Secret;
use fastness::Time;

/// A token, for a user (then it refreshes) or for one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// The text that proves it to the server.
    pub value: Secret,
    /// Whose it is.
    pub identity: String,
    /// The file it is for; empty for the token of a user.
    pub path: String,
    /// When it expires: seconds since the beginning of 1970, as the server says it.
    pub expires_seconds: i64,
    /// What it permits, in the server's order.
    pub permissions: Vec<Permission>,
    /// Whether it is an administrator's.
    pub is_admin: bool,
}

/// What a token permits.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Permission {
    /// To send changes.
    Upload,
    /// To receive changes.
    Download,
    /// To get further tokens.
    Refresh,
    /// To change the permissions of others.
    Manage,
    /// Something that is not known here.
    Unknown(UnknownPermission),
}

/// The word of a permission that is not known here; see [`Permission::from_word`].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UnknownPermission(String);

impl Token {
    /// Returns when the token expires.
    #[must_use]
    pub const fn expires(&self) -> Time {
        Time::from_seconds(self.expires_seconds)
    }

    /// Returns whether the token has expired.
    #[must_use]
    pub fn is_expired(&self, now: Time) -> bool {
        self.expires() <= now
    }

    /// Reads a token; any bytes.
    ///
    /// # Errors
    /// [`crate::ErrorCode::JSON_EXCEPTION`] if it is not one.
    pub fn from_json(json: &[u8]) -> Result<Self, AuthError> {
        let read = Object::read(json).ok_or("no JSON object");
        read.and_then(|object| Self::read(object.fields()))
            .map_err(|what| AuthError::unreadable(None, what))
    }

    /// Writes the token, as the server does.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        self.write().write().into_secret()
    }

    /// Reads a token, or says what it has.
    pub(crate) fn read(fields: Fields<'_>) -> Result<Self, &'static str> {
        let value = fields.string("token").ok_or("no text `token`")?;
        let data = fields.object("token_data").ok_or("no object `token_data`")?;
        let words = data.texts("access").ok_or("no list `access`")?;
        Ok(Self {
            value: value.into(),
            identity: data.string("identity").ok_or("no text `identity`")?.to_owned(),
            path: data.text("path").unwrap_or_default(),
            expires_seconds: data.integer("expires").ok_or("no number `expires`")?,
            permissions: words.into_iter().map(Permission::from_word).collect(),
            is_admin: data.boolean("is_admin").unwrap_or_default(),
        })
    }

    pub(crate) fn write(&self) -> Object {
        let words: Value = self.permissions.iter().map(Permission::word).collect();
        let mut data = Object::new().with_text("identity", &self.identity);
        if !self.path.is_empty() {
            data = data.with_text("path", &self.path);
        }
        let data = data
            .with("expires", self.expires_seconds)
            .with("access", words)
            .with("is_admin", self.is_admin);
        Object::new().with_secret("token", &self.value).with_object("token_data", data)
    }
}

impl Permission {
    /// All that are known here.
    pub const KNOWN: [Self; 4] = [Self::Upload, Self::Download, Self::Refresh, Self::Manage];

    /// Takes a permission's word; the known ones in any case, others are kept as they are.
    #[must_use]
    pub fn from_word(word: impl Into<String>) -> Self {
        let word = word.into();
        let known = Self::KNOWN.into_iter().find(|known| known.word().eq_ignore_ascii_case(&word));
        known.unwrap_or(Self::Unknown(UnknownPermission(word)))
    }

    /// Returns the word that stands for it.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Refresh => "refresh",
            Self::Manage => "manage",
            Self::Unknown(UnknownPermission(word)) => word,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    const WHOLE: &str = r#"{"token": "t", "token_data": {"identity": "i", "expires": 1,
        "access": ["upload", "DOWNLOAD", "Share", 7, null], "path": null, "app_id": "x"}}"#;

    #[test]
    fn what_is_missing_gets_its_default_and_words_are_kept() {
        let token = Token::from_json(WHOLE.as_bytes()).unwrap();
        let words: Vec<&str> = token.permissions.iter().map(Permission::word).collect();
        assert_eq!(words, ["upload", "download", "Share", "7", "null"]);
        assert_eq!(token.permissions[1], Permission::Download);
        assert_eq!((&*token.path, token.is_admin), ("", false));
        assert_eq!(Token::from_json(token.to_json().expose().as_bytes()), Ok(token));
    }

    #[test]
    fn what_is_required_must_be_there() {
        for (from, to) in [
            ("\"token\"", "\"tokem\""),
            ("\"t\"", "7"),
            ("\"token_data\"", "\"data\""),
            ("\"i\"", "null"),
            ("\"expires\": 1", "\"expires\": \"never\""),
            ("\"access\"", "\"axess\""),
        ] {
            let json = WHOLE.replacen(from, to, 1);
            let error = Token::from_json(json.as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::JSON_EXCEPTION, "{json}");
        }
    }

    #[test]
    fn expiry_saturates() {
        let token = |expires_seconds| Token {
            expires_seconds,
            ..Token::from_json(WHOLE.as_bytes()).unwrap()
        };
        assert!(!token(i64::MAX).is_expired(Time(i64::MAX - 1)));
        assert!(!token(i64::MAX / 1000 + 1).is_expired(Time(i64::MAX - 1)));
        assert!(token(-1).is_expired(Time(0)));
        assert!(token(i64::MIN).is_expired(Time(i64::MIN)));
        assert!(token(1).is_expired(Time(1000)) && !token(1).is_expired(Time(999)));
    }
}
