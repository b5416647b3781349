//! Fuzzing of the login protocol: any bytes as an answer, as an address, or as a sequence of
//! events.
//!
//! - U1 Debug output does not depend on a secret.
//! - U2 Reading an answer is total.
//! - U4 A token and a user read back as they were written.
//! - U7 Every accepted address makes valid requests, and joins paths correctly.
//! - U9 At most one token request is in flight; an answer to any other changes nothing.
//! - U10 A token is renewed before it expires.
//! - U11 Renewal continues until it is stopped or refused permanently.
//!
//! Specified in docs/auth.md.

mod renewal;

use self::renewal::token;
use fastness_auth::{
    AuthError, AuthServer, AuthUrl, Credentials, ErrorCode, Request, Secret, Token, User, response,
};

/// Interprets the bytes as the first byte selects.
///
/// # Panics
/// If one of the promises above is violated.
pub fn auth(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    match first % 3 {
        0 => answers(rest),
        1 => addresses(rest),
        _ => renewal::renewal(rest),
    }
}

/// Returns the seed corpus.
///
/// # Panics
/// If U7 is violated.
#[must_use]
pub fn auth_seeds() -> Vec<Vec<u8>> {
    let text = token().to_json();
    let token_text = text.expose();
    let url = AuthUrl::parse("http://h/auth").expect("U7: it is an address");
    let user = User { url, token: token() }.to_json();
    let tokens = format!("{{\"access_token\": {token_text}, \"refresh_token\": {token_text}}}");
    let error = r#"{"title": "t", "hint": ["h"], "status": 401, "code": 611.5}"#;
    let info = r#"{"userId": "u", "isAdmin": "true", "metadata": {"a": "b", "c": null}}"#;
    let answer =
        |status: u16, body: &str| [&[0][..], &status.to_le_bytes(), body.as_bytes()].concat();
    let address = |text: &str| [&[1], text.as_bytes()].concat();
    let mut seeds = vec![
        answer(200, token_text),
        answer(200, &tokens),
        answer(200, info),
        answer(200, user.expose()),
        answer(401, error),
        answer(503, "<html>"),
        address("http://localhost:9080\npassword\nbob@example.com"),
        address("https://[::1]:9443/custom/?tenant=1\nfacebook\n\u{e9} /?#"),
        address("http://h/a//\n..\n."),
    ];
    seeds.extend(renewal::seeds().map(|plan| [&[2], &plan[..]].concat()));
    seeds
}

/// A status in two bytes, and a body for every parser.
fn answers(bytes: &[u8]) {
    let Some((status, body)) = bytes.split_first_chunk() else { return };
    let status = u16::from_le_bytes(*status);
    let url = AuthUrl::parse("http://h/auth").expect("U7: it is an address");
    let is_granted = (200..300).contains(&status);

    let failure = AuthError::from_response(status, body);
    failed(status, &failure);
    let authenticated = response::authenticate(status, body);
    if let Ok(authenticated) = &authenticated {
        assert!(is_granted, "U2: {status} grants something");
        let tokens = [&authenticated.access_token, &authenticated.refresh_token];
        tokens.into_iter().flatten().for_each(survives);
    }
    let outcomes = [
        authenticated.map(drop),
        response::login(&url, status, body).map(drop),
        response::access_token(status, body).map(drop),
        response::look_up(status, body).map(drop),
        response::change_password(status, body),
    ];
    for outcome in outcomes {
        match outcome {
            Ok(()) => assert!(is_granted, "U2: {status} grants something"),
            Err(error) if is_granted => {
                assert_eq!(error.code(), ErrorCode::JSON_EXCEPTION, "U2: {error:?}");
                failed(status, &error);
            }
            Err(error) => assert_eq!(error, failure, "U2: one answer, two errors"),
        }
    }
    let is_expired = failure.code() == ErrorCode::EXPIRED_REFRESH_TOKEN;
    assert_eq!(response::revoke(status, body).is_ok(), is_granted || is_expired, "U2: {failure:?}");

    if let Ok(token) = Token::from_json(body) {
        survives(&token);
    }
    if let Ok(user) = User::from_json(body) {
        survives(&user.token);
        let back = User::from_json(user.to_json().expose().as_bytes());
        let back = back.expect("U4: a user that was written can be read");
        assert_eq!((&back.url, &back.token), (&user.url, &user.token), "U4: a user has changed");
    }
}

fn failed(status: u16, error: &AuthError) {
    assert_eq!(error.status(), Some(status), "U2: {error:?}");
    let line = error.to_string();
    assert!(!line.contains(char::is_control), "U2: more than a line: {line:?}");
    assert!(line.starts_with(&error.code().to_string()), "U2: the code is missing: {line:?}");
    let code = ErrorCode::from_number(error.code().number());
    assert_eq!(code, error.code(), "U3: a number was lost");
    assert!(code.is_listed() || code.name() == "UNKNOWN", "U3: {code:?}");
}

fn survives(token: &Token) {
    let written = token.to_json();
    let back = Token::from_json(written.expose().as_bytes());
    assert_eq!(back.as_ref(), Ok(token), "U4: a token has changed");
    let other = Token { value: Secret::from("another"), ..token.clone() };
    assert_eq!(format!("{token:?}"), format!("{other:?}"), "U1: a secret shows");
    let years = i128::from(token.expires_seconds) * 1000;
    let clamped = years.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    assert_eq!(i128::from(token.expires().0), clamped, "U5: expiry does not saturate");
}

/// An address, a provider and an id, one per line.
fn addresses(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let (address, provider, id) = (line(), line(), line());
    let Ok(url) = AuthUrl::parse(address) else {
        assert!(AuthServer::new(address).is_err(), "U7: {address:?} is an address and is not");
        return;
    };
    assert_eq!(url.as_str(), address, "U7: an address has changed");
    let server = AuthServer::new(address).expect("U7: an address can be logged in at");
    assert!(!server.url().path().is_empty(), "U7: a login has no path");
    let server = AuthServer::at(url.clone());
    sendable(&url, &server.authenticate(&Credentials::debug()));
    let revoke = server.revoke(&token());
    sendable(&url, &revoke);
    let slashes = |text: &str| text.matches("//").count();
    assert_eq!(slashes(revoke.url()), slashes(address), "U7: {address:?} {revoke:?}");
    assert!(revoke.url().contains("/revoke"), "U7: {revoke:?}");
    let Ok(look_up) = server.look_up(&token(), provider, id) else {
        let is_dots = |text| ["", ".", ".."].contains(&text);
        assert!(is_dots(provider) || is_dots(id), "U7: {provider:?} {id:?} is refused");
        return;
    };
    sendable(&url, &look_up);
    let target = look_up.target();
    let path = target.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.rsplit('/').take(4).collect();
    assert_eq!((parts[2], parts[3]), ("users", ""), "U7: {target:?}");
    assert_eq!(decoded(parts[1]), provider.as_bytes(), "U7: {target:?}");
    assert_eq!(decoded(parts[0]), id.as_bytes(), "U7: {target:?}");
}

/// Checks that no input byte breaks the request line or the headers.
fn sendable(url: &AuthUrl, request: &Request) {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    assert!(is_plain(request.url()), "U7: {request:?}");
    assert!(request.target().starts_with('/'), "U7: {request:?}");
    let base = url.as_str().split('?').next().unwrap_or_default();
    assert!(request.url().starts_with(base), "U7: {request:?} lost a part of {base:?}");
    let has_query = url.as_str().contains('?');
    assert_eq!(request.url().contains('?'), has_query, "U7: {request:?}");
}

fn decoded(part: &str) -> Vec<u8> {
    let mut pieces = part.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (hex, rest) = piece.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).expect("U7: two digits follow a per cent sign"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}
