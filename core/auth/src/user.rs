//! User: the address of the server and the refresh token.
//!
//! - U1 Printing a user omits the token.
//! - U4 A user reads back as it was written.
//!
//! Specified in docs/auth.md#tokens. [`crate::users`] manages several users over time.

use crate::auth_url::AuthUrl;
use crate::error::RequestError;
use crate::json::Object;
use crate::secret::Secret;
use crate::token::Token;
use fastness::{Error, Time, config};
use std::hash::{Hash, Hasher};

/// Logged-in user. Two users are equal if their identities and addresses are; tokens are ignored.
#[derive(Clone, Debug)]
pub struct User {
    /// Address of the server.
    pub url: AuthUrl,
    /// Refresh token.
    pub token: Token,
}

impl User {
    /// Returns the identity of the user at the server.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.token.identity
    }

    /// Returns whether the user is an administrator.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        self.token.is_admin
    }

    /// Returns whether the token has not expired. The user may still have logged out.
    #[must_use]
    pub fn is_valid(&self, now: Time) -> bool {
        !self.token.is_expired(now)
    }

    /// Returns the hash code of the original, which is part of the hash of a configuration.
    #[must_use]
    pub fn original_hash(&self) -> i32 {
        let hash = original_hash(self.identity());
        hash.wrapping_mul(31).wrapping_add(original_hash(self.url.as_str()))
    }

    /// Converts to the user of a configuration of a synced file: logged out if the token has
    /// expired.
    ///
    /// # Errors
    /// [`fastness::ConfigError::Identity`] if the identity cannot be part of a path.
    pub fn for_config(&self, now: Time) -> Result<config::User, Error> {
        let user = config::User::new(self.identity(), self.url.as_str())?;
        Ok(if self.is_valid(now) { user } else { user.logged_out() })
    }

    /// Parses a user in the format of [`User::to_json`] from any bytes.
    ///
    /// # Errors
    /// [`RequestError::MalformedUser`] and [`RequestError::Url`] if the bytes are not a user.
    pub fn from_json(json: &[u8]) -> Result<Self, RequestError> {
        let object = Object::read(json).ok_or(RequestError::MalformedUser("no JSON object"))?;
        let fields = object.fields();
        let url =
            fields.string("authUrl").ok_or(RequestError::MalformedUser("no text `authUrl`"))?;
        let token = fields
            .object("userToken")
            .ok_or(RequestError::MalformedUser("no object `userToken`"))?;
        let token = Token::read(token).map_err(RequestError::MalformedUser)?;
        Ok(Self { url: AuthUrl::parse(url)?, token })
    }

    /// Serializes the user with the token; protect the result like a password.
    #[must_use]
    pub fn to_json(&self) -> Secret {
        let object = Object::new().with_text("authUrl", self.url.as_str());
        object.with_object("userToken", self.token.write()).write().into_secret()
    }
}

impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity() && self.url == other.url
    }
}

impl Eq for User {}

impl Hash for User {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
        self.url.hash(state);
    }
}

/// Returns the hash code of a text over its UTF-16 code units.
fn original_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31) + i32::from(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(identity: &str, url: &str, value: &str) -> User {
        let token = Token {
            value: value.into(),
            identity: identity.to_owned(),
            path: String::new(),
            expires_seconds: 10,
            permissions: Vec::new(),
            is_admin: false,
        };
        User { url: AuthUrl::parse(url).unwrap(), token }
    }

    #[test]
    fn users_are_equal_by_identity_and_address() {
        let one = user("id_value", "http://localhost/auth", "a");
        assert_eq!(one, user("id_value", "http://localhost/auth", "b"));
        assert_ne!(one, user("id_value", "http://localhost/auth/", "a"));
        assert_ne!(one, user("other", "http://localhost/auth", "a"));
        assert_eq!(one.original_hash(), 1_119_032_713);
    }

    #[test]
    fn a_configuration_knows_the_user_by_the_same_name() {
        let one = user("id_value", "http://localhost/auth", "a");
        let known = one.for_config(Time(9_999)).unwrap();
        assert_eq!(known, config::User::new("id_value", "http://localhost/auth").unwrap());
        assert!(known.is_valid() && !one.for_config(Time(10_000)).unwrap().is_valid());
        assert!(user("a/b", "http://localhost/auth", "a").for_config(Time(0)).is_err());
    }

    #[test]
    fn a_user_reads_back_whole() {
        let one = user("é\"", "https://h:1/x?y", "t\n");
        let back = User::from_json(one.to_json().expose().as_bytes()).unwrap();
        assert_eq!((&back.url, &back.token), (&one.url, &one.token));
        assert!(back.is_valid(Time(9_999)) && !back.is_valid(Time(10_000)));
    }

    #[test]
    fn a_text_that_is_no_user_is_refused_by_name() {
        let json = user("i", "http://h/", "t").to_json();
        let json = json.expose();
        for (from, to) in
            [("{", "["), ("authUrl", "url"), ("userToken", "token"), ("token_data", "x")]
        {
            let text = json.replacen(from, to, 1);
            let refused = User::from_json(text.as_bytes());
            assert!(matches!(refused, Err(RequestError::MalformedUser(_))), "{text}: {refused:?}");
        }
        let refused = User::from_json(json.replace("http:", "realm:").as_bytes());
        assert!(matches!(refused, Err(RequestError::Url(_))));
    }
}
