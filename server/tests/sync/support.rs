//! A user with an access token, and a connection that sends and reads frames.

use crate::login::support::{FOREVER, Host};
use fastness_client::{Client, LoggedInUser, SessionEvent};
use fastness_sync::chain::chain_hash;
use fastness_sync::entry::{
    Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PropertyType, Scalar, ScalarType,
    Value, encode,
};
use fastness_sync::frame::{
    Auth, Bind, Compression, Frame, Hello, Item, Mark, Message, Packet, Resume, SnapshotGet, Upload,
};
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{self, WebSocket, client};

/// A user of a server.
pub(crate) struct SyncUser {
    pub(crate) client: Client,
    pub(crate) user: LoggedInUser,
    pub(crate) token: String,
}

impl SyncUser {
    pub(crate) fn register(host: &Host, name: &str) -> Self {
        let client = host.client();
        let user = host.register(&client, name);
        Self::new(client, user)
    }

    pub(crate) fn admin(host: &Host) -> Self {
        let client = host.client();
        let user = host.admin(&client);
        Self::new(client, user)
    }

    fn new(client: Client, user: LoggedInUser) -> Self {
        let token = match client.session(&user.id(), "/~/notes").recv_timeout(FOREVER) {
            Some(SessionEvent::Token(token)) => token.value.expose().to_owned(),
            other => panic!("no token: {other:?}"),
        };
        Self { client, user, token }
    }

    pub(crate) fn identity(&self) -> &str {
        self.user.user().identity()
    }

    /// Opens a connection whose token is accepted.
    pub(crate) fn connect(&self, host: &Host) -> SyncWire {
        let mut wire = SyncWire::connect(host);
        assert_eq!(wire.greet(), "WELCOME 1");
        assert_eq!(wire.authenticate(&self.token), format!("AUTH_OK {}", self.identity()));
        wire
    }
}

/// A WebSocket that speaks frames.
pub(crate) struct SyncWire {
    pub(crate) socket: WebSocket<TcpStream>,
}

impl SyncWire {
    pub(crate) fn connect(host: &Host) -> Self {
        Self::try_connect(host, "/sync", "fastness.1").unwrap()
    }

    pub(crate) fn try_connect(
        host: &Host,
        address: &str,
        protocol: &'static str,
    ) -> Result<Self, tungstenite::http::StatusCode> {
        let stream = TcpStream::connect(host.server.address()).unwrap();
        stream.set_read_timeout(Some(FOREVER)).unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{}{address}", host.server.address());
        let mut request = url.into_client_request().unwrap();
        let protocol = HeaderValue::from_static(protocol);
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        match client(request, stream) {
            Ok((socket, _)) => Ok(Self { socket }),
            Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status())
            }
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    pub(crate) fn send(&mut self, session: u32, message: Message<'_>) {
        let bytes = Frame::new(session, message).encode(Compression::Auto).unwrap();
        self.send_bytes(bytes);
    }

    pub(crate) fn send_bytes(&mut self, bytes: Vec<u8>) {
        self.socket.send(tungstenite::Message::Binary(bytes.into())).unwrap();
    }

    /// Reads a message; `None` at the end of the connection.
    pub(crate) fn read(&mut self) -> Option<Vec<u8>> {
        loop {
            match self.socket.read() {
                Ok(tungstenite::Message::Binary(bytes)) => return Some(bytes.to_vec()),
                Ok(tungstenite::Message::Close(_)) => {}
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) => {
                    let waited = matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    );
                    assert!(!waited, "the server neither answers nor ends the connection");
                    return None;
                }
                Err(_) => return None,
            }
        }
    }

    /// Reads a frame as one line.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let bytes = self.read().expect("the connection has ended");
        line(&bytes)
    }

    /// Reads an ACK: its line, and the seq up to which a backup reaches.
    #[track_caller]
    pub(crate) fn durable_line(&mut self) -> (String, u64) {
        let bytes = self.read().expect("the connection has ended");
        let packet = Packet::open(&bytes).unwrap();
        let Message::Ack(ack) = packet.frame().unwrap().message else {
            panic!("{}", line(&bytes));
        };
        (line(&bytes), ack.durable_seq)
    }

    /// Waits until the server has handled all frames of a session.
    #[track_caller]
    pub(crate) fn mark(&mut self, session: u32, number: u64) {
        self.send(session, Message::Mark(Mark { number }));
        assert_eq!(self.line(), format!("MARK {number}"));
    }

    /// Asks for a part of a snapshot; returns the number and the offset of the answer.
    #[track_caller]
    pub(crate) fn snapshot(&mut self, session: u32, snapshot: u64, offset: u64) -> (u64, u64) {
        self.send(session, Message::SnapshotGet(SnapshotGet { snapshot, offset }));
        let bytes = self.read().expect("the connection has ended");
        let packet = Packet::open(&bytes).unwrap();
        let Message::SnapshotPart(part) = packet.frame().unwrap().message else {
            panic!("{}", line(&bytes));
        };
        (part.snapshot, part.offset)
    }

    /// Reads frames until the connection ends.
    pub(crate) fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.read()).map(|bytes| line(&bytes)).collect()
    }

    /// Sends, if the server has not closed the connection.
    pub(crate) fn try_send(&mut self, session: u32, message: Message<'_>) {
        self.try_send_bytes(Frame::new(session, message).encode(Compression::Auto).unwrap());
    }

    pub(crate) fn try_send_bytes(&mut self, bytes: Vec<u8>) {
        drop(self.socket.send(tungstenite::Message::Binary(bytes.into())));
    }

    pub(crate) fn hello(&mut self) {
        let hello =
            Hello { version_min: 1, version_max: 1, features: 0, now_ms: 0, library: "test" };
        self.send(0, Message::Hello(hello));
    }

    pub(crate) fn greet(&mut self) -> String {
        self.hello();
        self.line()
    }

    pub(crate) fn authenticate(&mut self, token: &str) -> String {
        self.send(0, Message::Auth(Auth { token }));
        self.line()
    }

    /// Binds a session to a path.
    pub(crate) fn bind(&mut self, session: u32, path: &str, wants_identity: bool) {
        self.send(session, Message::Bind(Bind { path, schema_hash: 1, wants_identity }));
    }

    /// Binds a session as a new client, and resumes it. Returns the client.
    pub(crate) fn begin(&mut self, session: u32, path: &str) -> SyncClient {
        self.bind(session, path, true);
        let bytes = self.read().expect("an answer");
        let packet = Packet::open(&bytes).unwrap();
        let Message::Identity(identity) = packet.frame().unwrap().message else {
            panic!("{}", line(&bytes));
        };
        let client =
            SyncClient { number: identity.client, salt: identity.client_salt, entries: Vec::new() };
        self.send(session, Message::Resume(client.state()));
        client
    }

    pub(crate) fn upload(&mut self, session: u32, entries: &[Vec<u8>]) {
        let entries = entries.iter().map(Vec::as_slice).collect();
        self.send(session, Message::Upload(Upload { oldest_base: 0, entries }));
    }
}

/// A client file that has applied nothing of the history.
#[derive(Clone)]
pub(crate) struct SyncClient {
    pub(crate) number: u32,
    pub(crate) salt: u64,
    /// Entries with an answer.
    pub(crate) entries: Vec<Vec<u8>>,
}

impl SyncClient {
    pub(crate) fn state(&self) -> Resume {
        Resume {
            client: self.number,
            client_salt: self.salt,
            epoch: 0,
            cursor: 0,
            cursor_salt: 0,
            last_client_seq: self.entries.len() as u64,
            chain_hash: self.entries.iter().fold(self.salt, |hash, entry| chain_hash(hash, entry)),
            oldest_base: 0,
        }
    }
}

/// One line for a frame of the server.
#[expect(clippy::wildcard_enum_match_arm, reason = "these frames are the ones of the tests")]
pub(crate) fn line(bytes: &[u8]) -> String {
    let packet = Packet::open(bytes).unwrap();
    match packet.frame().unwrap().message {
        Message::Welcome(welcome) => format!("WELCOME {}", welcome.version),
        Message::AuthOk(ok) => format!("AUTH_OK {}", ok.user),
        Message::Identity(identity) => format!("IDENT {}", identity.client),
        Message::Resumed(resumed) => {
            format!("RESUMED head {} last {}", resumed.head, resumed.last_client_seq)
        }
        Message::Ack(ack) => format!("ACK {}", ack.last_client_seq),
        Message::Reject(reject) => format!("REJECT {} {}", reject.client_seq, reject.code.0),
        Message::Download(download) => {
            let is_own = |item: &Item<'_>| matches!(item, Item::Own { .. });
            let own = download.items.iter().filter(|item| is_own(item)).count();
            let of = download.items.len();
            format!("DOWNLOAD {} to {}, {own} of {of} own", download.from, download.to())
        }
        Message::Mark(mark) => format!("MARK {}", mark.number),
        Message::SnapshotPart(part) => format!("SNAP seq {} offset {}", part.seq, part.offset),
        Message::Pong(pong) => format!("PONG {}", pong.now_ms),
        Message::Unbound(_) => "UNBOUND".to_owned(),
        Message::Failed(failed) => format!("ERROR {} of {}", failed.code.0, packet.session()),
        other => format!("{other:?}"),
    }
}

/// An entry that creates an object with a text, of a client that has applied nothing.
pub(crate) fn entry(client_seq: u64, text: &str) -> Vec<u8> {
    entry_after(0, client_seq, text)
}

/// An entry of a client that has applied the history up to a seq.
pub(crate) fn entry_after(base: u64, client_seq: u64, text: &str) -> Vec<u8> {
    let kind = PropertyType::Scalar(Scalar { kind: ScalarType::String, nullable: true });
    let id = ElementId { author: 0, number: client_seq };
    let target = ObjectRef { class: "Item", key: Key::Generated(id) };
    let operations = vec![
        Operation::AddClass { class: "Item", primary_key: None },
        Operation::AddProperty { class: "Item", property: "text", kind },
        Operation::Create(target),
        Operation::Change { target, property: "text", change: Change::Set(Value::String(text)) },
    ];
    let header = Header { client_seq, base, stamp: 1 };
    encode(&Entry { header, operations }).unwrap()
}
