//! Any bytes as a connection to the server: the whole way from the bytes that come in to those that
//! go out, without a network.
//!
//! - H3 H4 H8 Whose tokens nobody has stays as it was, and what was revoked stays revoked.
//! - H10 No answer holds what only the server knows.
//! - H11 Any bytes get answers that are whole and in order, or an end; how they are cut into pieces
//!   on the way changes none of them.

use super::server::{Clear, Host, NEXT, NOW, run};
use fastness_auth::server::{Call, Limits};
use fastness_auth::{AuthError, ErrorCode, Secret, answer};
use fastness_server::{Handler, HttpLimits, Surroundings};
use fastness_sim::entropy::SimEntropy;
use std::sync::Arc;
use std::time::Duration;

/// Stands in a head for the length of its body.
const LENGTH: u8 = 0x15;

/// Nothing here waits for anything, so this is never reached.
const PATIENCE: Duration = Duration::from_secs(20);

const PASSWORD: &str = "nobody-guesses-this";

/// The only headers that there are.
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

/// An answer: its status and its body.
type Found = (u16, Vec<u8>);

/// Sends bytes to a server that knows a user and an administrator, whose tokens are put in where
/// bytes stand for them, and a user whom nobody knows.
///
/// # Panics
/// If a promise is broken.
pub fn http(bytes: &[u8]) {
    let Some((cut, rest)) = bytes.split_first() else { return };
    let whole = Bench::new();
    let sent = whole.filled(rest);
    let found = whole.judge(&whole.answers(vec![sent.clone()]));
    whole.audit(rest.contains(&0x12));
    let pieces = sent.chunks(usize::from(*cut % 64) + 1).map(<[u8]>::to_vec).collect();
    let bench = Bench::new();
    let other = bench.judge(&bench.answers(pieces));
    // A body that nobody reads may end the connection, if it is not there at once.
    let count = found.len().min(other.len());
    assert_eq!(found[..count], other[..count], "H11: pieces change an answer");
}

struct Bench {
    host: Host,
    handler: Handler,
    hidden: Secret,
}

impl Bench {
    fn new() -> Self {
        // Two of the same, since one serves; nothing is drawn by chance.
        let (host, served) = (Host::new(), Host::new());
        let (name, password) = (Secret::from("carol"), Secret::from(PASSWORD));
        let answer = run(&served.accounts, Call::Register { name, password });
        let login = answer::authenticate(answer.status(), answer.body()).ok();
        let hidden = login.and_then(|login| login.refresh_token).expect("H12: the name is free");
        let surroundings = Surroundings {
            hasher: Arc::new(Clear),
            hashing_threads: 0,
            clock: || NOW,
            limits: Limits::default(),
            http: HttpLimits::default(),
        };
        let handler = Handler::new(served.accounts, surroundings, &SimEntropy::new(2));
        let handler = handler.expect("H11: simulated entropy does not fail");
        Self { host, handler, hidden: hidden.value }
    }

    /// Puts tokens in, and lengths of bodies where heads ask for them.
    fn filled(&self, bytes: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        for request in bytes.split(|byte| *byte == NEXT) {
            let request = self.host.filled(request);
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
        self.handler.answer_all(pieces, PATIENCE).expect("H11: the connection ends")
    }

    /// Reads answers to their end, which must be that of the last.
    fn judge(&self, mut bytes: &[u8]) -> Vec<Found> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            let (head, rest) = bytes.split_at(end.expect("H11: a head is whole") + 4);
            let head = std::str::from_utf8(head).expect("H11: a head is text").trim_end();
            let (status, length) = read_head(head);
            // The answer to HEAD has the length of a body that does not follow.
            let has_body = !rest.is_empty() && !rest.starts_with(b"HTTP/1.");
            let (body, rest) = rest
                .split_at_checked(if has_body { length } else { 0 })
                .expect("H11: a body is whole");
            self.judge_body(status, head, body);
            // Whether somebody is told to go on depends on what is there already.
            if status != 100 {
                // A head that is broken, and too large: the library says what it finds first.
                let is_no_http = status == 431 && body.is_empty();
                found.push((if is_no_http { 400 } else { status }, body.to_vec()));
            }
            bytes = rest;
        }
        found
    }

    fn judge_body(&self, status: u16, head: &str, body: &[u8]) {
        assert!(status < 500 || status == 503, "H9: the server fails: {head}");
        if body.is_empty() || head.contains("text/plain") {
            return;
        }
        let read = AuthError::from_answer(status, body);
        assert_ne!(read.code(), ErrorCode::JSON_EXCEPTION, "H9: the client cannot read {head}");
        for secret in [PASSWORD, self.hidden.expose()] {
            let is_in = body.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!is_in, "H10: an answer holds a secret of somebody else");
        }
    }

    /// Asks, in a connection of its own, for a token with a refresh token.
    fn status_of(&self, refresh: &Secret) -> u16 {
        let body = format!(r#"{{"provider":"realm","data":"{}","path":"/~/x"}}"#, refresh.expose());
        let head = format!("POST /auth HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n", body.len());
        let answers = self.answers(vec![format!("{head}\r\n{body}").into_bytes()]);
        self.judge(&answers).first().map_or(0, |(status, _)| *status)
    }

    /// Looks what became of those whom nobody could reach; an administrator reaches everybody.
    fn audit(&self, has_admin: bool) {
        assert_eq!(self.status_of(&self.host.revoked.value), 401, "H3: it was revoked");
        if !has_admin {
            assert_eq!(self.status_of(&self.hidden), 200, "H4 H5: nobody had this token");
            let admin = self.status_of(&self.host.admin.value);
            assert_eq!(admin, 200, "H4 H8: nobody had the administrator's token");
        }
    }
}

/// Reads the head of an answer: its status, and the length of its body.
fn read_head(head: &str) -> (u16, usize) {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    assert!(first.starts_with("HTTP/1.1 ") || first.starts_with("HTTP/1.0 "), "H11: {first}");
    let status = first.get(9..12).and_then(|status| status.parse().ok());
    let mut length = 0;
    for line in lines {
        let (name, value) = line.split_once(": ").expect("H11: a header has a name");
        assert!(HEADERS.contains(&name), "H11: somebody put in a header: {line}");
        if name == "content-length" {
            length = value.parse().expect("H11: a length is a number");
        }
    }
    (status.expect("H11: a status is a number"), length)
}

/// What the fuzzer begins with: requests as they are made, slightly wrong, and several at once.
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
