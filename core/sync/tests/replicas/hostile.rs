//! A server that sends what no honest one would: the file keeps what its app wrote, and can be
//! written and synchronized afterwards.

use super::histories::Client;
use fastness::VALUE_BYTES_MAX;
use fastness_sync::chain::{FIRST_SALT, salt, stream_hash};
use fastness_sync::client::{
    BadDownload, ClientError, ClientResult, Download, DownloadItem, ResetMode, ResetStart,
    SessionFile, SnapshotPart,
};
use fastness_sync::clock::STAMP_MAX;
use fastness_sync::entry::{self, Operations};
use fastness_sync::frame::Code;
use fastness_sync::reset::Cause;
use fastness_sync::session::{ClientInput, ClientOutput, SnapshotBytes};

const BAD_SNAPSHOT: ClientError = ClientError::Download(BadDownload::Snapshot);

/// A client with a pending entry, encrypted or not.
fn client(encrypted: bool) -> Client {
    let client = Client::new(encrypted, 0);
    client.replica.identify(1, 7).unwrap();
    write(&client, 1);
    client
}

fn write(client: &Client, id: i64) {
    let written = client.replica.database().transact(|txn| txn.create_with_key("Node", id));
    written.expect("HC1: a client can always write");
}

fn count(client: &Client) -> u64 {
    client.replica.database().snapshot().unwrap().objects("Node").unwrap().len()
}

/// Downloads an entry of another client with a stamp.
fn download(client: &Client, stamp: u64) -> ClientResult<()> {
    let own = &client.replica.upload_after(0, 1).unwrap().entries[0].1;
    let entry = Operations::with_stamp(own, stamp).unwrap();
    entry::decode(&entry).unwrap();
    let items = [DownloadItem::Entry { client: 2, entry: &entry }];
    let salt = salt(FIRST_SALT, 2, &entry);
    let (epoch, from, horizon, durable_seq) = (1, 0, 0, 0);
    let download = Download { epoch, from, salt, horizon, durable_seq, items: &items };
    client.replica.download(&download).map(drop)
}

#[test]
fn the_last_stamp_of_all_is_not_taken_from_a_server() {
    for encrypted in [false, true] {
        let client = client(encrypted);
        for stamp in [u64::MAX, STAMP_MAX + 1] {
            let refused = download(&client, stamp);
            assert_eq!(refused, Err(ClientError::Download(BadDownload::Stamp)), "SV5");
        }
        write(&client, 2);
        download(&client, STAMP_MAX).unwrap();
        write(&client, 3);
        assert_eq!(count(&client), 3);
    }
}

/// Begins a reset, and receives a stream in parts of one snapshot.
fn reset(client: &Client, stream: &[u8]) -> ClientResult<()> {
    let start = ResetStart { cause: Cause::Expired, client: 2, ident_salt: 8 };
    client.replica.begin_reset(&start, None)?;
    let root = stream_hash(stream);
    let mut offset = 0;
    for bytes in stream.chunks(1 << 20) {
        let is_last = offset + bytes.len() == stream.len();
        let part = SnapshotPart {
            snapshot: 1,
            epoch: 1,
            seq: 5,
            salt: 0,
            horizon: 0,
            offset: offset as u64,
            bytes,
            root: is_last.then_some(root),
        };
        client.replica.receive_snapshot(&part)?;
        offset += bytes.len();
    }
    client.replica.finish_reset(ResetMode::Recover).map(drop)
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    let mut length = bytes.len();
    while length >= 0x80 {
        all.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    all.push(u8::try_from(length).unwrap());
    all.extend_from_slice(bytes);
    all
}

/// A stream of one tree with one entry.
fn stream(tree: &str, key: &[u8], value: &[u8]) -> Vec<u8> {
    [&[1][..], &binary(tree.as_bytes()), &[2], &binary(key), &binary(value)].concat()
}

#[test]
fn a_record_without_an_end_is_no_snapshot() {
    let client = client(true);
    let endless = stream("schema", b"key", &vec![0; VALUE_BYTES_MAX + (2 << 20)]);
    assert_eq!(reset(&client, &endless), Err(BAD_SNAPSHOT), "SV5");
    write(&client, 2);
    assert_eq!(count(&client), 2);
}

#[test]
fn names_and_keys_that_no_file_can_have_are_no_snapshot() {
    for stream in [
        stream("schema", &[7; 1025], b""),
        stream(&"x".repeat(250), b"key", b""),
        [&[2][..], &binary(b"key"), &binary(b"value")].concat(),
        vec![9; 4],
    ] {
        let client = client(true);
        assert_eq!(reset(&client, &stream), Err(BAD_SNAPSHOT), "SV5");
        assert_eq!(count(&client), 1);
    }
}

#[test]
fn objects_that_cannot_be_read_are_no_snapshot() {
    for (tree, key, value) in [
        ("schema", &[1, 2, 3][..], &[0xff; 9][..]),
        ("schema", &[0, 0, 0, 1], &[0xff; 40]),
        ("", &[9], &[9]),
        ("", &[3], &[1]),
        ("numbers", &[0], &[1]),
    ] {
        let client = client(true);
        let outcome = reset(&client, &stream(tree, key, value));
        // A tree that no object needs is none of the file's business.
        assert!(matches!(outcome, Ok(()) | Err(BAD_SNAPSHOT)), "SV5: {tree}: {outcome:?}");
        if outcome.is_err() {
            assert_eq!(count(&client), 1, "SY14");
        }
        write(&client, 2);
    }
}

#[test]
fn a_snapshot_beyond_the_limit_is_not_stored() {
    let client = client(true);
    let mut file = SessionFile::new(client.replica.clone());
    file.snapshot_bytes_max = 1000;
    let answer = &mut |_: ClientInput<'_>| {};
    file.perform(ClientOutput::Reset(Code::EXPIRED), answer).unwrap();
    let part = |total| {
        let (snapshot, epoch, seq, salt, horizon) = (1, 1, 5, 0, 0);
        let (offset, part, root) = (0, &[1; 10][..], None);
        ClientOutput::Snapshot(SnapshotBytes {
            snapshot,
            epoch,
            seq,
            salt,
            horizon,
            total,
            offset,
            part,
            root,
        })
    };
    let refused = file.perform(part(1001), answer).map(drop);
    let (bytes, bytes_max) = (1001, 1000);
    assert_eq!(refused, Err(ClientError::SnapshotTooLong { bytes, bytes_max }), "SV5");
    let stored = client.replica.reset_in_progress().unwrap().unwrap();
    assert_eq!((stored.snapshot, stored.offset), (0, 0), "SV5");
    file.perform(part(1000), answer).unwrap();
    let stored = client.replica.reset_in_progress().unwrap().unwrap();
    assert_eq!((stored.snapshot, stored.offset), (1, 10));
    write(&client, 2);
    assert_eq!(count(&client), 2);
}

#[test]
fn a_snapshot_does_not_bring_the_last_stamp_of_all() {
    let client = client(false);
    let refused = reset(&client, &stream("", &[3], &u64::MAX.to_le_bytes()));
    assert_eq!(refused, Err(ClientError::Download(BadDownload::Stamp)), "SV5");
    write(&client, 2);
}
