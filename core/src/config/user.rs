//! Identity of a user in a configuration.

use super::error::{ConfigError, UrlProblem};
use super::hash::Hash;
use super::url::{ServerUrl, is_encoded, split};
use crate::error::{Error, Result};
use std::fmt;

/// A user, as configurations know them: who, where they logged in, and whether that still holds.
#[derive(Clone, Debug)]
pub struct User {
    identity: Option<String>,
    authentication_url: String,
    pub(super) is_secure: bool,
    pub(super) host: String,
    is_valid: bool,
}

impl User {
    /// Names a user who is logged in at the URL.
    ///
    /// # Errors
    /// [`ConfigError::Identity`] if the identity cannot be part of a path, and
    /// [`ConfigError::Url`].
    pub fn new(identity: &str, authentication_url: &str) -> Result<Self> {
        let is_segment = is_encoded(identity, ":@") && !identity.contains('%');
        let refused = !is_segment || matches!(identity, "" | "." | "..");
        if refused {
            return Err(ConfigError::Identity { identity: identity.to_owned() }.into());
        }
        let user = Self::without_identity(authentication_url)?;
        Ok(Self { identity: Some(identity.to_owned()), ..user })
    }

    /// Describes a user of whom only a token is known.
    ///
    /// # Errors
    /// [`ConfigError::Url`].
    pub fn without_identity(authentication_url: &str) -> Result<Self> {
        let refused = |problem| -> Error {
            ConfigError::Url { url: authentication_url.to_owned(), problem }.into()
        };
        let parts = split(authentication_url).map_err(refused)?;
        let is_secure =
            parts.scheme.as_ref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        let host = parts.authority.ok_or_else(|| refused(UrlProblem::NoHost))?.host;
        Ok(Self {
            identity: None,
            authentication_url: authentication_url.to_owned(),
            is_secure,
            host,
            is_valid: true,
        })
    }

    /// Says that the user is no longer logged in, or the token has expired.
    #[must_use]
    pub fn logged_out(mut self) -> Self {
        self.is_valid = false;
        self
    }

    /// Returns the identity.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Returns the URL where the user logged in.
    #[must_use]
    pub fn authentication_url(&self) -> &str {
        &self.authentication_url
    }

    /// Returns whether the user is logged in.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.is_valid
    }

    pub(super) fn hash(&self) -> i32 {
        Hash::default()
            .text(self.identity.as_deref().unwrap_or_default())
            .text(&self.authentication_url)
            .value()
    }

    /// Puts the identity into a URL.
    pub(super) fn resolve(&self, url: &ServerUrl) -> Result<ServerUrl> {
        let text = url.to_string();
        if !text.contains("/~/") {
            return Ok(url.clone());
        }
        match &self.identity {
            Some(identity) => ServerUrl::again(&text.replace("/~/", &format!("/{identity}/"))),
            None => Err(ConfigError::IdentityMissing { url: text }.into()),
        }
    }
}

/// The state of a login is no part of the identity.
impl PartialEq for User {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity && self.authentication_url == other.authentication_url
    }
}

impl Eq for User {}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.identity.as_deref().unwrap_or("null");
        write!(f, "{identity} at {}", self.authentication_url)
    }
}
