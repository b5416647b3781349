//! Errors of an app (B16): whichever callback returns one, it comes back, and nothing is committed.

use fastness::config::{App, Callback, Configuration};
use fastness::instance::FileRegistry;
use fastness::object::{Database, DatabaseOptions, Migration, Operation, Transaction};
use fastness::schema::{Class, Module, Schema};
use fastness::{AppError, Durability, Error, ErrorKind, Key, Remedy, StoreOptions, WriteTxn};
use std::fmt;
use std::sync::Arc;

/// An error of the app, which is no `Clone`.
#[derive(Debug, PartialEq)]
enum OwnError {
    Full(u32),
    Store(Error),
}

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for OwnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Full(_) => None,
            Self::Store(error) => Some(error),
        }
    }
}

impl From<Error> for OwnError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

fn schema() -> Schema {
    Schema::new([Class::new("Note").unwrap()]).unwrap()
}

fn both() -> [StoreOptions; 2] {
    [StoreOptions::new(), StoreOptions::new().key(Key::new([7; 64]))]
}

fn create(txn: &mut Transaction) -> Result<(), Error> {
    txn.create("Note").map(drop)
}

fn len(database: &Database) -> u64 {
    database.snapshot().unwrap().objects("Note").unwrap().len()
}

#[test]
fn a_transaction_returns_the_error_of_the_app() {
    for options in both() {
        let wanted = DatabaseOptions::schema(schema(), 0);
        let database = Database::in_memory(&options, &wanted).unwrap();
        let found = database.try_transact(|txn| {
            create(txn)?;
            Err::<(), _>(OwnError::Full(1))
        });
        assert_eq!((found, len(&database)), (Err(OwnError::Full(1)), 0));
        // As errors of the core do, through the conversion.
        let found = database.try_transact(|txn| {
            create(txn)?;
            txn.create("Other")?;
            Ok::<_, OwnError>(())
        });
        assert!(matches!(found, Err(OwnError::Store(Error::Object(_)))), "{found:?}");
        let found = database.try_transact_with(Durability::None, |txn| {
            create(txn)?;
            Err::<(), Box<dyn std::error::Error>>("any text".into())
        });
        assert_eq!((found.unwrap_err().to_string().as_str(), len(&database)), ("any text", 0));
        database.try_transact(|txn| Ok::<_, OwnError>(create(txn)?)).unwrap();
        assert_eq!(len(&database), 1);
    }
}

#[test]
fn an_error_of_the_app_is_carried_by_an_error_of_the_store() {
    for options in both() {
        let wanted = DatabaseOptions::schema(schema(), 0);
        let database = Database::in_memory(&options, &wanted).unwrap();
        let found = database.transact(|txn| {
            create(txn)?;
            Err::<(), _>(Error::app(OwnError::Full(2)))
        });
        let error = found.unwrap_err();
        assert_eq!((error.kind(), error.remedy()), (ErrorKind::App, Remedy::App));
        assert_eq!((error.to_string().as_str(), len(&database)), ("Full(2)", 0));
        assert_eq!(error.as_app(), Some(&OwnError::Full(2)));
        assert!(error.as_app::<fmt::Error>().is_none());
        let error = error.into_app::<fmt::Error>().unwrap_err();
        assert_eq!(error.into_app(), Ok(OwnError::Full(2)));
    }
    // An error of the store stays one, and has no app's error in it.
    let ours = Error::app(Error::TransactionFailed);
    assert_eq!(ours, Error::TransactionFailed);
    assert_eq!(ours.into_app::<OwnError>(), Err(Error::TransactionFailed));
    let source = Error::app(OwnError::Store(Error::RandomSource));
    let source = std::error::Error::source(&source).unwrap();
    assert_eq!(source.downcast_ref(), Some(&Error::RandomSource));
}

#[test]
fn an_opening_returns_the_error_of_a_migration_and_of_initial_data() {
    for options in both() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes");
        let fill = |txn: &mut Transaction| {
            create(txn)?;
            Err(Error::app(OwnError::Full(3)))
        };
        let wanted = DatabaseOptions::schema(schema(), 1);
        let opened = Database::open(&options, &path, &wanted.clone().initial_data(&fill));
        assert_eq!(opened.unwrap_err().into_app(), Ok(OwnError::Full(3)));
        let database = Database::open(&options, &path, &DatabaseOptions::dynamic()).unwrap();
        assert_eq!(database.snapshot().unwrap().view().schema().unwrap().classes().len(), 0);
        drop(database);
        drop(Database::open(&options, &path, &wanted).unwrap());
        let migrate = |migration: &mut Migration<'_>| {
            create(migration.new_txn())?;
            Err(Error::app(OwnError::Full(4)))
        };
        let next = DatabaseOptions::schema(schema(), 2).migration(&migrate);
        let opened = Database::open(&options, &path, &next);
        assert_eq!(opened.unwrap_err().into_app(), Ok(OwnError::Full(4)));
        assert_eq!(len(&Database::open(&options, &path, &wanted).unwrap()), 0);
    }
}

#[test]
fn a_commit_returns_the_error_of_its_hook() {
    let wanted = DatabaseOptions::schema(schema(), 0);
    let hook = |operations: &[Operation], _: &mut WriteTxn| {
        let creates = operations.iter().filter(|one| matches!(one, Operation::Create(_)));
        if creates.count() == 2 { Err(Error::app(OwnError::Full(5))) } else { Ok(()) }
    };
    let wanted = wanted.commit_hook(Arc::new(hook));
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    let found = database.transact(|txn| create(txn).and_then(|()| create(txn)));
    assert_eq!(found.unwrap_err().into_app(), Ok(OwnError::Full(5)));
    assert_eq!(len(&database), 0);
    database.transact(create).unwrap();
}

/// Also those of a synced file: nothing in between tells one callback from another.
#[test]
fn an_instance_returns_the_error_of_the_app() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::new(dir.path());
    let registry = FileRegistry::open(&app, StoreOptions::new()).unwrap();
    let module = || Module::new("notes", [Class::new("Note").unwrap()]);
    let fill = Callback::initial_data("fill", |txn| {
        create(txn)?;
        Err(Error::app(OwnError::Full(6)))
    });
    let builder = || Configuration::builder(&app).modules([module()]);
    let filled = builder().initial_data(fill).build().unwrap();
    let error = registry.open_instance(&filled).map(drop).unwrap_err();
    assert_eq!(error.into_app(), Ok(OwnError::Full(6)));
    let instance = registry.open_instance(&builder().build().unwrap()).unwrap();
    let found = instance.try_transact(|txn| {
        create(txn)?;
        Err::<(), _>(OwnError::Full(7))
    });
    assert_eq!(found, Err(OwnError::Full(7)));
    let found = instance.transact(|txn| {
        create(txn)?;
        Err::<(), _>(Error::app(OwnError::Full(8)))
    });
    assert_eq!(found.unwrap_err().into_app(), Ok(OwnError::Full(8)));
    assert_eq!(instance.snapshot().unwrap().objects("Note").unwrap().len(), 0);
    instance.close().unwrap();
    // Through the conversion, as errors of the core are.
    let found = instance.try_transact(|_| Ok::<_, OwnError>(()));
    assert!(matches!(found, Err(OwnError::Store(Error::Instance(_)))), "{found:?}");
}

#[test]
fn an_error_may_cross_threads_and_panics() {
    fn crosses<T: Send + Sync + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    crosses::<Error>();
    crosses::<AppError>();
}
