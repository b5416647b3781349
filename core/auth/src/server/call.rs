//! Requests as they come in: method, target, header and body become a call, or a refusal.
//!
//! - H9 Reading is total. Nothing is guessed: a body is UTF-8, one object, and nothing else.
//!
//! Specified in docs/server.md#calls. Any bytes: the fuzz target `server`.

use super::answer::Answer;
use crate::credentials::provider;
use crate::error_code::ErrorCode;
use crate::json::{Fields, Object};
use crate::secret::Secret;

/// Longest body that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 16 << 10;

const NAME_BYTES_MAX: usize = 255;
const PASSWORD_BYTES_MAX: usize = 1024;
const TOKEN_BYTES_MAX: usize = 1024;

/// What stands before the body of a request.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The method, as it was sent.
    pub method: &'a str,
    /// Path and query, as they were sent.
    pub target: &'a str,
    /// The value of the header `Authorization`; empty if there is none.
    pub authorization: &'a [u8],
}

/// What somebody asks of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// Make an account, and log in.
    Register {
        /// Its name.
        name: Secret,
        /// Its password.
        password: Secret,
    },
    /// Log in.
    LogIn {
        /// The account's name.
        name: Secret,
        /// Its password.
        password: Secret,
    },
    /// Get a signed token for one file.
    AccessToken {
        /// The token of the login.
        refresh: Secret,
        /// The file.
        path: String,
        /// Whether to exchange the refresh token for another.
        rotate: bool,
    },
    /// End a login.
    Revoke {
        /// Its token.
        refresh: Secret,
    },
    /// Change a password.
    ChangePassword {
        /// The token of a login.
        refresh: Secret,
        /// Whose; one's own if missing.
        identity: Option<String>,
        /// The new one.
        password: Secret,
    },
    /// Look up a user.
    LookUp {
        /// The token of an administrator's login.
        refresh: Secret,
        /// How the user logs in.
        provider: String,
        /// The user's name there.
        name: Secret,
    },
}

/// Why a request is no call: what its answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotCall {
    code: ErrorCode,
    hint: Option<String>,
    allowed: Option<&'static str>,
}

type Read<T> = Result<T, NotCall>;

impl Call {
    /// Reads a request.
    ///
    /// # Errors
    /// What to answer, if it is not one.
    pub fn read(head: &Head<'_>, body: &[u8]) -> Result<Self, NotCall> {
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
                let rest = action.strip_prefix("//users/").or(action.strip_prefix("/users/"));
                let parts = rest.and_then(|rest| rest.split_once('/')).ok_or_else(not_found)?;
                allow(head, "GET")?;
                look_up(head, parts)
            }
        }
    }

    /// Returns the name that is tried, if this is an attempt to log in.
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

    /// Returns the token of the login it is made with, if it is made with one.
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

    /// Returns a word for it, for logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
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

impl NotCall {
    const fn new(code: ErrorCode) -> Self {
        Self { code, hint: None, allowed: None }
    }

    /// Returns the code of the answer.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// Returns the answer.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let refused = match self.allowed {
            Some(method) => Answer::method_not_allowed(method),
            None => Answer::refused(self.code),
        };
        self.hint.iter().fold(refused, |refused, hint| refused.with_hint(hint))
    }
}

const fn not_found() -> NotCall {
    NotCall::new(ErrorCode::NOT_FOUND)
}

fn allow(head: &Head<'_>, method: &'static str) -> Read<()> {
    if head.method == method {
        return Ok(());
    }
    Err(NotCall { allowed: Some(method), ..NotCall::new(ErrorCode::METHOD_NOT_ALLOWED) })
}

fn object(body: &[u8]) -> Read<Object> {
    if body.len() > BODY_BYTES_MAX {
        return Err(NotCall::new(ErrorCode::PAYLOAD_TOO_LARGE));
    }
    Object::read_strictly(body).ok_or_else(|| invalid("the body must be one JSON object in UTF-8"))
}

fn invalid(hint: impl Into<String>) -> NotCall {
    NotCall { hint: Some(hint.into()), ..NotCall::new(ErrorCode::INVALID_PARAMETERS) }
}

fn missing(key: &str) -> NotCall {
    let hint = Some(format!("`{key}` is missing"));
    NotCall { hint, ..NotCall::new(ErrorCode::MISSING_PARAMETERS) }
}

/// A text; `null` is as good as missing.
fn text<'a>(fields: Fields<'a>, key: &str) -> Read<&'a str> {
    if fields.is_null(key) {
        return Err(missing(key));
    }
    fields.string(key).ok_or_else(|| invalid(format!("`{key}` must be a text")))
}

/// A boolean, `false` if missing.
fn flag(fields: Fields<'_>, key: &str) -> Read<bool> {
    if fields.is_null(key) {
        return Ok(false);
    }
    fields.truth(key).ok_or_else(|| invalid(format!("`{key}` must be true or false")))
}

fn token(fields: Fields<'_>, key: &str) -> Read<Secret> {
    let value = text(fields, key)?;
    let is_short = value.len() <= TOKEN_BYTES_MAX;
    if is_short { Ok(value.into()) } else { Err(invalid(format!("`{key}` is too long"))) }
}

fn name(text: &str) -> Read<Secret> {
    let is_name = !text.is_empty() && text.len() <= NAME_BYTES_MAX;
    if is_name && !text.chars().any(char::is_control) {
        return Ok(text.into());
    }
    Err(invalid("a name has 1 to 255 bytes and no control characters"))
}

fn new_password(text: &str) -> Read<Secret> {
    if text.is_empty() || text.len() > PASSWORD_BYTES_MAX {
        return Err(invalid("a password has 1 to 1024 bytes"));
    }
    Ok(text.into())
}

fn authenticate(body: Fields<'_>) -> Read<Call> {
    match text(body, "provider")? {
        provider::PASSWORD => {
            let name = name(text(body, "data")?)?;
            let info = body.object("user_info").ok_or_else(|| missing("user_info"))?;
            let password = text(info, "password")?;
            if flag(info, "register")? {
                return Ok(Call::Register { name, password: new_password(password)? });
            }
            if password.len() > PASSWORD_BYTES_MAX {
                return Err(NotCall::new(ErrorCode::INVALID_CREDENTIALS));
            }
            Ok(Call::LogIn { name, password: password.into() })
        }
        provider::REALM => Ok(Call::AccessToken {
            refresh: token(body, "data")?,
            path: text(body, "path")?.to_owned(),
            rotate: flag(body, "rotate")?,
        }),
        _ => Err(invalid("this server takes the providers `password` and `realm`")),
    }
}

/// The token of the header; who sends none is nobody.
fn authorization(head: &Head<'_>) -> Read<Secret> {
    let value = std::str::from_utf8(head.authorization).unwrap_or_default();
    if value.is_empty() || value.len() > TOKEN_BYTES_MAX {
        return Err(NotCall::new(ErrorCode::EXPIRED_REFRESH_TOKEN));
    }
    Ok(value.into())
}

fn change_password(head: &Head<'_>, body: Fields<'_>) -> Read<Call> {
    let identity = match body.is_null("userId") {
        true => None,
        false => Some(text(body, "userId")?.to_owned()),
    };
    let password = new_password(text(body, "newPassword")?)?;
    Ok(Call::ChangePassword { refresh: authorization(head)?, identity, password })
}

fn look_up(head: &Head<'_>, (provider, id): (&str, &str)) -> Read<Call> {
    let provider = decoded(provider)?;
    let name = name(&decoded(id)?)?;
    Ok(Call::LookUp { refresh: authorization(head)?, provider, name })
}

/// Undoes percent-encoding of one part of a path.
fn decoded(part: &str) -> Read<String> {
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

    fn read(method: &str, target: &str, body: &str) -> Result<Call, i64> {
        let head = Head { method, target, authorization: b"tok" };
        Call::read(&head, body.as_bytes()).map_err(|refused| refused.code().number())
    }

    #[track_caller]
    fn refused(method: &str, target: &str, body: &str, code: i64) {
        assert_eq!(read(method, target, body), Err(code), "{method} {target} {body}");
    }

    #[test]
    fn what_the_client_asks_is_read_back() {
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
            let head = Head { method: request.method().word(), target: &target, authorization };
            Call::read(&head, request.body()).unwrap()
        };
        for create in [true, false] {
            let credentials =
                Credentials::username_password("é/b", Some("p\n".into()), create).unwrap();
            let Login::Ask(request) = server.login(&credentials) else { unreachable!() };
            let (name, password) = ("é/b".into(), "p\n".into());
            let expect = match create {
                true => Call::Register { name, password },
                false => Call::LogIn { name, password },
            };
            assert_eq!(read(&request), expect);
        }
        let refresh: Secret = "tok".into();
        let expect =
            Call::AccessToken { refresh: "tok".into(), path: "/~/x".to_owned(), rotate: false };
        assert_eq!(read(&server.access_token(&admin, "/~/x")), expect);
        assert_eq!(read(&server.revoke(&admin)), Call::Revoke { refresh: refresh.clone() });
        let identity = Some("u-7".to_owned());
        let expect =
            Call::ChangePassword { refresh: refresh.clone(), identity, password: "new".into() };
        assert_eq!(read(&server.change_password_of(&admin, "u-7", &"new".into()).unwrap()), expect);
        for name in ["bob", "é %41/?#", "a@b.c"] {
            let expect = Call::LookUp {
                refresh: refresh.clone(),
                provider: "password".to_owned(),
                name: name.into(),
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
        let head = Head { method: "POST", target: "/auth", authorization: b"" };
        for body in [&b"{\"provider\": \"\xff\"}"[..], b"\xff\xfe{", &[b'['; 10_000]] {
            assert_eq!(Call::read(&head, body).unwrap_err().code().number(), 601);
        }
        let long = vec![b' '; BODY_BYTES_MAX + 1];
        assert_eq!(Call::read(&head, &long).unwrap_err().code().number(), 413);
    }

    #[test]
    fn what_is_missing_or_not_valid_is_told_apart() {
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
            let head = Head { method: "PUT", target: "/auth/password", authorization };
            let answer = Call::read(&head, br#"{"newPassword": "n"}"#).unwrap_err();
            assert_eq!(answer.code().number(), 615);
        }
    }
}
