//! Tests of the floor through operations alone, without the rules of an app.

use super::{
    Applied, Dropped, Element, ElementId, ObjectKey, ObjectRef, Operation, RowId, SchemaChange,
    Tables, Timestamp, Value,
};
use crate::schema::{Class, Property, PropertyType, Scalar};
use crate::txn::{Store, StoreOptions};
use std::collections::BTreeMap;

type Trees = BTreeMap<String, Vec<(Vec<u8>, Vec<u8>)>>;

fn store() -> Store {
    StoreOptions::new().in_memory().unwrap()
}

fn property(name: &str, kind: impl Into<PropertyType>) -> Property {
    Property::new(name, kind).unwrap()
}

/// Dogs with a primary key, walks without one; both link, and have lists.
fn classes() -> Vec<Operation> {
    let dog = Class::new("Dog")
        .unwrap()
        .with(property("name", Scalar::String).required().primary_key())
        .with(property("age", Scalar::Int).indexed())
        .with(property("note", Scalar::String))
        .with(property("walks", PropertyType::Counter))
        .with(property("friend", PropertyType::Object("Dog".into())))
        .with(property("tricks", PropertyType::List { of: Scalar::String, nullable: false }));
    let walk =
        Class::new("Walk").unwrap().with(property("dogs", PropertyType::ObjectList("Dog".into())));
    [dog, walk].map(|class| Operation::SchemaChange(SchemaChange::AddClass(class))).into()
}

fn dog(name: &str) -> ObjectRef {
    ObjectRef { class: "Dog".into(), key: ObjectKey::String(name.into()) }
}

fn walk(author: u32, number: u64) -> ObjectRef {
    ObjectRef { class: "Walk".into(), key: ObjectKey::Row(RowId { author, number }) }
}

fn set<'v>(target: ObjectRef, property: &str, value: impl Into<Value<'v>>) -> Operation {
    Operation::Set { target, property: property.into(), value: value.into().into_owned() }
}

const fn id(author: u32, number: u64) -> ElementId {
    ElementId { author, number }
}

fn insert(target: ObjectRef, element: Element, after: Option<ElementId>) -> Operation {
    let property = if target.class == "Dog" { "tricks" } else { "dogs" };
    Operation::ListInsert { target, property: property.into(), element, after }
}

fn trick(id: ElementId, text: &str) -> Element {
    Element { id, value: Value::from(text).into_owned() }
}

/// A link; the number of the class is that of another file.
fn link(name: &str) -> Value<'static> {
    let key = ObjectKey::String(name.into());
    Value::Link(super::ObjectId { class: super::ClassId(77), key })
}

#[track_caller]
fn apply(tables: &mut Tables, operation: &Operation) -> Applied {
    tables.apply(operation, &mut |_| ()).unwrap()
}

#[track_caller]
fn apply_all(tables: &mut Tables, operations: &[Operation]) {
    for operation in operations {
        assert_eq!(apply(tables, operation), Applied::Changed, "{operation:?}");
    }
}

/// Runs a transaction on the tables below a root.
fn change<T>(store: &Store, root: &str, body: impl FnOnce(&mut Tables) -> T) -> T {
    let mut tables = Tables::open(store.write().unwrap(), root).unwrap();
    let outcome = body(&mut tables);
    tables.finish().unwrap().0.commit().unwrap();
    outcome
}

/// Reads the trees below a root, without the root in their names.
fn trees(store: &Store, root: &str) -> Trees {
    let snapshot = store.snapshot();
    let prefix = format!("{root}/");
    let mut trees = Trees::new();
    for name in snapshot.tree_names() {
        let Some(short) = name.strip_prefix(&prefix) else { continue };
        let entries = snapshot.tree(name).range(..).unwrap().map(|entry| {
            let (key, value) = entry.unwrap();
            (key.to_vec(), value.to_vec())
        });
        trees.insert(short.to_owned(), entries.collect());
    }
    trees
}

/// Leaves out the next number and the stamp, which an undo leaves alone.
fn undoable(mut trees: Trees) -> Trees {
    if let Some(schema) = trees.get_mut("schema") {
        schema.retain(|(key, _)| *key != [1]);
        schema.iter_mut().filter(|(key, _)| *key == [0]).for_each(|(_, head)| head[..8].fill(0));
    }
    trees
}

#[test]
fn operations_that_do_not_fit_are_dropped_with_the_reason_and_change_nothing() {
    let store = store();
    change(&store, "main", |tables| {
        apply_all(tables, &classes());
        apply_all(
            tables,
            &[
                Operation::Create(dog("Rex")),
                Operation::Create(walk(3, 1)),
                insert(dog("Rex"), trick(id(3, 2), "sit"), None),
            ],
        );
    });
    let before = trees(&store, "main");
    let other = ObjectRef { class: "Cat".into(), key: ObjectKey::Null };
    let add =
        |class, property| Operation::SchemaChange(SchemaChange::AddProperty { class, property });
    let cases = [
        (Operation::Create(other), Dropped::NoClass),
        (Operation::Create(walk(0, 1).in_class("Dog")), Dropped::Unfit),
        (Operation::Create(dog(&"x".repeat(501))), Dropped::Unfit),
        (Operation::Delete(dog("Ida")), Dropped::NoObject),
        (set(dog("Rex"), "color", 1), Dropped::NoProperty),
        (set(dog("Rex"), "name", "Max"), Dropped::NoProperty),
        (set(dog("Rex"), "tricks", "sit"), Dropped::NoProperty),
        (set(dog("Rex"), "walks", 1), Dropped::NoProperty),
        (set(dog("Rex"), "age", "old"), Dropped::Unfit),
        (set(dog("Rex"), "friend", link("Ida")), Dropped::NoTarget),
        (insert(dog("Rex"), trick(id(3, 9), "roll"), Some(id(3, 8))), Dropped::NoAnchor),
        (insert(walk(3, 1), trick(id(3, 9), "roll"), None), Dropped::Unfit),
        (
            Operation::ListRemove {
                target: dog("Rex"),
                property: "tricks".into(),
                element: id(3, 8),
            },
            Dropped::NoElement,
        ),
        (add("Cat".into(), property("age", Scalar::Int)), Dropped::NoClass),
        (add("Dog".into(), property("age", Scalar::String)), Dropped::Conflict),
        (
            Operation::SchemaChange(SchemaChange::RemoveClass { class: "Dog".into() }),
            Dropped::Linked,
        ),
    ];
    change(&store, "main", |tables| {
        for (operation, reason) in cases {
            assert_eq!(apply(tables, &operation), Applied::Dropped(reason), "{operation:?}");
        }
        for operation in classes() {
            assert_eq!(apply(tables, &operation), Applied::Unchanged, "{operation:?}");
        }
        assert_eq!(apply(tables, &Operation::Create(dog("Rex"))), Applied::Unchanged);
        let again = insert(dog("Rex"), trick(id(3, 2), "sit"), Some(id(3, 8)));
        assert_eq!(apply(tables, &again), Applied::Unchanged);
    });
    assert_eq!(trees(&store, "main"), before);
}

impl ObjectRef {
    fn in_class(self, class: &str) -> Self {
        Self { class: class.into(), ..self }
    }
}

#[test]
fn ids_of_authors_never_clash() {
    let store = store();
    change(&store, "main", |tables| {
        apply_all(tables, &classes());
        tables.set_author(7);
        assert_eq!(tables.new_element_id().unwrap(), id(7, 1));
        // Numbers of other authors leave the own ones alone; numbers of the own author do not.
        apply_all(tables, &[Operation::Create(walk(3, 40)), Operation::Create(walk(7, 2))]);
        assert_eq!(tables.new_row_key().unwrap(), walk(7, 3).key);
        apply_all(tables, &[Operation::Create(walk(0, 9))]);
        assert_eq!(tables.new_element_id().unwrap(), id(7, 10));
    });
    change(&store, "main", |tables| {
        assert_eq!(tables.new_element_id().unwrap(), id(0, 11));
    });
}

#[test]
fn roots_are_apart_and_alike() {
    let store = store();
    let operations = |names: &[&str]| -> Vec<Operation> {
        let mut operations = classes();
        operations.extend(names.iter().map(|name| Operation::Create(dog(name))));
        operations.push(set(dog(names[0]), "friend", link(names[1])));
        operations
    };
    change(&store, "main", |tables| apply_all(tables, &operations(&["Rex", "Ida"])));
    let main = trees(&store, "main");
    change(&store, "fresh", |tables| apply_all(tables, &operations(&["Rex", "Ida"])));
    assert_eq!((trees(&store, "fresh"), trees(&store, "main")), (main.clone(), main.clone()));
    change(&store, "fresh", |tables| apply_all(tables, &[Operation::Delete(dog("Ida"))]));
    assert_eq!(trees(&store, "main"), main);
    assert_ne!(trees(&store, "fresh"), main);
}

/// Numbers that follow from a seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u32::try_from(self.0 >> 33).unwrap() % end
    }

    fn text(&mut self, letter: &str, end: u32) -> String {
        letter.repeat(usize::try_from(self.below(end)).unwrap())
    }
}

/// An operation that may or may not fit.
fn any_operation(numbers: &mut Numbers, step: u32) -> Operation {
    let names = ["Rex", "Ida", "Bo", "Max"];
    let name = names[usize::try_from(numbers.below(4)).unwrap()];
    let other = names[usize::try_from(numbers.below(4)).unwrap()];
    let target = match numbers.below(3) {
        0 => walk(0, u64::from(numbers.below(3)) + 1),
        _ => dog(name),
    };
    let property = if target.class == "Dog" { "tricks" } else { "dogs" };
    let element = id(0, numbers.below(step + 1).into());
    let after = Some(id(0, numbers.below(step + 1).into())).filter(|_| numbers.below(3) > 0);
    let text = numbers.text("y", 300);
    let value = if target.class == "Dog" { Value::from(text).into_owned() } else { link(other) };
    match numbers.below(13) {
        0 | 1 => Operation::Create(target),
        2 => Operation::Delete(target),
        3 => set(dog(name), "age", Some(i64::from(numbers.below(5))).filter(|age| *age > 0)),
        4 => set(dog(name), "note", numbers.text("z", 2000)),
        5 => set(dog(name), "friend", link(other)),
        6 => Operation::Increment { target: dog(name), property: "walks".into(), by: 3 },
        7 => Operation::ListRemove { target, property: property.into(), element },
        8 => Operation::ListMove { target, property: property.into(), element, after },
        9 => {
            let element = Element { id: element, value };
            Operation::ListSet { target, property: property.into(), element }
        }
        10 => Operation::SchemaChange(match numbers.below(4) {
            0 => SchemaChange::SetIndexed {
                class: "Dog".into(),
                property: "note".into(),
                indexed: numbers.below(2) == 0,
            },
            1 => SchemaChange::SetNullable {
                class: "Dog".into(),
                property: "age".into(),
                nullable: numbers.below(2) == 0,
            },
            2 => SchemaChange::AddProperty {
                class: "Dog".into(),
                property: self::property("color", Scalar::String).indexed(),
            },
            _ => SchemaChange::RemoveProperty { class: "Dog".into(), property: "color".into() },
        }),
        _ => insert(target, Element { id: id(0, u64::from(step) + 1), value }, after),
    }
}

#[test]
fn pre_images_put_back_restore_every_tree() {
    for seed in 0..40 {
        let store = store();
        let mut numbers = Numbers(seed);
        let mut step = 0;
        let mut some = |tables: &mut Tables, count: u32| {
            let mut changed = 0;
            for _ in 0..count {
                step += 1;
                let operation = any_operation(&mut numbers, step);
                changed += usize::from(apply(tables, &operation) == Applied::Changed);
            }
            changed
        };
        change(&store, "main", |tables| {
            apply_all(tables, &classes());
            some(tables, 60);
        });
        let before = trees(&store, "main");
        let mut recordings = Vec::new();
        for _ in 0..3 {
            recordings.push(change(&store, "main", |tables| {
                assert!(tables.record().unwrap().is_empty());
                assert!(some(tables, 40) > 0, "seed {seed} tests nothing");
                tables.record().unwrap()
            }));
        }
        assert_ne!(undoable(trees(&store, "main")), undoable(before.clone()));
        change(&store, "main", |tables| {
            for recording in recordings.iter().rev() {
                tables.restore(recording.iter()).unwrap();
            }
        });
        assert_eq!(undoable(trees(&store, "main")), undoable(before), "seed {seed}");
    }
}

#[test]
fn a_restored_catalog_has_a_stamp_of_its_own() {
    let store = store();
    let stamp = || trees(&store, "main")["schema"][0].1[..8].to_vec();
    change(&store, "main", |tables| apply_all(tables, &classes()));
    let first = stamp();
    let add = SchemaChange::AddClass(Class::new("Cat").unwrap().with(property("a", Scalar::Int)));
    let recording = change(&store, "main", |tables| {
        drop(tables.record().unwrap());
        apply_all(tables, &[Operation::SchemaChange(add)]);
        tables.record().unwrap()
    });
    let second = stamp();
    change(&store, "main", |tables| tables.restore(recording.iter()).unwrap());
    assert!(first < second && second < stamp());
}

#[test]
fn a_counter_at_its_maximum_is_an_error() {
    let store = store();
    change(&store, "main", |tables| {
        apply_all(tables, &classes());
        apply_all(tables, &[Operation::Create(dog("Rex")), Operation::Create(walk(0, 1))]);
        let element = Element { id: id(0, 2), value: link("Rex") };
        apply_all(tables, &[insert(walk(0, 1), element, None)]);
    });
    let begin = || Tables::open(store.write().unwrap(), "main").unwrap();
    let patch = |tree: &str, key: &[u8], at: usize, bytes: &[u8]| {
        let mut txn = store.write().unwrap();
        let mut tree = txn.tree(tree).unwrap();
        let mut value = tree.get(key).unwrap().unwrap().to_vec();
        value[at..at + bytes.len()].copy_from_slice(bytes);
        tree.insert(key, &value).unwrap();
        txn.commit().unwrap();
    };
    // The next number: the last but one is given out, the last one never.
    patch("main/schema", &[1], 0, &(u64::MAX - 1).to_le_bytes());
    let mut tables = begin();
    assert_eq!(tables.take_number().unwrap(), u64::MAX - 1);
    assert!(tables.take_number().is_err() && tables.take_number().is_err());
    let last = Operation::Create(walk(0, u64::MAX));
    assert_eq!(apply(&mut tables, &last), Applied::Dropped(Dropped::Unfit));
    drop(tables);
    // The number of a class.
    patch("main/schema", &[0], 8, &u32::MAX.to_le_bytes());
    let class = SchemaChange::AddClass(Class::new("Cat").unwrap());
    let class = Operation::SchemaChange(class);
    assert_eq!(apply(&mut begin(), &class), Applied::Dropped(Dropped::Full));
    // The stamp.
    patch("main/schema", &[0], 0, &u64::MAX.to_le_bytes());
    let mut tables = begin();
    let version = Operation::SchemaChange(SchemaChange::SetVersion { version: 9 });
    assert_eq!(apply(&mut tables, &version), Applied::Changed);
    assert!(tables.finish().is_err());
    // The number of links.
    let (key, _) = store.snapshot().tree("main/0.links").first().unwrap().unwrap();
    patch("main/0.links", &key, 0, &u32::MAX.to_le_bytes());
    let again = insert(walk(0, 1), Element { id: id(0, 3), value: link("Rex") }, None);
    assert!(begin().apply(&again, &mut |_| ()).is_err());
}

#[test]
fn a_point_in_time_is_read_as_it_is_displayed() {
    let seconds = [i64::MIN, -62_167_219_201, -1, 0, 951_868_800, 253_402_300_800, i64::MAX];
    for seconds in seconds {
        for nanoseconds in [0, 1, 999_999_999] {
            let time = Timestamp::new(seconds, nanoseconds);
            assert_eq!(time.to_string().parse(), Ok(time), "{time}");
        }
    }
    assert_eq!("2017-11-22T09:30:15Z".parse(), Ok(Timestamp::new(1_511_343_015, 0)));
    assert_eq!("2017-11-22T09:30:15.5Z".parse(), Ok(Timestamp::new(1_511_343_015, 500_000_000)));
    for text in [
        "",
        "Z",
        "2017-11-22T09:30:15",
        "2017-02-29T00:00:00Z",
        "2017-11-22T24:00:00Z",
        "2017-11-22T09:30Z",
        "2017-11-22T09:30:15.1234567891Z",
        "2017-11-22T09:30:+5Z",
        "17-11-22T09:30:15Z",
        "+2017-11-22T09:30:15Z",
        "+9223372036854775807-01-01T00:00:00Z",
        "2017-11-2\u{e9}T09:30:15Z",
        "\u{e9}-11-22T09:30:15Z",
    ] {
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
    }
}
