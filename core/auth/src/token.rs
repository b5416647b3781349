//! Tokens: issued by a server, with identity, path, permissions and expiry.
//!
//! - U1 The text of a token is never printed.
//! - U4 A token reads back as it was written, permissions in order.
//! - U5 Conversion of the expiry saturates.
//!
//! Specified in docs/auth.md#tokens.

use crate::error::AuthError;
use crate::json::{Fields, Object, Value};
use crate::secret::Secret;
use fastness::Time;

/// Refresh token of a user, or access token for one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// Secret text of the token.
    pub value: Secret,
    /// Identity of the user.
    pub identity: String,
    /// Path of the file; empty for a refresh token.
    pub path: String,
    /// Expiry in seconds since 1970.
    pub expires_seconds: i64,
    /// Permissions in the order of the server.
    pub permissions: Vec<Permission>,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// Permission of a token.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Permission {
    /// Send changes.
    Upload,
    /// Receive changes.
    Download,
    /// Get access tokens.
    Refresh,
    /// Change the permissions of other users.
    Manage,
    /// A permission that this version does not know.
    Unknown(UnknownPermission),
}

/// Text of an unknown permission; see [`Permission::parse`].
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

    /// Parses a token from any bytes.
    ///
    /// # Errors
    /// [`crate::ErrorCode::JSON_EXCEPTION`] if the bytes are not a token.
    pub fn from_json(json: &[u8]) -> Result<Self, AuthError> {
        let read = Object::read(json).ok_or("no JSON object");
        read.and_then(|object| Self::read(object.fields()))
            .map_err(|what| AuthError::malformed(None, what))
    }

    /// Serializes the token in the format of the server.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        self.write().write().into_secret()
    }

    /// Parses a token, or returns the reason.
    pub(crate) fn read(fields: Fields<'_>) -> Result<Self, &'static str> {
        // The original client takes numbers and booleans as text, and so did servers.
        let value = fields.scalar("token").ok_or("no text `token`")?;
        let data = fields.object("token_data").ok_or("no object `token_data`")?;
        let words = data.texts("access").ok_or("no list `access`")?;
        Ok(Self {
            value: Secret::new(value),
            identity: data.scalar("identity").ok_or("no text `identity`")?,
            path: data.text("path").unwrap_or_default(),
            expires_seconds: data.integer("expires").ok_or("no number `expires`")?,
            permissions: words.into_iter().map(Permission::parse).collect(),
            is_admin: data.boolean("is_admin").unwrap_or_default(),
        })
    }

    pub(crate) fn write(&self) -> Object {
        let words: Value = self.permissions.iter().map(Permission::as_str).collect();
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
    /// All known permissions.
    pub const KNOWN: [Self; 4] = [Self::Upload, Self::Download, Self::Refresh, Self::Manage];

    /// Parses a permission; known ones in any case, unknown ones keep their text.
    #[must_use]
    pub fn parse(word: impl Into<String>) -> Self {
        let word = word.into();
        let known =
            Self::KNOWN.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(&word));
        known.unwrap_or(Self::Unknown(UnknownPermission(word)))
    }

    /// Returns the text of the permission.
    #[must_use]
    pub fn as_str(&self) -> &str {
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
    fn missing_fields_get_defaults_and_unknown_permissions_are_preserved() {
        let token = Token::from_json(WHOLE.as_bytes()).unwrap();
        let words: Vec<&str> = token.permissions.iter().map(Permission::as_str).collect();
        assert_eq!(words, ["upload", "download", "Share", "7", "null"]);
        assert_eq!(token.permissions[1], Permission::Download);
        assert_eq!((&*token.path, token.is_admin), ("", false));
        assert_eq!(Token::from_json(token.to_json().expose().as_bytes()), Ok(token));
    }

    #[test]
    fn required_fields_must_exist() {
        for (from, to) in [
            ("\"token\"", "\"tokem\""),
            ("\"t\"", "[7]"),
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
