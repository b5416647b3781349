//! Any bytes as a frame of the sync protocol.
//!
//! - FR1 Decoding any bytes is total; encoding the frame without compression gives the same body.

use fastness_sync::frame::{
    Ack, Bind, Code, Compression, Download, Empty, Extension, Failed, Frame, Hello, Identity, Item,
    Mark, Message, Packet, Ping, Reject, Resume, Resumed, SnapshotGet, SnapshotPart, Upload,
    Welcome,
};

/// Decodes the bytes as a frame, and again the rest of them as the body of a compressed one.
pub fn frame(bytes: &[u8]) {
    check(bytes);
    if let Some((code, body)) = bytes.split_first() {
        check(&compressed(code % 24, body));
    }
}

/// A frame with a body of at least 512 bytes, in a Zstandard frame of one raw block.
fn compressed(code: u8, body: &[u8]) -> Vec<u8> {
    let size = body.len().clamp(512, 65_535);
    let mut body = body.to_vec();
    body.resize(size, 0);
    let session = u8::from(![1, 2, 3, 4, 20, 21].contains(&code));
    let low = |number: usize, shift: u32| u8::try_from(number >> shift & 0xff).unwrap_or_default();
    let length = [low(size, 0) | 0x80, low(size, 7) | 0x80, low(size, 14)];
    let count = if size >> 14 == 0 { 2 } else { 3 };
    let mut length = length[..count].to_vec();
    if let Some(last) = length.last_mut() {
        *last &= 0x7f;
    }
    let block = 1 | size << 3;
    let head = [&[code, 1, session][..], &length, &[0x28, 0xb5, 0x2f, 0xfd, 0xa0]].concat();
    let sizes = [low(size, 0), low(size, 8), 0, 0, low(block, 0), low(block, 8), low(block, 16)];
    [&head[..], &sizes, &body].concat()
}

fn check(bytes: &[u8]) {
    let Ok(packet) = Packet::open(bytes) else { return };
    let Ok(frame) = packet.frame() else { return };
    let encoded = frame.encode(Compression::Never);
    if bytes[1] & 1 == 0 {
        assert_eq!(encoded.as_deref(), Ok(bytes), "FR1: {frame:?} has another encoding");
        return;
    }
    // A body of the most bytes fits behind the head only if it is compressed.
    let Ok(encoded) = encoded else { return };
    let again = Packet::open(&encoded);
    let again = again.as_ref().map(Packet::frame);
    assert_eq!(again, Ok(Ok(frame)), "FR1: another content without compression");
}

const ENTRY: &[u8] = &[1, 7, 41, 0, 2, 4, 68, 0];

fn of_connection() -> Vec<Message<'static>> {
    let library = "fastness 0.1";
    vec![
        Message::Hello(Hello { version_min: 1, version_max: 2, features: 5, now_ms: 9, library }),
        Message::Welcome(Welcome {
            version: 1,
            features: 0,
            now_ms: 9,
            window_bytes: 4 << 20,
            ping_ms: 30_000,
            connection: 77,
        }),
        Message::Ping(Ping { now_ms: 300, round_trip_ms: 24 }),
        Message::Failed(Failed {
            code: Code::DIVERGED,
            action: Code::DIVERGED.action(),
            retry_after_ms: 0,
            message: "another epoch",
            log_reference: "r-17",
        }),
    ]
}

fn of_client() -> Vec<Message<'static>> {
    vec![
        Message::Bind(Bind { path: "/~/notes", schema_hash: 1, wants_identity: true }),
        Message::Resume(Resume {
            client: 7,
            client_salt: 9,
            epoch: 5,
            cursor: 41,
            cursor_salt: 3,
            last_client_seq: 6,
            chain_hash: 4,
            oldest_base: 40,
        }),
        Message::Upload(Upload { oldest_base: 40, entries: vec![ENTRY; 2] }),
        Message::Upload(Upload { oldest_base: 40, entries: vec![ENTRY; 100] }),
        Message::Mark(Mark { number: 3 }),
        Message::SnapshotGet(SnapshotGet { snapshot: 0, offset: 0 }),
        Message::Unbind(Empty),
    ]
}

fn of_server() -> Vec<Message<'static>> {
    let items = [Item::Entry { client: 5, entry: ENTRY }, Item::Own { client_seq: 7, stamp: 300 }];
    vec![
        Message::Identity(Identity { client: 7, client_salt: 9 }),
        Message::Resumed(Resumed {
            epoch: 5,
            head: 1000,
            horizon: 12,
            durable_seq: 990,
            last_client_seq: 6,
            chain_hash: 4,
        }),
        Message::Ack(Ack { last_client_seq: 8, durable_seq: 990 }),
        Message::Reject(Reject {
            client_seq: 8,
            code: Code::SCHEMA_CONFLICT,
            operation: 1,
            reason: "Item.count is an int",
        }),
        Message::Download(Download {
            from: 41,
            salt: 7,
            head: 1000,
            horizon: 12,
            durable_seq: 990,
            bytes_left: 9000,
            items: items.to_vec(),
        }),
        Message::SnapshotPart(SnapshotPart {
            snapshot: 4,
            epoch: 5,
            seq: 1000,
            salt: 7,
            horizon: 12,
            total: 8,
            offset: 0,
            part: ENTRY,
            root: Some([9; 32]),
        }),
    ]
}

/// Frames to begin with: every kind of field, with extensions, compressed.
#[must_use]
pub fn frame_seeds() -> Vec<Vec<u8>> {
    let extensions =
        vec![Extension { feature: 0, bytes: b"" }, Extension { feature: 63, bytes: b"filter" }];
    let extended = Frame { session: 1, message: Message::Mark(Mark { number: 3 }), extensions };
    let of_session = of_client().into_iter().chain(of_server());
    let frames = of_connection().into_iter().map(|message| Frame::new(0, message));
    let frames = frames.chain(of_session.map(|message| Frame::new(300, message)));
    let frames = frames.chain([extended]);
    frames.filter_map(|frame| frame.encode(Compression::Auto).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Packet, compressed};

    /// The body reaches the decoder behind the compression, at every length of its number.
    #[test]
    fn a_raw_block_decompresses() {
        for size in [0, 600, 20_000, 65_535] {
            let bytes = compressed(9, &vec![1; size]);
            let packet = Packet::open(&bytes).unwrap();
            assert_eq!(packet.body_bytes(), size.max(512));
        }
    }
}
