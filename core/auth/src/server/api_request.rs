//! Decoder of requests: method, target, header and body become a typed request or an error.
//!
//! - H9 Decoding is total and strict: a body is exactly one object in UTF-8.
//!
//! Specified in docs/server.md#calls. Fuzz target: `server`.

use super::name::normal_form;
use super::response::Response;
use crate::credentials::provider;
use crate::error_code::ErrorCode;
use crate::json::{Fields, Object};
use crate::secret::Secret;

/// Longest accepted body, in bytes.
pub const BODY_BYTES_MAX: usize = 16 << 10;

const PASSWORD_BYTES_MAX: usize = 1024;
const TOKEN_BYTES_MAX: usize = 1024;

/// Head of a request.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// Value of the header `Authorization`; empty without one.
    pub authorization: &'a [u8],
}

/// Form of a look-up and of its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookUpForm {
    /// Two slashes, and `userId` in the answer: our client and realm-java before 4.0.0.
    TwoSlashes,
    /// One slash, and `user_id` in the answer: realm-java from 4.0.0 to 4.4.0.
    OneSlash,
}

/// Decoded request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApiRequest {
    /// Create an account and log in.
    Register {
        /// Name of the account.
        name: Secret,
        /// Password of the account.
        password: Secret,
    },
    /// Log in.
    LogIn {
        /// Name of the account.
        name: Secret,
        /// Password of the account.
        password: Secret,
    },
    /// Get an access token for one file.
    AccessToken {
        /// Refresh token.
        refresh: Secret,
        /// Path of the file.
        path: String,
        /// Whether to rotate the refresh token.
        rotate: bool,
    },
    /// End a login.
    Revoke {
        /// Refresh token of the login.
        refresh: Secret,
    },
    /// Change a password.
    ChangePassword {
        /// Refresh token.
        refresh: Secret,
        /// Identity of the account; the caller's own if missing.
        identity: Option<String>,
        /// New password.
        password: Secret,
    },
    /// Look up a user.
    LookUp {
        /// Refresh token of an administrator.
        refresh: Secret,
        /// Identity provider of the user.
        provider: String,
        /// Name of the user at the provider.
        name: Secret,
        /// Form of the answer.
        form: LookUpForm,
    },
}

/// Error of the decoder, which determines the response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidRequest {
    code: ErrorCode,
    hint: Option<String>,
    allowed: Option<&'static str>,
}

type Decoded<T> = Result<T, InvalidRequest>;

impl ApiRequest {
    /// Decodes a request.
    ///
    /// # Errors
    /// [`InvalidRequest`] with the response.
    pub fn decode(head: &RequestHead<'_>, body: &[u8]) -> Result<Self, InvalidRequest> {
        let path = head.target.split_once('?').map_or(head.target, |(path, _)| path);
        let Some(action) = path.strip_prefix("/auth") else { return Err(not_found()) };
        match action {
            "" | "/" => {
                allow(head, "POST")?;
                authenticate(object(body)?.fields())
            }
            "/revoke" => {
                allow(head, "POST")?;
                let body = object(body)?;
                Ok(Self::Revoke { refresh: token(body.fields(), "token")? })
            }
            "/password" => {
                allow(head, "PUT")?;
                let body = object(body)?;
                change_password(head, body.fields())
            }
            _ => {
                let (form, user) = match action.strip_prefix("//users/") {
                    Some(user) => (LookUpForm::TwoSlashes, user),
                    None => {
                        let user = action.strip_prefix("/users/").ok_or_else(not_found)?;
                        (LookUpForm::OneSlash, user)
                    }
                };
                let (provider, id) = user.split_once('/').ok_or_else(not_found)?;
                allow(head, "GET")?;
                look_up(head, (provider, id), form)
            }
        }
    }

    /// Returns the name of a login or a registration.
    #[must_use]
    pub const fn attempted_name(&self) -> Option<&Secret> {
        match self {
            Self::LogIn { name, .. } | Self::Register { name, .. } => Some(name),
            Self::AccessToken { .. }
            | Self::Revoke { .. }
            | Self::ChangePassword { .. }
            | Self::LookUp { .. } => None,
        }
    }

    /// Returns whether the request changes the state of a token with a commit, but hashes nothing.
    #[must_use]
    pub const fn changes_token(&self) -> bool {
        matches!(self, Self::Revoke { .. } | Self::AccessToken { rotate: true, .. })
    }

    /// Returns the presented refresh token, if there is one.
    #[must_use]
    pub const fn refresh(&self) -> Option<&Secret> {
        match self {
            Self::AccessToken { refresh, .. }
            | Self::Revoke { refresh }
            | Self::ChangePassword { refresh, .. }
            | Self::LookUp { refresh, .. } => Some(refresh),
            Self::LogIn { .. } | Self::Register { .. } => None,
        }
    }

    /// Returns the name of the request, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::LogIn { .. } => "log-in",
            Self::AccessToken { .. } => "access-token",
            Self::Revoke { .. } => "revoke",
            Self::ChangePassword { .. } => "change-password",
            Self::LookUp { .. } => "look-up",
        }
    }
}

impl InvalidRequest {
    const fn new(code: ErrorCode) -> Self {
        Self { code, hint: None, allowed: None }
    }

    /// Returns the code of the response.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the response.
    #[must_use]
    pub fn answer(&self) -> Response {
        let refused = match self.allowed {
            Some(method) => Response::method_not_allowed(method),
            None => Response::refused(self.code),
        };
        self.hint.iter().fold(refused, |refused, hint| refused.with_hint(hint))
    }
}

const fn not_found() -> InvalidRequest {
    InvalidRequest::new(ErrorCode::NOT_FOUND)
}

fn allow(head: &RequestHead<'_>, method: &'static str) -> Decoded<()> {
    if head.method == method {
        return Ok(());
    }
    Err(InvalidRequest {
        allowed: Some(method),
        ..InvalidRequest::new(ErrorCode::METHOD_NOT_ALLOWED)
    })
}

fn object(body: &[u8]) -> Decoded<Object> {
    if body.len() > BODY_BYTES_MAX {
        return Err(InvalidRequest::new(ErrorCode::PAYLOAD_TOO_LARGE));
    }
    Object::read_strictly(body).ok_or_else(|| invalid("the body must be one JSON object in UTF-8"))
}

fn invalid(hint: impl Into<String>) -> InvalidRequest {
    InvalidRequest { hint: Some(hint.into()), ..InvalidRequest::new(ErrorCode::INVALID_PARAMETERS) }
}

fn missing(key: &str) -> InvalidRequest {
    let hint = Some(format!("`{key}` is missing"));
    InvalidRequest { hint, ..InvalidRequest::new(ErrorCode::MISSING_PARAMETERS) }
}

/// Returns a required string; `null` counts as missing.
fn text<'a>(fields: Fields<'a>, key: &str) -> Decoded<&'a str> {
    if fields.is_null(key) {
        return Err(missing(key));
    }
    fields.string(key).ok_or_else(|| invalid(format!("`{key}` must be a text")))
}

/// Returns a boolean; the default is `false`.
fn flag(fields: Fields<'_>, key: &str) -> Decoded<bool> {
    if fields.is_null(key) {
        return Ok(false);
    }
    fields.truth(key).ok_or_else(|| invalid(format!("`{key}` must be true or false")))
}

fn token(fields: Fields<'_>, key: &str) -> Decoded<Secret> {
    let value = text(fields, key)?;
    let is_short = value.len() <= TOKEN_BYTES_MAX;
    if is_short { Ok(value.into()) } else { Err(invalid(format!("`{key}` is too long"))) }
}

fn name(text: &str) -> Decoded<Secret> {
    normal_form(text)
        .ok_or_else(|| invalid("a name has 1 to 255 bytes, and no control or invisible characters"))
}

fn new_password(text: &str) -> Decoded<Secret> {
    if text.is_empty() || text.len() > PASSWORD_BYTES_MAX {
        return Err(invalid("a password has 1 to 1024 bytes"));
    }
    Ok(text.into())
}

fn authenticate(body: Fields<'_>) -> Decoded<ApiRequest> {
    match text(body, "provider")? {
        provider::PASSWORD => {
            let name = name(text(body, "data")?)?;
            let info = body.object("user_info").ok_or_else(|| missing("user_info"))?;
            let password = text(info, "password")?;
            if flag(info, "register")? {
                return Ok(ApiRequest::Register { name, password: new_password(password)? });
            }
            if password.len() > PASSWORD_BYTES_MAX {
                return Err(InvalidRequest::new(ErrorCode::INVALID_CREDENTIALS));
            }
            Ok(ApiRequest::LogIn { name, password: password.into() })
        }
        provider::REALM => Ok(ApiRequest::AccessToken {
            refresh: token(body, "data")?,
            path: text(body, "path")?.to_owned(),
            rotate: flag(body, "rotate")?,
        }),
        _ => Err(invalid("this server takes the providers `password` and `realm`")),
    }
}

/// Returns the refresh token in the header.
fn authorization(head: &RequestHead<'_>) -> Decoded<Secret> {
    let value = std::str::from_utf8(head.authorization).unwrap_or_default();
    if value.is_empty() || value.len() > TOKEN_BYTES_MAX {
        return Err(InvalidRequest::new(ErrorCode::EXPIRED_REFRESH_TOKEN));
    }
    Ok(value.into())
}

/// Decodes a change of a password: `newPassword` and `userId`, or, from realm-java 4.0.0 to 4.4.0,
/// `new_password` in the object `data`, and `user_id`.
fn change_password(head: &RequestHead<'_>, body: Fields<'_>) -> Decoded<ApiRequest> {
    let is_released = body.has("data");
    let others = if is_released { ["newPassword", "userId"] } else { ["new_password", "user_id"] };
    // A form that is mixed could change the password of another user than the client meant.
    if let Some(key) = others.into_iter().find(|key| body.has(key)) {
        let form = if is_released { "with" } else { "without" };
        return Err(invalid(format!("`{key}` does not belong to the form {form} `data`")));
    }
    let (user_key, password_key, holder) = if is_released {
        let data = body.object("data").ok_or_else(|| invalid("`data` must be an object"))?;
        ("user_id", "new_password", data)
    } else {
        ("userId", "newPassword", body)
    };
    let identity = match body.is_null(user_key) {
        true => None,
        false => Some(text(body, user_key)?.to_owned()),
    };
    let password = new_password(text(holder, password_key)?)?;
    Ok(ApiRequest::ChangePassword { refresh: authorization(head)?, identity, password })
}

fn look_up(
    head: &RequestHead<'_>,
    (provider, id): (&str, &str),
    form: LookUpForm,
) -> Decoded<ApiRequest> {
    let provider = decoded(provider)?;
    let name = name(&decoded(id)?)?;
    Ok(ApiRequest::LookUp { refresh: authorization(head)?, provider, name, form })
}

/// Decodes a percent-encoded path segment.
fn decoded(part: &str) -> Decoded<String> {
    let wrong = || invalid("a part of the path is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'/' => return Err(not_found()),
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                value.and_then(|value| u8::try_from(value).ok()).ok_or_else(wrong)?
            }
            _ => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, target: &str, body: &str) -> Result<ApiRequest, i64> {
        let head = RequestHead { method, target, authorization: b"tok" };
        ApiRequest::decode(&head, body.as_bytes()).map_err(|refused| refused.code().number())
    }

    #[track_caller]
    fn refused(method: &str, target: &str, body: &str, code: i64) {
        assert_eq!(read(method, target, body), Err(code), "{method} {target} {body}");
    }

    #[test]
    fn requests_of_the_client_decode() {
        use crate::{AuthServer, Credentials, Login, Permission, Request, Token};
        let server = AuthServer::new("http://h").unwrap();
        let admin = Token {
            value: "tok".into(),
            identity: "a".to_owned(),
            path: String::new(),
            expires_seconds: 1,
            permissions: vec![Permission::Refresh],
            is_admin: true,
        };
        let read = |request: &Request| {
            let target = request.target();
            let authorization =
                request.headers().find(|(name, _)| *name == "Authorization").map_or("", |it| it.1);
            let authorization = authorization.as_bytes();
            let head =
                RequestHead { method: request.method().as_str(), target: &target, authorization };
            ApiRequest::decode(&head, request.body()).unwrap()
        };
        for create in [true, false] {
            let credentials =
                Credentials::username_password("é/b", Some("p\n".into()), create).unwrap();
            let Login::Send(request) = server.login(&credentials) else { unreachable!() };
            let (name, password) = ("é/b".into(), "p\n".into());
            let expect = match create {
                true => ApiRequest::Register { name, password },
                false => ApiRequest::LogIn { name, password },
            };
            assert_eq!(read(&request), expect);
        }
        let refresh: Secret = "tok".into();
        let expect = ApiRequest::AccessToken {
            refresh: "tok".into(),
            path: "/~/x".to_owned(),
            rotate: false,
        };
        assert_eq!(read(&server.access_token(&admin, "/~/x")), expect);
        assert_eq!(read(&server.revoke(&admin)), ApiRequest::Revoke { refresh: refresh.clone() });
        let identity = Some("u-7".to_owned());
        let expect = ApiRequest::ChangePassword {
            refresh: refresh.clone(),
            identity,
            password: "new".into(),
        };
        assert_eq!(read(&server.change_password_of(&admin, "u-7", &"new".into()).unwrap()), expect);
        for name in ["bob", "é %41/?#", "a@b.c"] {
            let expect = ApiRequest::LookUp {
                refresh: refresh.clone(),
                provider: "password".to_owned(),
                name: name.into(),
                form: LookUpForm::TwoSlashes,
            };
            assert_eq!(read(&server.look_up(&admin, "password", name).unwrap()), expect);
        }
    }

    #[test]
    fn addresses_and_methods_that_are_not_there_are_refused() {
        for target in ["", "/", "/authx", "/auth/x", "/auth/users/a", "/auth///users/a/b", "*"] {
            refused("POST", target, "{}", 404);
        }
        refused("GET", "/auth/users/password/a/b", "", 404);
        for (method, target) in [
            ("GET", "/auth"),
            ("post", "/auth"),
            ("PUT", "/auth/revoke"),
            ("POST", "/auth/password"),
            ("POST", "/auth//users/password/bob"),
        ] {
            refused(method, target, "{}", 405);
        }
        for (target, code) in [
            ("/auth/users/password/%", 601),
            ("/auth/users/password/%4", 601),
            ("/auth/users/password/%4g", 601),
            ("/auth/users/password/%ff", 601),
            ("/auth/users/password/", 601),
            ("/auth/users/password/%0a", 601),
        ] {
            refused("GET", target, "", code);
        }
        assert!(read("GET", "/auth//users/password/b%6Fb?x=/y", "").is_ok());
    }

    #[test]
    fn bodies_are_one_object_and_nothing_is_guessed() {
        for body in ["", "[]", "{} {}", "{}x", "\u{feff}{}", "{\"a\": 1e999}"] {
            refused("POST", "/auth", body, 601);
        }
        let head = RequestHead { method: "POST", target: "/auth", authorization: b"" };
        for body in [&b"{\"provider\": \"\xff\"}"[..], b"\xff\xfe{", &[b'['; 10_000]] {
            assert_eq!(ApiRequest::decode(&head, body).unwrap_err().code().number(), 601);
        }
        let long = vec![b' '; BODY_BYTES_MAX + 1];
        assert_eq!(ApiRequest::decode(&head, &long).unwrap_err().code().number(), 413);
    }

    #[test]
    fn missing_and_invalid_parameters_have_their_codes() {
        let log_in = r#"{"provider": "password", "data": "a", "user_info": {"password": "p"}}"#;
        assert!(read("POST", "/auth", log_in).is_ok());
        for (from, to, code) in [
            ("provider", "x", 602),
            ("\"password\", \"data\"", "\"debug\", \"data\"", 601),
            ("data", "x", 602),
            ("\"a\"", "7", 601),
            ("\"a\"", "\"\"", 601),
            ("\"a\"", "\"\\u0000\"", 601),
            ("user_info", "x", 602),
            ("\"p\"", "null", 602),
            ("\"p\"", "7", 601),
            ("{\"password\"", "{\"register\": 1, \"password\"", 601),
            ("{\"password\": \"p\"", "{\"register\": true, \"password\": \"\"", 601),
        ] {
            assert!(log_in.contains(from));
            refused("POST", "/auth", &log_in.replacen(from, to, 1), code);
        }
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        refused("POST", "/auth", &log_in.replace("\"p\"", &format!("\"{long}\"")), 611);
        refused("POST", "/auth", r#"{"provider": "realm", "data": "t"}"#, 602);
        refused("POST", "/auth/revoke", r#"{"token": null}"#, 602);
        refused("PUT", "/auth/password", r#"{"newPassword": ""}"#, 601);
        refused("PUT", "/auth/password", r#"{"userId": "u"}"#, 602);
        for authorization in [&b""[..], b"\xff", &[b'a'; TOKEN_BYTES_MAX + 1]] {
            let head = RequestHead { method: "PUT", target: "/auth/password", authorization };
            let answer = ApiRequest::decode(&head, br#"{"newPassword": "n"}"#).unwrap_err();
            assert_eq!(answer.code().number(), 615);
        }
    }
}
