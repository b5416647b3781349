//! A TCP socket that blocks up to a deadline while it connects, and never afterwards.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Longest time to connect.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A TCP socket.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    /// Present while the socket blocks.
    deadline: Option<Instant>,
}

impl Socket {
    /// Connects to one of the addresses of a host; all that follows must end within the time too.
    pub(super) fn connect(host: &str, port: u16, within: Duration) -> io::Result<Self> {
        let now = Instant::now();
        // A time beyond the clock is as good as one without an end.
        let deadline = now.checked_add(within).unwrap_or_else(|| now + LONGEST);
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, left(deadline)?) {
                Ok(tcp) => {
                    tcp.set_nodelay(true)?;
                    return Ok(Self { tcp, deadline: Some(deadline) });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Stops blocking.
    pub(super) fn set_nonblocking(&mut self) -> io::Result<()> {
        self.deadline = None;
        self.tcp.set_nonblocking(true)
    }

    /// Bounds the next call by what is left of the time.
    fn bound(&self) -> io::Result<()> {
        let Some(deadline) = self.deadline else { return Ok(()) };
        let left = Some(left(deadline)?);
        self.tcp.set_read_timeout(left)?;
        self.tcp.set_write_timeout(left)
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bound()?;
        self.tcp.read(buffer)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bound()?;
        self.tcp.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tcp.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_time_without_an_end_is_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Socket::connect("127.0.0.1", port, Duration::MAX).unwrap();
    }
}
