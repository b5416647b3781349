//! Instances: who has which file open, what may be done to a file when, and the backups of
//! client resets. Named after the rows of docs/instances.md and of the original's tests.

mod backups;
mod callbacks;
mod crowd;
mod outcomes;
mod registry;
mod resets;

use fastness::config::{App, Configuration, SyncBuilder, User};
use fastness::instance::{FileRegistry, Instance};
use fastness::object::Transaction;
use fastness::schema::{Class, Module, Property, Scalar};
use fastness::{Error, ErrorKind, ObjectError, StoreOptions};
use tempfile::TempDir;

/// An app with a directory of its own.
struct TestApp {
    dir: TempDir,
    app: App,
    instances: FileRegistry,
}

impl TestApp {
    fn new(module: Module) -> Self {
        Self::with(module, |app| app)
    }

    fn with(module: Module, change: impl FnOnce(App) -> App) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = change(App::new(dir.path()).default_module(module));
        let instances = FileRegistry::open(&app, StoreOptions::new()).unwrap();
        Self { dir, app, instances }
    }

    /// Starts as the next process will.
    fn start(&self) -> FileRegistry {
        FileRegistry::open(&self.app, StoreOptions::new()).unwrap()
    }

    fn synced_builder(&self) -> SyncBuilder {
        let user = User::new("user", "http://objectserver.realm.io/auth").unwrap();
        let url = "realm://objectserver.realm.io/default";
        let builder = Configuration::sync_builder(&self.app, &user, url).unwrap();
        builder.modules([string_only()])
    }

    fn synced(&self) -> Configuration {
        self.synced_builder().build().unwrap()
    }
}

fn class(name: &str, kind: Scalar) -> Class {
    Class::new(name).unwrap().with(Property::new("chars", kind).unwrap())
}

fn string_only() -> Module {
    Module::new("strings", [class("StringOnly", Scalar::String)])
}

fn add_row(txn: &mut Transaction) -> Result<(), Error> {
    let row = txn.create("StringOnly")?;
    txn.set(&row, "chars", "Foo")
}

/// Tells whether there is a row; there is one at most, and it says "Foo".
fn shows_row(instance: &Instance) -> bool {
    let snapshot = instance.snapshot().unwrap();
    let rows = match snapshot.objects("StringOnly") {
        Err(Error::Object(ObjectError::ClassUnknown { .. })) => return false,
        rows => rows.unwrap(),
    };
    let all: Vec<_> = rows.iter().unwrap().map(Result::unwrap).collect();
    assert!(all.len() <= 1);
    assert_eq!((rows.is_empty(), rows.len()), (all.is_empty(), all.len() as u64));
    all.iter().for_each(|row| assert_eq!(row.get("chars").unwrap(), "Foo".into()));
    !all.is_empty()
}

#[track_caller]
fn assert_kind<T>(outcome: Result<T, Error>, kind: ErrorKind) -> Error {
    let Err(error) = outcome else { panic!("expected {kind:?}") };
    assert_eq!(error.kind(), kind, "{error}");
    error
}
