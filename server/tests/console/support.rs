//! An administrator who sends requests over HTTP.

use crate::login::support::{FOREVER, Host};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends one request, with headers that end their lines.
pub(crate) fn send(host: &Host, line: &str, (headers, body): (&str, &str)) -> Answer {
    let mut stream = TcpStream::connect(host.server.address()).unwrap();
    stream.set_read_timeout(Some(FOREVER)).unwrap();
    let length = body.len();
    let head = format!("{line} HTTP/1.0\r\nContent-Length: {length}\r\n{headers}\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// Sends a request of an administrator with a token.
pub(crate) fn administer(host: &Host, token: &str, request: &Value) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\n");
    send(host, "POST /admin", (&headers, &request.to_string()))
}

/// Logs in as the console does, and returns the refresh token.
pub(crate) fn log_in(host: &Host, name: &str, password: &str) -> String {
    let body = json!({ "provider": "password", "data": name, "app_id": "",
        "user_info": { "password": password, "register": false } });
    let answer = send(host, "POST /auth", ("", &body.to_string()));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["refresh_token"]["token"].as_str().unwrap().to_owned()
}

/// Logs in as the first administrator.
pub(crate) fn admin(host: &Host) -> String {
    log_in(host, "realm-admin", host.server.admin_secret().unwrap().expose())
}
