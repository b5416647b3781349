//! Objects as an app uses them, on real files. The promises are checked in `sim`.

use fastness::object::{
    Database, DatabaseOptions, Filter, ObjectId, ObjectKey, Operation, PropertyValue, RowId,
    Timestamp, Transaction, Value,
};
use fastness::schema::{Class, PropertyType, Scalar, Schema, SchemaError};
use fastness::{Error, ErrorKind, Key, ObjectError, Result, StoreOptions};
use fastness_testkit::{list, property};
use std::sync::{Arc, Mutex};

fn schema() -> Schema {
    let dog = Class::new("Dog")
        .unwrap()
        .with(property("name", Scalar::String).required().primary_key())
        .with(property("age", Scalar::Int).nullable().indexed())
        .with(property("good", Scalar::Bool))
        .with(property("born", Scalar::Timestamp))
        .with(property("photo", Scalar::Binary))
        .with(property("weight", Scalar::Float))
        .with(property("speed", Scalar::Double).nullable())
        .with(property("walks", PropertyType::Counter))
        .with(property("note", Scalar::String))
        .with(property("friend", PropertyType::Object("Dog".into())))
        .with(property("tricks", list(Scalar::String, false)))
        .with(property("scores", list(Scalar::Int, true)));
    let person = Class::new("Person")
        .unwrap()
        .with(property("dog", PropertyType::Object("Dog".into())))
        .with(property("dogs", PropertyType::ObjectList("Dog".into())));
    Schema::new([dog, person]).unwrap()
}

fn database() -> Database {
    Database::in_memory(&StoreOptions::new(), &DatabaseOptions::schema(schema(), 0)).unwrap()
}

fn rex(txn: &mut Transaction) -> ObjectId {
    txn.create_with_key("Dog", "Rex").unwrap()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind) -> Error {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error
}

#[test]
fn every_type_is_read_back_also_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::new().key(Key::new([3; 64]));
    let path = dir.path().join("dogs");
    let wanted = DatabaseOptions::schema(schema(), 7);
    let long = "x".repeat(100_000);
    let values: Vec<(&str, Value<'_>)> = vec![
        ("age", 3.into()),
        ("good", true.into()),
        ("born", Timestamp::new(-5, 7).into()),
        ("photo", vec![0_u8, 255].into()),
        ("weight", 1.5_f32.into()),
        ("speed", (-0.0_f64).into()),
        ("walks", 12.into()),
        ("note", long.as_str().into()),
    ];
    let database = Database::open(&options, &path, &wanted).unwrap();
    let mut txn = database.write().unwrap();
    let id = rex(&mut txn);
    for (name, value) in &values {
        txn.set(&id, name, value.clone()).unwrap();
        assert!(txn.object(&id).unwrap().unwrap().get(name).unwrap().bitwise_eq(value));
    }
    txn.set(&id, "friend", &id).unwrap();
    txn.commit().unwrap();
    drop(database);
    let database = Database::open(&options, &path, &DatabaseOptions::dynamic()).unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(snapshot.view().schema().unwrap(), schema());
    assert_eq!(snapshot.view().schema_version(), Some(7));
    let dog = snapshot.objects("Dog").unwrap().get("Rex").unwrap().unwrap();
    for (name, value) in &values {
        assert!(dog.get(name).unwrap().bitwise_eq(value), "{name}");
    }
    assert_eq!(dog.get("friend").unwrap(), Value::Link(id.clone()));
    assert_eq!(dog.backlinks("Dog", "friend").unwrap(), [id]);
    assert_eq!(dog.get("name").unwrap(), "Rex".into());
}

#[test]
fn a_new_object_has_null_zero_and_nothing() {
    let database = database();
    let mut txn = database.write().unwrap();
    let id = rex(&mut txn);
    let dog = txn.object(&id).unwrap().unwrap();
    for name in ["age", "born", "photo", "speed", "note", "friend"] {
        assert_eq!(dog.get(name).unwrap(), Value::Null, "{name}");
    }
    assert_eq!(dog.get("good").unwrap(), false.into());
    assert_eq!(dog.get("weight").unwrap(), 0.0_f32.into());
    assert_eq!(dog.get("walks").unwrap(), 0.into());
    assert_eq!(dog.list("tricks").unwrap(), []);
}

#[test]
fn deleting_takes_links_and_list_elements_with_it() {
    let database = database();
    let mut txn = database.write().unwrap();
    let [rex, ida] = ["Rex", "Ida"].map(|name| txn.create_with_key("Dog", name).unwrap());
    let person = txn.create("Person").unwrap();
    assert_eq!(person.key, ObjectKey::Row(RowId::local(1)));
    txn.set(&person, "dog", &rex).unwrap();
    txn.set(&rex, "friend", &rex).unwrap();
    let mut dogs = txn.list(&person, "dogs").unwrap();
    for dog in [&rex, &ida, &rex] {
        dogs.push(dog).unwrap();
    }
    let kept = dogs.elements().unwrap()[1].id;
    assert_eq!(txn.view().backlinks(&rex, "Person", "dogs").unwrap().len(), 2);
    txn.delete(&rex).unwrap();
    let owner = txn.object(&person).unwrap().unwrap();
    assert_eq!(owner.get("dog").unwrap(), Value::Null);
    let left: Vec<_> = owner.list("dogs").unwrap().into_iter().map(|left| left.id).collect();
    assert_eq!(left, [kept]);
    assert_eq!(
        txn.view().backlinks(&ida, "Person", "dogs").unwrap(),
        std::slice::from_ref(&person)
    );
    refused(txn.set(&rex, "age", 1), ErrorKind::IllegalState);
    refused(txn.set(&person, "dog", &rex), ErrorKind::IllegalState);
    // No object links to a new one of that name.
    let rex = txn.create_with_key("Dog", "Rex").unwrap();
    assert_eq!(txn.view().backlinks(&rex, "Person", "dogs").unwrap(), []);
}

#[test]
fn elements_keep_their_ids() {
    let database = database();
    let mut txn = database.write().unwrap();
    let id = rex(&mut txn);
    let mut list = txn.list(&id, "scores").unwrap();
    let ids: Vec<_> = (0..4).map(|score| list.push(score).unwrap()).collect();
    list.move_to(0, 2).unwrap();
    list.set(3, Value::Null).unwrap();
    let removed = list.remove(0).unwrap();
    assert_eq!(removed.id, ids[1]);
    let last = list.insert(0, 9).unwrap();
    let found: Vec<_> =
        list.elements().unwrap().into_iter().map(|element| (element.id, element.value)).collect();
    let expected =
        [(last, 9.into()), (ids[2], 2.into()), (ids[0], 0.into()), (ids[3], Value::Null)];
    assert_eq!(found, expected);
    refused(list.insert(5, 1), ErrorKind::OutOfBounds);
    refused(list.set(4, 1), ErrorKind::OutOfBounds);
    refused(list.set(0, "nine"), ErrorKind::InvalidArgument);
    list.clear().unwrap();
    assert!(list.push(1).unwrap().number > last.number);
    let mut tricks = txn.list(&id, "tricks").unwrap();
    refused(tricks.push(Value::Null), ErrorKind::InvalidArgument);
}

#[test]
fn an_invalid_operation_is_refused_and_changes_nothing() {
    let database = database();
    let mut txn = database.write().unwrap();
    let id = rex(&mut txn);
    let person = txn.create("Person").unwrap();
    refused(txn.create("Cat"), ErrorKind::InvalidArgument);
    refused(txn.create("Dog"), ErrorKind::General);
    refused(txn.create_with_key("Dog", "Rex"), ErrorKind::General);
    refused(txn.create_with_key("Dog", 5), ErrorKind::InvalidArgument);
    refused(txn.create_with_key("Dog", Value::Null), ErrorKind::InvalidArgument);
    refused(txn.create_with_key("Dog", "x".repeat(501)), ErrorKind::InvalidArgument);
    refused(txn.create_with_key("Person", 1), ErrorKind::IllegalState);
    refused(txn.set(&id, "color", 1), ErrorKind::InvalidArgument);
    refused(txn.set(&id, "age", "three"), ErrorKind::InvalidArgument);
    refused(txn.set(&id, "good", Value::Null), ErrorKind::InvalidArgument);
    refused(txn.set(&id, "name", "Rax"), ErrorKind::InvalidArgument);
    refused(txn.set(&id, "tricks", 1), ErrorKind::InvalidArgument);
    refused(txn.set(&id, "friend", &person), ErrorKind::InvalidArgument);
    refused(txn.add(&id, "age", 1), ErrorKind::InvalidArgument);
    let long = "x".repeat(fastness::schema::STRING_BYTES_MAX + 1);
    let error = refused(txn.set(&id, "note", long), ErrorKind::InvalidArgument);
    assert!(matches!(error, Error::Schema(SchemaError::StringTooLong { .. })));
    assert_eq!(txn.add(&id, "walks", i64::MAX).unwrap(), i64::MAX);
    assert_eq!(txn.add(&id, "walks", 1).unwrap(), i64::MIN);
    txn.commit().unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(snapshot.objects("Dog").unwrap().len(), 1);
    let longest = "x".repeat(fastness::schema::STRING_BYTES_MAX);
    database.transact(|txn| txn.set(&id, "note", longest.as_str())).unwrap();
    let dog = database.snapshot().unwrap();
    assert_eq!(dog.object(&id).unwrap().unwrap().get("note").unwrap(), longest.into());
}

#[test]
fn an_aborted_transaction_takes_no_number() {
    let database = database();
    let mut txn = database.write().unwrap();
    assert_eq!(txn.create("Person").unwrap().key, ObjectKey::Row(RowId::local(1)));
    txn.abort();
    let failed: Result<()> = database.transact(|txn| {
        txn.create("Person")?;
        Err(ObjectError::ClassUnknown { class: "Cat".into(), nearest: None }.into())
    });
    refused(failed, ErrorKind::InvalidArgument);
    let id = database.transact(|txn| txn.create("Person")).unwrap();
    assert_eq!(id.key, ObjectKey::Row(RowId::local(1)));
    assert_eq!(database.snapshot().unwrap().objects("Person").unwrap().len(), 1);
}

/// Two properties of fifteen thousand bytes, so that records outgrow a page and come back.
#[test]
fn values_move_in_and_out_of_the_record() {
    let database = database();
    let id = database.transact(|txn| Ok(rex(txn))).unwrap();
    for len in [0, 1024, 1025, 60_000, 3, 2000, 0] {
        let text = "é".repeat(len / 2);
        database
            .transact(|txn| {
                txn.set(&id, "note", text.as_str())?;
                txn.set(&id, "photo", text.as_bytes())
            })
            .unwrap();
        let snapshot = database.snapshot().unwrap();
        let dog = snapshot.object(&id).unwrap().unwrap();
        assert_eq!(dog.get("note").unwrap(), text.as_str().into());
        assert_eq!(dog.get("photo").unwrap(), text.as_bytes().into());
        assert_eq!(snapshot.store().tree("main/0.apart").len(), if len > 1025 { 2 } else { 0 });
    }
}

/// Types of list elements, and three values of each.
fn elements() -> Vec<(Scalar, [Value<'static>; 3])> {
    let time = |seconds| Timestamp::new(seconds, 1).into();
    vec![
        (Scalar::Int, [i64::MIN.into(), 0.into(), i64::MAX.into()]),
        (Scalar::Bool, [true.into(), false.into(), true.into()]),
        (Scalar::String, ["".into(), "\0".into(), "x".repeat(2000).into()]),
        (Scalar::Binary, [vec![].into(), vec![0_u8].into(), vec![255_u8; 2000].into()]),
        (Scalar::Timestamp, [time(i64::MIN), time(0), time(i64::MAX)]),
        (Scalar::Float, [f32::NAN.into(), (-0.0_f32).into(), f32::MAX.into()]),
        (Scalar::Double, [f64::NAN.into(), (-0.0_f64).into(), f64::MAX.into()]),
    ]
}

#[test]
fn lists_of_every_type_are_changed_and_read_back() {
    for (of, [one, two, three]) in elements() {
        for nullable in [false, true] {
            let owner = Class::new("Owner").unwrap().with(property("all", list(of, nullable)));
            let wanted = DatabaseOptions::schema(Schema::new([owner]).unwrap(), 0);
            let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
            let mut txn = database.write().unwrap();
            let id = txn.create("Owner").unwrap();
            let mut all = txn.list(&id, "all").unwrap();
            all.push(one.clone()).unwrap();
            all.insert(0, two.clone()).unwrap();
            all.push(one.clone()).unwrap();
            all.set(2, three.clone()).unwrap();
            all.move_to(2, 0).unwrap();
            assert!(all.remove(2).unwrap().value.bitwise_eq(&one), "{of}");
            let mut expected = vec![three.clone(), two.clone()];
            match all.push(Value::Null) {
                Ok(_) => expected.push(Value::Null),
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidArgument),
            }
            assert_eq!(expected.len(), if nullable { 3 } else { 2 }, "{of}");
            txn.commit().unwrap();
            let snapshot = database.snapshot().unwrap();
            let found = snapshot.object(&id).unwrap().unwrap().list("all").unwrap();
            let is_same = found.iter().zip(&expected).all(|(one, two)| one.value.bitwise_eq(two));
            assert!(is_same && found.len() == expected.len(), "{of}: {found:?}");
            database.transact(|txn| txn.list(&id, "all")?.clear()).unwrap();
            let snapshot = database.snapshot().unwrap();
            assert_eq!(snapshot.object(&id).unwrap().unwrap().list("all").unwrap(), []);
        }
    }
}

#[test]
fn values_that_are_too_long_are_refused_in_properties_and_in_lists() {
    let database = database();
    let mut txn = database.write().unwrap();
    let id = rex(&mut txn);
    let longest = vec![7; fastness::schema::BINARY_BYTES_MAX];
    txn.set(&id, "photo", longest.as_slice()).unwrap();
    let long = vec![7; fastness::schema::BINARY_BYTES_MAX + 1];
    let error = refused(txn.set(&id, "photo", long), ErrorKind::InvalidArgument);
    assert!(matches!(error, Error::Schema(SchemaError::BinaryTooLong { .. })));
    let quarter = "x".repeat(15 << 20);
    let mut tricks = txn.list(&id, "tricks").unwrap();
    for _ in 0..4 {
        tricks.push(quarter.as_str()).unwrap();
    }
    tricks.push("sit").unwrap();
    for outcome in [tricks.push(quarter.as_str()).map(drop), tricks.set(4, quarter.as_str())] {
        let error = refused(outcome, ErrorKind::InvalidArgument);
        assert!(matches!(error, Error::Object(ObjectError::ListTooLong { .. })));
    }
    assert_eq!(tricks.len().unwrap(), 5);
    txn.commit().unwrap();
    let snapshot = database.snapshot().unwrap();
    let dog = snapshot.object(&id).unwrap().unwrap();
    assert_eq!(dog.get("photo").unwrap(), longest.into());
    assert_eq!(dog.list("tricks").unwrap()[4].value, "sit".into());
}

#[test]
fn deleting_all_objects_of_a_class_takes_what_leads_to_them() {
    let database = database();
    let person = |txn: &mut Transaction| {
        let person = txn.create("Person").unwrap();
        let dogs = (0..3000).map(|number| {
            let dog = txn.create_with_key("Dog", format!("Rex {number}").as_str()).unwrap();
            txn.set(&dog, "friend", &dog).unwrap();
            dog
        });
        let dogs: Vec<ObjectId> = dogs.collect();
        txn.set(&person, "dog", &dogs[7]).unwrap();
        for dog in dogs.iter().take(20) {
            txn.list(&person, "dogs").unwrap().push(dog).unwrap();
        }
        Ok(person)
    };
    let person = database.transact(person).unwrap();
    let mut txn = database.write().unwrap();
    refused(txn.delete_all("Cat"), ErrorKind::InvalidArgument);
    assert_eq!(txn.delete_all("Dog").unwrap(), 3000);
    assert_eq!(txn.delete_all("Dog").unwrap(), 0);
    assert!(txn.objects("Dog").unwrap().is_empty());
    txn.commit().unwrap();
    let snapshot = database.snapshot().unwrap();
    let left = snapshot.object(&person).unwrap().unwrap();
    assert_eq!(left.get("dog").unwrap(), Value::Null);
    assert!(left.list("dogs").unwrap().is_empty());
    assert_eq!(snapshot.objects("Dog").unwrap().iter().unwrap().count(), 0);
    // Nothing is left of them in links or indexes either.
    database.transact(|txn| txn.create_with_key("Dog", "Rex 7").map(drop)).unwrap();
    let snapshot = database.snapshot().unwrap();
    let again = snapshot.objects("Dog").unwrap().get("Rex 7").unwrap().unwrap();
    assert!(again.backlinks("Person", "dog").unwrap().is_empty());
    assert!(again.backlinks("Dog", "friend").unwrap().is_empty());
    assert_eq!(snapshot.objects("Dog").unwrap().filter(Filter::eq("age", 0)).count().unwrap(), 0);
}

#[test]
fn values_of_known_properties_are_those_of_their_names() {
    const NAMES: [&str; 11] = [
        "name", "age", "good", "born", "photo", "weight", "speed", "walks", "note", "friend", "new",
    ];
    let database = database();
    let long = "x".repeat(5000);
    let dogs = |txn: &mut Transaction| {
        rex(txn);
        let values = [
            ("name", "Ida".into()),
            ("age", (-7).into()),
            ("good", true.into()),
            ("born", Timestamp::new(-3, 5).into()),
            ("photo", [1, 2, 3].as_slice().into()),
            ("weight", 1.5_f32.into()),
            ("speed", f64::MAX.into()),
            ("walks", i64::MIN.into()),
            ("note", long.as_str().into()),
            (
                "friend",
                ObjectId {
                    class: txn.objects("Dog")?.class(),
                    key: ObjectKey::String("Rex".into()),
                }
                .into(),
            ),
        ];
        txn.create_with("Dog", &values).map(drop)
    };
    database.transact(dogs).unwrap();
    let before = database.snapshot().unwrap();
    database
        .transact(|txn| txn.add_property("Dog", &property("new", Scalar::Int).required()))
        .unwrap();
    database.transact(|txn| txn.create_with_key("Dog", "Bo").map(drop)).unwrap();
    let after = database.snapshot().unwrap();
    let (older, newer) = (before.objects("Dog").unwrap(), after.objects("Dog").unwrap());
    let wanted = newer.projection(NAMES).unwrap();
    for dog in newer.iter().unwrap() {
        let dog = dog.unwrap();
        let values = dog.project(&wanted).unwrap();
        assert_eq!(values, NAMES.map(|name| dog.get(name).unwrap()));
    }
    // Those of another moment are found by their names, and what was not there yet is not.
    let ida = older.get("Ida").unwrap().unwrap();
    refused(ida.project(&wanted), ErrorKind::InvalidArgument);
    let wanted = newer.projection(["age", "note"]).unwrap();
    assert_eq!(ida.project(&wanted).unwrap(), [(-7).into(), long.as_str().into()]);
    let people = after.objects("Person").unwrap();
    refused(people.projection(["dogs"]), ErrorKind::InvalidArgument);
    refused(people.projection(["age"]), ErrorKind::InvalidArgument);
    refused(ida.project(&people.projection(["dog"]).unwrap()), ErrorKind::InvalidArgument);
}

/// Operations that a commit hook receives for each way to create the same object.
fn operations_of(make: impl FnOnce(&mut Transaction) -> Result<()>) -> (Vec<Operation>, Database) {
    let received: Arc<Mutex<Vec<Operation>>> = Arc::default();
    let heard = Arc::clone(&received);
    let wanted =
        DatabaseOptions::schema(schema(), 0).commit_hook(Arc::new(move |operations, _| {
            heard.lock().unwrap().extend_from_slice(operations);
            Ok(())
        }));
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    database.transact(make).unwrap();
    let received = received.lock().unwrap().clone();
    (received, database)
}

#[test]
fn an_object_made_whole_is_as_one_made_property_by_property() {
    let long = "x".repeat(2000);
    let values = || {
        let scores = || PropertyValue::list([Value::from(3), Value::Null]);
        vec![
            ("name", "Rex".into()),
            ("walks", 5.into()),
            ("age", 0.into()),
            ("good", false.into()),
            ("note", long.as_str().into()),
            ("scores", scores()),
            ("speed", (-0.0_f64).into()),
            ("tricks", PropertyValue::list(["sit"])),
        ]
    };
    let friend = |txn: &mut Transaction| txn.create_with_key("Dog", "Ida");
    let (whole, one) = operations_of(|txn| {
        let ida = friend(txn)?;
        let mut values = values();
        values.push(("friend", ida.into()));
        txn.create_with("Dog", &values).map(drop)
    });
    let (single, two) = operations_of(|txn| {
        let ida = friend(txn)?;
        let rex = rex(txn);
        for (name, value) in values().into_iter().skip(1) {
            if let PropertyValue::Value(value) = value {
                txn.set(&rex, name, value)?;
            }
        }
        txn.set(&rex, "friend", ida)?;
        [Value::from(3), Value::Null]
            .into_iter()
            .try_for_each(|score| txn.list(&rex, "scores")?.push(score).map(drop))?;
        txn.list(&rex, "tricks")?.push("sit").map(drop)
    });
    assert_eq!(whole, single);
    // Two objects, a counter, three elements; a zero is not set again.
    let whole: Vec<_> =
        whole.iter().filter(|operation| !matches!(operation, Operation::SchemaChange(_))).collect();
    let sets = whole.iter().filter(|operation| matches!(operation, Operation::Set { .. }));
    assert_eq!((whole.len(), sets.count()), (10, 4));
    for name in ["main/0", "main/0.apart", "main/0.links", "main/0.1"] {
        let entries = |database: &Database| -> Vec<_> {
            let snapshot = database.snapshot().unwrap();
            let tree = snapshot.store().tree(name).range(..).unwrap();
            tree.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.len())).unwrap())
                .collect()
        };
        assert_eq!(entries(&one), entries(&two), "{name}");
    }
    let snapshots = [&one, &two].map(|database| database.snapshot().unwrap());
    let [one, two] = snapshots
        .each_ref()
        .map(|snapshot| snapshot.objects("Dog").unwrap().get("Rex").unwrap().unwrap());
    for name in ["age", "good", "born", "photo", "weight", "speed", "walks", "note", "friend"] {
        assert!(one.get(name).unwrap().bitwise_eq(&two.get(name).unwrap()), "{name}");
    }
    assert_eq!(one.list("scores").unwrap(), two.list("scores").unwrap());
    assert_eq!(one.list("tricks").unwrap(), two.list("tricks").unwrap());
}

#[test]
fn several_properties_are_set_together_or_not_at_all() {
    let database = database();
    let mut txn = database.write().unwrap();
    let long = "x".repeat(2000);
    let values = [("name", "Rex".into()), ("age", 7.into()), ("note", long.as_str().into())];
    let (id, created) = txn.upsert("Dog", &values).unwrap();
    assert!(created);
    let person = txn.create_with("Person", &[("dogs", PropertyValue::list([&id, &id]))]).unwrap();
    let before = txn.object(&id).unwrap().unwrap();
    let (before, note) = (before.get("age").unwrap().into_owned(), before.get("note").unwrap());
    assert_eq!((&before, note), (&7.into(), long.as_str().into()));
    for (values, kind) in [
        (&[("age", 1.into()), ("good", "yes".into())][..], ErrorKind::InvalidArgument),
        (&[("age", 1.into()), ("age", 2.into())], ErrorKind::InvalidArgument),
        (&[("age", 1.into()), ("name", "Ida".into())], ErrorKind::InvalidArgument),
        (&[("age", 1.into()), ("tricks", 1.into())], ErrorKind::InvalidArgument),
        (&[("age", PropertyValue::list([1]))], ErrorKind::InvalidArgument),
        (&[("age", 1.into()), ("color", 1.into())], ErrorKind::InvalidArgument),
        (&[("age", 1.into()), ("friend", (&person).into())], ErrorKind::InvalidArgument),
        (
            &[("age", 1.into()), ("tricks", PropertyValue::list([Value::Null]))],
            ErrorKind::InvalidArgument,
        ),
    ] {
        refused(txn.update(&id, values), kind);
        assert_eq!(txn.object(&id).unwrap().unwrap().get("age").unwrap(), before);
    }
    txn.update(&id, &[("age", Value::Null.into()), ("note", "short".into())]).unwrap();
    let (again, created) =
        txn.upsert("Dog", &[("name", "Rex".into()), ("good", true.into())]).unwrap();
    assert_eq!((&again, created), (&id, false));
    let rex = txn.object(&id).unwrap().unwrap();
    let found = ["age", "good", "note"].map(|name| rex.get(name).unwrap().into_owned());
    assert_eq!(found, [Value::Null, true.into(), "short".into()]);
    refused(txn.create_with("Dog", &[("name", "Rex".into())]), ErrorKind::General);
    refused(txn.create_with("Dog", &[("age", 1.into())]), ErrorKind::General);
    refused(txn.upsert("Dog", &[("age", 1.into())]), ErrorKind::General);
    refused(txn.upsert("Person", &[]), ErrorKind::IllegalState);
    let ida = ObjectId { key: ObjectKey::String("Ida".into()), ..id };
    refused(txn.update(&ida, &[("age", 1.into())]), ErrorKind::IllegalState);
    // No refused object has taken a number.
    assert_eq!(person.key, ObjectKey::Row(RowId::local(1)));
    assert_eq!(txn.create_with("Person", &[]).unwrap().key, ObjectKey::Row(RowId::local(4)));
    txn.commit().unwrap();
}
