//! Reviewed bytes of the login protocol: every answer of the server, and every request of our
//! client. See docs/server.md and docs/auth.md.

use fastness::{RandomSource, StoreOptions};
use fastness_auth::server::{Accounts, HashError, PasswordHasher, Policy, Rate, RateLimits};
use fastness_auth::{Credentials, Secret, Time};
use fastness_client::{Client, Config, Proxy};
use fastness_server::{Environment, Handler, HttpLimits};
use fastness_testkit::RepeatingRandom;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A hasher without hashing.
struct PlainHasher;

impl PasswordHasher for PlainHasher {
    fn hash(&self, password: &Secret, _: &[u8; 16]) -> Result<String, HashError> {
        Ok(password.expose().to_owned())
    }

    fn verify(&self, password: &Secret, hash: &str) -> bool {
        password.expose() == hash
    }
}

/// A server that allows three attempts per name.
struct WireServer {
    handler: Handler,
    admin: Secret,
    text: String,
}

impl WireServer {
    fn new(http: HttpLimits) -> Self {
        let entropy: Arc<dyn RandomSource> = Arc::new(RepeatingRandom::default());
        let store = StoreOptions::new().in_memory().unwrap();
        let accounts = Accounts::open(store, Arc::clone(&entropy), Policy::default()).unwrap();
        let admin = accounts.ensure_admin(&PlainHasher).unwrap().unwrap();
        let seldom = Rate { burst: 3, interval: Duration::from_secs(90) };
        let often = Rate { burst: 1000, interval: Duration::from_secs(1) };
        let environment = Environment {
            hasher: Arc::new(PlainHasher),
            hashing_threads: 0,
            clock: || Time(1_700_000_000_000),
            monotonic: || Time(1_700_000_000_000),
            limits: RateLimits { name: seldom, address: often, token: often, line: often },
            http,
            trusted_proxies: Vec::new(),
        };
        let handler = Handler::new(accounts, environment, &*entropy).unwrap();
        Self { handler, admin, text: String::new() }
    }

    /// Sends a request, records it with its answer, and returns the first token of the answer.
    fn ask(&mut self, line: &str, authorization: &str, body: &str) -> String {
        let header = match authorization {
            "" => String::new(),
            token => format!("Authorization: {token}\r\n"),
        };
        let body = body.replace('\'', "\"");
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nHost: h\r\n{header}Content-Length: {length}\r\n");
        self.send(&format!("{head}\r\n{body}"))
    }

    fn send(&mut self, request: &str) -> String {
        let pieces = [request.as_bytes().to_vec()];
        let answer = self.handler.serve_bytes(pieces, Duration::from_secs(60)).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let lines = answer.lines().map(|line| match line.split_once(": ") {
            Some(("date", _)) => "date: NOW",
            _ => line,
        });
        let answer = lines.collect::<Vec<_>>().join("\n");
        let request = request.replace("\r\n", "\n");
        let request = if request.len() > 2000 { &request[..200] } else { &request };
        self.text.push_str(&format!("== {}\n--\n{answer}\n\n", request.trim_end()));
        let (_, token) = answer.split_once("\"token\":\"").unwrap_or_default();
        token.split('"').next().unwrap_or_default().to_owned()
    }
}

const LOG_IN: &str = "{'provider': 'password', 'data': 'NAME', 'user_info': {'password': 'p'}}";
const REGISTER: &str =
    "{'provider': 'password', 'data': 'NAME', 'user_info': {'register': true, 'password': 'p'}}";

fn token_body(token: &str, rest: &str) -> String {
    format!("{{'provider': 'realm', 'data': '{token}'{rest}}}")
}

#[test]
fn answers_as_they_go_over_the_wire() {
    let mut host = WireServer::new(HttpLimits::default());
    let alice = host.ask("POST /auth", "", &REGISTER.replace("NAME", "alice"));
    host.ask("POST /auth", "", &REGISTER.replace("NAME", "alice"));
    host.ask("POST /auth/?query", "", &LOG_IN.replace("NAME", "alice"));
    for _ in 0..4 {
        host.ask("POST /auth", "", &LOG_IN.replace("NAME", "nobody"));
    }
    for rest in [", 'path': '/~/notes'", ", 'path': '/else/notes'", ", 'path': '/~/../x'", ""] {
        host.ask("POST /auth", "", &token_body(&alice, rest));
    }
    host.ask("POST /auth", "", &token_body("made-up", ", 'path': '/~/notes'"));
    for body in ["{}", "[]", "{'provider': 'debug'}", "{'provider': 7}"] {
        host.ask("POST /auth", "", body);
    }
    let secret = host.admin.expose().to_owned();
    let admin = LOG_IN.replace("NAME", "realm-admin").replace("'p'", &format!("'{secret}'"));
    let admin = host.ask("POST /auth", "", &admin);
    for (who, name) in [(&*admin, "alice"), (&admin, "nobody"), (&alice, "alice"), ("", "alice")] {
        host.ask(&format!("GET /auth//users/password/{name}"), who, "");
    }
    host.ask("GET /auth/users/password/%ff", &admin, "");
    host.ask("PUT /auth/password", &alice, "{'newPassword': 'q'}");
    host.ask("PUT /auth/password", &alice, "{'newPassword': ''}");
    host.ask("PUT /auth/password", &alice, "{'newPassword': 'q', 'userId': 'somebody'}");
    host.ask("PUT /auth/password", &admin, "{'newPassword': 'q', 'userId': 'nobody'}");
    host.ask("PUT /auth/password", "", "{'newPassword': 'q'}");
    let rotate = ", 'path': '/~/notes', 'rotate': true";
    let answer = host.ask("POST /auth", "", &token_body(&alice, rotate));
    let second = host.text.rsplit("\"refresh_token\":{\"token\":\"").next().unwrap();
    let second = second.split('"').next().unwrap().to_owned();
    assert_ne!(answer, second);
    host.ask("POST /auth", "", &token_body(&second, ", 'path': '/~/notes'"));
    host.ask("POST /auth", "", &token_body(&alice, ", 'path': '/~/notes'"));
    for _ in 0..2 {
        host.ask("POST /auth/revoke", "", &format!("{{'token': '{second}'}}"));
    }
    host.ask("GET /auth", "", "");
    host.ask("GET /elsewhere", "", "");
    host.ask("GET /health", "", "");
    host.ask("POST /health", "", "");
    host.ask("POST /auth", "", &" ".repeat(20_000));
    host.send("POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\n");
    host.send("POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{");
    host.send("hello\r\n\r\n");
    host.send(&format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(20_000)));
    insta::assert_snapshot!("answers", host.text);
}

/// Accepts a connection, and answers its requests with the given bodies.
fn listen(listener: &TcpListener, answers: &[&str]) -> Vec<String> {
    let mut sent = Vec::new();
    let (mut stream, _) = listener.accept().unwrap();
    for answer in answers {
        let mut bytes = Vec::new();
        let whole = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.to_ascii_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            (body.len() >= length).then_some(text)
        };
        let text = loop {
            if let Some(text) = whole(&bytes) {
                break text;
            }
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            assert!(count > 0, "the client ends the connection");
            bytes.extend_from_slice(&buffer[..count]);
        };
        sent.push(text);
        let length = answer.len();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all(format!("{head}{answer}").as_bytes()).unwrap();
    }
    sent
}

#[test]
fn requests_as_the_client_sends_them() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let token = |kind: &str, value: &str| {
            format!(
                r#""{kind}": {{"token": "{value}", "token_data":
                {{"identity": "7", "expires": 99999999999, "access": [], "is_admin": true}}}}"#
            )
        };
        let log_in = format!("{{{}}}", token("refresh_token", "first"));
        let exchange =
            format!("{{{}, {}}}", token("access_token", "a"), token("refresh_token", "second"));
        let found = r#"{"userId": "8", "isAdmin": false, "metadata": {}}"#;
        listen(&listener, &[&log_in, "", "", found, &exchange, ""])
    });
    let store = StoreOptions::new().in_memory().unwrap();
    let config = Config {
        proxy: Proxy::None,
        network_threads: 1,
        app_id: "com.example.app".to_owned(),
        rotate_after: Some(Duration::ZERO),
        ..Config::default()
    };
    let client = Client::open(store, config).unwrap();
    let credentials = Credentials::username_password("alice", Some("p".into()), false).unwrap();
    let user = client.log_in(&format!("http://{address}"), credentials).unwrap().id();
    client.change_password(&user, "q".into()).unwrap();
    client.change_password_of(&user, "8", "q".into()).unwrap();
    client.look_up(&user, "password", "bob@example.com").unwrap().unwrap();
    let session = client.session(&user, "/~/notes");
    session.recv().unwrap();
    client.log_out(&user).unwrap();
    let sent = server.join().unwrap().join("\n\n").replace("\r\n", "\n");
    insta::assert_snapshot!("sent", sent.replace(&address, "HOST:PORT"));
}
