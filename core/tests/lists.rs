//! Long lists, which are stored in chunks: against a vector, and their trees in the file. `sim`
//! checks the promises.

use fastness::object::{
    Database, DatabaseOptions, Element, ObjectId, PropertyValue, Transaction, Value,
};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::{Result, StoreOptions};
use fastness_testkit::Generator;

const PIECE_BYTES_MAX: usize = 1024;

fn schema() -> Schema {
    let list = |of| PropertyType::List { of, nullable: true };
    let class = Class::new("Class")
        .unwrap()
        .with(Property::new("name", Scalar::String).unwrap().required().primary_key())
        .with(Property::new("number", Scalar::Int).unwrap())
        .with(Property::new("ints", list(Scalar::Int)).unwrap())
        .with(Property::new("texts", list(Scalar::String)).unwrap())
        .with(Property::new("links", PropertyType::ObjectList("Class".into())).unwrap());
    Schema::new([class]).unwrap()
}

fn database() -> Database {
    Database::in_memory(&StoreOptions::new(), &DatabaseOptions::schema(schema(), 0)).unwrap()
}

/// Entries of a tree of the class.
fn entries(database: &Database, tree: &str) -> Vec<usize> {
    let snapshot = database.snapshot().unwrap();
    let tree = snapshot.store().tree(&format!("main/0{tree}"));
    tree.range(..).unwrap().map(|entry| entry.unwrap().1.len()).collect()
}

/// Reads a list in both ways.
fn read(database: &Database, id: &ObjectId, list: &str) -> Vec<Element> {
    let snapshot = database.snapshot().unwrap();
    let object = snapshot.object(id).unwrap().unwrap();
    let elements: Result<Vec<_>> = object.elements(list).unwrap().collect();
    assert_eq!(object.list(list).unwrap(), elements.unwrap());
    object.list(list).unwrap()
}

fn value(list: &str, random: &mut Generator) -> Value<'static> {
    match (list, random.below(8)) {
        (_, 0) => Value::Null,
        ("texts", 1) => "long".repeat(random.below(600)).into(),
        ("texts", len) => "x".repeat(len * random.below(40)).into(),
        _ => Value::Int(i64::try_from(random.below(1000)).unwrap()),
    }
}

/// A list as a vector, and the source of its changes.
struct ListModel {
    expected: Vec<Element>,
    random: Generator,
}

/// Makes one change to a list and to its model.
fn change(txn: &mut Transaction, id: &ObjectId, list: &str, model: &mut ListModel) {
    let ListModel { expected, random } = model;
    let at = random.below(expected.len());
    let to = random.below(expected.len());
    let made = value(list, random);
    let mut held = txn.list(id, list).unwrap();
    match random.below(10) {
        0..3 if !expected.is_empty() => assert_eq!(held.remove(at).unwrap(), expected.remove(at)),
        3 if !expected.is_empty() => {
            held.set(at, made.clone()).unwrap();
            expected[at].value = made;
        }
        4 | 5 if !expected.is_empty() => {
            held.move_to(at, to).unwrap();
            let moved = expected.remove(at);
            expected.insert(to, moved);
        }
        6 => {
            let id = held.push(made.clone()).unwrap();
            expected.push(Element { id, value: made });
        }
        _ => {
            let id = held.insert(at, made.clone()).unwrap();
            expected.insert(at, Element { id, value: made });
        }
    }
    assert_eq!(held.len().unwrap(), model.expected.len());
}

#[test]
fn a_list_in_chunks_equals_a_vector() {
    for list in ["ints", "texts"] {
        let database = database();
        let mut model = ListModel { expected: Vec::new(), random: Generator::new(7) };
        let id = database.transact(|txn| txn.create_with_key("Class", "a")).unwrap();
        let mut most = 0;
        for round in 0..300 {
            let grown = model.expected.len() < 400;
            let mut txn = database.write().unwrap();
            for _ in 0..8 {
                change(&mut txn, &id, list, &mut model);
                if grown {
                    let made = value(list, &mut model.random);
                    let id = txn.list(&id, list).unwrap().push(made.clone()).unwrap();
                    model.expected.push(Element { id, value: made });
                }
            }
            txn.commit().unwrap();
            if round % 8 == 0 {
                assert_eq!(read(&database, &id, list), model.expected, "{list}, round {round}");
            }
            let pieces = entries(&database, ".pieces");
            most = most.max(pieces.len());
            let long = pieces.iter().filter(|len| **len > 4 + PIECE_BYTES_MAX).count();
            let elements = model.expected.iter().filter(
                |element| matches!(&element.value, Value::String(text) if text.len() > 1000),
            );
            assert!(long <= elements.count(), "{list}: {pieces:?}");
        }
        assert!(most >= 8, "{list}: {most} pieces");
        let ListModel { mut expected, mut random } = model;
        while !expected.is_empty() {
            let at = random.below(expected.len());
            let removed = database.transact(|txn| txn.list(&id, list)?.remove(at)).unwrap();
            assert_eq!(removed, expected.remove(at));
        }
        let lens = [".pieces", ".apart"].map(|tree| entries(&database, tree).len());
        assert_eq!(lens, [0, 0], "{list}");
    }
}

/// Appended elements fill chunks; a short list is stored in its entry.
#[test]
fn chunks_are_full_in_a_growing_list_and_absent_in_a_short_one() {
    let database = database();
    let id = database.transact(|txn| txn.create_with_key("Class", "a")).unwrap();
    let push = |count: i64| {
        database
            .transact(|txn| {
                (0..count).try_for_each(|number| txn.list(&id, "ints")?.push(number).map(drop))
            })
            .unwrap();
    };
    push(48);
    assert_eq!((entries(&database, ".pieces").len(), entries(&database, ".apart").len()), (0, 1));
    push(1);
    assert_eq!(entries(&database, ".pieces").len(), 2);
    push(9951);
    // Chunks, segments, the segment of each chunk, and the places of 64 elements each.
    let (pieces, chunks) = (entries(&database, ".pieces").len(), 10_000 / 48 + 2);
    assert!(pieces <= 2 * chunks + 2 + 10_000 / 64 + 2, "{pieces} pieces");
    database
        .transact(|txn| {
            let mut list = txn.list(&id, "ints")?;
            (0..9990).try_for_each(|_| list.remove(0).map(drop))
        })
        .unwrap();
    assert_eq!((entries(&database, ".pieces").len(), entries(&database, ".apart").len()), (0, 1));
    assert_eq!(read(&database, &id, "ints").len(), 10);
}

#[test]
fn long_lists_go_with_their_objects_and_their_properties() {
    let database = database();
    let many = |count: i64| PropertyValue::list(0..count);
    let fill = |txn: &mut Transaction, name: &str| {
        let texts = (0..200).map(|number| format!("text {number}"));
        txn.create_with(
            "Class",
            &[("name", name.into()), ("ints", many(300)), ("texts", PropertyValue::list(texts))],
        )
    };
    let [a, b] = ["a", "b"].map(|name| database.transact(|txn| fill(txn, name)).unwrap());
    let linked: Vec<_> = (0..150).map(|number| [&a, &b][number % 2]).collect();
    database.transact(|txn| txn.update(&b, &[("links", PropertyValue::list(linked))])).unwrap();
    assert_eq!(
        database.snapshot().unwrap().view().backlinks(&b, "Class", "links").unwrap().len(),
        75
    );
    let before = read(&database, &b, "texts");
    let pieces = entries(&database, ".pieces").len();
    // Another key takes the pieces with it, and links follow.
    database.transact(|txn| txn.set_primary_key("Class", None)).unwrap();
    // Keys that are longer may take another piece.
    assert!(entries(&database, ".pieces").len() >= pieces);
    let ids: Vec<_> = {
        let snapshot = database.snapshot().unwrap();
        let objects = snapshot.objects("Class").unwrap();
        objects.iter().unwrap().map(|object| object.unwrap().id()).collect()
    };
    let [a, b] = &ids[..] else { panic!("two objects") };
    assert_eq!(read(&database, b, "texts"), before);
    let links = read(&database, b, "links");
    assert_eq!((&links[0].value, &links[149].value), (&a.into(), &b.into()));
    // Deleting an object removes links to it from long lists, too.
    database.transact(|txn| txn.delete(a)).unwrap();
    let left = read(&database, b, "links");
    assert_eq!((left.len(), left.iter().all(|left| left.value == b.into())), (75, true));
    let kept: Vec<_> = links.into_iter().filter(|element| element.value == b.into()).collect();
    assert_eq!(left, kept);
    database.transact(|txn| txn.remove_property("Class", "texts")).unwrap();
    assert_eq!(read(&database, b, "ints").len(), 300);
    assert_eq!(entries(&database, ".apart").len(), 2);
    database.transact(|txn| txn.delete(b)).unwrap();
    let left = [".pieces", ".apart", ".links", ".moved", ""].map(|tree| entries(&database, tree));
    assert_eq!(left.map(|entries| entries.len()), [0; 5]);
}

#[test]
fn an_update_of_a_long_list_changes_what_differs() {
    let database = database();
    let id = database
        .transact(|txn| {
            txn.create_with(
                "Class",
                &[("name", "a".into()), ("ints", PropertyValue::list(0..1000))],
            )
        })
        .unwrap();
    let before = read(&database, &id, "ints");
    let values = (0..500).chain([-1, -2]).chain(501..1000);
    database.transact(|txn| txn.update(&id, &[("ints", PropertyValue::list(values))])).unwrap();
    let after = read(&database, &id, "ints");
    assert_eq!((&after[..500], &after[502..]), (&before[..500], &before[501..]));
    let values: Vec<_> = after[500..502].iter().map(|element| element.value.clone()).collect();
    assert_eq!(values, [Value::Int(-1), Value::Int(-2)]);
}

/// As versions before wrote it: all elements in the entry.
#[test]
fn a_long_list_without_pieces_is_read_and_cut_when_it_is_changed() {
    let database = database();
    let id = database
        .transact(|txn| txn.create_with("Class", &[("name", "a".into()), ("ints", short())]))
        .unwrap();
    let key = {
        let snapshot = database.snapshot().unwrap();
        let (key, _) = snapshot.store().tree("main/0.apart").first().unwrap().unwrap();
        key.to_vec()
    };
    let mut entry = 500_u32.to_le_bytes().to_vec();
    for number in 0..500_u64 {
        entry.extend_from_slice(&0_u32.to_le_bytes());
        entry.extend_from_slice(&(number + 1).to_le_bytes());
        entry.push(1);
        entry.extend_from_slice(&(2 * number).to_le_bytes());
    }
    let mut txn = database.store().write().unwrap();
    txn.tree("main/0.apart").unwrap().insert(&key, &entry).unwrap();
    txn.commit().unwrap();
    let before = read(&database, &id, "ints");
    assert_eq!((before.len(), before[499].id.number), (500, 500));
    assert_eq!(before[499].value, 998.into());
    assert_eq!(entries(&database, ".pieces"), [0; 0]);
    database.transact(|txn| txn.list(&id, "ints")?.move_to(499, 0)).unwrap();
    let after = read(&database, &id, "ints");
    assert_eq!((&after[0], &after[1..]), (&before[499], &before[..499]));
    assert_eq!(entries(&database, ".pieces").len(), 11);
}

fn short() -> PropertyValue<'static> {
    PropertyValue::list([7])
}
