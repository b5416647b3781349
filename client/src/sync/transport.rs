//! A WebSocket: connected within a time, and then without blocking.

use super::address::Address;
use super::proxy::{self, Endpoint};
use super::socket::Socket;
use super::tls::{self, TlsStream};
use crate::config::{Proxy, RootCertificates};
use crate::error::ConfigError;
use crate::fault;
use fastness_sync::frame::FRAME_BYTES_MAX;
use rustls::ClientConfig;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;
use tungstenite::handshake::HandshakeError;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{ClientRequestBuilder, Error, Message, WebSocket, client};

/// Name of the protocol's version.
const SUBPROTOCOL: &str = "fastness.1";

/// The way to a server: address, proxy, certificates and time.
pub(crate) struct Target {
    address: Address,
    proxy: Option<ureq::Proxy>,
    tls: Option<Arc<ClientConfig>>,
    within: Duration,
}

/// A connected WebSocket.
pub(crate) struct Transport(WebSocket<Stream>);

enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream>),
}

impl Target {
    pub(crate) fn new(
        address: Address,
        roots: &RootCertificates,
        proxy: &Proxy,
        within: Duration,
    ) -> Result<Self, ConfigError> {
        let tls = if address.is_secure { Some(tls::config(roots)?) } else { None };
        Ok(Self { address, proxy: proxy::of(proxy)?, tls, within })
    }

    /// Connects, which blocks for the time of the target at most.
    pub(crate) fn connect(&self) -> io::Result<Transport> {
        let (url, authority) = (self.address.url(), self.address.authority());
        let (host, port) = (self.address.bare_host(), self.address.port);
        let endpoint = Endpoint { host, port, authority: &authority, url: &url };
        let socket = proxy::connect(self.proxy.as_ref(), &endpoint, self.within)?;
        let stream = match &self.tls {
            None => Stream::Plain(socket),
            Some(config) => {
                Stream::Tls(Box::new(TlsStream::connect(Arc::clone(config), host, socket)?))
            }
        };
        let uri = url.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol(SUBPROTOCOL);
        let bytes_max = (!fault::on("NR-79")).then_some(FRAME_BYTES_MAX);
        let limits =
            WebSocketConfig::default().max_message_size(bytes_max).max_frame_size(bytes_max);
        let connected = client::client_with_config(request, stream, Some(limits));
        let (mut socket, _) = connected.map_err(|error| match error {
            HandshakeError::Interrupted(_) => io::ErrorKind::TimedOut.into(),
            HandshakeError::Failure(error) => of(error),
        })?;
        socket.get_mut().socket_mut().set_nonblocking()?;
        Ok(Transport(socket))
    }
}

impl Transport {
    /// Sends a message, or keeps it until the socket accepts it.
    pub(crate) fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        accept_blocking(self.0.write(Message::binary(bytes)))
    }

    /// Sends what is kept, as far as the socket accepts it. Returns whether something is left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        match self.0.flush() {
            Ok(()) => Ok(self.0.get_ref().wants_write()),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(of(error)),
        }
    }

    /// Returns the next message; none if none has arrived yet.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.0.read() {
                Ok(Message::Binary(bytes)) => return Ok(Some(bytes.into())),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Text(_) | Message::Close(_) | Message::Frame(_)) => {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(None);
                }
                Err(error) => return Err(of(error)),
            }
        }
    }

    /// Closes the connection, as far as that does not block.
    pub(crate) fn close(mut self) {
        // The peer sees the end of the connection in any case.
        drop(self.0.close(None));
        drop(self.0.flush());
    }
}

fn accept_blocking(outcome: Result<(), Error>) -> io::Result<()> {
    match outcome {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        outcome => outcome.map_err(of),
    }
}

fn of(error: Error) -> io::Error {
    if let Error::Io(error) = error {
        return error;
    }
    let is_closed = matches!(error, Error::ConnectionClosed | Error::AlreadyClosed);
    let kind =
        if is_closed { io::ErrorKind::ConnectionAborted } else { io::ErrorKind::InvalidData };
    io::Error::new(kind, error.to_string())
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.0.get_ref() {
            Stream::Plain(socket) => socket.as_fd(),
            Stream::Tls(stream) => stream.socket().as_fd(),
        }
    }
}

impl Stream {
    const fn socket_mut(&mut self) -> &mut Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.socket_mut(),
        }
    }

    fn wants_write(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.wants_write(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}
