//! Vectors that realm-java's own classes computed: requests and errors.
//!
//! - U3 The code of an error is `code`, else `status`, else UNKNOWN; unlisted numbers are
//!   preserved.
//! - U4 A token reads back as it was written.
//! - U6 A request equals the one of the original client.

use fastness_auth::server::{ApiRequest, LookUpForm, RequestHead};
use fastness_auth::{
    AuthError, AuthServer, Category, Credentials, ErrorCode, Permission, Request, Token, response,
};
use serde_json::Value;

fn rows(text: &str) -> Vec<Value> {
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() > 10, "the vectors are missing");
    rows
}

/// Returns the name of a category in the original.
fn category(error: &AuthError) -> &'static str {
    match error.category() {
        Category::Fatal => "FATAL",
        Category::Recoverable => "RECOVERABLE",
    }
}

#[test]
fn every_error_of_the_original_is_read_alike() {
    for row in rows(include_str!("vectors/errors.jsonl")) {
        let status = u16::try_from(row["http_status"].as_u64().unwrap()).unwrap();
        let body = row["body"].as_str().unwrap();
        let error = AuthError::from_response(status, body.as_bytes());
        assert_eq!(error.status(), Some(status), "{row}");
        assert_eq!(response::change_password(status, body.as_bytes()), Err(error.clone()), "{row}");
        if row.get("realm_java").is_some() {
            // The original throws; we keep the number that `code`, else `status`, has.
            let json: Value = serde_json::from_str(body).unwrap();
            let number = json.get("code").or_else(|| json.get("status")).unwrap();
            assert_eq!(error.code().number(), number.as_i64().unwrap(), "{row}");
            assert_eq!((error.code().name(), category(&error)), ("UNKNOWN", "FATAL"), "{row}");
            assert!(!error.code().is_listed(), "{row}");
            continue;
        }
        assert_eq!(error.code().number(), row["code"].as_i64().unwrap(), "{row}");
        assert_eq!(error.code().name(), row["name"].as_str().unwrap(), "{row}");
        assert_eq!(category(&error), row["category"].as_str().unwrap(), "{row}");
        match row.get("message") {
            Some(message) => assert_eq!(error.message(), message.as_str(), "{row}"),
            None => {
                assert_eq!(error.code(), ErrorCode::JSON_EXCEPTION, "{row}");
                assert!(error.message().unwrap().contains(&status.to_string()), "{row}");
            }
        }
    }
}

fn token() -> Token {
    Token {
        value: "tok.en-1".into(),
        identity: "ident-1".to_owned(),
        path: "/~/default".to_owned(),
        expires_seconds: 1_512_345_678,
        permissions: Permission::KNOWN.to_vec(),
        is_admin: false,
    }
}

fn password(name: &str, password: &str, create: bool) -> Credentials {
    Credentials::username_password(name, Some(password.into()), create).unwrap()
}

/// The request that a row is about.
fn request(name: &str) -> Request {
    let server = AuthServer::new("http://localhost:9080").unwrap();
    let server = server.app_id(Some("io.realm.oracle"));
    let admin = Token { is_admin: true, ..token() };
    match name {
        "login_register" => server.authenticate(&password("alice", "s3cret", true)),
        "login" => server.authenticate(&password("alice", "s3cret", false)),
        "login_escapes" => {
            server.authenticate(&password("al\"i\\c/eé\u{2028}", "p\n\t\u{1}", true))
        }
        "login_facebook" => server.authenticate(&Credentials::facebook("fbtoken").unwrap()),
        "login_google" => server.authenticate(&Credentials::google("gtoken").unwrap()),
        "login_access_token" => {
            server.authenticate(&Credentials::access_token("at", "ident-9", false))
        }
        "login_access_token_admin" => {
            server.authenticate(&Credentials::access_token("at", "ident-9", true))
        }
        "refresh" => server.access_token(&token(), "/~/default"),
        "realm_login" => server.access_token(&token(), "/ident-1/sub/default"),
        "revoke" => server.revoke(&token()),
        "change_password" => server.change_password(&token(), &"new pass".into()),
        "change_password_admin" => {
            server.change_password_of(&admin, "user-7", &"new pass".into()).unwrap()
        }
        other => panic!("no request for the row `{other}`; add it"),
    }
}

#[test]
fn every_request_of_the_original_is_made_alike() {
    for row in rows(include_str!("vectors/requests.jsonl")) {
        let name = row["name"].as_str().unwrap();
        if name == "token" {
            let written: Value = serde_json::from_str(token().to_json().expose()).unwrap();
            assert_eq!(written, row["json"]);
            assert_eq!(Token::from_json(row["json"].to_string().as_bytes()), Ok(token()));
            continue;
        }
        let body: Value = serde_json::from_slice(request(name).body()).unwrap();
        assert_eq!(body, row["json"], "{name}");
    }
}

#[test]
fn both_forms_of_released_clients_are_distinguished() {
    for row in rows(include_str!("vectors/released.jsonl")) {
        let body = if row["json"].is_null() { String::new() } else { row["json"].to_string() };
        let text = |key: &str| row[key].as_str().unwrap();
        let (method, target) = (text("method"), text("target"));
        let head = RequestHead { method, target, authorization: b"tok" };
        let found = match ApiRequest::decode(&head, body.as_bytes()) {
            Err(refused) => serde_json::json!({ "code": refused.code().number() }),
            Ok(ApiRequest::ChangePassword { identity, password, .. }) => {
                serde_json::json!({ "identity": identity, "password": password.expose() })
            }
            Ok(ApiRequest::LookUp { name, form, .. }) => {
                let form = match form {
                    LookUpForm::OneSlash => "one slash",
                    LookUpForm::TwoSlashes => "two slashes",
                };
                serde_json::json!({ "name": name.expose(), "form": form })
            }
            Ok(other) => panic!("{row}: {other:?}"),
        };
        assert_eq!(found, row["expect"], "{row}");
    }
}

#[test]
fn tokens_of_odd_types_are_read_as_the_original_does() {
    let read = |token: &str, identity: &str| {
        let data = format!(r#"{{"identity": {identity}, "expires": 1, "access": []}}"#);
        let text = format!(r#"{{"token": {token}, "token_data": {data}}}"#);
        let token = Token::from_json(text.as_bytes()).ok()?;
        Some((token.value.expose().to_owned(), token.identity))
    };
    let pair = |token: &str, identity: &str| Some((token.to_owned(), identity.to_owned()));
    assert_eq!(read("5", "true"), pair("5", "true"));
    assert_eq!(read("-1.5", "9007199254740993"), pair("-1.5", "9007199254740993"));
    assert_eq!(read("false", "\"i\""), pair("false", "i"));
    for odd in ["null", "[]", "{}"] {
        assert_eq!(read(odd, "1"), None);
        assert_eq!(read("1", odd), None);
    }
}
