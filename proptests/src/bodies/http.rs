//! Fuzzing of the server over a whole connection, without a network.
//!
//! - H3 H4 H8 Accounts whose tokens are not in the input are unchanged, and a revoked token stays
//!   revoked.
//! - H10 No answer contains a secret of the server.
//! - H11 Any bytes get complete answers in order, or a closed connection, independently of their
//!   segmentation.

use super::server::{NEXT, NOW, PlainHasher, TestServer, run};
use fastness_auth::server::{ApiRequest, RateLimits};
use fastness_auth::{AuthError, ErrorCode, Secret, response};
use fastness_server::{Environment, Handler, HttpLimits};
use fastness_sim::entropy::SimEntropy;
use std::sync::Arc;
use std::time::Duration;

/// Placeholder in a head for the length of its body.
const LENGTH: u8 = 0x15;

/// Timeout; never reached, because nothing here waits.
const TIMEOUT: Duration = Duration::from_secs(20);

const PASSWORD: &str = "nobody-guesses-this";

/// All headers that the server may send.
const HEADERS: [&str; 8] = [
    "allow",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "date",
    "retry-after",
    "x-request-id",
];

/// The status and body of an answer.
type ParsedAnswer = (u16, Vec<u8>);

/// Sends bytes to a server with a user, an administrator, and a user without a token in the input.
/// Placeholder bytes become tokens.
///
/// # Panics
/// If a promise is violated.
pub fn http(bytes: &[u8]) {
    let Some((cut, rest)) = bytes.split_first() else { return };
    let whole = HttpHarness::new();
    let sent = whole.fill_placeholders(rest);
    let found = whole.check_answers(&whole.answers(vec![sent.clone()]));
    whole.audit(rest.contains(&0x12));
    let pieces = sent.chunks(usize::from(*cut % 64) + 1).map(<[u8]>::to_vec).collect();
    let harness = HttpHarness::new();
    let other = harness.check_answers(&harness.answers(pieces));
    // An unread body may end the connection, depending on its arrival.
    let count = found.len().min(other.len());
    assert_eq!(found[..count], other[..count], "H11: pieces change an answer");
}

struct HttpHarness {
    test_server: TestServer,
    handler: Handler,
    hidden: Secret,
}

impl HttpHarness {
    fn new() -> Self {
        // Two equal instances, because the handler consumes one.
        let (test_server, served) = (TestServer::new(), TestServer::new());
        let (name, password) = (Secret::from("carol"), Secret::from(PASSWORD));
        let answer = run(&served.accounts, ApiRequest::Register { name, password });
        let login = response::authenticate(answer.status(), answer.body()).ok();
        let hidden = login.and_then(|login| login.refresh_token).expect("H12: the name is free");
        let environment = Environment {
            hasher: Arc::new(PlainHasher),
            hashing_threads: 0,
            clock: || NOW,
            monotonic: || NOW,
            limits: RateLimits::default(),
            http: HttpLimits::default(),
            trusted_proxies: Vec::new(),
        };
        let handler = Handler::new(served.accounts, environment, &SimEntropy::new(2));
        let handler = handler.expect("H11: simulated entropy does not fail");
        Self { test_server, handler, hidden: hidden.value }
    }

    /// Replaces placeholders by tokens and body lengths.
    fn fill_placeholders(&self, bytes: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        for request in bytes.split(|byte| *byte == NEXT) {
            let request = self.test_server.fill_placeholders(request);
            let end = request.windows(4).position(|four| four == b"\r\n\r\n");
            let (head, body) = request.split_at(end.map_or(request.len(), |end| end + 4));
            for byte in head {
                match *byte {
                    LENGTH => sent.extend_from_slice(body.len().to_string().as_bytes()),
                    byte => sent.push(byte),
                }
            }
            sent.extend_from_slice(body);
        }
        sent
    }

    fn answers(&self, pieces: Vec<Vec<u8>>) -> Vec<u8> {
        self.handler.serve_bytes(pieces, TIMEOUT).expect("H11: the connection ends")
    }

    /// Parses all answers; the bytes must end with the last one.
    fn check_answers(&self, mut bytes: &[u8]) -> Vec<ParsedAnswer> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            let (head, rest) = bytes.split_at(end.expect("H11: a head is whole") + 4);
            let head = std::str::from_utf8(head).expect("H11: a head is text").trim_end();
            let (status, length) = read_head(head);
            // An answer to HEAD has a length but no body.
            let has_body = !rest.is_empty() && !rest.starts_with(b"HTTP/1.");
            let (body, rest) = rest
                .split_at_checked(if has_body { length } else { 0 })
                .expect("H11: a body is whole");
            self.check_body(status, head, body);
            // The answer 100 depends on the arrival of the body.
            if status != 100 {
                // For a head that is malformed and too large, the library reports the first problem
                // it finds.
                let is_no_http = status == 431 && body.is_empty();
                // Metrics contain durations.
                let body = if body.starts_with(b"# HELP ") { &[][..] } else { body };
                found.push((if is_no_http { 400 } else { status }, body.to_vec()));
            }
            bytes = rest;
        }
        found
    }

    fn check_body(&self, status: u16, head: &str, body: &[u8]) {
        assert!(status < 500 || status == 503, "H9: the server fails: {head}");
        if body.is_empty() || head.contains("text/plain") {
            return;
        }
        let read = AuthError::from_response(status, body);
        assert_ne!(read.code(), ErrorCode::JSON_EXCEPTION, "H9: the client cannot read {head}");
        for secret in [PASSWORD, self.hidden.expose()] {
            let is_in = body.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_in, "H10: an answer contains a secret of another user");
        }
    }

    /// Requests a token on a connection of its own; returns the status.
    fn status_of(&self, refresh: &Secret) -> u16 {
        let body = format!(r#"{{"provider":"realm","data":"{}","path":"/~/x"}}"#, refresh.expose());
        let head = format!("POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n", body.len());
        let answers = self.answers(vec![format!("{head}\r\n{body}").into_bytes()]);
        self.check_answers(&answers).first().map_or(0, |(status, _)| *status)
    }

    /// Checks the unreachable accounts, unless the input has the administrator's token.
    fn audit(&self, has_admin: bool) {
        assert_eq!(self.status_of(&self.test_server.revoked.value), 401, "H3: it was revoked");
        if !has_admin {
            assert_eq!(
                self.status_of(&self.hidden),
                200,
                "H4 H5: the request did not contain this token"
            );
            let admin = self.status_of(&self.test_server.admin.value);
            assert_eq!(admin, 200, "H4 H8: the request did not contain the administrator's token");
        }
    }
}

/// Parses the head of an answer: status and body length.
fn read_head(head: &str) -> (u16, usize) {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    assert!(first.starts_with("HTTP/1.1 ") || first.starts_with("HTTP/1.0 "), "H11: {first}");
    let status = first.get(9..12).and_then(|status| status.parse().ok());
    let mut length = 0;
    for line in lines {
        let (name, value) = line.split_once(": ").expect("H11: a header has a name");
        assert!(HEADERS.contains(&name), "H11: an injected header: {line}");
        if name == "content-length" {
            length = value.parse().expect("H11: a length is a number");
        }
    }
    (status.expect("H11: a status is a number"), length)
}

/// Returns the seed corpus: valid requests, malformed ones, and several in one connection.
#[must_use]
pub fn http_seeds() -> Vec<Vec<u8>> {
    let with_body = |line: &str, body: &str| {
        format!("{line}\r\nHost: h\r\nContent-Length: \x15\r\n\r\n{body}").into_bytes()
    };
    let bare = |head: &str| format!("{head}\r\n\r\n").into_bytes();
    let log_in = r#"{"provider":"password","data":"alice","user_info":{"password":"pw"}}"#;
    let register =
        r#"{"provider":"password","data":"bob","user_info":{"password":"p","register":true}}"#;
    let token = "{\"provider\":\"realm\",\"data\":\"\x11\",\"path\":\"/~/x\"}";
    let rotate = "{\"provider\":\"realm\",\"data\":\"\x11\",\"path\":\"/~/x\",\"rotate\":true}";
    let requests = [
        with_body("POST /auth HTTP/1.1", log_in),
        with_body("POST /auth HTTP/1.1", register),
        with_body("POST /auth HTTP/1.1", token),
        with_body("POST /auth HTTP/1.1", rotate),
        with_body("POST /auth/revoke HTTP/1.1", "{\"token\":\"\x11\"}"),
        with_body("PUT /auth/password HTTP/1.1\r\nAuthorization: \x11", "{\"newPassword\":\"n\"}"),
        bare("GET /auth//users/password/alice HTTP/1.1\r\nHost: h\r\nAuthorization: \x12"),
        bare("GET /health HTTP/1.1\r\nHost: h"),
        bare("HEAD /health HTTP/1.0"),
        bare("DELETE /auth HTTP/1.1\r\nConnection: close"),
        bare("POST /auth HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"),
        bare("POST /auth HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0"),
        bare("POST /auth HTTP/1.1\r\nContent-Length: 99999999"),
        bare("CONNECT h:80 HTTP/1.1\r\nHost: h"),
    ];
    let mut seeds: Vec<Vec<u8>> = requests.to_vec();
    seeds.push(requests.join(&NEXT));
    seeds.into_iter().zip(0_u8..).map(|(seed, cut)| [&[cut][..], &seed].concat()).collect()
}
