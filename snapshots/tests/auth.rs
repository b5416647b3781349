//! Reviewed texts of the login protocol: requests, tokens, errors. See docs/auth.md.

use fastness_auth::users::{Call, CallId, HttpOutcome, Input, Output, SessionId, UserId, Users};
use fastness_auth::{
    AuthError, AuthServer, AuthUrl, AuthUrlProblem, Backoff, Credentials, ErrorCode, InfoValue,
    Login, NetworkError, Permission, Refresher, Request, RequestError, Retry, Secret, Time, Token,
    TokenResponse, User, UserInfo, refresh, response,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The value of every secret, so that a leak is visible.
const SECRET: &str = "s3cret.Value";

fn token(is_admin: bool) -> Token {
    Token {
        value: SECRET.into(),
        identity: "ident-1".to_owned(),
        path: "/~/default".to_owned(),
        expires_seconds: 1_512_345_678,
        permissions: vec![Permission::Refresh, Permission::parse("Share")],
        is_admin,
    }
}

fn server() -> AuthServer {
    AuthServer::new("http://localhost:9080").unwrap().app_id(Some("com.example.app"))
}

fn custom() -> BTreeMap<String, InfoValue> {
    let list = vec![InfoValue::Null, 1.5.into(), f64::NAN.into(), SECRET.into()];
    let map = BTreeMap::from([("inner".to_owned(), InfoValue::from(true))]);
    let infos =
        [("list", InfoValue::List(list)), ("map", InfoValue::Map(map)), ("number", 7.into())];
    infos.into_iter().map(|(name, info)| (name.to_owned(), info)).collect()
}

fn credentials() -> Vec<Credentials> {
    let password = |password, create| Credentials::username_password("alice", password, create);
    vec![
        Credentials::facebook(SECRET).unwrap(),
        Credentials::google(SECRET).unwrap(),
        password(Some(SECRET.into()), true).unwrap(),
        password(Some("".into()), false).unwrap(),
        password(None, false).unwrap(),
        Credentials::custom(SECRET, "com.example.login", custom()).unwrap(),
        Credentials::access_token(SECRET, "ident-9", true),
        Credentials::debug(),
    ]
}

fn requests() -> Vec<Request> {
    let (mine, admin, password) = (token(false), token(true), Secret::from(SECRET));
    let nameless = AuthServer::at(AuthUrl::parse("https://h/custom/?tenant=1").unwrap());
    let logins = credentials().into_iter().map(|credentials| server().authenticate(&credentials));
    let others = [
        server().access_token(&mine, "/~/default"),
        server().revoke(&mine),
        server().revoke(&Token { value: "".into(), ..token(false) }),
        server().change_password(&mine, &password),
        server().change_password_of(&admin, "user-7", &password).unwrap(),
        server().look_up(&admin, "password", "bob@example.com").unwrap(),
        server().look_up(&admin, "pass/word", "né ?").unwrap(),
        nameless.clone().app_id(None).authenticate(&Credentials::debug()),
        nameless.revoke(&mine),
        nameless.look_up(&admin, "password", "bob").unwrap(),
    ];
    logins.chain(others).collect()
}

#[test]
fn requests_as_they_go_over_the_wire() {
    let mut text = String::new();
    for request in requests() {
        writeln!(text, "== {} {}", request.method(), request.url()).unwrap();
        writeln!(text, "{} {}", request.method(), request.target()).unwrap();
        for (name, value) in request.headers() {
            writeln!(text, "{name}: {value}").unwrap();
        }
        writeln!(text, "{}", std::str::from_utf8(request.body()).unwrap()).unwrap();
    }
    insta::assert_snapshot!("requests", text);
}

#[test]
fn tokens_and_users_as_they_are_written() {
    let user = User { url: AuthUrl::parse("http://localhost/auth").unwrap(), token: token(true) };
    let Login::Complete(at_once) = server().login(&credentials()[6]) else { panic!("it asks") };
    let jsons = [token(false).to_json(), user.to_json(), at_once.to_json()];
    insta::assert_snapshot!("written", jsons.each_ref().map(Secret::expose).join("\n"));
}

#[test]
fn every_code_with_its_name_and_category() {
    let mut text = String::new();
    for code in ErrorCode::all() {
        let (category, meaning) = (format!("{:?}", code.category()), code.description());
        writeln!(text, "{:>4} {:32} {category:11} {meaning}", code.number(), code.name()).unwrap();
    }
    insta::assert_snapshot!("codes", text);
}

fn failures() -> Vec<AuthError> {
    use NetworkError::{HostNotFound, Lost, Other, Refused, TimedOut, Tls};
    let url = server().url().clone();
    let answers: [(u16, &str); 10] = [
        (401, r#"{"title": "Wrong.", "hint": "Look at the name", "status": 401, "code": 611}"#),
        (401, r#"{"code": 611}"#),
        (404, r#"{"title": "Nobody", "status": 404, "code": 612}"#),
        (503, r#"{"status": 503}"#),
        (503, "<html>Service unavailable</html>"),
        (418, r#"{"status": 418}"#),
        (400, r#"{"code": 99999, "title": "new in version 9"}"#),
        (400, r#"{"code": "abc"}"#),
        (400, "{}"),
        (400, "{\"title\": \"two\\nlines \\u001b[31mred\", \"code\": 601}"),
    ];
    let answers = answers.map(|(status, body)| AuthError::from_response(status, body.as_bytes()));
    let bad = ["", "[]", "{}", r#"{"refresh_token": 7}"#, r#"{"refresh_token": {"token": "t"}}"#];
    let bad = bad.map(|body| response::login(&url, 200, body.as_bytes()).unwrap_err());
    let looked_up = response::look_up(200, br#"{"userId": "u", "isAdmin": 7, "metadata": {}}"#);
    let networks = [Refused, Lost, TimedOut, HostNotFound, Tls, Other].map(AuthError::from_network);
    let mut all = Vec::from(answers);
    all.extend(bad);
    all.push(looked_up.unwrap_err());
    all.push(Token::from_json(b"{}").unwrap_err());
    all.extend(networks);
    all
}

fn refusals() -> Vec<RequestError> {
    use AuthUrlProblem::{Character, Fragment, Host, Login, Port, Scheme};
    let addresses = [Scheme, Host, Port, Login, Fragment, Character].map(RequestError::Url);
    let others = [
        RequestError::Empty("user name"),
        RequestError::DotSegment("provider"),
        RequestError::NotAdmin,
        RequestError::NotLoggedIn,
        RequestError::MultipleUsers,
        RequestError::MalformedUser("no text `authUrl`"),
    ];
    addresses.into_iter().chain(others).collect()
}

#[test]
fn failures_and_refusals_say_what_happened() {
    let mut text = String::new();
    for error in failures() {
        let again = if error.is_retryable() { "again" } else { "not again" };
        writeln!(text, "{error}\n    {error:?}\n    {:?}, {again}", error.category()).unwrap();
    }
    for refusal in refusals() {
        writeln!(text, "{refusal}\n    {refusal:?}").unwrap();
    }
    insta::assert_snapshot!("failures", text);
}

/// Enums may grow: this test finds variants missing in the lists above.
#[test]
fn every_variant_of_failures_is_reviewed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/auth/src/error.rs");
    let source = std::fs::read_to_string(path).unwrap();
    let listed = format!("{:?} {:?}", failures(), refusals());
    for name in ["NetworkError", "RequestError", "AuthUrlProblem"] {
        let body = source.split(&format!("pub enum {name} {{\n")).nth(1).unwrap();
        let lines = body.split("\n}\n").next().unwrap().lines().map(str::trim);
        let variants: Vec<&str> = lines
            .filter(|line| line.starts_with(char::is_uppercase))
            .map(|line| line.split([',', '(']).next().unwrap())
            .collect();
        assert!(variants.len() > 1, "found no variants of {name}");
        for variant in variants {
            assert!(listed.contains(variant), "list `{name}::{variant}`");
        }
    }
}

/// Returns the debug output of all inputs and outputs of users.
fn users_printed() -> String {
    let mut users = Users::default();
    let (call, session) = (CallId(1), SessionId(1));
    let admin = UserId::of(&User { url: server().url().clone(), token: token(true) });
    let answer = format!(r#"{{"access_token": {}}}"#, token(false).to_json().expose());
    let logins = credentials().into_iter().map(|who| Call::LogIn(server().url().clone(), who));
    let calls = [
        Call::ChangePassword(admin.clone(), SECRET.into()),
        Call::ChangePasswordOf(admin.clone(), "bob".to_owned(), SECRET.into()),
    ];
    let mut inputs: Vec<Input> = logins.chain(calls).map(|what| Input::Call(call, what)).collect();
    inputs.push(Input::LogOut(UserId { identity: "ident-9".to_owned(), ..admin.clone() }));
    inputs.push(Input::Open(session, admin, "/~/default".to_owned()));
    let mut outputs = vec![Output::DeliverToken(session, token(false))];
    for input in inputs.clone() {
        users.handle(Time(0), input, &mut outputs);
    }
    let answer = HttpOutcome::new(200, answer.into_bytes());
    let inputs = inputs.iter().map(|input| format!("{input:?}\n"));
    let outputs = outputs.iter().map(|output| format!("{output:?}\n"));
    format!("{}{answer:?}\n{users:?}", inputs.chain(outputs).collect::<String>())
}

/// Debug output of everything that holds a secret.
#[test]
fn nothing_secret_is_printed() {
    let user = User { url: server().url().clone(), token: token(false) };
    let authenticated =
        TokenResponse { access_token: Some(token(false)), refresh_token: Some(token(true)) };
    let mut refresher = Refresher::new(Backoff::jittered(7));
    let mut outputs = vec![refresh::RefreshOutput::Deliver(token(false))];
    refresher.handle(Time(0), refresh::RefreshInput::Start, &mut outputs);
    let refresh::RefreshOutput::RequestToken(id) = outputs[1] else { panic!("nothing is asked") };
    let answer = refresh::RefreshInput::Response(id, Ok(token(false)));
    let info = InfoValue::from(SECRET);
    let login = server().login(&credentials()[6]);
    let mut text = String::new();
    writeln!(text, "{:#?}", Secret::from(SECRET)).unwrap();
    writeln!(text, "{info:#?}\n{:#?}\n{:#?}", credentials(), requests()[10]).unwrap();
    writeln!(text, "{:#?}\n{user:#?}\n{login:#?}\n{authenticated:#?}", server()).unwrap();
    writeln!(text, "{outputs:#?}\n{answer:#?}\n{refresher:#?}").unwrap();
    writeln!(text, "{:#?}", Retry::new(Time(0), Backoff::new())).unwrap();
    let metadata = BTreeMap::from([("mail".to_owned(), "bob@example.com".to_owned())]);
    let info = UserInfo { identity: "ident-1".to_owned(), is_admin: false, metadata };
    writeln!(text, "{info:#?}").unwrap();
    writeln!(text, "{}", users_printed()).unwrap();
    let short = format!("{:?} {user:?} {outputs:?} {answer:?}", requests());
    assert!(!text.contains(SECRET) && !short.contains(SECRET), "a secret is printed");
    assert!(!text.contains("alice"), "a name to log in with is printed");
    insta::assert_snapshot!("printed", text);
}
