//! A reviewed report of a client reset.

use fastness_sync::entry::{
    Anchor, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PrimaryKey, PropertyType,
    Scalar, ScalarType, Value, decode, encode,
};
use fastness_sync::merge::{Author, Memory, apply};
use fastness_sync::reset::{Cause, CreatedObjects, Reset, ResetReport};
use std::fmt::Write as _;

const CLIENT: u32 = 7;
const OTHER: u32 = 8;
const AGAIN: u32 = 9;

const fn page(key: i64) -> ObjectRef<'static> {
    ObjectRef { class: "Page", key: Key::Int(key) }
}

const fn change(key: i64, property: &'static str, change: Change<'static>) -> Operation<'static> {
    Operation::Change { target: page(key), property, change }
}

const fn title(key: i64, title: &'static str) -> Operation<'static> {
    change(key, "title", Change::Set(Value::String(title)))
}

/// A line of a page by its author; author 0 is that of the entry.
const fn line(author: u32, number: u64, anchor: Anchor) -> Operation<'static> {
    let (element, value) = (ElementId { author, number }, Value::Int(number.cast_signed()));
    change(1, "lines", Change::ListInsert { element, anchor, value })
}

const fn after(author: u32, number: u64) -> Anchor {
    Anchor::After(ElementId { author, number })
}

fn foundation() -> Vec<Operation<'static>> {
    let scalar = |kind| Scalar { kind, nullable: true };
    let key = PrimaryKey { property: "id", is_string: false, nullable: false };
    let property = |property, kind| Operation::AddProperty { class: "Page", property, kind };
    vec![
        Operation::AddClass { class: "Page", primary_key: Some(key) },
        property("title", PropertyType::Scalar(scalar(ScalarType::String))),
        property("lines", PropertyType::List(scalar(ScalarType::Int))),
        Operation::Create(page(1)),
        Operation::Create(page(2)),
        line(0, 1, Anchor::Head),
    ]
}

fn apply_all(state: &mut Memory, author: &Author, operations: &[Operation<'_>]) {
    for operation in operations {
        let Ok(_) = apply(state, author, *operation);
    }
}

/// An author whose entries have stamps that increase with their seq.
const fn author(client: u32, seq: u64) -> Author {
    Author { seq, client, client_seq: seq, base: seq - 1, stamp: 100 * seq }
}

#[test]
fn the_report_of_a_reset_is_reviewed() {
    let mut canonical = Memory::default();
    apply_all(&mut canonical, &author(OTHER, 1), &foundation());
    let mut fresh = canonical.clone();
    let remove = Change::ListRemove { element: ElementId { author: OTHER, number: 1 } };
    let kind = PropertyType::Counter;
    let count = Operation::AddProperty { class: "Page", property: "count", kind };
    let foreign =
        [Operation::Delete(page(2)), title(1, "theirs"), change(1, "lines", remove), count];
    apply_all(&mut fresh, &author(OTHER, 5), &foreign);

    let moved = ElementId { author: 0, number: 2 };
    let own = [
        Operation::Create(page(3)),
        title(3, "mine"),
        title(1, "mine"),
        title(2, "mine"),
        line(0, 1, after(OTHER, 1)),
        line(0, 2, after(0, 1)),
        change(1, "lines", Change::ListMove { element: moved, anchor: after(OTHER, 1) }),
        Operation::Delete(page(2)),
        change(1, "count", Change::Set(Value::Double(0.5))),
    ];
    let header = Header { client_seq: 4, base: 1, stamp: 400 };
    let encoded = encode(&Entry { header, operations: own.to_vec() }).unwrap();
    let old = Author { seq: u64::MAX, ..author(CLIENT, 4) };
    let mut working = canonical.clone();
    apply_all(&mut working, &old, &own);

    let new = Author { seq: u64::MAX, client: AGAIN, client_seq: 1, base: 5, stamp: 501 };
    let created = CreatedObjects::default();
    let mut reset = Reset { fresh, canonical: &canonical, working: &working, created };
    let (mut report, mut text) = (ResetReport::new(Cause::Diverged, CLIENT), String::new());
    let mut outcomes = Vec::new();
    for operation in decode(&encoded).unwrap().operations {
        let Ok((written, outcome)) = reset.recover(&old, &new, operation);
        outcomes.push(outcome);
        written.map_or(Ok(()), |written| writeln!(text, "{written:?}")).unwrap();
    }
    report.push(&encoded, outcomes).unwrap();
    insta::assert_snapshot!("reset_report", format!("{report}\nwritten again:\n{text}"));
}
