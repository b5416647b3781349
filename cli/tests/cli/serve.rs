//! `fastness serve` as a process: the examples of its documentation, start and stop.

use super::{TestFolder, command, fork_lock, output_of, start};
use fastness_server::auth::Request;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const DOCUMENT: &str = include_str!("../../../docs/auth.md");

/// A server, killed when dropped.
pub(crate) struct RunningServer {
    child: Child,
    pub(crate) url: String,
    secret: Option<String>,
}

/// Sends a request; returns `None` if the server ends before the answer is complete.
pub(crate) fn send(request: &Request) -> Option<(u16, Vec<u8>)> {
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

/// Reads a complete answer.
fn read(stream: &mut TcpStream) -> Option<(u16, Vec<u8>)> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8(answer[..end].to_vec()).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let body = answer.split_off(end + 4);
    (body.len() == length.parse::<usize>().unwrap()).then(|| (head[9..12].parse().unwrap(), body))
}

impl RunningServer {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, Stdio::null(), &[])
    }

    /// Starts a server in a folder, with accounts and backups below it.
    pub(crate) fn start_in(folder: &Path) -> Self {
        let data = folder.join("accounts");
        let mut command = command(&[&"serve", &"--data", &data, &"--listen", &"127.0.0.1:0"]);
        command.args(["--backup-to", "backups"]).current_dir(folder).stderr(Stdio::null());
        Self::start_command(command)
    }

    /// Starts a server with this log and these variables.
    fn start_with(data: &Path, log: Stdio, variables: &[(&str, &str)]) -> Self {
        let mut command = command(&[&"serve", &"--data", &data, &"--listen", &"127.0.0.1:0"]);
        command.args(["--attempts", "1000000", "--password-length", "1"]);
        command.envs(variables.iter().copied()).stderr(log);
        Self::start_command(command)
    }

    fn start_command(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        let mut child = {
            let _fork_lock = fork_lock();
            command.spawn().unwrap()
        };
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || output.next().unwrap().unwrap();
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

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// Matches a line against a pattern in which words in capitals are variables; `known` holds their
/// values.
pub(crate) fn matches(pattern: &str, line: &str, known: &mut BTreeMap<String, String>) -> bool {
    let is_word = |letter: char| letter.is_ascii_uppercase();
    let Some(at) = pattern.find(is_word) else { return pattern == line };
    let (head, rest) = pattern.split_at(at);
    let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    let Some(line) = line.strip_prefix(head) else { return false };
    // Variables have at least four letters, unlike the capitals in `isAdmin`.
    if word.len() < 4 {
        return line.strip_prefix(word).is_some_and(|line| matches(rest, line, known));
    }
    if let Some(value) = known.get(word).cloned() {
        return line.strip_prefix(&*value).is_some_and(|line| matches(rest, line, known));
    }
    let end = line.find(['"', ',', '}', '/', ' ']).unwrap_or(line.len());
    let (value, line) = line.split_at(end);
    known.insert(word.to_owned(), value.to_owned());
    matches(rest, line, known)
}

#[test]
fn curl_examples_of_the_document_match() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "install curl: CI checks docs/auth.md with it");
        return;
    }
    let dir = TestFolder::new();
    let server = RunningServer::start(&dir.path("accounts"));
    let mut known = BTreeMap::from([("SECRET".to_owned(), server.secret.clone().unwrap())]);
    let lines: Vec<&str> = DOCUMENT.lines().collect();
    let mut count = 0;
    for pair in lines.windows(2).filter(|pair| pair[0].starts_with("$ curl ")) {
        let mut line = pair[0][2..].replace("http://127.0.0.1:9080", &server.url);
        for (word, value) in &known {
            line = line.replace(word, value);
        }
        let output = Command::new("sh").args(["-c", &line]).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(matches(pair[1], output.trim_end(), &mut known), "{line}\n{output}\n{}", pair[1]);
        count += 1;
    }
    assert_eq!(count, 10, "{known:?}");
}

#[test]
fn each_variable_has_one_value() {
    let check = |pattern, line| matches(pattern, line, &mut BTreeMap::new());
    assert!(check("{\"a\":\"WORD\",\"b\":WORD}", "{\"a\":\"x\",\"b\":x}"));
    assert!(!check("{\"a\":\"WORD\",\"b\":WORD}", "{\"a\":\"x\",\"b\":y}"));
    assert!(check("isAdmin", "isAdmin") && !check("isAdmin", "isadmin"));
}

#[test]
fn a_stopped_server_exits_with_success_and_a_new_secret() {
    let dir = TestFolder::new();
    let data = dir.path("accounts");
    let mut server = RunningServer::start(&data);
    assert!(server.secret.is_some());
    server.signal("-TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    let again = RunningServer::start(&data);
    assert_ne!(again.secret, server.secret, "an unused secret is replaced at each start");
}

#[cfg(unix)]
#[test]
fn a_server_that_cannot_write_is_not_healthy() {
    let dir = TestFolder::new();
    let data = dir.path("accounts");
    drop(RunningServer::start(&data));
    // The file may grow by a little only, in blocks of 512 bytes; a longer write is an error.
    let blocks = std::fs::metadata(data.join("accounts.fastness")).unwrap().len() / 512 + 64;
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_fastness"), "serve", "--listen", "127.0.0.1:0"]);
    shell.arg("--data").arg(&data).args(["--attempts", "1000000", "--name-attempts", "1000000"]);
    shell.stderr(Stdio::null());
    let server = RunningServer::start_command(shell);
    let url = fastness_server::auth::AuthServer::new(&server.url).unwrap();
    let failed = (0..2000).find_map(|number| {
        let (name, password) = (format!("user-{number}"), "a long password".into());
        let credentials =
            fastness_server::auth::Credentials::username_password(&*name, Some(password), true);
        let fastness_server::auth::Login::Send(request) = url.login(&credentials.unwrap()) else {
            unreachable!()
        };
        let (status, _) = send(&request).unwrap();
        (status != 200).then_some(status)
    });
    assert_eq!(failed, Some(500), "the disk is full");
    let health = format!("{}/health", server.url);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let (status, text) = get(&health);
    assert_eq!((status, &*text), (503, "the accounts cannot be written\n"));
}

/// Gets a page of a server.
fn get(url: &str) -> (u16, String) {
    let (address, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let (status, body) = read(&mut stream).unwrap();
    (status, String::from_utf8(body).unwrap())
}

/// Sends requests of several kinds, which must all be answered.
fn all_answered(url: &str, count: usize) {
    let address = url.strip_prefix("http://").unwrap();
    for number in 0..count {
        let target = ["/health", "/auth", "/nowhere"][number % 3];
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let (status, _) = read(&mut stream).unwrap_or_else(|| panic!("no answer to {number}"));
        assert_eq!(status, [200, 405, 404][number % 3], "request {number}");
    }
}

/// More than a pipe takes.
const REQUESTS: usize = 1500;

#[test]
fn every_request_is_answered_while_the_log_is_not_read() {
    let dir = TestFolder::new();
    let (_unread, log) = std::io::pipe().unwrap();
    let mut server = RunningServer::start_with(&dir.path("accounts"), log.into(), &[]);
    all_answered(&server.url, REQUESTS);
    server.signal("-TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn every_request_is_answered_after_the_reader_of_the_log_has_closed_it() {
    let dir = TestFolder::new();
    let (reader, log) = std::io::pipe().unwrap();
    drop(reader);
    let server = RunningServer::start_with(&dir.path("accounts"), log.into(), &[]);
    all_answered(&server.url, 50);
}

#[cfg(target_os = "linux")]
#[test]
fn every_request_is_answered_while_the_log_is_full() {
    let dir = TestFolder::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let server = RunningServer::start_with(&dir.path("accounts"), full.into(), &[]);
    all_answered(&server.url, 50);
}

#[test]
fn a_flood_of_one_client_is_not_a_flood_of_the_log() {
    let dir = TestFolder::new();
    let (mut reader, log) = std::io::pipe().unwrap();
    let mut server = RunningServer::start_with(&dir.path("accounts"), log.into(), &[]);
    let mut text = String::new();
    std::thread::scope(|scope| {
        scope.spawn(|| reader.read_to_string(&mut text).unwrap());
        all_answered(&server.url, REQUESTS);
        server.signal("-TERM");
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    });
    // 200 lines at once, five a second since then, and a summary for each of those.
    let lines = text.lines().count();
    assert!((200..600).contains(&lines), "{lines} lines for {REQUESTS} requests:\n{text}");
    assert!(text.contains("lines of sources beyond their rate were left out"), "{text}");
}

#[test]
fn the_variable_rust_log_selects_what_is_logged() {
    let dir = TestFolder::new();
    let logged = |variable: &str| {
        let (mut reader, log) = std::io::pipe().unwrap();
        let variables = [("RUST_LOG", variable)];
        let server = RunningServer::start_with(&dir.path("accounts"), log.into(), &variables);
        all_answered(&server.url, 3);
        server.signal("-TERM");
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    };
    assert!(logged("info").contains("status=404"));
    assert!(logged("error,fastness_server=info").contains("status=404"));
    assert_eq!(logged("off"), "");
    let mut command = command(&[&"serve", &"--data", &dir.path("accounts")]);
    let output = output_of(start(command.env("RUST_LOG", "fastness_server=loud")));
    assert_eq!(output.code, 2, "{}", output.err);
    assert!(output.err.contains("RUST_LOG"), "{}", output.err);
}

#[test]
fn start_errors_are_reported() {
    let dir = TestFolder::new();
    let serve = |arguments: &[&dyn AsRef<std::ffi::OsStr>]| {
        let data = dir.path("accounts");
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"serve", &"--data", &data];
        all.extend(arguments);
        output_of(start(&mut command(&all)))
    };
    let server = RunningServer::start(&dir.path("other"));
    let taken = server.url.strip_prefix("http://").unwrap();
    let output = serve(&[&"--listen", &taken]);
    assert_eq!(output.code, 4);
    assert!(output.err.contains("cannot listen at"), "{}", output.err);
    let certificate = dir.path("no.pem");
    let output = serve(&[&"--tls-cert", &certificate, &"--tls-key", &certificate]);
    assert_eq!(output.code, 4);
    assert!(output.err.contains("no.pem: cannot be used for TLS"), "{}", output.err);
    assert_eq!(serve(&[&"--tls-cert", &certificate]).code, 2);
    assert_eq!(serve(&[&"--access-token-ttl", &"0"]).code, 2);
    let busy = output_of(start(&mut command(&[&"serve", &"--data", &dir.path("other")])));
    assert_eq!(busy.code, 4, "one server per folder: {}", busy.err);
}

#[test]
fn a_test_server_is_started_and_killed_on_request() {
    let dir = TestFolder::new();
    // Another process could take the port, which would fail the test.
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let log = dir.path("log");
    let mut command = command(&[&"test-server", &log, &"--control", &"127.0.0.1:0"]);
    command.args(["--listen", &listen, "--health-attempts", "300"]).stdout(Stdio::piped());
    let mut child = {
        let _fork_lock = fork_lock();
        command.spawn().unwrap()
    };
    let mut output = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut output).unwrap();
    let control = output.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
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
    assert_eq!(get(&listen, "/health"), None, "the server ends with the control process");
}
