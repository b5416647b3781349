//! Reviewed transcripts of the sync protocol: a line for each frame, with its fields. `>` is a
//! frame of a device, and `<` one of the server.

use crate::stage::Stage;
use fastness::object::Transaction;
use fastness::schema::{Property, PropertyType, Scalar};
use fastness::table::Value;
use fastness_sync::entry::{Encoder, Header, Key, ObjectRef, Operation, Operations};
use fastness_sync::frame::{Item, Message, Packet};
use fastness_sync::server::{Access, Submission};

const ANN: usize = 0;
const BOB: usize = 1;

/// Returns the fields of a frame in one line.
pub(crate) fn line_of(packet: &Packet<'_>) -> String {
    let frame = packet.frame().unwrap();
    let session = frame.session;
    if let Message::Upload(upload) = &frame.message {
        let entries: Vec<String> = upload.entries.iter().map(|entry| entry_of(entry)).collect();
        let base = upload.oldest_base;
        return format!("{session} Upload oldest base {base}: {}", entries.join(", "));
    }
    if let Message::Download(download) = &frame.message {
        let items: Vec<String> = download.items.iter().map(item_of).collect();
        let (from, head, horizon) = (download.from, download.head, download.horizon);
        let text = format!("{session} Download from {from}, head {head}, horizon {horizon}");
        return format!("{text}, durable {}: {}", download.durable_seq, items.join(", "));
    }
    if let Message::SnapshotPart(part) = &frame.message {
        let (number, offset, total) = (part.snapshot, part.offset, part.total);
        let text = format!("{session} SnapshotPart {number} at seq {}", part.seq);
        return format!("{text}, epoch {}, offset {offset} of {total} bytes", part.epoch);
    }
    format!("{session} {:?}", frame.message)
}

fn item_of(item: &Item<'_>) -> String {
    match item {
        Item::Entry { client, entry } => format!("of client {client} {}", entry_of(entry)),
        Item::Own { client_seq, .. } => format!("own entry {client_seq}"),
    }
}

fn entry_of(bytes: &[u8]) -> String {
    let operations = Operations::new(bytes).unwrap();
    let Header { client_seq, base, .. } = operations.header();
    let operations: Vec<String> =
        operations.map(|operation| operation.unwrap().to_string()).collect();
    format!("entry {client_seq} on {base} [{}]", operations.join("; "))
}

/// Writes a title into a note, which is created if it does not exist.
fn title(id: i64, title: &'static str) -> impl FnOnce(&mut Transaction) {
    move |txn| {
        let (note, _) = txn.get_or_create("Note", id).unwrap();
        txn.set(&note, "title", Value::from(title)).unwrap();
    }
}

/// Two devices have the same note.
fn synced() -> Stage {
    let mut stage = Stage::new();
    stage.write(ANN, title(1, "first"));
    stage.connect(ANN);
    stage.connect(BOB);
    stage
}

/// Two devices have the same note, and one of them writes offline.
fn written_offline() -> Stage {
    let mut stage = synced();
    stage.disconnect(ANN);
    stage.write(ANN, title(1, "offline"));
    stage.text.clear();
    stage
}

#[test]
fn a_first_sync_is_reviewed() {
    let mut stage = Stage::new();
    stage.note("ann writes, then connects");
    stage.write(ANN, title(1, "first"));
    stage.connect(ANN);
    stage.note("bob connects");
    stage.connect(BOB);
    insta::assert_snapshot!("first_sync", stage.text);
}

#[test]
fn a_conflict_is_reviewed() {
    let mut stage = written_offline();
    stage.note("bob writes what ann has written offline");
    stage.write(BOB, title(1, "online"));
    stage.note("ann connects");
    stage.connect(ANN);
    insta::assert_snapshot!("conflict", stage.text);
}

#[test]
fn a_rejection_is_reviewed() {
    let mut stage = written_offline();
    stage.note("bob adds a property, of which ann has added another type");
    let add = |kind: PropertyType| {
        move |txn: &mut Transaction| {
            let property = Property::new("rank", kind).unwrap();
            txn.add_property("Note", &property.nullable()).unwrap();
        }
    };
    stage.write(ANN, add(Scalar::Int.into()));
    stage.write(BOB, add(Scalar::Double.into()));
    stage.note("ann connects");
    stage.connect(ANN);
    insta::assert_snapshot!("rejection", stage.text);
}

#[test]
fn resets_are_reviewed_by_cause() {
    let mut stage = written_offline();
    stage.note("ann was away for too long");
    stage.write(BOB, title(2, "later"));
    stage.replica.advance_horizon(stage.now_ms + 1_000_000, 1).unwrap();
    stage.connect(ANN);
    insta::assert_snapshot!("reset_expired", stage.text);

    let mut stage = written_offline();
    stage.note("the server begins another epoch");
    stage.begin_epoch();
    stage.connect(ANN);
    insta::assert_snapshot!("reset_diverged", stage.text);

    let mut stage = written_offline();
    stage.note("another server has the address");
    stage.replace_server();
    stage.connect(ANN);
    insta::assert_snapshot!("reset_unknown_client", stage.text);
}

#[test]
fn a_bad_download_is_reviewed() {
    let mut stage = written_offline();
    stage.note("a download contradicts itself: the device asks again");
    stage.tampers = true;
    stage.connect(ANN);
    insta::assert_snapshot!("bad_download", stage.text);
}

#[test]
fn the_reset_of_a_copied_file_is_reviewed() {
    let mut stage = written_offline();
    stage.note("a copy of ann's file has used the number of her entry");
    let meta = stage.devices[ANN].file.replica().meta().unwrap();
    let (client_seq, base) = (meta.last_client_seq, meta.cursor);
    let mut encoder = Encoder::new(Header { client_seq, base, stamp: stage.now_ms }).unwrap();
    let note = ObjectRef { class: "Note", key: Key::Int(9) };
    encoder.push(&Operation::Create(note)).unwrap();
    let entry = encoder.finish().unwrap();
    let (client, access) = (meta.client, Access::Write);
    let submission = Submission { client, access, entries: &[&entry], oldest_base: base };
    stage.replica.submit(&submission, stage.now_ms).unwrap();
    stage.connect(ANN);
    insta::assert_snapshot!("reset_cloned", stage.text);
}
