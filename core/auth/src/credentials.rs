//! Credentials of a login, one kind for each identity provider.
//!
//! - U1 Identifiers and information are never printed: they contain tokens and passwords.
//! - U7 An empty identifier or provider is refused where a server needs one.
//!
//! Specified in docs/auth.md#credentials.

use crate::error::RequestError;
use crate::json::{Object, Value};
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// Names of identity providers.
pub mod provider {
    /// A Facebook account.
    pub const FACEBOOK: &str = "facebook";
    /// A Google account.
    pub const GOOGLE: &str = "google";
    /// A name and a password of an account of the server.
    pub const PASSWORD: &str = "password";
    /// An access token instead of a login.
    pub const ACCESS_TOKEN: &str = "_access_token";
    /// Any user, on a test server.
    pub const DEBUG: &str = "debug";
    /// A refresh token, in exchange for an access token.
    pub const REALM: &str = "realm";
}

/// Credentials of a login.
#[derive(Clone, PartialEq)]
pub struct Credentials {
    provider: String,
    identifier: Option<Secret>,
    information: BTreeMap<String, InfoValue>,
}

/// Additional information of credentials: any JSON value.
#[derive(Clone, PartialEq)]
pub enum InfoValue {
    /// JSON `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A number; NaN and infinities are sent as [`InfoValue::Null`].
    Float(f64),
    /// A string.
    Text(Secret),
    /// An array.
    List(Vec<InfoValue>),
    /// An object.
    Map(BTreeMap<String, InfoValue>),
}

impl Credentials {
    /// Creates credentials from a token of Facebook.
    ///
    /// # Errors
    /// [`RequestError::Empty`] if the token is empty.
    pub fn facebook(token: impl Into<Secret>) -> Result<Self, RequestError> {
        Self::known(provider::FACEBOOK, filled("token", token.into())?, [])
    }

    /// Creates credentials from a token of Google.
    ///
    /// # Errors
    /// [`RequestError::Empty`] if the token is empty.
    pub fn google(token: impl Into<Secret>) -> Result<Self, RequestError> {
        Self::known(provider::GOOGLE, filled("token", token.into())?, [])
    }

    /// Creates credentials from a name and a password, which may be empty or missing. With `create`
    /// the login registers a new account.
    ///
    /// # Errors
    /// [`RequestError::Empty`] if the name is empty.
    pub fn username_password(
        name: impl Into<Secret>,
        password: Option<Secret>,
        create: bool,
    ) -> Result<Self, RequestError> {
        let password = password.map_or(InfoValue::Null, InfoValue::Text);
        let information = [("register", InfoValue::Bool(create)), ("password", password)];
        Self::known(provider::PASSWORD, filled("user name", name.into())?, information)
    }

    /// Creates credentials for a custom provider.
    ///
    /// # Errors
    /// [`RequestError::Empty`] if the identifier or the provider is empty.
    pub fn custom(
        identifier: impl Into<Secret>,
        provider: impl Into<String>,
        information: BTreeMap<String, InfoValue>,
    ) -> Result<Self, RequestError> {
        let identifier = Some(filled("identifier", identifier.into())?);
        let provider = provider.into();
        if provider.is_empty() {
            return Err(RequestError::Empty("provider"));
        }
        Ok(Self { provider, identifier, information })
    }

    /// Creates credentials from an access token and its identity: see [`crate::AuthServer::login`].
    #[must_use]
    pub fn access_token(
        token: impl Into<Secret>,
        identity: impl Into<Secret>,
        is_admin: bool,
    ) -> Self {
        let information =
            [("_token", InfoValue::Text(token.into())), ("_isAdmin", is_admin.into())];
        Self {
            provider: provider::ACCESS_TOKEN.to_owned(),
            identifier: Some(identity.into()),
            information: named(information),
        }
    }

    /// Creates empty credentials for test servers.
    #[must_use]
    pub fn debug() -> Self {
        Self {
            provider: provider::DEBUG.to_owned(),
            identifier: None,
            information: BTreeMap::new(),
        }
    }

    /// Returns the name of the provider.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns the identifier: a name, an identity, or a token of the provider.
    #[must_use]
    pub const fn identifier(&self) -> Option<&Secret> {
        self.identifier.as_ref()
    }

    /// Returns the additional information.
    #[must_use]
    pub const fn information(&self) -> &BTreeMap<String, InfoValue> {
        &self.information
    }

    pub(crate) fn information_json(&self) -> Object {
        let pieces = self.information.iter();
        pieces.fold(Object::new(), |object, (name, info)| object.with(name, info.json()))
    }

    fn known<const N: usize>(
        provider: &str,
        identifier: Secret,
        information: [(&str, InfoValue); N],
    ) -> Result<Self, RequestError> {
        let (provider, identifier) = (provider.to_owned(), Some(identifier));
        Ok(Self { provider, identifier, information: named(information) })
    }
}

fn filled(name: &'static str, secret: Secret) -> Result<Secret, RequestError> {
    if secret.is_empty() { Err(RequestError::Empty(name)) } else { Ok(secret) }
}

fn named<const N: usize>(information: [(&str, InfoValue); N]) -> BTreeMap<String, InfoValue> {
    information.into_iter().map(|(name, info)| (name.to_owned(), info)).collect()
}

impl InfoValue {
    fn json(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::from(*value),
            Self::Integer(value) => Value::from(*value),
            Self::Float(value) => Value::from(*value),
            Self::Text(text) => Value::from(text.expose()),
            Self::List(infos) => infos.iter().map(Self::json).collect(),
            Self::Map(infos) => infos.iter().map(|(name, info)| (&**name, info.json())).collect(),
        }
    }
}

impl From<bool> for InfoValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for InfoValue {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for InfoValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for InfoValue {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.information.keys().map(String::as_str).collect();
        f.debug_struct("Credentials")
            .field("provider", &self.provider)
            .field("information", &names)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InfoValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InfoValue(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_credentials_must_not_be_empty() {
        let none = BTreeMap::new;
        for refused in [
            Credentials::facebook(""),
            Credentials::google(""),
            Credentials::username_password("", Some("p".into()), false),
            Credentials::custom("", "p", none()),
            Credentials::custom("i", "", none()),
        ] {
            assert!(matches!(refused, Err(RequestError::Empty(_))), "{refused:?}");
        }
        assert!(Credentials::username_password("u", None, false).is_ok());
        assert!(Credentials::username_password("u", Some("".into()), false).is_ok());
        assert!(Credentials::access_token("", "", false).identifier().unwrap().is_empty());
    }
}
