//! A local database that goes online.

use super::support::{FOREVER, TestApp, TestServer};
use fastness::config::Configuration;
use fastness::object::{Database, Snapshot, Value};
use fastness::schema::{Class, Module, Property, PropertyType, Scalar};
use fastness::{Error, FileErrorCause};
use fastness_client::SyncCallError;
use std::fs;

/// Persons with and without keys, a counter, links and lists.
fn module() -> Module {
    let text = || Property::new("text", Scalar::String).unwrap();
    let many = PropertyType::List { of: Scalar::String, nullable: true };
    let note = Class::new("Note")
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(text())
        .with(Property::new("hits", PropertyType::Counter).unwrap())
        .with(Property::new("next", PropertyType::Object("Note".into())).unwrap())
        .with(Property::new("lines", PropertyType::ObjectList("Line".into())).unwrap());
    let line = Class::new("Line")
        .unwrap()
        .with(text())
        .with(Property::new("words", many).unwrap())
        .with(Property::new("note", PropertyType::Object("Note".into())).unwrap());
    Module::new("local", [note, line])
}

/// Fills a local database: lines without keys, in an order that their numbers do not have.
fn fill(database: &Database) {
    let filled = database.transact(|txn| {
        for id in 0..300_i64 {
            let (note, _) = txn.get_or_create("Note", id)?;
            txn.set(&note, "text", format!("note {id}"))?;
            txn.add(&note, "hits", id)?;
            let deleted = txn.create("Line")?;
            let line = txn.create("Line")?;
            txn.delete(&deleted)?;
            txn.set(&line, "text", "x".repeat(4000))?;
            txn.set(&line, "note", Value::Link(note.clone()))?;
            txn.list(&line, "words")?.push(format!("word {id}"))?;
            txn.list(&line, "words")?.push(Value::Null)?;
            txn.list(&note, "lines")?.push(Value::Link(line))?;
            if id > 0 {
                let (before, _) = txn.get_or_create("Note", id - 1)?;
                txn.set(&before, "next", Value::Link(note))?;
            }
        }
        Ok(())
    });
    filled.unwrap();
}

/// Describes all notes, with what they lead to.
fn described(snapshot: &Snapshot) -> Vec<String> {
    let mut notes = Vec::new();
    for note in snapshot.objects("Note").unwrap().iter().unwrap() {
        let note = note.unwrap();
        let next = match note.get("next").unwrap() {
            Value::Link(next) => next.key.to_string(),
            other => format!("{other:?}"),
        };
        let mut text = format!(
            "{} {:?} {:?} {next}",
            note.key(),
            note.get("text").unwrap(),
            note.get("hits").unwrap()
        );
        for line in note.list("lines").unwrap() {
            let Value::Link(line) = line.value else { panic!() };
            let line = snapshot.object(&line).unwrap().unwrap();
            let words: Vec<_> =
                line.list("words").unwrap().into_iter().map(|word| word.value).collect();
            let Value::Link(back) = line.get("note").unwrap() else { panic!() };
            let long = line.get("text").unwrap().to_owned();
            text += &format!(" [{words:?} {} {}]", back.key, format!("{long:?}").len());
        }
        notes.push(text);
    }
    notes
}

fn configuration(app: &TestApp) -> Configuration {
    app.builder().modules([module()]).build().unwrap()
}

fn local(app: &TestApp) -> Configuration {
    let local = Configuration::builder(&app.app).name("local").unwrap();
    local.modules([module()]).build().unwrap()
}

#[test]
fn a_local_database_goes_online_with_every_object() {
    let server = TestServer::new();
    let (app, other) = (TestApp::new(&server), TestApp::new(&server));
    let instance = app.registry.open_instance(&local(&app)).unwrap();
    fill(&instance.database().unwrap());
    let snapshot = instance.database().unwrap().snapshot().unwrap();
    let expected = described(&snapshot);
    let synced = configuration(&app);
    // A file that an interrupted attempt left is replaced.
    let name = synced.path().file_name().unwrap().display().to_string();
    fs::write(synced.path().with_file_name(format!(".{name}.partial")), "half").unwrap();
    app.sync.go_online(&snapshot, &synced).unwrap();
    let again = app.sync.go_online(&snapshot, &synced);
    let Err(SyncCallError::File(Error::File { cause, .. })) = again else { panic!("{again:?}") };
    assert_eq!(cause, FileErrorCause::Exists, "CS10");
    let file = app.sync.open_file(&synced).unwrap();
    assert_eq!(described(&file.database().snapshot().unwrap()), expected, "CS10");
    file.upload_all(FOREVER).unwrap();
    assert!(server.head() > 5, "CS10: entries of a bounded size");
    let seen = other.sync.open_file(&configuration(&other)).unwrap();
    seen.download_all(FOREVER).unwrap();
    assert_eq!(described(&seen.database().snapshot().unwrap()), expected, "CS10");
    assert_eq!(described(&snapshot), expected, "CS10: the local database stays");
}

#[test]
fn a_local_database_that_cannot_go_online_leaves_no_file() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let instance = app.registry.open_instance(&local(&app)).unwrap();
    let database = instance.database().unwrap();
    fill(&database);
    let long = database.transact(|txn| {
        let (note, _) = txn.get_or_create("Note", 1_000_000_i64)?;
        txn.set(&note, "text", "x".repeat(2 << 20))
    });
    long.unwrap();
    let synced = configuration(&app);
    let outcome = app.sync.go_online(&database.snapshot().unwrap(), &synced);
    assert!(matches!(outcome, Err(SyncCallError::File(_))), "CS10: {outcome:?}");
    assert!(!synced.path().exists(), "CS10: half of a database");
    let shorter = database.transact(|txn| {
        let (note, _) = txn.get_or_create("Note", 1_000_000_i64)?;
        txn.set(&note, "text", "short")
    });
    shorter.unwrap();
    app.sync.go_online(&database.snapshot().unwrap(), &synced).expect("CS10");
}
