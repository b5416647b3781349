//! What leaves a file is what it holds, in each form; what is damaged is left out and named.

use super::sample::{MANY, exported, long_text, schema};
use super::{Bench, KEY, OTHER_KEY, Ran, alone, bytes, command, fastness, options, ran, start};
use base64ct::{Base64, Encoding as _};
use fastness::object::{Database, DatabaseOptions, Object, ObjectKey, Timestamp, Value};
use fastness::schema::{PropertyType, Scalar};
use serde_json::{Value as Json, json};
use std::ffi::OsStr;
use std::path::Path;

type Arg<'a> = &'a dyn AsRef<OsStr>;

fn export(bench: &Bench, key: Option<[u8; 64]>, args: &[Arg<'_>]) -> Ran {
    let key_file = bench.key_file();
    let mut all: Vec<Arg<'_>> = vec![&"export"];
    all.extend(args);
    if key.is_some() {
        all.extend([&"--key-file" as Arg<'_>, &key_file]);
    }
    fastness(&all)
}

fn document(path: &Path) -> Json {
    serde_json::from_slice(&bytes(path)).unwrap()
}

fn objects<'a>(document: &'a Json, class: &str) -> &'a Vec<Json> {
    let classes = document["classes"].as_array().unwrap();
    let class = classes.iter().find(|found| found["name"] == class).unwrap();
    class["objects"].as_array().unwrap()
}

#[test]
fn json_holds_every_value_of_every_object() {
    let bench = Bench::new();
    for (name, key) in [("plain", None), ("encrypted", Some(KEY))] {
        let file = bench.objects(name, key, 3);
        let (before, out) = (bytes(&file), bench.path(&format!("{name}.json")));
        let said = export(&bench, key, &[&"--json", &out, &file]);
        assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
        assert!(said.out.contains("126 objects of 4 classes, not encrypted"), "{}", said.out);
        assert!(said.out.contains("left out   tree \"beside\""), "{}", said.out);
        assert_eq!(bytes(&file), before, "the file was written to");
        let found = document(&out);
        assert_eq!((&found["export"], &found["schema_version"]), (&json!(1), &json!(3)));
        for (class, expected) in exported().as_object().unwrap() {
            assert_eq!(objects(&found, class), expected.as_array().unwrap(), "{class}");
        }
        assert_eq!(objects(&found, "many").len(), usize::try_from(MANY).unwrap());
        assert_eq!(objects(&found, "many")[7]["values"]["text"], long_text());
        let person = &found["classes"][1];
        assert_eq!((&person["name"], &person["primary_key"]), (&json!("Person"), &json!("email")));
        assert_eq!(person["properties"][2]["type"], json!({ "link": "Person" }));
        let guard = alone();
        let database =
            Database::open(&options(key), &file, &DatabaseOptions::schema(schema(), 3)).unwrap();
        drop(guard);
        let snapshot = database.snapshot().unwrap();
        for class in schema().classes() {
            let read = snapshot.objects(class.name()).unwrap().iter().unwrap();
            let read: Vec<_> = read.map(Result::unwrap).collect();
            let written = objects(&found, class.name());
            assert_eq!(read.len(), written.len());
            for (read, written) in read.iter().zip(written) {
                assert_same(read, written);
            }
        }
    }
}

/// Takes what was written back, by the types of the schema, and compares it with the object.
fn assert_same(object: &Object<'_>, written: &Json) {
    let schema = schema();
    let class = schema.class(object.class_name()).unwrap();
    for property in class.stored_properties() {
        let (name, text) = (property.name(), &written["values"][property.name()]);
        let held: Vec<Value<'_>> = match object.list(name) {
            Ok(elements) => elements.into_iter().map(|element| element.value).collect(),
            Err(_) => vec![object.get(name).unwrap()],
        };
        let texts = text.as_array().cloned().unwrap_or_else(|| vec![text.clone()]);
        assert_eq!(held.len(), texts.len(), "{name}");
        for (held, text) in held.iter().zip(&texts) {
            assert!(is_same(held, text, property.kind()), "{name}: {held:?} is not {text}");
        }
    }
}

fn is_same(held: &Value<'_>, text: &Json, kind: &PropertyType) -> bool {
    if let Value::Link(id) = held {
        return match &id.key {
            ObjectKey::Null => text["key"].is_null() && text.is_object(),
            ObjectKey::Int(number) => text["key"] == *number,
            ObjectKey::String(key) => text["key"] == **key,
            ObjectKey::Row(number) => text["key"] == *number,
        };
    }
    let scalar = if let PropertyType::Scalar(scalar) | PropertyType::List { of: scalar, .. } = kind
    {
        *scalar
    } else {
        Scalar::Int
    };
    if text.is_null() {
        return held.is_null();
    }
    let real = || text.as_f64().or_else(|| text.as_str()?.parse().ok()).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "it was made from one of 32 bits")]
    let back: Value<'_> = match scalar {
        Scalar::Int => text.as_i64().unwrap().into(),
        Scalar::Bool => text.as_bool().unwrap().into(),
        Scalar::String => text.as_str().unwrap().into(),
        Scalar::Binary => Base64::decode_vec(text.as_str().unwrap()).unwrap().into(),
        Scalar::Timestamp => time(text.as_str().unwrap()).into(),
        Scalar::Float => (real() as f32).into(),
        Scalar::Double => real().into(),
    };
    match (held, &back) {
        // Of numbers that are none, one is like another.
        (Value::Double(one), Value::Double(two)) if one.is_nan() => two.is_nan(),
        (held, back) => held.bitwise_eq(back),
    }
}

/// The two times of the sample.
fn time(text: &str) -> Timestamp {
    match text {
        "1970-01-01T00:00:00.000000000Z" => Timestamp::default(),
        "2017-11-22T09:30:15.000000001Z" => Timestamp::new(1_511_343_015, 1),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_there_is_replaced_only_if_that_is_asked_for() {
    let bench = Bench::new();
    let file = bench.objects("plain", None, 0);
    let out = bench.write("out", b"precious");
    let said = export(&bench, None, &[&"--json", &out, &file]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("exists already; choose another path, or say --overwrite"));
    let said = export(&bench, None, &[&"--json", &"-", &file]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("name a file"), "{}", said.err);
    assert_eq!(bytes(&out), b"precious");
    let said = export(&bench, None, &[&"--json", &out, &file, &"--overwrite"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(document(&out)["export"], 1);
    let before = bytes(&file);
    let said = export(&bench, None, &[&"--json", &file, &file, &"--overwrite"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("that is the file to export"), "{}", said.err);
    assert_eq!(bytes(&file), before);
    let said = export(&bench, None, &[&"--json", &bench.path("no/such/out"), &file]);
    assert_eq!(said.code, 4, "{}", said.err);
    let left = std::fs::read_dir(bench.path("")).unwrap().count();
    assert_eq!(left, 3, "something is left beside file, key and output");
}

#[cfg(unix)]
#[test]
fn what_was_encrypted_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let file = bench.objects("encrypted", Some(KEY), 0);
    let out = bench.path("out");
    assert_eq!(export(&bench, Some(KEY), &[&"--json", &out, &file]).code, 0);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_does_not_open_or_holds_no_objects_is_told() {
    let bench = Bench::new();
    let encrypted = bench.objects("encrypted", Some(KEY), 0);
    let other = bench.write("other", &OTHER_KEY);
    let trees = bench.store("trees", None);
    let text = bench.write("text", &[b'x'; 9000]);
    let out = bench.path("out");
    let check = |args: &[Arg<'_>], expect: &str| {
        let mut all: Vec<Arg<'_>> = vec![&"export", &"--json", &out];
        all.extend(args);
        let said = fastness(&all);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{}", said.err);
        assert!(said.err.contains(expect), "{}", said.err);
        assert!(!out.exists());
    };
    check(&[&encrypted], "encrypted; give its key (--key-file FILE");
    check(&[&encrypted, &"--key-file", &other], "the key does not open this file");
    check(&[&trees], "holds no classes, so nothing to export");
    check(&[&text], "not a Fastness file");
    check(&[&bench.path("absent")], "not found");
    assert_eq!(fastness(&[&"export", &trees]).code, 2, "no form is asked for");
    let said = ran(start(
        command(&[&"export", &"--json", &out, &trees]).env("FASTNESS_KEY", super::hex(KEY)),
    ));
    assert!(said.err.contains("unset FASTNESS_KEY"), "{}", said.err);
}

#[test]
fn around_damage_everything_else_is_exported_and_the_rest_is_named() {
    let bench = Bench::new();
    for (name, key) in [("plain", None), ("encrypted", Some(KEY))] {
        let file = bench.objects(name, key, 0);
        let whole = bench.path("whole");
        assert_eq!(export(&bench, key, &[&"--json", &whole, &file, &"--overwrite"]).code, 0);
        let (good, whole, out) = (bytes(&file), document(&whole), bench.path("out"));
        let (mut lost, mut partly) = (0, 0);
        for page in 3..good.len() / 4096 {
            let mut bad = good.clone();
            bad[page * 4096 + 100] ^= 1;
            std::fs::write(&file, &bad).unwrap();
            let strict = export(&bench, key, &[&"--json", &out, &file]);
            if strict.code == 0 {
                assert_eq!(document(&out), whole, "page {page}");
                std::fs::remove_file(&out).unwrap();
                continue;
            }
            assert!(!out.exists(), "page {page}");
            assert!(strict.err.contains(&format!("page {page} ")), "{}", strict.err);
            let said = export(&bench, key, &[&"--json", &out, &file, &"--salvage"]);
            assert_eq!(said.code, 1, "{}", said.err);
            lost += 1;
            // Where the classes are unreadable there is nothing to go by.
            if !out.exists() {
                continue;
            }
            assert!(said.out.contains(&format!("page {page}: ")), "{}", said.out);
            partly += 1;
            assert_part(&document(&out), &whole);
            std::fs::remove_file(&out).unwrap();
        }
        assert!(partly > 2 && partly < lost, "{partly} of {lost}");
    }
}

/// Every object of one document is in another, with the same values or without some.
#[track_caller]
fn assert_part(part: &Json, whole: &Json) {
    let mut fewer = 0;
    for class in whole["classes"].as_array().unwrap() {
        let name = class["name"].as_str().unwrap();
        let all = objects(whole, name);
        let found = objects(part, name);
        fewer += all.len() - found.len();
        for object in found {
            let genuine = all.iter().find(|one| one["key"] == object["key"]).unwrap();
            let (values, genuine) = (&object["values"], &genuine["values"]);
            for (property, value) in values.as_object().unwrap() {
                assert_eq!(*value, genuine[property], "{name} {}", object["key"]);
            }
            let all = genuine.as_object().unwrap().len();
            fewer += all - values.as_object().unwrap().len();
        }
    }
    assert!(fewer > 0, "nothing is missing");
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use super::*;
    use rusqlite::Connection;
    use rusqlite::types::Value as Cell;

    fn rows(connection: &Connection, query: &str) -> Vec<Vec<Cell>> {
        let mut statement = connection.prepare(query).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get(at)).collect();
        statement.query_map([], row).unwrap().map(Result::unwrap).collect()
    }

    fn int(number: i64) -> Cell {
        Cell::Integer(number)
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn a_database_holds_every_value_of_every_object() {
        let bench = Bench::new();
        for (name, key) in [("plain", None), ("encrypted", Some(KEY))] {
            let file = bench.objects(name, key, 3);
            let out = bench.path(&format!("{name}.sqlite"));
            let said = export(&bench, key, &[&"--sqlite", &out, &file]);
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
            let database = Connection::open(&out).unwrap();
            assert_values(&database);
            let many = rows(&database, "SELECT id, text FROM many ORDER BY id");
            assert_eq!(many.len(), usize::try_from(MANY).unwrap());
            assert_eq!(many[7], [int(7), text(&long_text())]);
            let about = rows(&database, "SELECT export, schema_version FROM fastness_export");
            assert_eq!(about, [[int(1), int(3)]]);
            let check = rows(&database, "PRAGMA integrity_check");
            assert_eq!(check, [[text("ok")]]);
            let again = export(&bench, key, &[&"--sqlite", &out, &file]);
            assert_eq!(again.code, 1, "{}", again.err);
            let again = export(&bench, key, &[&"--sqlite", &out, &file, &"--overwrite"]);
            assert_eq!(again.code, 0, "{}", again.err);
        }
    }

    fn assert_values(database: &Connection) {
        let null = Cell::Null;
        let bo = text("bo's \"key\"");
        let ann = text("ann@example.org");
        let blob = |bytes: &[u8]| Cell::Blob(bytes.to_vec());
        assert_eq!(
            rows(database, "SELECT email, age, friend FROM Person ORDER BY email"),
            [[ann.clone(), int(34), bo.clone()], [bo.clone(), null.clone(), null.clone()]]
        );
        assert_eq!(
            rows(database, "SELECT number, note FROM Slot ORDER BY number"),
            [[null.clone(), text("of no number")], [int(-5), null.clone()]]
        );
        let all = "SELECT _key, int, bool, text, bytes, time, float, double, counter, person, \
             slot, other FROM \"All\" ORDER BY _key";
        let zero = Cell::Real(0.0);
        let n = || null.clone();
        assert_eq!(
            rows(database, all),
            [
                vec![int(1), n(), int(0), n(), n(), n(), zero.clone(), zero, int(0), n(), n(), n()],
                vec![
                    int(2),
                    int(i64::MIN),
                    int(1),
                    text("\u{e9} \"\n\0"),
                    blob(&[0, 255, 16]),
                    text("2017-11-22T09:30:15.000000001Z"),
                    Cell::Real(0.1_f32.into()),
                    text("NaN"),
                    int(-3),
                    ann.clone(),
                    // The object whose key is null, not none.
                    blob(&[]),
                    int(1),
                ],
            ]
        );
        let list = |name: &str, expected: &[Cell]| {
            let query = format!("SELECT object, value FROM \"All.{name}\" ORDER BY place");
            let expected: Vec<_> = expected.iter().map(|cell| vec![int(2), cell.clone()]).collect();
            assert_eq!(rows(database, &query), expected, "{name}");
        };
        list("persons", &[bo.clone(), ann, bo]);
        list("slots", &[int(-5), blob(&[])]);
        list("ints", &[int(1), n(), int(i64::MAX)]);
        list("bools", &[int(0), n()]);
        list("texts", &[text(""), n(), text("b")]);
        list("binaries", &[blob(&[]), n(), blob(&[7])]);
        list("times", &[text("1970-01-01T00:00:00.000000000Z"), n()]);
        list("floats", &[Cell::Real(f64::INFINITY), n(), Cell::Real(1.5)]);
        list("doubles", &[Cell::Real(f64::NEG_INFINITY), n(), Cell::Real(1e300)]);
        let described = "SELECT type, nullable, \"table\", \"column\" FROM fastness_properties \
             WHERE class = 'All' AND property IN ('texts', 'time') ORDER BY property";
        assert_eq!(
            rows(database, described),
            [
                [text("[string?]"), int(0), text("All.texts"), text("value")],
                [text("timestamp"), int(1), text("All"), text("time")],
            ]
        );
        let indexes = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
        assert_eq!(rows(database, indexes), [[text("index Person.age")]]);
    }

    #[test]
    fn names_that_sqlite_takes_for_one_are_told_apart() {
        use fastness::schema::{Class, Property, Schema};
        let bench = Bench::new();
        let file = bench.path("plain");
        let class = |name: &str| {
            let property = |name| Property::new(name, Scalar::Int).unwrap();
            let class = Class::new(name).unwrap().with(property("_KEY")).with(property("a"));
            class.with(property("A")).with(property("order \"by\""))
        };
        let names = ["Dog", "dog", "fastness_export", "sqlite_x", "select"];
        let wanted = Schema::new(names.map(class)).unwrap();
        let guard = alone();
        let database =
            Database::open(&options(None), &file, &DatabaseOptions::schema(wanted, 0)).unwrap();
        for (number, name) in (1_i64..).zip(names) {
            let made = database.transact(|txn| {
                let object = txn.create(name)?;
                txn.set(&object, "A", number)
            });
            made.unwrap();
        }
        drop((database, guard));
        let out = bench.path("out");
        let said = export(&bench, None, &[&"--sqlite", &out, &file]);
        assert_eq!(said.code, 0, "{}", said.err);
        let database = Connection::open(&out).unwrap();
        for (number, name) in (1_i64..).zip(names) {
            let place = format!(
                "SELECT \"table\", \"column\" FROM fastness_properties \
                 WHERE class = '{name}' AND property = 'A'"
            );
            let [table, column] = &rows(&database, &place)[0][..] else { panic!("two columns") };
            let (Cell::Text(table), Cell::Text(column)) = (table, column) else {
                panic!("two texts")
            };
            let query = format!("SELECT \"{column}\" FROM \"{table}\"");
            assert_eq!(rows(&database, &query), [[int(number)]], "{name}");
        }
    }
}
