//! A client of a few lines: one connection with one session, which waits for each answer.

use crate::Outcome;
use fastness_sync::entry::{
    Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PropertyType, Scalar, ScalarType,
    Value, encode,
};
use fastness_sync::frame::{
    Auth, Bind, Compression, Frame, Hello, Message, Packet, Resume, Upload,
};
use std::net::{SocketAddr, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, WebSocket, client};

/// A connection.
pub(crate) struct Wire {
    socket: WebSocket<TcpStream>,
    client_seq: u64,
}

impl Wire {
    /// Connects with a token. Binds a session to a path, if there is one.
    pub(crate) fn connect(address: SocketAddr, token: &str, path: &str) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{address}/sync").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "fastness.1".parse()?);
        let (socket, _) = client(request, stream).map_err(|error| error.to_string())?;
        let mut wire = Self { socket, client_seq: 0 };
        let hello =
            Hello { version_min: 1, version_max: 1, features: 0, now_ms: 0, library: "load" };
        wire.send(0, Message::Hello(hello))?;
        wire.send(0, Message::Auth(Auth { token }))?;
        wire.send(1, Message::Bind(Bind { path, schema_hash: 1, wants_identity: true }))?;
        let (client, client_salt) = wire.identity()?;
        wire.send(1, Message::Resume(state(client, client_salt)))?;
        wire.until(|message| matches!(message, Message::Resumed(_)))?;
        Ok(wire)
    }

    fn identity(&mut self) -> Outcome<(u32, u64)> {
        let mut found = (0, 0);
        self.until(|message| {
            if let Message::Identity(identity) = message {
                found = (identity.client, identity.client_salt);
            }
            found.0 > 0
        })?;
        Ok(found)
    }

    /// Uploads an entry with a text, and waits for the answer.
    pub(crate) fn write(&mut self, text: &str) -> Outcome<()> {
        let client_seq = self.upload(&entry(self.client_seq + 1, &[text]))?;
        self.until(
            |message| matches!(message, Message::Ack(ack) if ack.last_client_seq == client_seq),
        )
    }

    /// Uploads the next entry; returns its number.
    fn upload(&mut self, entry: &[u8]) -> Outcome<u64> {
        self.client_seq += 1;
        self.send(1, Message::Upload(Upload { oldest_base: 0, entries: vec![entry] }))?;
        Ok(self.client_seq)
    }

    fn send(&mut self, session: u32, message: Message<'_>) -> Outcome<()> {
        let bytes = Frame::new(session, message).encode(Compression::Auto);
        let bytes = bytes.map_err(|error| format!("{error:?}"))?;
        Ok(self.socket.send(tungstenite::Message::Binary(bytes.into()))?)
    }

    /// Reads until a message.
    fn until(&mut self, mut is_it: impl FnMut(&Message<'_>) -> bool) -> Outcome<()> {
        loop {
            let tungstenite::Message::Binary(bytes) = self.socket.read()? else { continue };
            let packet = Packet::open(&bytes).map_err(|error| format!("{error:?}"))?;
            let frame = packet.frame().map_err(|error| format!("{error:?}"))?;
            if let Message::Failed(failed) = &frame.message {
                return Err(format!("the server refuses: {failed:?}").into());
            }
            if is_it(&frame.message) {
                return Ok(());
            }
        }
    }
}

const fn state(client: u32, client_salt: u64) -> Resume {
    Resume {
        client,
        client_salt,
        epoch: 0,
        cursor: 0,
        cursor_salt: 0,
        last_client_seq: 0,
        chain_hash: client_salt,
        oldest_base: 0,
    }
}

/// An entry that creates an object for each text, of a client that has applied nothing.
fn entry(client_seq: u64, texts: &[&str]) -> Vec<u8> {
    let kind = PropertyType::Scalar(Scalar { kind: ScalarType::String, nullable: true });
    let mut operations = vec![
        Operation::AddClass { class: "Item", primary_key: None },
        Operation::AddProperty { class: "Item", property: "text", kind },
    ];
    for (number, text) in (client_seq..).zip(texts) {
        let target =
            ObjectRef { class: "Item", key: Key::Generated(ElementId { author: 0, number }) };
        let change = Change::Set(Value::String(text));
        operations.push(Operation::Create(target));
        operations.push(Operation::Change { target, property: "text", change });
    }
    let header = Header { client_seq, base: 0, stamp: 1 };
    encode(&Entry { header, operations }).unwrap_or_default()
}
