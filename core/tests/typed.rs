//! Structs as classes of objects, as an app uses them. That they agree with dynamic objects is
//! checked in proptests.

use fastness::config::{App, Configuration, User};
use fastness::instance::FileRegistry;
use fastness::object::{
    Database, DatabaseOptions, Filter, ObjectId, ObjectKey, Operation, Order, PropertyValue, RowId,
    Timestamp, Value,
};
use fastness::schema::{
    Class, DefinitionProblem, Module, Property, PropertyType, Scalar, Schema, SchemaError,
};
use fastness::typed::{Counter, Link, Object};
use fastness::vfs::{Access, MemoryVfs, Vfs as _};
use fastness::{Error, ErrorKind, FileErrorKind, ObjectError, Result, StoreOptions, Time};
use std::path::Path;
use std::sync::{Arc, Mutex};

#[derive(Object, Clone, Debug, Default, PartialEq)]
struct Dog {
    #[object(primary_key)]
    name: String,
    #[object(indexed)]
    age: Option<i64>,
    #[object(property = "born_at")]
    born: Timestamp,
    photo: Option<Vec<u8>>,
    walks: Counter,
    friend: Option<Link<Dog>>,
    tricks: Vec<String>,
    scores: Vec<Option<f64>>,
    #[object(backlinks = "dogs")]
    owners: Vec<Link<Person>>,
    #[object(ignored)]
    seen: bool,
}

#[derive(Object, Clone, Debug, Default, PartialEq)]
#[object(class = "Human")]
struct Person {
    r#type: i64,
    dogs: Vec<Link<Dog>>,
}

#[derive(Object, Clone, Debug, Default, PartialEq)]
#[object(local)]
struct Draft {
    text: String,
}

#[test]
fn a_local_class_acts_like_any_other_in_a_file_without_sync() {
    let class = Draft::class().unwrap();
    assert!(class.is_local() && !Dog::class().unwrap().is_local());
    let options = DatabaseOptions::schema(Schema::new([class]).unwrap(), 0);
    let database = Database::in_memory(&StoreOptions::new(), &options).unwrap();
    let draft = Draft { text: "unsent".into() };
    let link = database.transact(|txn| draft.create(txn)).unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(link.get(&snapshot).unwrap(), Some(draft));
    assert!(snapshot.view().schema().unwrap().class("Draft").unwrap().is_local());
}

fn schema() -> Schema {
    Schema::new([Dog::class().unwrap(), Person::class().unwrap()]).unwrap()
}

fn database() -> Database {
    Database::in_memory(&StoreOptions::new(), &DatabaseOptions::schema(schema(), 0)).unwrap()
}

fn dog(name: &str) -> Dog {
    Dog { name: name.into(), ..Dog::default() }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T>, kind: ErrorKind) -> Error {
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    error
}

#[test]
fn a_struct_defines_the_class_that_the_builder_would() {
    let property = |name, kind: PropertyType| Property::new(name, kind).unwrap();
    let list = |of, nullable| PropertyType::List { of, nullable };
    let owners = PropertyType::LinkingObjects { class: "Human".into(), property: "dogs".into() };
    let dog = Class::new("Dog")
        .unwrap()
        .with(property("name", Scalar::String.into()).required().primary_key())
        .with(property("age", Scalar::Int.into()).nullable().indexed())
        .with(property("born_at", Scalar::Timestamp.into()).required())
        .with(property("photo", Scalar::Binary.into()).nullable())
        .with(property("walks", PropertyType::Counter))
        .with(property("friend", PropertyType::Object("Dog".into())))
        .with(property("tricks", list(Scalar::String, false)))
        .with(property("scores", list(Scalar::Double, true)))
        .with(property("owners", owners));
    let human = Class::new("Human")
        .unwrap()
        .with(property("type", Scalar::Int.into()).required())
        .with(property("dogs", PropertyType::ObjectList("Dog".into())));
    assert_eq!(schema(), Schema::new([dog, human]).unwrap());
}

#[test]
fn errors_of_definitions_are_reported_at_once() {
    let SchemaError::Definition(errors) = Schema::new([Dog::class().unwrap()]).unwrap_err() else {
        panic!("another error");
    };
    let class = "Human".to_owned();
    let unknown = DefinitionProblem::ClassUnknown { class };
    let found: Vec<_> = errors.iter().map(|error| (&error.property, &error.problem)).collect();
    assert_eq!(found, [(&Some("owners".to_owned()), &unknown)]);

    #[derive(Object)]
    struct Cat {
        home: Option<Link<Dog>>,
        #[object(backlinks = "cat")]
        owners: Vec<Link<Person>>,
    }
    let outcome = Schema::new([Cat::class().unwrap(), Person::class().unwrap()]);
    let SchemaError::Definition(errors) = outcome.unwrap_err() else { panic!("another error") };
    let named: Vec<_> = errors.iter().filter_map(|error| error.property.as_deref()).collect();
    assert_eq!(named, ["home", "owners", "dogs"]);
    // Nothing but definitions is asked of this one.
    let unused = Cat { home: None, owners: Vec::new() };
    assert_eq!((unused.home, unused.owners.len()), (None, 0));
}

#[test]
fn objects_are_created_read_updated_and_deleted() {
    let database = database();
    let (ida, rex, owner) = database
        .transact(|txn| {
            let ida = dog("Ida").create(txn)?;
            let rex = Dog { age: Some(7), friend: Some(ida.clone()), ..dog("Rex") };
            let rex = Dog { tricks: vec!["sit".into()], seen: true, ..rex }.create(txn)?;
            let owner = Person { r#type: 3, dogs: vec![rex.clone(), ida.clone()] }.create(txn)?;
            Ok((ida, rex, owner))
        })
        .unwrap();
    let snapshot = database.snapshot().unwrap();
    let expected = Dog {
        age: Some(7),
        friend: Some(ida.clone()),
        tricks: vec!["sit".into()],
        owners: vec![owner.clone()],
        ..dog("Rex")
    };
    assert_eq!(rex.get(&snapshot).unwrap(), Some(expected.clone()));
    let found = Dog::objects(&snapshot).unwrap().get("Rex").unwrap().unwrap();
    assert_eq!((found.link(), &*found), (&rex, &expected));
    assert_eq!(found.into_inner(), expected);

    let answer = database.transact(|txn| {
        rex.update(txn, |rex| {
            rex.walks += 2;
            rex.age = None;
            rex.scores = vec![None, Some(0.5)];
            "done"
        })
    });
    assert_eq!(answer.unwrap(), "done");
    let rex_now = rex.get(&database.snapshot().unwrap()).unwrap().unwrap();
    let changed = Dog { walks: Counter(2), age: None, scores: vec![None, Some(0.5)], ..expected };
    assert_eq!(rex_now, changed);

    database.transact(|txn| ida.delete(txn)).unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(ida.get(&snapshot).unwrap(), None);
    assert_eq!(rex.get(&snapshot).unwrap().unwrap().friend, None);
    assert_eq!(owner.get(&snapshot).unwrap().unwrap().dogs, [rex]);
}

#[test]
fn a_refused_operation_changes_nothing() {
    let database = database();
    let mut txn = database.write().unwrap();
    let ida = dog("Ida").create(&mut txn).unwrap();
    let deleted = dog("Rex").create(&mut txn).unwrap();
    txn.delete(&deleted).unwrap();
    refused(dog("Ida").create(&mut txn), ErrorKind::General);
    refused(dog(&"x".repeat(501)).create(&mut txn), ErrorKind::InvalidArgument);
    // The last property is the one that cannot be; those before are as they were.
    let wrong = Dog { age: Some(1), friend: Some(deleted.clone()), ..dog("Ida") };
    refused(wrong.upsert(&mut txn), ErrorKind::IllegalState);
    refused(ida.update(&mut txn, |ida| *ida = wrong.clone()), ErrorKind::IllegalState);
    refused(Dog { name: "Eve".into(), ..wrong }.create(&mut txn), ErrorKind::IllegalState);
    let error = refused(ida.update(&mut txn, |ida| ida.name.clear()), ErrorKind::InvalidArgument);
    assert!(matches!(error, Error::Object(ObjectError::PrimaryKeyImmutable { .. })), "{error}");
    refused(deleted.update(&mut txn, |dog| dog.walks += 1), ErrorKind::IllegalState);
    refused(Person::default().upsert(&mut txn), ErrorKind::IllegalState);
    let dogs: Vec<_> = Dog::objects(&txn).unwrap().iter().unwrap().map(Result::unwrap).collect();
    assert_eq!(dogs.iter().map(|dog| &**dog).collect::<Vec<_>>(), [&dog("Ida")]);
    // No refused object has taken a number.
    let person = Person::default().create(&mut txn).unwrap();
    assert_eq!(person.id().key, ObjectKey::Row(RowId::local(1)));
    txn.commit().unwrap();
}

#[test]
fn an_object_that_was_found_follows_its_changes() {
    let database = database();
    let rex = database.transact(|txn| dog("Rex").create(txn)).unwrap();
    let find = || Dog::objects(&database.snapshot().unwrap()).unwrap().get("Rex").unwrap();
    let mut found = find().unwrap();
    // It begins with what the transaction sees, and not with what it held.
    database.transact(|txn| rex.update(txn, |rex| rex.walks += 5)).unwrap();
    let age = database.transact(|txn| {
        found.update(txn, |rex| {
            rex.walks += 1;
            rex.age.replace(3)
        })
    });
    assert_eq!((age.unwrap(), found.walks, found.age), (None, Counter(6), Some(3)));
    assert_eq!(find().unwrap(), found);
    let before = found.clone();
    let outcome = database.transact(|txn| found.update(txn, |rex| rex.name.clear()));
    refused(outcome, ErrorKind::InvalidArgument);
    assert_eq!(found, before);
    let deleted = database.transact(|txn| found.clone().delete(txn)).unwrap();
    assert_eq!((deleted, find()), (before.into_inner(), None));
    refused(database.transact(|txn| found.update(txn, |_| ())), ErrorKind::IllegalState);
    refused(database.transact(|txn| found.delete(txn)), ErrorKind::IllegalState);
}

#[test]
fn queries_answer_with_structs() {
    let database = database();
    let links = database
        .transact(|txn| {
            let ages = [("Ann", Some(3)), ("Bo", None), ("Cleo", Some(9)), ("Dot", Some(3))];
            ages.map(|(name, age)| Dog { age, ..dog(name) }.create(txn)).into_iter().collect()
        })
        .map(|links: Vec<Link<Dog>>| links);
    let links = links.unwrap();
    let snapshot = database.snapshot().unwrap();
    let dogs = Dog::objects(&snapshot).unwrap();
    assert_eq!((dogs.len(), dogs.is_empty()), (4, false));
    let names = |found: Vec<fastness::typed::Stored<Dog>>| -> Vec<String> {
        found.into_iter().map(|found| found.into_inner().name).collect()
    };
    let aged = dogs.filter(Filter::ge("age", 3));
    assert_eq!(names(aged.find().unwrap()), ["Ann", "Cleo", "Dot"]);
    let eldest = aged.clone().sort("age", Order::Descending);
    assert_eq!(names(eldest.find().unwrap()), ["Cleo", "Ann", "Dot"]);
    assert_eq!(eldest.first().unwrap().unwrap().link(), &links[2]);
    assert_eq!(names(eldest.clone().distinct(["age"]).find().unwrap()), ["Cleo", "Ann"]);
    assert_eq!(eldest.clone().limit(1).count().unwrap(), 1);
    assert_eq!(aged.links().unwrap(), [0, 2, 3].map(|at| links[at].clone()));
    assert_eq!(aged.dynamic().sum("age").unwrap(), 15.into());
    assert_eq!(dogs.query().filter(Filter::is_null("age")).count().unwrap(), 1);
    assert!(dogs.filter(Filter::eq("name", "Eve")).first().unwrap().is_none());
    refused(dogs.filter(Filter::eq("height", 1)).find(), ErrorKind::InvalidArgument);
}

#[test]
fn opening_a_file_with_other_classes_reports_the_differences() {
    let class = Class::new("Dog").unwrap();
    let class = class.with(Property::new("name", Scalar::Int).unwrap().primary_key());
    let wanted = DatabaseOptions::schema(Schema::new([class]).unwrap(), 0);
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    let id = database.transact(|txn| txn.create_with_key("Dog", 5)).unwrap();
    let snapshot = database.snapshot().unwrap();
    let error = refused(Link::<Dog>::new(id.clone()).get(&snapshot), ErrorKind::InvalidArgument);
    assert_eq!(error.to_string(), "`Dog.name` holds int, not string");
    refused(Person::objects(&snapshot).map(drop), ErrorKind::InvalidArgument);
    refused(database.transact(|txn| dog("Rex").create(txn)), ErrorKind::InvalidArgument);
    assert_eq!(Dog::objects(&snapshot).unwrap().len(), 1);
    assert!(Link::<Person>::new(id).get(&snapshot).is_err());
}

#[test]
fn a_link_of_another_class_leads_nowhere() {
    let database = database();
    let id = database.transact(|txn| Ok(dog("Rex").create(txn)?.id().clone())).unwrap();
    let wrong = Link::<Person>::new(id);
    assert_eq!(wrong.get(&database.snapshot().unwrap()).unwrap(), None);
    let outcome = database.transact(|txn| wrong.update(txn, |person| person.r#type = 1));
    let error = refused(outcome, ErrorKind::IllegalState);
    assert!(error.to_string().starts_with("there is no `Human` \"Rex\""), "{error}");
}

/// A common prefix and suffix of a list keep their ids, and counters report the difference.
#[test]
fn an_update_tells_what_differs_and_no_more() {
    let received: Arc<Mutex<Vec<Operation>>> = Arc::default();
    let heard = Arc::clone(&received);
    let wanted =
        DatabaseOptions::schema(schema(), 0).commit_hook(Arc::new(move |operations, _| {
            heard.lock().unwrap().extend_from_slice(operations);
            Ok(())
        }));
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    let tricks = |names: &str| names.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let rex = Dog { tricks: tricks("sit roll beg jump"), walks: Counter(5), ..dog("Rex") };
    let rex = database.transact(|txn| rex.create(txn)).unwrap();
    let elements = || {
        let snapshot = database.snapshot().unwrap();
        snapshot.object(&rex).unwrap().unwrap().list("tricks").unwrap()
    };
    let before = elements();
    received.lock().unwrap().clear();
    database.transact(|txn| rex.update(txn, |_| ())).unwrap();
    assert_eq!(*received.lock().unwrap(), []);
    let change = |rex: &mut Dog| {
        rex.walks -= 1;
        rex.tricks = tricks("sit fetch jump");
    };
    database.transact(|txn| rex.update(txn, change)).unwrap();
    let after = elements();
    assert_eq!([&after[0], &after[2]], [&before[0], &before[3]]);
    let received = received.lock().unwrap().clone();
    let [Operation::Increment { by: -1, .. }, first, second, inserted] = &received[..] else {
        panic!("{received:?}");
    };
    for (operation, removed) in [(first, &before[1]), (second, &before[2])] {
        assert!(
            matches!(operation, Operation::ListRemove { element, .. } if *element == removed.id),
            "{operation:?}"
        );
    }
    assert!(
        matches!(inserted, Operation::ListInsert { element, after: Some(at), .. }
            if *element == after[1] && *at == before[0].id),
        "{inserted:?}"
    );
}

#[test]
fn observers_tell_keys_by_which_structs_are_found() {
    let database = database();
    let (_, observer) = database.subscribe().unwrap();
    let rex = database.transact(|txn| dog("Rex").create(txn)).unwrap();
    let changes = observer.try_recv().unwrap();
    let snapshot = database.snapshot().unwrap();
    let dogs = Dog::objects(&snapshot).unwrap();
    let [key] = &changes.classes["Dog"].inserted[..] else { panic!("{changes:?}") };
    assert_eq!(dogs.by_key(key).unwrap().unwrap().link(), &rex);
    assert!(dogs.by_key(&ObjectKey::Int(1)).unwrap().is_none());
}

#[test]
fn contents_of_a_struct_are_those_of_its_properties() {
    let rex = Dog { tricks: vec!["sit".into()], seen: true, ..dog("Rex") };
    assert_eq!(rex.key(), Some(("name", "Rex".into())));
    let names: Vec<_> = rex.properties().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["age", "born_at", "photo", "walks", "friend", "tricks", "scores"]);
    assert!(rex.properties().contains(&("tricks", PropertyValue::List(vec!["sit".into()]))));
    assert!(rex.properties().contains(&("age", PropertyValue::Value(Value::Null))));
    assert_eq!(Person::default().key(), None);
    let id = ObjectId { class: fastness::object::ClassId(0), key: ObjectKey::Null };
    assert_eq!(Link::<Dog>::new(id.clone()), Link::new(id));
}

/// A row as the tests of client reset have it, written and read back as a struct.
#[test]
fn a_backup_is_read_through_structs() {
    #[derive(Object)]
    struct StringOnly {
        chars: Option<String>,
    }
    let dir = tempfile::tempdir().unwrap();
    let module = Module::new("strings", [StringOnly::class().unwrap()]);
    let app = App::new(dir.path()).default_module(module);
    let user = User::new("user", "http://objectserver.realm.io/auth").unwrap();
    let url = "realm://objectserver.realm.io/default";
    let builder = Configuration::sync_builder(&app, &user, url).unwrap();
    let synced = builder.encryption_key(&[7; 64]).unwrap().build().unwrap();
    let instances = FileRegistry::open(&app, StoreOptions::new()).unwrap();
    let instance = instances.open_instance(&synced).unwrap();
    instance.transact(|txn| StringOnly { chars: Some("Foo".into()) }.create(txn)).unwrap();
    instance.close().unwrap();
    let reset = instances.require_reset(&synced, Time::from_seconds(0)).unwrap();
    assert!(reset.execute().unwrap());
    let backup = instances.open_instance(reset.backup_configuration()).unwrap();
    let snapshot = backup.snapshot().unwrap();
    let rows = StringOnly::objects(&snapshot).unwrap();
    let chars: Vec<_> = rows.iter().unwrap().map(|row| row.unwrap().into_inner().chars).collect();
    assert_eq!((rows.is_empty(), chars), (false, vec![Some("Foo".to_owned())]));
    let refused = backup.transact(|txn| StringOnly { chars: None }.create(txn));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::IllegalState);
}

/// A page that cannot be read may be met at any step of writing a struct: whichever it is, what was
/// done until then is never committed (C13).
#[test]
fn an_operation_that_cannot_read_fails_its_transaction() {
    let vfs = MemoryVfs::default();
    let options = StoreOptions::new().vfs(Arc::new(vfs.clone())).cache_bytes(0);
    let wanted = DatabaseOptions::schema(schema(), 0);
    let database = Database::open(&options, "dogs", &wanted).unwrap();
    let long = Dog { photo: Some(vec![7; 3000]), tricks: vec!["sit".into()], ..dog("Rex") };
    let rex = database.transact(|txn| long.create(txn)).unwrap();
    drop(database);
    let database = Database::open(&options, "dogs", &DatabaseOptions::dynamic()).unwrap();
    let file = vfs.open(Path::new("dogs"), Access::ReadWrite).unwrap();
    let other = Dog { photo: None, ..long };
    for updates in [true, false] {
        let mut failures = 0;
        for page in 2..file.len().unwrap() / 4096 {
            let mut txn = database.write().unwrap();
            let mut held = [0; 4096];
            file.read_at(&mut held, page * 4096).unwrap();
            file.write_at(&[1; 4096], page * 4096).unwrap();
            let outcome = match updates {
                true => rex.update(&mut txn, |rex| *rex = other.clone()),
                false => other.upsert(&mut txn).map(drop),
            };
            file.write_at(&held, page * 4096).unwrap();
            if let Err(error) = outcome {
                assert_eq!(error.kind(), ErrorKind::File(FileErrorKind::AccessError), "{error}");
                assert_eq!(txn.commit(), Err(Error::TransactionFailed), "page {page}");
                failures += 1;
            }
        }
        assert!(failures > 0);
    }
}
