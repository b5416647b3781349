//! Parser of responses: a status and any bytes become a value or an error.
//!
//! - U2 Every function here is total.
//! - U18 An empty token is no answer, so it replaces no token.
//!
//! Specified in docs/auth.md#answers.

use crate::auth_url::AuthUrl;
use crate::error::AuthError;
use crate::error_code::ErrorCode;
use crate::json::{Fields, Object};
use crate::token::Token;
use crate::user::User;
use std::collections::BTreeMap;

/// Tokens that a server issues for credentials or for a refresh token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenResponse {
    /// Access token for one file.
    pub access_token: Option<Token>,
    /// Refresh token.
    pub refresh_token: Option<Token>,
}

/// Result of a look-up of a user by an administrator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserInfo {
    /// Identity of the user at the server.
    pub identity: String,
    /// Whether the user is an administrator.
    pub is_admin: bool,
    /// Metadata of the user.
    pub metadata: BTreeMap<String, String>,
}

/// Parses the response to [`crate::AuthServer::authenticate`] or
/// [`crate::AuthServer::access_token`]; each token is optional.
///
/// # Errors
/// The error of the server, or [`ErrorCode::JSON_EXCEPTION`] for a malformed body.
pub fn authenticate(status: u16, body: &[u8]) -> Result<TokenResponse, AuthError> {
    let object = granted(status, body)?;
    let fields = object.fields();
    let token = |key: &str| -> Result<Option<Token>, AuthError> {
        if !fields.has(key) {
            return Ok(None);
        }
        let token = fields.object(key).ok_or("a token that is no object").and_then(Token::read);
        // An empty refresh token would replace one that is valid.
        let token = token.and_then(|token| match token.value.expose().is_empty() {
            true => Err("an empty token"),
            false => Ok(token),
        });
        token.map(Some).map_err(|what| AuthError::malformed(Some(status), what))
    };
    Ok(TokenResponse {
        access_token: token("access_token")?,
        refresh_token: token("refresh_token")?,
    })
}

/// Parses the response to a login: a user.
///
/// # Errors
/// The error of the server, or [`ErrorCode::JSON_EXCEPTION`] for a malformed body or a missing
/// refresh token.
pub fn login(url: &AuthUrl, status: u16, body: &[u8]) -> Result<User, AuthError> {
    match authenticate(status, body)?.refresh_token {
        Some(token) => Ok(User { url: url.clone(), token }),
        None => Err(AuthError::malformed(Some(status), "no `refresh_token`")),
    }
}

/// Parses the response to [`crate::AuthServer::access_token`]: a token for one file.
///
/// # Errors
/// The error of the server, or [`ErrorCode::JSON_EXCEPTION`] for a malformed body or a missing
/// access token.
pub fn access_token(status: u16, body: &[u8]) -> Result<Token, AuthError> {
    let token = authenticate(status, body)?.access_token;
    token.ok_or_else(|| AuthError::malformed(Some(status), "no `access_token`"))
}

/// Parses the response to [`crate::AuthServer::rotate`]: a token for one file, and the successor
/// of the refresh token if the server issued one.
///
/// # Errors
/// As [`access_token`].
pub fn rotation(status: u16, body: &[u8]) -> Result<(Token, Option<Token>), AuthError> {
    let TokenResponse { access_token, refresh_token } = authenticate(status, body)?;
    let missing = || AuthError::malformed(Some(status), "no `access_token`");
    Ok((access_token.ok_or_else(missing)?, refresh_token))
}

/// Parses the response to [`crate::AuthServer::revoke`]. An expired token counts as revoked.
///
/// # Errors
/// The error of the server, or [`ErrorCode::JSON_EXCEPTION`] for a malformed body.
pub fn revoke(status: u16, body: &[u8]) -> Result<(), AuthError> {
    match done(status, body) {
        Err(error) if error.code() == ErrorCode::EXPIRED_REFRESH_TOKEN => Ok(()),
        outcome => outcome,
    }
}

/// Parses the response to [`crate::AuthServer::change_password`] and
/// [`crate::AuthServer::change_password_of`].
///
/// # Errors
/// The error of the server, or [`ErrorCode::JSON_EXCEPTION`] for a malformed body.
pub fn change_password(status: u16, body: &[u8]) -> Result<(), AuthError> {
    done(status, body)
}

/// Parses the response to [`crate::AuthServer::look_up`]. Servers report an unknown user in
/// different ways, so treat any error as "no such user".
///
/// # Errors
/// The error of the server, or [`ErrorCode::JSON_EXCEPTION`] for a malformed body.
pub fn look_up(status: u16, body: &[u8]) -> Result<UserInfo, AuthError> {
    let object = granted(status, body)?;
    user_info(object.fields()).map_err(|what| AuthError::malformed(Some(status), what))
}

fn user_info(fields: Fields<'_>) -> Result<UserInfo, &'static str> {
    let metadata = fields.object("metadata").ok_or("no object `metadata`")?;
    let entry = |key: &str| Some((key.to_owned(), metadata.text(key)?));
    Ok(UserInfo {
        identity: fields.string("userId").ok_or("no text `userId`")?.to_owned(),
        is_admin: fields.boolean("isAdmin").ok_or("no boolean `isAdmin`")?,
        metadata: metadata.keys().filter_map(entry).collect(),
    })
}

/// Parses a response whose body is irrelevant if it is a success.
fn done(status: u16, body: &[u8]) -> Result<(), AuthError> {
    if (200..300).contains(&status) { Ok(()) } else { Err(AuthError::from_response(status, body)) }
}

fn granted(status: u16, body: &[u8]) -> Result<Object, AuthError> {
    done(status, body)?;
    Object::read(body).ok_or_else(|| AuthError::malformed(Some(status), "no JSON object"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str =
        r#"{"token": "t", "token_data": {"identity": "i", "expires": 1, "access": []}}"#;

    #[test]
    fn both_tokens_are_optional_unless_the_caller_needs_one() {
        let url = AuthUrl::parse("http://h/auth").unwrap();
        let neither = authenticate(200, b"{\"x\": 1}").unwrap();
        assert_eq!(neither, TokenResponse { access_token: None, refresh_token: None });
        let access = format!("{{\"access_token\": {TOKEN}}}");
        let refresh = format!("{{\"refresh_token\": {TOKEN}}}");
        assert_eq!(access_token(200, access.as_bytes()).unwrap().identity, "i");
        assert_eq!(login(&url, 200, refresh.as_bytes()).unwrap().identity(), "i");
        for error in [
            access_token(200, refresh.as_bytes()).unwrap_err(),
            login(&url, 200, access.as_bytes()).unwrap_err(),
            authenticate(200, b"{\"access_token\": null}").unwrap_err(),
            authenticate(200, b"{\"access_token\": {}}").unwrap_err(),
            authenticate(200, b"").unwrap_err(),
        ] {
            assert_eq!((error.code(), error.status()), (ErrorCode::JSON_EXCEPTION, Some(200)));
        }
    }

    #[test]
    fn an_empty_token_is_no_token() {
        let empty = TOKEN.replace("\"t\"", "\"\"");
        for key in ["access_token", "refresh_token"] {
            let body = format!("{{\"{key}\": {empty}}}");
            let error = authenticate(200, body.as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::JSON_EXCEPTION);
        }
        let body = format!("{{\"access_token\": {TOKEN}, \"refresh_token\": {empty}}}");
        assert!(rotation(200, body.as_bytes()).is_err(), "the old refresh token stays");
    }

    #[test]
    fn success_is_200_to_299_and_nothing_else() {
        for status in [200, 204, 299] {
            assert_eq!(revoke(status, b"\xff"), Ok(()));
            assert_eq!(change_password(status, b""), Ok(()));
        }
        for status in [0, 100, 199, 300, 304, 404, 500, u16::MAX] {
            assert_eq!(change_password(status, b"{}").unwrap_err().status(), Some(status));
        }
    }

    #[test]
    fn revoking_an_expired_token_succeeds() {
        assert_eq!(revoke(401, br#"{"code": 615}"#), Ok(()));
        let error = change_password(401, br#"{"code": 615}"#).unwrap_err();
        assert_eq!(error.code(), ErrorCode::EXPIRED_REFRESH_TOKEN);
        assert_eq!(revoke(401, br#"{"code": 614}"#).unwrap_err().code(), ErrorCode::ACCESS_DENIED);
    }

    #[test]
    fn a_look_up_needs_all_three() {
        let body =
            r#"{"userId": "u", "isAdmin": "true", "metadata": {"a": "b", "n": 1, "z": null}}"#;
        let info = look_up(200, body.as_bytes()).unwrap();
        assert_eq!((&*info.identity, info.is_admin), ("u", true));
        assert_eq!(
            info.metadata.into_iter().map(|(k, v)| k + &v).collect::<Vec<_>>(),
            ["ab", "n1"]
        );
        for key in ["userId", "isAdmin", "metadata"] {
            let error = look_up(200, body.replacen(key, "x", 1).as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::JSON_EXCEPTION);
        }
    }
}
