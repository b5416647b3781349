//! Fastness: entries, and the fold of their operations in memory; a text on a server's replica.

use crate::fields::{Fields, OBJECTS};
use crate::trace::Trace;
use crate::{Cost, Library, Outcome, TextCost};
use fastness::{Key as StoreKey, StoreOptions};
use fastness_sync::entry::{
    self, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, Operations, PrimaryKey,
    PropertyType, Scalar, ScalarType, Value,
};
use fastness_sync::merge::{Author, Memory, Place, apply};
use fastness_sync::server::{Access, ClientProgress, Opening, ServerReplica, Submission};
use std::time::Instant;

/// Time of all stamps, in milliseconds since 1970.
pub(crate) const NOW: u64 = 1_780_000_000_000;
const TASK: &str = "Task";
const DOCUMENT: ObjectRef<'_> = ObjectRef { class: "Document", key: Key::Int(1) };
const TEXT: Place<'_> = Place { target: DOCUMENT, property: "text" };
/// Entries of one submission.
const TOGETHER: usize = 64;

/// Fastness.
pub(crate) struct Fastness;

/// Returns the options of an encrypted store.
pub(crate) fn encrypted() -> StoreOptions {
    StoreOptions::new().key(StoreKey::new([7; 64]))
}

fn header(client_seq: u64, base: u64) -> Header {
    Header { client_seq, base, stamp: NOW + client_seq }
}

fn author(client: u32, seq: u64, header: Header) -> Author {
    let Header { client_seq, base, stamp } = header;
    Author { seq, client, client_seq, base, stamp }
}

/// Operations that add a class with integers as keys and one property.
fn class<'a>(class: &'a str, property: &'a str, kind: PropertyType<'a>) -> [Operation<'a>; 2] {
    let key = PrimaryKey { property: "id", is_string: false, nullable: false };
    [
        Operation::AddClass { class, primary_key: Some(key) },
        Operation::AddProperty { class, property, kind },
    ]
}

fn fold<'a>(
    state: &mut Memory,
    author: &Author,
    operations: impl IntoIterator<Item = Operation<'a>>,
) {
    for operation in operations {
        let Ok(_) = apply(state, author, operation);
    }
}

fn tasks() -> Memory {
    let mut state = Memory::default();
    let kind = PropertyType::Scalar(Scalar { kind: ScalarType::Int, nullable: false });
    let founder = author(1, 1, header(1, 0));
    fold(&mut state, &founder, class(TASK, "count", kind));
    let objects = (0..OBJECTS).map(|key| ObjectRef { class: TASK, key: Key::Int(key) });
    fold(&mut state, &founder, objects.map(Operation::Create));
    state
}

/// Returns one entry for each transaction.
pub(crate) fn entries(fields: &Fields) -> Outcome<(Vec<Vec<u8>>, f64)> {
    let set = |(key, value): &(i64, i64)| {
        let target = ObjectRef { class: TASK, key: Key::Int(*key) };
        Operation::Change { target, property: "count", change: Change::Set(Value::Int(*value)) }
    };
    let entries: Vec<Entry<'_>> = (2..)
        .zip(&fields.transactions)
        .map(|(number, transaction)| Entry {
            header: header(number, 1),
            operations: transaction.iter().map(set).collect(),
        })
        .collect();
    let begun = Instant::now();
    let encoded: Result<Vec<_>, _> = entries.iter().map(entry::encode).collect();
    let seconds = begun.elapsed().as_secs_f64();
    Ok((encoded.map_err(|error| error.to_string())?, seconds))
}

/// Decodes entries and folds their operations.
fn merge(state: &mut Memory, client: u32, entries: &[Vec<u8>]) -> Outcome<()> {
    for (seq, bytes) in (2..).zip(entries) {
        let operations = Operations::new(bytes).map_err(|error| error.to_string())?;
        let author = author(client, seq, operations.header());
        for operation in operations {
            let operation = operation.map_err(|error| error.to_string())?;
            let Ok(_) = apply(state, &author, operation);
        }
    }
    Ok(())
}

impl Library for Fastness {
    fn name(&self) -> &'static str {
        "Fastness"
    }

    fn updates(&self, fields: &Fields) -> Outcome<Cost> {
        let mut state = tasks();
        let (entries, encode_s) = entries(fields)?;
        let begun = Instant::now();
        merge(&mut state, 1, &entries)?;
        let merge_s = begun.elapsed().as_secs_f64();
        Ok(Cost { bytes: entries.iter().map(Vec::len).sum(), encode_s, merge_s })
    }

    fn rebase(&self, fields: &Fields) -> Outcome<f64> {
        let mut state = tasks();
        let (entries, _) = entries(fields)?;
        let begun = Instant::now();
        merge(&mut state, 1, &entries)?;
        merge(&mut state, 2, &entries)?;
        Ok(begun.elapsed().as_secs_f64())
    }

    fn text(&self, trace: &Trace) -> Outcome<TextCost> {
        let begun = Instant::now();
        let (view, entries) = typed(trace)?;
        let apply_s = begun.elapsed().as_secs_f64();
        trace.check(&text(&view))?;
        let begun = Instant::now();
        let mut other = Memory::default();
        merge(&mut other, 1, &entries)?;
        let merged = text(&other);
        let merge_s = begun.elapsed().as_secs_f64();
        trace.check(&merged)?;
        Ok(TextCost { apply_s, merge_s, bytes: stored(&entries)? })
    }
}

/// Types a text; returns the state and one entry for each transaction.
fn typed(trace: &Trace) -> Outcome<(Memory, Vec<Vec<u8>>)> {
    let mut view = Memory::default();
    let kind = PropertyType::List(Scalar { kind: ScalarType::Int, nullable: false });
    let mut operations = class(DOCUMENT.class, TEXT.property, kind).to_vec();
    operations.push(Operation::Create(DOCUMENT));
    fold(&mut view, &author(1, 1, header(1, 0)), operations.iter().copied());
    let encode = |number, operations: Vec<Operation<'static>>| {
        let entry = Entry { header: header(number, 0), operations };
        entry::encode(&entry).map_err(|error| error.to_string())
    };
    let mut entries = vec![encode(1, operations)?];
    let mut elements = 0;
    for (number, transaction) in (2..).zip(&trace.transactions) {
        let author = author(1, number, header(number, 0));
        let mut operations = Vec::new();
        let mut change = |view: &mut Memory, change| {
            let operation = Operation::Change { target: DOCUMENT, property: TEXT.property, change };
            fold(view, &author, [operation]);
            operations.push(operation);
        };
        for (at, deleted, inserted) in transaction {
            for _ in 0..*deleted {
                let (element, _) = view.element_at(TEXT, *at).ok_or("the text is too short")?;
                change(&mut view, Change::ListRemove { element });
            }
            for (index, letter) in inserted.bytes().enumerate() {
                let anchor = view.anchor(TEXT, at + index);
                elements += 1;
                let element = ElementId { author: 1, number: elements };
                let value = Value::Int(letter.into());
                change(&mut view, Change::ListInsert { element, anchor, value });
            }
        }
        entries.push(encode(number, operations)?);
    }
    Ok((view, entries))
}

fn text(state: &Memory) -> String {
    let letter = |value: Value<'_>| {
        let Value::Int(letter) = value else { return '?' };
        u8::try_from(letter).unwrap_or(b'?').into()
    };
    state.elements(TEXT).map(|(_, value)| letter(value)).collect()
}

/// Returns the bytes of an encrypted file of a server that has taken the entries, has dropped the
/// history that its one client has, and is compacted.
fn stored(entries: &[Vec<u8>]) -> Outcome<usize> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("database");
    let store = encrypted().create(&path)?;
    let opening = Opening { database: [1; 16], epoch: 1 };
    let failed = |error: fastness_sync::server::ServerError| error.to_string();
    let server = ServerReplica::open(store.clone(), &opening).map_err(failed)?.deferred();
    let client = server.identify("user", 7, NOW).map_err(failed)?.client;
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    for entries in entries.chunks(TOGETHER) {
        let submission = Submission { client, access: Access::Write, entries, oldest_base: 0 };
        server.submit(&submission, NOW).map_err(failed)?;
    }
    let head = server.status().map_err(failed)?.head;
    if head != entries.len() as u64 {
        return Err(format!("the server took {head} of {} entries", entries.len()).into());
    }
    let progress = ClientProgress { cursor: head, oldest_base: head };
    server.progress(client, progress, NOW).map_err(failed)?;
    server.advance_horizon(NOW, 1000).map_err(failed)?;
    while server.compact(1000).map_err(failed)? {}
    server.sync().map_err(failed)?;
    store.compact()?;
    drop((server, store));
    Ok(usize::try_from(std::fs::metadata(&path)?.len())?)
}
