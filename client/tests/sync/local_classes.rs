//! Local classes of the app: drafts that stay on the device.

use super::support::{FOREVER, TestApp, TestServer, texts, write};
use fastness::Error;
use fastness::config::Configuration;
use fastness::object::Database;
use fastness::schema::{Class, Module, Property, Scalar, SchemaError};
use fastness_client::{SessionState, SyncCallError, SyncedFile};

/// A class with a key and a text.
fn class(name: &str) -> Class {
    Class::new(name)
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("text", Scalar::String).unwrap())
}

fn configuration(app: &TestApp, classes: Vec<Class>) -> Configuration {
    app.builder().modules([Module::new("app", classes)]).build().unwrap()
}

fn put(database: &Database, class: &str, id: i64) {
    let put = database.transact(|txn| {
        let (object, _) = txn.get_or_create(class, id)?;
        txn.set(&object, "text", format!("{class} {id}"))
    });
    put.unwrap();
}

fn count(file: &SyncedFile, class: &str) -> u64 {
    file.database().snapshot().unwrap().objects(class).unwrap().len()
}

#[test]
fn objects_of_a_local_class_stay_on_the_device() {
    let server = TestServer::new();
    let (app, other) = (TestApp::new(&server), TestApp::new(&server));
    let classes = || vec![class("Note"), class("Draft").local()];
    let file = app.sync.open_file(&configuration(&app, classes())).unwrap();
    put(file.database(), "Draft", 1);
    write(&file, 1, "one");
    file.upload_all(FOREVER).unwrap();
    let head = server.head();
    put(file.database(), "Draft", 2);
    file.upload_all(FOREVER).unwrap();
    assert_eq!(server.head(), head, "SY22: a draft was uploaded");
    let seen = other.sync.open_file(&configuration(&other, classes())).unwrap();
    seen.download_all(FOREVER).unwrap();
    assert_eq!((texts(seen.database()), count(&seen, "Draft")), (vec!["one".to_owned()], 0));
    assert_eq!(count(&file, "Draft"), 2, "SY22");
}

#[test]
fn a_local_class_stays_local_when_its_database_goes_online() {
    let server = TestServer::new();
    let (app, other) = (TestApp::new(&server), TestApp::new(&server));
    let classes = || vec![class("Note"), class("Draft").local()];
    let local = Configuration::builder(&app.app).name("local").unwrap();
    let local = local.modules([Module::new("app", classes())]).build().unwrap();
    let instance = app.registry.open_instance(&local).unwrap();
    put(&instance.database().unwrap(), "Note", 1);
    put(&instance.database().unwrap(), "Draft", 1);
    let snapshot = instance.database().unwrap().snapshot().unwrap();
    let synced = configuration(&app, classes());
    app.sync.go_online(&snapshot, &synced).unwrap();
    let file = app.sync.open_file(&synced).unwrap();
    file.upload_all(FOREVER).unwrap();
    assert_eq!(count(&file, "Draft"), 1, "CS10");
    let seen = other.sync.open_file(&configuration(&other, classes())).unwrap();
    seen.download_all(FOREVER).unwrap();
    assert_eq!((count(&seen, "Note"), count(&seen, "Draft")), (1, 0), "SY22");
}

/// Another version of the app synchronizes a class of the name: the file follows once its own class
/// has another name.
#[test]
fn a_name_that_others_synchronize_is_free_again_after_a_renaming() {
    let server = TestServer::new();
    let (app, other) = (TestApp::new(&server), TestApp::new(&server));
    let mine = configuration(&app, vec![class("Note"), class("Draft").local()]);
    let file = app.sync.open_file(&mine).unwrap();
    put(file.database(), "Draft", 1);
    let shared = configuration(&other, vec![class("Note"), class("Draft")]);
    let sharing = other.sync.open_file(&shared).unwrap();
    put(sharing.database(), "Draft", 7);
    sharing.upload_all(FOREVER).unwrap();
    let stopped = file.download_all(FOREVER);
    let Err(SyncCallError::Stopped { reason }) = stopped else { panic!("SY22: {stopped:?}") };
    assert!(reason.contains("class `Draft` is local in this file"), "{reason}");
    assert_eq!(file.state(), SessionState::Error);
    file.database().transact(|txn| txn.rename_class("Draft", "Scratch")).unwrap();
    drop(file);
    let app = app.restart(&server);
    let classes = vec![class("Note"), class("Draft"), class("Scratch").local()];
    let file = app.sync.open_file(&configuration(&app, classes)).unwrap();
    file.download_all(FOREVER).unwrap();
    assert_eq!((count(&file, "Draft"), count(&file, "Scratch")), (1, 1), "SY22");
}

/// A file that is only read has the classes of the server, of which none is local.
#[test]
fn a_file_that_is_only_read_has_no_local_class() {
    let server = TestServer::new();
    let writer = TestApp::new(&server);
    let file = writer.open();
    write(&file, 1, "one");
    file.upload_all(FOREVER).unwrap();
    let app = TestApp::new(&server);
    let modules = [Module::new("app", vec![class("Note"), class("Draft").local()])];
    let configuration = app.builder().modules(modules).wait_for_initial_data().read_only().build();
    let refused = app.sync.open_file(&configuration.unwrap());
    let Err(SyncCallError::File(Error::Schema(SchemaError::ClassesMissing { classes, .. }))) =
        refused
    else {
        panic!("SY22: {refused:?}")
    };
    assert_eq!(classes, ["Draft"], "SY22");
}
