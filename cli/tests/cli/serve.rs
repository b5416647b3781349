//! `fastness serve` as a process: what its document says, and what it loses when it is killed.

use super::{Bench, alone, command, ran, start};
use fastness_server::auth::Request;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DOCUMENT: &str = include_str!("../../../docs/auth.md");

/// A server, killed when dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    secret: Option<String>,
}

/// Sends a request; `None` if the server ends before it has answered whole.
pub(crate) fn sent(request: &Request) -> Option<(u16, Vec<u8>)> {
    let host = request.url().split('/').nth(2).unwrap();
    let mut stream = TcpStream::connect(host).ok()?;
    let mut head =
        format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", request.method(), request.target());
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = request.body().len();
    let head = format!("{head}Connection: close\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), request.body()].concat()).ok()?;
    read(&mut stream)
}

/// Reads an answer to its end.
fn read(stream: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let body = answer.split_off(end + 4);
    (body.len() == length.parse::<usize>().unwrap()).then(|| (head[9..12].parse().unwrap(), body))
}

impl Served {
    pub(crate) fn start(data: &Path) -> Self {
        let mut command = command(&[&"serve", &"--data", &data, &"--listen", &"127.0.0.1:0"]);
        command.args(["--attempts", "1000000"]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = {
            let _alone = alone();
            command.spawn().unwrap()
        };
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || said.next().unwrap().unwrap();
        let first = line();
        let (secret, listening) = match first.strip_prefix("realm-admin may log in with ") {
            Some(secret) => (Some(secret.to_owned()), line()),
            None => (None, first),
        };
        let url = listening.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, url, secret }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// Matches a line against a pattern in which words in capitals stand for any text, the same each
/// time; `known` keeps which.
fn matches(pattern: &str, line: &str, known: &mut BTreeMap<String, String>) -> bool {
    let is_word = |letter: char| letter.is_ascii_uppercase();
    let Some(at) = pattern.find(is_word) else { return pattern == line };
    let (head, rest) = pattern.split_at(at);
    let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    let Some(line) = line.strip_prefix(head) else { return false };
    // `isAdmin` and the like are no words: those have four letters at least.
    if word.len() < 4 {
        return line.strip_prefix(word).is_some_and(|line| matches(rest, line, known));
    }
    if let Some(value) = known.get(word).cloned() {
        return line.strip_prefix(&*value).is_some_and(|line| matches(rest, line, known));
    }
    let end = line.find(['"', ',', '}', '/']).unwrap_or(line.len());
    let (value, line) = line.split_at(end);
    known.insert(word.to_owned(), value.to_owned());
    matches(rest, line, known)
}

#[test]
fn the_document_says_what_curl_is_answered() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "install curl: CI holds docs/auth.md with it");
        return;
    }
    let bench = Bench::new();
    let served = Served::start(&bench.path("accounts"));
    let mut known = BTreeMap::from([("SECRET".to_owned(), served.secret.clone().unwrap())]);
    let lines: Vec<&str> = DOCUMENT.lines().collect();
    let mut count = 0;
    for pair in lines.windows(2).filter(|pair| pair[0].starts_with("$ curl ")) {
        let mut line = pair[0][2..].replace("http://127.0.0.1:9080", &served.url);
        for (word, value) in &known {
            line = line.replace(word, value);
        }
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(matches(pair[1], said.trim_end(), &mut known), "{line}\n{said}\n{}", pair[1]);
        count += 1;
    }
    assert_eq!(count, 10, "{known:?}");
}

#[test]
fn words_in_capitals_stand_for_one_text() {
    let check = |pattern, line| matches(pattern, line, &mut BTreeMap::new());
    assert!(check("{\"a\":\"WORD\",\"b\":WORD}", "{\"a\":\"x\",\"b\":x}"));
    assert!(!check("{\"a\":\"WORD\",\"b\":WORD}", "{\"a\":\"x\",\"b\":y}"));
    assert!(check("isAdmin", "isAdmin") && !check("isAdmin", "isadmin"));
}

#[test]
fn a_server_that_is_asked_to_stop_ends_well_and_keeps_the_secret_back() {
    let bench = Bench::new();
    let data = bench.path("accounts");
    let mut served = Served::start(&data);
    assert!(served.secret.is_some());
    served.signal("-TERM");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    let again = Served::start(&data);
    assert_ne!(again.secret, served.secret, "printed once more, and another one: nobody used it");
}

#[test]
fn what_keeps_a_server_from_starting_is_told() {
    let bench = Bench::new();
    let serve = |arguments: &[&dyn AsRef<std::ffi::OsStr>]| {
        let data = bench.path("accounts");
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"serve", &"--data", &data];
        all.extend(arguments);
        ran(start(&mut command(&all)))
    };
    let served = Served::start(&bench.path("other"));
    let taken = served.url.strip_prefix("http://").unwrap();
    let said = serve(&[&"--listen", &taken]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("cannot listen at"), "{}", said.err);
    let certificate = bench.path("no.pem");
    let said = serve(&[&"--tls-cert", &certificate, &"--tls-key", &certificate]);
    assert_eq!(said.code, 4);
    assert!(said.err.contains("no.pem: cannot be used for TLS"), "{}", said.err);
    assert_eq!(serve(&[&"--tls-cert", &certificate]).code, 2);
    assert_eq!(serve(&[&"--access-token-ttl", &"0"]).code, 2);
    let busy = ran(start(&mut command(&[&"serve", &"--data", &bench.path("other")])));
    assert_eq!(busy.code, 4, "one server for each folder: {}", busy.err);
}

#[test]
fn a_test_server_is_started_and_killed_on_request() {
    let bench = Bench::new();
    // Free until somebody else takes it, which would be told as a failure.
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let log = bench.path("log");
    let mut command = command(&[&"test-server", &log, &"--control", &"127.0.0.1:0"]);
    command.args(["--listen", &listen, "--health-attempts", "300"]).stdout(Stdio::piped());
    let mut child = {
        let _alone = alone();
        command.spawn().unwrap()
    };
    let mut said = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let control = said.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let get = |address: &str, path: &str| {
        let mut stream = TcpStream::connect(address).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (status, body) = read(&mut stream).unwrap();
        Some((status, String::from_utf8(body).unwrap()))
    };
    let ask = |path| get(&control, path).unwrap();
    assert_eq!(ask("/stop"), (500, "Stopping failed: no server is running\n".to_owned()));
    for _ in 0..2 {
        let (status, text) = ask("/start");
        assert_eq!(status, 200, "{text}");
        assert!(text.starts_with("Server started\nrealm-admin may log in with "), "{text}");
        assert_eq!(get(&listen, "/health").unwrap().0, 200);
        let (status, text) = ask("/start");
        assert_eq!(status, 500);
        assert!(text.contains("a server is running already"), "{text}");
        assert_eq!(ask("/stop"), (200, "Server stopped\n".to_owned()));
        assert_eq!(get(&listen, "/health"), None);
    }
    let taken = TcpListener::bind(&listen).unwrap();
    let (status, text) = ask("/start");
    assert_eq!(status, 500);
    assert!(text.starts_with("Starting failed: the server ended: "), "{text}");
    drop(taken);
    assert!(std::fs::read_to_string(&log).unwrap().contains("cannot listen at"));

    assert_eq!(ask("/start").0, 200);
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(get(&listen, "/health"), None, "the server ends with its control");
}
