//! Any bytes as a sync entry.
//!
//! - EN1 Decoding any bytes is total, and encoding the decoded entry gives the same bytes.

use fastness_sync::entry::{
    Anchor, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PrimaryKey, PropertyType,
    Scalar, ScalarType, Value, decode, encode,
};

/// Decodes the bytes as an entry, and again behind a valid header.
pub fn entry(bytes: &[u8]) {
    check(bytes);
    let header: &[u8] = &[1, 1, 0, 0];
    check(&[header, bytes].concat());
}

fn check(bytes: &[u8]) {
    if let Ok(entry) = decode(bytes) {
        let encoded = encode(&entry);
        assert_eq!(encoded.as_deref(), Ok(bytes), "EN1: {entry:?} has another encoding");
    }
}

/// Entries to begin with: every operation, key and value, with and without what flags omit.
#[must_use]
pub fn entry_seeds() -> Vec<Vec<u8>> {
    let id = |number| ElementId { author: 0, number };
    let target = ObjectRef { class: "Doc", key: Key::Int(1) };
    let change = |change| Operation::Change { target, property: "p", change };
    let scalar = Scalar { kind: ScalarType::String, nullable: true };
    let key = PrimaryKey { property: "id", is_string: true, nullable: false };
    let kinds = [
        PropertyType::Scalar(scalar),
        PropertyType::Counter,
        PropertyType::Link("Doc"),
        PropertyType::LinkList("Tag"),
        PropertyType::List(scalar),
    ];
    let property = |kind| Operation::AddProperty { class: "Doc", property: "p", kind };
    let schema = [("Doc", Some(key)), ("Tag", None)]
        .map(|(class, primary_key)| Operation::AddClass { class, primary_key });
    let keys = [Key::Null, Key::Int(-3), Key::String("k"), Key::Generated(id(9))];
    let objects = keys.map(|key| ObjectRef { class: "Doc", key });
    let values = [
        Value::Null,
        Value::Bool(true),
        Value::Int(300),
        Value::Float(1.5),
        Value::Double(-0.0),
        Value::String("\u{20ac}"),
        Value::Binary(&[0, 255]),
        Value::Timestamp { seconds: -1, nanoseconds: 999_999_999 },
        Value::Link(target),
    ];
    let insert = |number, anchor| {
        change(Change::ListInsert { element: id(number), anchor, value: Value::Bool(false) })
    };
    let entries: [Vec<Operation<'_>>; 5] = [
        schema.into_iter().chain(kinds.map(property)).collect(),
        objects.into_iter().flat_map(|o| [Operation::Create(o), Operation::Delete(o)]).collect(),
        values.into_iter().map(|value| change(Change::Set(value))).collect(),
        vec![change(Change::Increment(-1)), Operation::Delete(target)],
        vec![
            insert(1, Anchor::Head),
            insert(2, Anchor::After(id(1))),
            insert(3, Anchor::Before(id(1))),
            change(Change::ListSet { element: id(1), value: Value::Null }),
            change(Change::ListMove { element: id(3), anchor: Anchor::After(id(2)) }),
            change(Change::ListRemove { element: id(1) }),
        ],
    ];
    let header = Header { client_seq: 7, base: 41, stamp: 1_784_567_894_016 };
    let encoded = entries.map(|operations| encode(&Entry { header, operations }));
    encoded.into_iter().flatten().collect()
}
