//! Golden files of objects: contents, pages, and reviewed texts of object errors.

use crate::golden::bytes;
use crate::texts::assert_all_listed;
use fastness::inspect::{dump_file, dump_page};
use fastness::object::{Database, DatabaseOptions, Object, ObjectKey, RowId, Timestamp, Value};
use fastness::vfs::MemoryVfs;
use fastness::{Error, ObjectError, PageId, Store};
use fastness_snapshots::objects::{LIST_FILES, OBJECT_FILES, make, make_lists, note, schema};
use fastness_snapshots::{Golden, options};
use fastness_testkit::in_memory_file;
use std::fmt::Write as _;

/// Path of the files on the file system in memory.
const PLACE: &str = "golden.fastness";

fn open(golden: Golden, bytes: &[u8]) -> (MemoryVfs, Store) {
    let vfs = in_memory_file(PLACE, bytes);
    let store = options(golden.encrypted, &vfs).open_read_only(PLACE).unwrap();
    (vfs, store)
}

fn texts(object: &Object<'_>, list: &str) -> Vec<String> {
    let elements = object.list(list).unwrap().into_iter();
    let text = |value: Value<'_>| {
        if let Value::Link(id) = value { id.key.to_string() } else { format!("{value:?}") }
    };
    elements.map(|element| format!("{} {}", element.id.number, text(element.value))).collect()
}

/// Checks the contents that [`make`] writes, literally.
#[track_caller]
fn check(store: Store) {
    let found = store.snapshot().verify().unwrap();
    assert_eq!((found.problems, found.objects), (Vec::new(), Vec::new()));
    let database = Database::from_store(store, &DatabaseOptions::dynamic()).unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(snapshot.view().schema().unwrap(), schema().unwrap());
    assert_eq!(snapshot.view().schema_version(), Some(3));
    let dogs: Vec<_> =
        snapshot.objects("Dog").unwrap().iter().unwrap().map(Result::unwrap).collect();
    let [ida, rex] = &dogs[..] else { panic!("two dogs") };
    for (dog, name, age, text) in
        [(ida, "Ida", Value::Null, Value::from(note())), (rex, "Rex", 7.into(), Value::Null)]
    {
        assert_eq!(dog.get("name").unwrap(), name.into());
        assert_eq!(dog.get("age").unwrap(), age);
        assert_eq!(dog.get("note").unwrap(), text);
    }
    assert_eq!(rex.get("friend").unwrap(), ida.id().into());
    assert_eq!(ida.get("friend").unwrap(), Value::Null);
    assert_eq!(texts(ida, "tricks"), ["1 String(\"sit\")", "2 Null", "3 String(\"roll\")"]);
    assert_eq!(ida.backlinks("Dog", "friend").unwrap(), [rex.id()]);
    let walks = snapshot.objects("Walk").unwrap();
    let walk = walks.iter().unwrap().next().unwrap().unwrap();
    assert_eq!((walks.len(), walk.key()), (1, &ObjectKey::Row(RowId::local(4))));
    assert_eq!(walk.get("began").unwrap(), Timestamp::new(1_511_343_015, 500).into());
    assert_eq!(walk.get("steps").unwrap(), 4321.into());
    assert_eq!(texts(&walk, "dogs"), ["5 \"Rex\"", "6 \"Ida\"", "7 \"Rex\""]);
    assert!(snapshot.objects("Empty").unwrap().is_empty());
}

#[test]
fn every_golden_file_of_objects_holds_what_it_held() {
    for golden in OBJECT_FILES {
        let (_vfs, store) = open(*golden, &bytes(*golden));
        check(store);
    }
}

#[test]
fn every_golden_file_of_objects_can_be_changed_and_compacted() {
    for golden in OBJECT_FILES {
        let vfs = in_memory_file(PLACE, &bytes(*golden));
        let open = || options(golden.encrypted, &vfs).open(PLACE).unwrap();
        let wanted = DatabaseOptions::schema(schema().unwrap(), 3);
        let database = Database::from_store(open(), &wanted).unwrap();
        database
            .transact(|txn| {
                let empty = txn.create("Empty")?;
                txn.delete(&empty)
            })
            .unwrap();
        database.store().compact().unwrap();
        drop(database);
        check(open());
    }
}

/// Not a promise of the format, but a review should see a change of the written size.
#[test]
fn a_file_of_objects_made_today_has_the_content_and_size_of_the_golden_one() {
    for golden in OBJECT_FILES {
        let made = make(*golden).unwrap();
        let (_vfs, store) = open(*golden, &made);
        check(store);
        assert!(made.len() <= bytes(*golden).len(), "it takes {} bytes", made.len());
    }
}

/// Checks the contents that [`make_lists`] writes, literally, and changes the list.
#[track_caller]
fn check_lists(golden: Golden, bytes: &[u8]) {
    let vfs = in_memory_file(PLACE, bytes);
    let database = options(golden.encrypted, &vfs).open(PLACE).unwrap();
    let database = Database::from_store(database, &DatabaseOptions::dynamic()).unwrap();
    let id = {
        let snapshot = database.snapshot().unwrap();
        let found = snapshot.store().verify().unwrap();
        assert_eq!((found.problems, found.objects), (Vec::new(), Vec::new()));
        assert_eq!(snapshot.store().tree("main/0.pieces").len(), 7);
        let log = snapshot.objects("Log").unwrap().iter().unwrap().next().unwrap().unwrap();
        let elements = log.list("numbers").unwrap().into_iter();
        let found: Vec<_> = elements.map(|it| (it.id.number, it.value)).collect();
        // The object has number 1.
        let expected = (0_i64..300).map(|at| (at + 299) % 300);
        let expected = expected.map(|value| (value.unsigned_abs() + 2, Value::from(value)));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{}", golden.name);
        log.id()
    };
    database.transact(|txn| txn.list(&id, "numbers")?.remove(150)).unwrap();
    let snapshot = database.snapshot().unwrap();
    let log = snapshot.object(&id).unwrap().unwrap();
    assert_eq!(log.list("numbers").unwrap().len(), 299);
}

#[test]
fn every_golden_file_of_long_lists_holds_what_it_held() {
    for golden in LIST_FILES {
        check_lists(*golden, &bytes(*golden));
        let made = make_lists(*golden).unwrap();
        check_lists(*golden, &made);
        assert!(made.len() <= bytes(*golden).len(), "it takes {} bytes", made.len());
    }
}

/// Returns the page tables of files.
fn pages(files: &[Golden]) -> String {
    let mut text = String::new();
    for golden in files {
        let (_vfs, store) = open(*golden, &bytes(*golden));
        writeln!(text, "== {}", golden.name).unwrap();
        text.push_str(&dump_file(&store.snapshot()).unwrap());
    }
    text
}

/// Returns the dump of every page with objects.
fn parts(golden: Golden) -> String {
    let (_vfs, store) = open(golden, &bytes(golden));
    let snapshot = store.snapshot();
    let mut text = String::new();
    for (number, line) in (0_u64..).zip(dump_file(&snapshot).unwrap().lines()) {
        if line.contains("main/") {
            text.push_str(&dump_page(&snapshot, PageId(number)).unwrap());
        }
    }
    text
}

/// Twins have equal pages.
#[test]
fn pages_of_objects() {
    insta::assert_snapshot!("pages_of_objects", pages(OBJECT_FILES));
}

#[test]
fn parts_of_objects() {
    insta::assert_snapshot!("parts_of_objects", parts(OBJECT_FILES[0]));
}

#[test]
fn pages_and_parts_of_long_lists() {
    let text = pages(LIST_FILES) + &parts(LIST_FILES[0]);
    insta::assert_snapshot!("pages_and_parts_of_long_lists", text);
}

fn errors() -> Vec<ObjectError> {
    let (class, property) = (|| "Dog".to_owned(), || "age".to_owned());
    let key = || "\"Rex\"".to_owned();
    vec![
        ObjectError::ClassUnknown { class: "Dgo".to_owned(), nearest: Some(class()) },
        ObjectError::ClassUnknown { class: class(), nearest: None },
        ObjectError::PropertyUnknown {
            class: class(),
            property: "aeg".to_owned(),
            nearest: Some(property()),
        },
        ObjectError::PropertyUnknown { class: class(), property: property(), nearest: None },
        ObjectError::PropertyTwice { class: class(), property: property() },
        ObjectError::ClassExists { class: class() },
        ObjectError::PropertyExists { class: class(), property: property() },
        ObjectError::ClassLinked { class: class(), by: "Walk".to_owned() },
        ObjectError::TooManyProperties { class: class() },
        ObjectError::ValueUnknown {
            class: class(),
            property: property(),
            value: "300".to_owned(),
            field: "u8".to_owned(),
        },
        ObjectError::Type {
            class: class(),
            property: property(),
            expected: "int".to_owned(),
            found: "string".to_owned(),
        },
        ObjectError::KeyMissing { class: class() },
        ObjectError::NoPrimaryKey { class: class() },
        ObjectError::KeyExists { class: class(), key: key() },
        ObjectError::PrimaryKeyImmutable { class: class(), property: property() },
        ObjectError::KeyTooLong { bytes: 501 },
        ObjectError::KeysNotUnique { class: class(), key: key() },
        ObjectError::ObjectNotFound { class: class(), key: key() },
        ObjectError::OutOfBounds { index: 3, len: 2 },
        ObjectError::SyncedChange { class: class(), property: None },
        ObjectError::SyncedChange { class: class(), property: Some(property()) },
        ObjectError::SyncedKey { class: class(), property: property() },
        ObjectError::ListTooLong { class: class(), property: property() },
    ]
}

#[test]
fn every_error_of_objects_is_reviewed() {
    let mut text = String::new();
    for error in errors().into_iter().map(Error::from) {
        writeln!(text, "{error}\n    {:?}, remedy {:?}", error.kind(), error.remedy()).unwrap();
    }
    insta::assert_snapshot!("object_errors", text);
}

#[test]
fn every_variant_of_the_errors_of_objects_is_reviewed() {
    assert_all_listed("object/error.rs", &["ObjectError"], &format!("{:?}", errors()));
}
