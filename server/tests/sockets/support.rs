//! A server in a folder of its own, and a client that sends any bytes.

use fastness_auth::server::{Rate, RateLimits};
use fastness_server::{Config, HashCosts, HttpLimits, Server, start};
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use tempfile::TempDir;

/// A timeout that only a failing test reaches.
pub(crate) const FOREVER: Duration = Duration::from_secs(60);

pub(crate) struct SocketHost {
    pub(crate) server: Server,
    /// Removed when dropped, after the server.
    _folder: TempDir,
}

/// Starts a server whose patience is short and whose hashes are quick.
pub(crate) fn host(http: HttpLimits) -> SocketHost {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path(), ([127, 0, 0, 1], 0));
    config.hashing = HashCosts { memory_kib: 8, passes: 1 };
    let often = Rate { burst: 10_000, interval: Duration::from_millis(1) };
    config.limits = RateLimits { name: often, address: often, token: often, line: often };
    config.http = http;
    SocketHost { server: start(config).unwrap(), _folder: folder }
}

pub(crate) fn patient() -> HttpLimits {
    HttpLimits {
        head_timeout: FOREVER,
        body_timeout: FOREVER,
        write_timeout: FOREVER,
        ..HttpLimits::default()
    }
}

pub(crate) struct Wire(TcpStream);

impl Wire {
    pub(crate) fn to(host: &SocketHost) -> Self {
        let stream = TcpStream::connect(host.server.address()).unwrap();
        stream.set_read_timeout(Some(FOREVER)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends, if the server has not closed the connection.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).unwrap_or_default();
    }

    /// Makes the receive buffer small. A large one grows while it fills, so that a server whose
    /// client reads nothing still sends a little now and then.
    pub(crate) fn receive_little(&self) {
        socket2::SockRef::from(&self.0).set_recv_buffer_size(4096).unwrap();
    }

    /// Sends until the server takes no more.
    pub(crate) fn send_while_taken(&mut self, bytes: &[u8]) -> usize {
        self.0.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut sent = 0;
        while sent < 64 << 20 {
            match self.0.write(bytes) {
                Ok(count) => sent += count,
                Err(_) => break,
            }
        }
        sent
    }

    pub(crate) fn half_close(&self) {
        // It may be closed on the other side.
        self.0.shutdown(Shutdown::Write).unwrap_or_default();
    }

    /// Reads one answer: its status and its body.
    pub(crate) fn answer(&mut self) -> (u16, String) {
        let (head, body) = self.whole_answer();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// Reads one answer: its head in lower case, and its body.
    pub(crate) fn whole_answer(&mut self) -> (String, String) {
        self.try_whole_answer().unwrap()
    }

    /// Reads one answer, unless the server refused the connection.
    pub(crate) fn try_whole_answer(&mut self) -> io::Result<(String, String)> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.0.read_exact(&mut body)?;
        Ok((head, String::from_utf8(body).unwrap()))
    }

    /// Reads to the end, which must come; a reset counts.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return bytes,
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) => {
                    let waited =
                        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                    assert!(!waited, "the server neither answers nor ends the connection");
                    return bytes;
                }
            }
        }
    }
}

pub(crate) fn request(method: &str, target: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("{method} {target} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

pub(crate) fn register(name: &str) -> Vec<u8> {
    let body = format!(
        r#"{{"provider": "password", "data": "{name}",
            "user_info": {{"register": true, "password": "p"}}}}"#
    );
    request("POST", "/auth", body.as_bytes())
}
