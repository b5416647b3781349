//! An export holds every value, in each format; damaged parts are omitted and named.

use super::sample::{MANY, exported, long_text, schema};
use super::{
    CommandOutput, KEY, OTHER_KEY, TestFolder, bytes, command, fastness, fork_lock, options,
    output_of, start,
};
use base64ct::{Base64, Encoding as _};
use fastness::object::{Database, DatabaseOptions, Object, ObjectKey, Timestamp, Value};
use fastness::schema::{PropertyType, Scalar};
use serde_json::{Value as Json, json};
use std::ffi::OsStr;
use std::path::Path;

type Arg<'a> = &'a dyn AsRef<OsStr>;

fn export(dir: &TestFolder, key: Option<[u8; 64]>, args: &[Arg<'_>]) -> CommandOutput {
    let key_file = dir.key_file();
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
    let dir = TestFolder::new();
    for (name, key) in [("plain", None), ("encrypted", Some(KEY))] {
        let file = dir.objects(name, key, 3);
        let (before, out) = (bytes(&file), dir.path(&format!("{name}.json")));
        let output = export(&dir, key, &[&"--json", &out, &file]);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        assert!(output.out.contains("126 objects of 4 classes, not encrypted"), "{}", output.out);
        assert!(output.out.contains("omitted    tree \"beside\""), "{}", output.out);
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
        let guard = fork_lock();
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

/// Converts exported text back to a value of its type, and compares it with the object.
fn assert_same(object: &Object<'_>, written: &Json) {
    let schema = schema();
    let class = schema.class(object.class_name()).unwrap();
    for property in class.stored_properties() {
        let (name, text) = (property.name(), &written["values"][property.name()]);
        let value: Vec<Value<'_>> = match object.list(name) {
            Ok(elements) => elements.into_iter().map(|element| element.value).collect(),
            Err(_) => vec![object.get(name).unwrap()],
        };
        let texts = text.as_array().cloned().unwrap_or_else(|| vec![text.clone()]);
        assert_eq!(value.len(), texts.len(), "{name}");
        for (value, text) in value.iter().zip(&texts) {
            assert!(is_same(value, text, property.kind()), "{name}: {value:?} is not {text}");
        }
    }
}

fn is_same(value: &Value<'_>, text: &Json, kind: &PropertyType) -> bool {
    if let Value::Link(id) = value {
        return match &id.key {
            ObjectKey::Null => text["key"].is_null() && text.is_object(),
            ObjectKey::Int(number) => text["key"] == *number,
            ObjectKey::String(key) => text["key"] == **key,
            ObjectKey::Row(id) => text["key"] == id.number,
        };
    }
    let scalar = if let PropertyType::Scalar(scalar) | PropertyType::List { of: scalar, .. } = kind
    {
        *scalar
    } else {
        Scalar::Int
    };
    if text.is_null() {
        return value.is_null();
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
    match (value, &back) {
        // All NaNs are equal.
        (Value::Double(one), Value::Double(two)) if one.is_nan() => two.is_nan(),
        (value, back) => value.bitwise_eq(back),
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
fn an_existing_file_is_replaced_only_with_overwrite() {
    let dir = TestFolder::new();
    let file = dir.objects("plain", None, 0);
    let out = dir.write("out", b"precious");
    let output = export(&dir, None, &[&"--json", &out, &file]);
    assert_eq!(output.code, 1);
    assert!(output.err.contains("exists already; choose another path, or pass --overwrite"));
    assert_eq!(bytes(&out), b"precious");
    let output = export(&dir, None, &[&"--json", &out, &file, &"--overwrite"]);
    assert_eq!(output.code, 0, "{}", output.err);
    assert_eq!(document(&out)["export"], 1);
    let before = bytes(&file);
    let output = export(&dir, None, &[&"--json", &file, &file, &"--overwrite"]);
    assert_eq!(output.code, 2);
    assert!(output.err.contains("is the file to export"), "{}", output.err);
    assert_eq!(bytes(&file), before);
    let output = export(&dir, None, &[&"--json", &dir.path("no/such/out"), &file]);
    assert_eq!(output.code, 4, "{}", output.err);
    let left = std::fs::read_dir(dir.path("")).unwrap().count();
    assert_eq!(left, 3, "a temporary file remains");
}

#[cfg(unix)]
#[test]
fn the_export_of_an_encrypted_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TestFolder::new();
    let file = dir.objects("encrypted", Some(KEY), 0);
    let out = dir.path("out");
    assert_eq!(export(&dir, Some(KEY), &[&"--json", &out, &file]).code, 0);
    assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn files_that_do_not_open_or_have_no_objects_are_refused() {
    let dir = TestFolder::new();
    let encrypted = dir.objects("encrypted", Some(KEY), 0);
    let other = dir.write("other", &OTHER_KEY);
    let trees = dir.store("trees", None);
    let text = dir.write("text", &[b'x'; 9000]);
    let out = dir.path("out");
    let check = |args: &[Arg<'_>], expect: &str| {
        let mut all: Vec<Arg<'_>> = vec![&"export", &"--json", &out];
        all.extend(args);
        let output = fastness(&all);
        assert_eq!((output.code, output.out.as_str()), (1, ""), "{}", output.err);
        assert!(output.err.contains(expect), "{}", output.err);
        assert!(!out.exists());
    };
    check(&[&encrypted], "encrypted; give its key (--key-file FILE");
    check(&[&encrypted, &"--key-file", &other], "the key does not open this file");
    check(&[&trees], "has no classes to export");
    check(&[&text], "not a Fastness file");
    check(&[&dir.path("absent")], "not found");
    assert_eq!(fastness(&[&"export", &trees]).code, 2, "no format");
    let output = output_of(start(
        command(&[&"export", &"--json", &out, &trees]).env("FASTNESS_KEY", super::hex(KEY)),
    ));
    assert!(output.err.contains("unset FASTNESS_KEY"), "{}", output.err);
}

#[test]
fn salvage_exports_all_readable_values_and_names_the_rest() {
    let dir = TestFolder::new();
    for (name, key) in [("plain", None), ("encrypted", Some(KEY))] {
        let file = dir.objects(name, key, 0);
        let whole = dir.path("whole");
        assert_eq!(export(&dir, key, &[&"--json", &whole, &file, &"--overwrite"]).code, 0);
        let (good, whole, out) = (bytes(&file), document(&whole), dir.path("out"));
        let (mut lost, mut partial) = (0, 0);
        for page in 3..good.len() / 4096 {
            let mut bad = good.clone();
            bad[page * 4096 + 100] ^= 1;
            std::fs::write(&file, &bad).unwrap();
            let strict = export(&dir, key, &[&"--json", &out, &file]);
            if strict.code == 0 {
                assert_eq!(document(&out), whole, "page {page}");
                std::fs::remove_file(&out).unwrap();
                continue;
            }
            assert!(!out.exists(), "page {page}");
            assert!(strict.err.contains(&format!("page {page} ")), "{}", strict.err);
            let output = export(&dir, key, &[&"--json", &out, &file, &"--salvage"]);
            assert_eq!(output.code, 1, "{}", output.err);
            lost += 1;
            // Without readable classes there is no export.
            if !out.exists() {
                continue;
            }
            assert!(output.out.contains(&format!("page {page}: ")), "{}", output.out);
            partial += 1;
            assert_part(&document(&out), &whole);
            std::fs::remove_file(&out).unwrap();
        }
        assert!(partial > 2 && partial < lost, "{partial} of {lost}");
    }
}

/// Checks that a document is a subset of another one.
#[track_caller]
fn assert_part(part: &Json, whole: &Json) {
    let mut fewer = 0;
    for class in whole["classes"].as_array().unwrap() {
        let name = class["name"].as_str().unwrap();
        let all = objects(whole, name);
        let found = objects(part, name);
        fewer += all.len() - found.len();
        for object in found {
            let expected = all.iter().find(|one| one["key"] == object["key"]).unwrap();
            let (values, expected) = (&object["values"], &expected["values"]);
            for (property, value) in values.as_object().unwrap() {
                assert_eq!(*value, expected[property], "{name} {}", object["key"]);
            }
            let all = expected.as_object().unwrap().len();
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
        let dir = TestFolder::new();
        for (name, key) in [("plain", None), ("encrypted", Some(KEY))] {
            let file = dir.objects(name, key, 3);
            let out = dir.path(&format!("{name}.sqlite"));
            let output = export(&dir, key, &[&"--sqlite", &out, &file]);
            assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
            let database = Connection::open(&out).unwrap();
            assert_values(&database);
            let many = rows(&database, "SELECT id, text FROM many ORDER BY id");
            assert_eq!(many.len(), usize::try_from(MANY).unwrap());
            assert_eq!(many[7], [int(7), text(&long_text())]);
            let about = rows(&database, "SELECT export, schema_version FROM fastness_export");
            assert_eq!(about, [[int(1), int(3)]]);
            let check = rows(&database, "PRAGMA integrity_check");
            assert_eq!(check, [[text("ok")]]);
            let again = export(&dir, key, &[&"--sqlite", &out, &file]);
            assert_eq!(again.code, 1, "{}", again.err);
            let again = export(&dir, key, &[&"--sqlite", &out, &file, &"--overwrite"]);
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
            [[null.clone(), text("without a number")], [int(-5), null.clone()]]
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
                    // A link to the object with a null key, not a null link.
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
    fn names_equal_to_sqlite_are_made_distinct() {
        use fastness::schema::{Class, Property, Schema};
        let dir = TestFolder::new();
        let file = dir.path("plain");
        let class = |name: &str| {
            let property = |name| Property::new(name, Scalar::Int).unwrap();
            let class = Class::new(name).unwrap().with(property("_KEY")).with(property("a"));
            class.with(property("A")).with(property("order \"by\""))
        };
        let names = ["Dog", "dog", "fastness_export", "sqlite_x", "select"];
        let wanted = Schema::new(names.map(class)).unwrap();
        let guard = fork_lock();
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
        let out = dir.path("out");
        let output = export(&dir, None, &[&"--sqlite", &out, &file]);
        assert_eq!(output.code, 0, "{}", output.err);
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
