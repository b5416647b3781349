//! Entries: the vectors of docs/protocol.md#entry, and properties of any entry and any bytes.
//!
//! - EN1 Decoding any bytes is total, and encoding the decoded entry gives the same bytes.
//! - EN2 An entry that is encoded decodes to itself.
//! - EN3 Every limit is an error on both sides.

use fastness_sync::entry::{
    Anchor, Change, ElementId, Encoder, Entry, EntryError, Header, Key, Limit, ObjectRef,
    Operation, Operations, PrimaryKey, PropertyType, Scalar, ScalarType, Value, decode, encode,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const VECTORS: &str = include_str!("vectors/entries.json");

fn vectors() -> Json {
    serde_json::from_str(VECTORS).expect("JSON")
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn element(id: ElementId) -> Json {
    json!([id.author, id.number])
}

fn key(key: Key<'_>) -> Json {
    match key {
        Key::Null => Json::Null,
        Key::Int(key) => json!({ "int": key }),
        Key::String(key) => json!({ "string": key }),
        Key::Generated(id) => json!({ "generated": element(id) }),
    }
}

fn anchor(anchor: Anchor) -> Json {
    match anchor {
        Anchor::Head => json!("head"),
        Anchor::After(id) => json!({ "after": element(id) }),
        Anchor::Before(id) => json!({ "before": element(id) }),
    }
}

fn value(value: Value<'_>) -> Json {
    match value {
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!({ "int": value }),
        Value::Float(value) => json!({ "float": value.to_bits() }),
        Value::Double(value) => json!({ "double": value.to_bits() }),
        Value::String(value) => json!({ "string": value }),
        Value::Binary(value) => {
            let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "binary": hex })
        }
        Value::Timestamp { seconds, nanoseconds } => {
            json!({ "timestamp": [seconds, nanoseconds] })
        }
        Value::Link(target) => json!({ "link": [target.class, key(target.key)] }),
        Value::Null | _ => Json::Null,
    }
}

fn scalar(scalar: Scalar) -> Json {
    let name = match scalar.kind {
        ScalarType::Int => "int",
        ScalarType::Bool => "bool",
        ScalarType::String => "string",
        ScalarType::Binary => "binary",
        ScalarType::Timestamp => "timestamp",
        ScalarType::Float => "float",
        ScalarType::Double | _ => "double",
    };
    json!([name, scalar.nullable])
}

fn kind(kind: PropertyType<'_>) -> Json {
    match kind {
        PropertyType::Scalar(of) => json!({ "scalar": scalar(of) }),
        PropertyType::Link(class) => json!({ "link": class }),
        PropertyType::LinkList(class) => json!({ "link_list": class }),
        PropertyType::List(of) => json!({ "list": scalar(of) }),
        PropertyType::Counter | _ => json!("counter"),
    }
}

fn change(change: Change<'_>) -> Json {
    match change {
        Change::Set(to) => json!({ "operation": "set", "value": value(to) }),
        Change::ListInsert { element: id, anchor: at, value: to } => json!({
            "operation": "list_insert", "element": element(id), "anchor": anchor(at),
            "value": value(to),
        }),
        Change::ListSet { element: id, value: to } => {
            json!({ "operation": "list_set", "element": element(id), "value": value(to) })
        }
        Change::ListRemove { element: id } => {
            json!({ "operation": "list_remove", "element": element(id) })
        }
        Change::ListMove { element: id, anchor: at } => {
            json!({ "operation": "list_move", "element": element(id), "anchor": anchor(at) })
        }
        Change::Increment(by) => json!({ "operation": "increment", "by": by }),
        _ => Json::Null,
    }
}

fn operation(operation: &Operation<'_>) -> Json {
    let object = |name: &str, target: ObjectRef<'_>| {
        let key = key(target.key);
        json!({ "operation": name, "class": target.class, "key": key })
    };
    match *operation {
        Operation::AddClass { class, primary_key } => {
            let primary_key = primary_key.map(|key| {
                let kind = if key.is_string { "string" } else { "int" };
                json!([key.property, kind, key.nullable])
            });
            json!({ "operation": "add_class", "class": class, "primary_key": primary_key })
        }
        Operation::AddProperty { class, property, kind: of } => json!({
            "operation": "add_property", "class": class, "property": property, "type": kind(of),
        }),
        Operation::Create(target) => object("create", target),
        Operation::Delete(target) => object("delete", target),
        Operation::Change { target, property, change: to } => {
            let mut fields = change(to);
            fields["class"] = json!(target.class);
            fields["key"] = key(target.key);
            fields["property"] = json!(property);
            fields
        }
        _ => Json::Null,
    }
}

#[test]
fn vectors_decode_as_annotated_and_encode_to_their_bytes() {
    for vector in vectors()["entries"].as_array().unwrap() {
        let parts = vector["bytes"].as_array().unwrap().iter();
        let bytes: Vec<u8> = parts.flat_map(|part| unhex(part[0].as_str().unwrap())).collect();
        let entry = decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", vector["name"]));
        let Header { client_seq, base, stamp } = entry.header;
        let operations: Vec<Json> = entry.operations.iter().map(operation).collect();
        let found = json!({
            "client_seq": client_seq, "base": base, "stamp": stamp, "operations": operations,
        });
        assert_eq!(found, vector["entry"], "{}", vector["name"]);
        assert_eq!(encode(&entry).unwrap(), bytes, "{}", vector["name"]);
    }
}

#[test]
fn malformed_vectors_are_refused_for_their_reason() {
    for vector in vectors()["malformed"].as_array().unwrap() {
        let problem = match decode(&unhex(vector["bytes"].as_str().unwrap())) {
            Ok(entry) => panic!("{}: {entry:?}", vector["name"]),
            Err(EntryError::Limit(limit)) => format!("{limit:?}"),
            Err(EntryError::Malformed { problem, .. }) => format!("{problem:?}"),
        };
        assert_eq!(json!(problem), vector["problem"], "{}", vector["name"]);
    }
}

const HEADER: Header = Header { client_seq: 7, base: 41, stamp: 1_784_567_894_016 };

fn update(number: i64) -> Operation<'static> {
    let target = ObjectRef { class: "Item", key: Key::Int(number) };
    Operation::Change {
        target,
        property: "count",
        change: Change::Set(Value::Int(100 + number % 1000)),
    }
}

/// Bytes of an entry that updates one property of each of these objects.
fn updates(objects: impl Iterator<Item = i64>) -> usize {
    let entry = Entry { header: HEADER, operations: objects.map(update).collect() };
    encode(&entry).expect("an entry within the limits").len()
}

#[test]
#[expect(clippy::print_stdout, reason = "the measured sizes")]
fn an_update_takes_few_bytes() {
    let single = updates(std::iter::once(1000));
    assert!(single <= 27, "{single}");
    // Objects in no order, among a million.
    let scattered = updates((0..100).map(|number| number * 7_368_787 % 1_000_003));
    assert!(scattered <= 11 * 100, "{scattered}");
    println!("one update: {single} bytes; 100 scattered updates: {scattered} bytes");
}

#[test]
fn typing_takes_four_bytes_a_character() {
    let target = ObjectRef { class: "Doc", key: Key::Int(1) };
    let insert = |number: u64| {
        let id = |number| ElementId { author: 0, number };
        let anchor = if number == 1 { Anchor::Head } else { Anchor::After(id(number - 1)) };
        let change = Change::ListInsert { element: id(number), anchor, value: Value::String("x") };
        Operation::Change { target, property: "text", change }
    };
    let bytes = |count| {
        let entry = Entry { header: HEADER, operations: (1..=count).map(insert).collect() };
        encode(&entry).unwrap().len()
    };
    assert_eq!(bytes(1001) - bytes(1), 4000);
}

#[test]
fn limits_are_errors_on_both_sides() {
    let text = "x".repeat(1 << 20);
    let over = |operations: Vec<Operation<'_>>| encode(&Entry { header: HEADER, operations });
    let object = |class, key| Operation::Create(ObjectRef { class, key });
    let limit = |limit| Err(EntryError::Limit(limit));
    assert_eq!(over(Vec::new()), limit(Limit::Empty));
    assert_eq!(over(vec![object("", Key::Null)]), limit(Limit::NameBytes));
    assert_eq!(over(vec![object(&text[..256], Key::Null)]), limit(Limit::NameBytes));
    assert_eq!(over(vec![object("C", Key::String(&text[..1025]))]), limit(Limit::KeyBytes));
    assert!(over(vec![object(&text[..255], Key::String(&text[..1024]))]).is_ok());
    let set = |value| {
        let target = ObjectRef { class: "C", key: Key::Null };
        Operation::Change { target, property: "p", change: Change::Set(value) }
    };
    assert_eq!(over(vec![set(Value::String(&text))]), limit(Limit::EntryBytes));
    let late = Value::Timestamp { seconds: 0, nanoseconds: 1_000_000_000 };
    assert_eq!(over(vec![set(late)]), limit(Limit::Nanoseconds));
    assert_eq!(over(vec![set(Value::Null); 65_536]), limit(Limit::Operations));
    let mut most = over(vec![set(Value::Null); 65_535]).unwrap();
    assert_eq!(decode(&most).unwrap().operations.len(), 65_535);
    let again = most[most.len() - 2..].to_vec();
    most.extend(again);
    assert_eq!(decode(&most).err(), Some(EntryError::Limit(Limit::Operations)));
    assert_eq!(decode(text.repeat(2).as_bytes()).err(), Some(EntryError::Limit(Limit::EntryBytes)));
    let first = Encoder::new(Header { client_seq: 0, ..HEADER });
    assert_eq!(first.err(), Some(EntryError::Limit(Limit::ClientSeq)));
}

/// A generated operation owns nothing: its names and texts are among these.
const TEXTS: &[&str] = &["a", "b", "Item", "count", "\u{20ac}", "a name that is a little longer"];

fn texts() -> impl Strategy<Value = &'static str> {
    prop::sample::select(TEXTS)
}

fn numbers() -> impl Strategy<Value = i64> {
    prop_oneof![-3..3_i64, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn ids() -> impl Strategy<Value = ElementId> {
    let number = prop_oneof![8 => 0..4_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    let author = prop_oneof![8 => 0..2_u32, 1 => any::<u32>()];
    (author, number).prop_map(|(author, number)| ElementId { author, number })
}

fn objects() -> impl Strategy<Value = ObjectRef<'static>> {
    let key = prop_oneof![
        Just(Key::Null),
        numbers().prop_map(Key::Int),
        prop_oneof![Just(""), texts()].prop_map(Key::String),
        ids().prop_map(Key::Generated),
    ];
    (texts(), key).prop_map(|(class, key)| ObjectRef { class, key })
}

fn anchors() -> impl Strategy<Value = Anchor> {
    prop_oneof![Just(Anchor::Head), ids().prop_map(Anchor::After), ids().prop_map(Anchor::Before)]
}

fn values() -> impl Strategy<Value = Value<'static>> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        numbers().prop_map(Value::Int),
        any::<u32>().prop_map(|bits| Value::Float(f32::from_bits(bits))),
        any::<u64>().prop_map(|bits| Value::Double(f64::from_bits(bits))),
        texts().prop_map(Value::String),
        texts().prop_map(|text| Value::Binary(text.as_bytes())),
        (numbers(), 0..1_000_000_000_u32)
            .prop_map(|(seconds, nanoseconds)| Value::Timestamp { seconds, nanoseconds }),
        objects().prop_map(Value::Link),
    ]
}

fn scalars() -> impl Strategy<Value = Scalar> {
    let kind = prop::sample::select(
        &[
            ScalarType::Int,
            ScalarType::Bool,
            ScalarType::String,
            ScalarType::Binary,
            ScalarType::Timestamp,
            ScalarType::Float,
            ScalarType::Double,
        ][..],
    );
    (kind, any::<bool>()).prop_map(|(kind, nullable)| Scalar { kind, nullable })
}

fn types() -> impl Strategy<Value = PropertyType<'static>> {
    prop_oneof![
        scalars().prop_map(PropertyType::Scalar),
        Just(PropertyType::Counter),
        texts().prop_map(PropertyType::Link),
        texts().prop_map(PropertyType::LinkList),
        scalars().prop_map(PropertyType::List),
    ]
}

fn changes() -> impl Strategy<Value = Change<'static>> {
    prop_oneof![
        1 => values().prop_map(Change::Set),
        1 => numbers().prop_map(Change::Increment),
        3 => (ids(), anchors(), values())
            .prop_map(|(element, anchor, value)| Change::ListInsert { element, anchor, value }),
        1 => (ids(), values()).prop_map(|(element, value)| Change::ListSet { element, value }),
        1 => ids().prop_map(|element| Change::ListRemove { element }),
        1 => (ids(), anchors()).prop_map(|(element, anchor)| Change::ListMove { element, anchor }),
    ]
}

fn operations() -> impl Strategy<Value = Operation<'static>> {
    let keys = (texts(), any::<bool>(), any::<bool>())
        .prop_map(|(property, is_string, nullable)| PrimaryKey { property, is_string, nullable });
    prop_oneof![
        1 => (texts(), prop::option::of(keys))
            .prop_map(|(class, primary_key)| Operation::AddClass { class, primary_key }),
        1 => (texts(), texts(), types())
            .prop_map(|(class, property, kind)| Operation::AddProperty { class, property, kind }),
        1 => objects().prop_map(Operation::Create),
        1 => objects().prop_map(Operation::Delete),
        4 => (objects(), texts(), changes())
            .prop_map(|(target, property, change)| Operation::Change { target, property, change }),
    ]
}

/// An entry in which an operation often repeats the object of the one before, or its element's
/// successor.
fn entries() -> impl Strategy<Value = Entry<'static>> {
    let header = (1..=u64::MAX, any::<u64>(), any::<u64>())
        .prop_map(|(client_seq, base, stamp)| Header { client_seq, base, stamp });
    let steps = prop::collection::vec((operations(), 0..4_u8), 1..20);
    (header, steps).prop_map(|(header, steps)| {
        let mut operations: Vec<Operation<'static>> = Vec::new();
        for (mut operation, repeats) in steps {
            if let (
                Operation::Change { target, property, change },
                Some(Operation::Change { target: before, property: of_before, change: last }),
            ) = (&mut operation, operations.last())
            {
                if repeats > 0 {
                    *target = *before;
                }
                if repeats > 1 {
                    *property = of_before;
                }
                if let (Change::ListInsert { element: id, .. }, 3) = (*last, repeats) {
                    let next = ElementId { number: id.number.wrapping_add(1), ..id };
                    let (anchor, value) = (Anchor::After(id), Value::Null);
                    *change = Change::ListInsert { element: next, anchor, value };
                }
            }
            operations.push(operation);
        }
        Entry { header, operations }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_entry_decodes_to_itself(entry in entries()) {
        let bytes = encode(&entry).unwrap();
        let decoded = decode(&bytes).unwrap();
        // NaN is not equal to itself, its bits are.
        prop_assert_eq!(format!("{decoded:?}"), format!("{entry:?}"));
        prop_assert_eq!(encode(&decoded).unwrap(), bytes);
    }

    /// The server writes the effective stamp into an entry, and touches nothing else.
    #[test]
    fn another_stamp_changes_the_stamp_alone(entry in entries(), stamp: u64) {
        let bytes = encode(&entry).expect("within the limits");
        let stamped = Operations::with_stamp(&bytes, stamp).expect("within the limits");
        let expected = Entry { header: Header { stamp, ..entry.header }, ..entry };
        prop_assert_eq!(stamped, encode(&expected).expect("within the limits"));
    }

    #[test]
    fn changed_bytes_are_an_error_or_the_encoding_of_an_entry(
        entry in entries(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&entry).unwrap();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if end.index(4) == 0 {
            bytes.truncate(end.index(bytes.len()));
        }
        if let Ok(decoded) = decode(&bytes) {
            prop_assert_eq!(encode(&decoded).unwrap(), bytes);
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_the_encoding_of_an_entry(
        rest in prop::collection::vec(prop_oneof![0..16_u8, any::<u8>()], 0..64),
    ) {
        let mut bytes = vec![1, 1, 0, 0];
        bytes.extend(rest);
        if let Ok(decoded) = decode(&bytes) {
            prop_assert_eq!(encode(&decoded).unwrap(), bytes);
        }
    }
}
