//! Who somebody claims to be, and how that is proven: one kind for each way to log in.
//!
//! - U1 Identifiers and information are never printed: they are tokens and passwords.
//! - U7 An empty identifier or provider is refused where a server needs one.
//!
//! Specified in docs/auth.md#credentials.

use crate::error::Refusal;
use crate::json::{Object, Value};
use crate::secret::Secret;
use std::collections::BTreeMap;
use std::fmt;

/// Names of the ways to log in.
pub mod provider {
    /// A Facebook account.
    pub const FACEBOOK: &str = "facebook";
    /// A Google account.
    pub const GOOGLE: &str = "google";
    /// A name and a password that the server itself keeps.
    pub const PASSWORD: &str = "password";
    /// A token that is presented instead of logging in.
    pub const ACCESS_TOKEN: &str = "_access_token";
    /// Whoever asks, on a server made for tests.
    pub const DEBUG: &str = "debug";
    /// A refresh token, to get a token for one file.
    pub const REALM: &str = "realm";
}

/// What somebody logs in with.
#[derive(Clone, PartialEq)]
pub struct Credentials {
    provider: String,
    identifier: Option<Secret>,
    information: BTreeMap<String, Info>,
}

/// A piece of information that goes with credentials: any JSON value.
#[derive(Clone, PartialEq)]
pub enum Info {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number; what JSON has no word for is sent as [`Info::Null`].
    Float(f64),
    /// Text.
    Text(Secret),
    /// Several, in their order.
    List(Vec<Info>),
    /// Several by name.
    Map(BTreeMap<String, Info>),
}

impl Credentials {
    /// A token that Facebook gave out.
    ///
    /// # Errors
    /// [`Refusal::Empty`] if there is none.
    pub fn facebook(token: impl Into<Secret>) -> Result<Self, Refusal> {
        Self::known(provider::FACEBOOK, filled("token", token.into())?, [])
    }

    /// A token that Google gave out.
    ///
    /// # Errors
    /// [`Refusal::Empty`] if there is none.
    pub fn google(token: impl Into<Secret>) -> Result<Self, Refusal> {
        Self::known(provider::GOOGLE, filled("token", token.into())?, [])
    }

    /// A name and a password, which may be empty or missing. With `create` the account is made,
    /// and must not be there yet.
    ///
    /// # Errors
    /// [`Refusal::Empty`] if there is no name.
    pub fn username_password(
        name: impl Into<Secret>,
        password: Option<Secret>,
        create: bool,
    ) -> Result<Self, Refusal> {
        let password = password.map_or(Info::Null, Info::Text);
        let information = [("register", Info::Bool(create)), ("password", password)];
        Self::known(provider::PASSWORD, filled("user name", name.into())?, information)
    }

    /// What a provider of one's own asks for.
    ///
    /// # Errors
    /// [`Refusal::Empty`] if there is no identifier or no provider.
    pub fn custom(
        identifier: impl Into<Secret>,
        provider: impl Into<String>,
        information: BTreeMap<String, Info>,
    ) -> Result<Self, Refusal> {
        let identifier = Some(filled("identifier", identifier.into())?);
        let provider = provider.into();
        if provider.is_empty() {
            return Err(Refusal::Empty("provider"));
        }
        Ok(Self { provider, identifier, information })
    }

    /// A token and whose it is, taken as they are: see [`crate::AuthServer::login`].
    #[must_use]
    pub fn access_token(
        token: impl Into<Secret>,
        identity: impl Into<Secret>,
        is_admin: bool,
    ) -> Self {
        let information = [("_token", Info::Text(token.into())), ("_isAdmin", is_admin.into())];
        Self {
            provider: provider::ACCESS_TOKEN.to_owned(),
            identifier: Some(identity.into()),
            information: named(information),
        }
    }

    /// Nothing at all, for servers made for tests.
    #[must_use]
    pub fn debug() -> Self {
        Self {
            provider: provider::DEBUG.to_owned(),
            identifier: None,
            information: BTreeMap::new(),
        }
    }

    /// Returns the name of the way to log in.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Returns who claims it: a name, an identity, or a token of the provider.
    #[must_use]
    pub const fn identifier(&self) -> Option<&Secret> {
        self.identifier.as_ref()
    }

    /// Returns what goes with it.
    #[must_use]
    pub const fn information(&self) -> &BTreeMap<String, Info> {
        &self.information
    }

    pub(crate) fn information_json(&self) -> Object {
        let pieces = self.information.iter();
        pieces.fold(Object::new(), |object, (name, info)| object.with(name, info.json()))
    }

    fn known<const N: usize>(
        provider: &str,
        identifier: Secret,
        information: [(&str, Info); N],
    ) -> Result<Self, Refusal> {
        let (provider, identifier) = (provider.to_owned(), Some(identifier));
        Ok(Self { provider, identifier, information: named(information) })
    }
}

fn filled(name: &'static str, secret: Secret) -> Result<Secret, Refusal> {
    if secret.is_empty() { Err(Refusal::Empty(name)) } else { Ok(secret) }
}

fn named<const N: usize>(information: [(&str, Info); N]) -> BTreeMap<String, Info> {
    information.into_iter().map(|(name, info)| (name.to_owned(), info)).collect()
}

impl Info {
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

impl From<bool> for Info {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Info {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Info {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Info {
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

impl fmt::Debug for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Info(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_needs_must_not_be_empty() {
        let none = BTreeMap::new;
        for refused in [
            Credentials::facebook(""),
            Credentials::google(""),
            Credentials::username_password("", Some("p".into()), false),
            Credentials::custom("", "p", none()),
            Credentials::custom("i", "", none()),
        ] {
            assert!(matches!(refused, Err(Refusal::Empty(_))), "{refused:?}");
        }
        assert!(Credentials::username_password("u", None, false).is_ok());
        assert!(Credentials::username_password("u", Some("".into()), false).is_ok());
        assert!(Credentials::access_token("", "", false).identifier().unwrap().is_empty());
    }
}
